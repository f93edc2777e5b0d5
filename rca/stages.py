"""How long each stage of an analysis took, and what went wrong in it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Stages:
    """Timings in seconds by stage, warnings in order, and those of them that say what had to be done without."""

    timings: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    degraded: list[str] = field(default_factory=list)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Time a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.timings[name] = self.timings.get(name, 0.0) + time.perf_counter() - start

    def warn(self, sentence: str) -> None:
        """Note what the reader of the report has to know."""
        if sentence not in self.warnings:
            self.warnings.append(sentence)

    def degrade(self, sentence: str) -> None:
        """Note that something could not be used and what answered in its place; a warning as well."""
        if sentence not in self.degraded:
            self.degraded.append(sentence)
        self.warn(sentence)
