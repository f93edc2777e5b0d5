"""The one configuration that serves every system: each number with its reason or its source."""

from __future__ import annotations

from dataclasses import dataclass, fields

from rca.errors import SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of an analysis. Defaults hold for every data set; there is no per-system tuning."""

    top_k: int = 5
    """Root causes in the report."""

    def __post_init__(self) -> None:
        for name in (f.name for f in fields(self)):
            value = getattr(self, name)
            if isinstance(value, (int, float)) and not isinstance(value, bool) and value < 0:
                raise SettingsError(f"{name} is {value}", remedy="Give a number that is not negative")
        if self.top_k < 1:
            raise SettingsError(f"top_k is {self.top_k}", remedy="Give at least 1")
