"""What a metric means, from its name: latency, errors, traffic, saturation of what, and on whose side.

The patterns are data (``graphs/metrics.yaml``), ordered, and can be extended by a file of the same form.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from rca.errors import RuleError
from rca.resources import bundled
from rca.yaml_files import load_yaml

FAMILIES = (
    "latency",
    "errors",
    "availability",
    "traffic",
    "cpu",
    "memory",
    "disk",
    "network",
    "threads",
    "connections",
    "queue",
    "gc",
    "kpi",
    "other",
)
SATURATIONS = ("cpu", "memory", "disk", "network", "threads", "connections", "queue")
_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_SEPARATORS = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """The family of a metric, whether it describes the machine below (scope) and whose calls (side)."""

    family: str
    scope: Literal["component", "host"] = "component"
    side: Literal["server", "client"] = "server"

    @property
    def bad_direction(self) -> Literal["up", "down", "both"]:
        """The direction in which the metric goes when things get worse."""
        if self.family in ("availability", "kpi"):
            return "down"
        return "both" if self.family in ("traffic", "other") else "up"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeaningTable:
    """Ordered patterns; the first that is found in the normalised name decides."""

    scopes: tuple[tuple[re.Pattern[str], str], ...]
    sides: tuple[tuple[re.Pattern[str], str], ...]
    families: tuple[tuple[re.Pattern[str], str], ...]

    def classify(self, metric: str) -> Meaning:
        """The meaning of a metric name; family "other" where no pattern is found."""
        name = normalise(metric)
        family = next((value for pattern, value in self.families if pattern.search(name)), "other")
        scope = next((value for pattern, value in self.scopes if pattern.search(name)), "component")
        side = next((value for pattern, value in self.sides if pattern.search(name)), "server")
        return Meaning(
            family=family,
            scope="host" if scope == "host" else "component",
            side="client" if side == "client" else "server",
        )


def normalise(metric: str) -> str:
    """Lower case, words separated by underscores: ``PodServerLatencyP90(s)`` -> ``pod_server_latency_p90_s``."""
    return _SEPARATORS.sub("_", _BOUNDARY.sub("_", metric).lower()).strip("_")


def load_meanings(path: Path | None = None) -> MeaningTable:
    """The bundled table, with the patterns of ``path`` (the same form) tried before it.

    Raises:
        RuleError: an unknown key or family, or a pattern that does not compile, with its line.
    """
    own = _read(bundled("graphs", "metrics.yaml"))
    if path is None:
        return own
    extra = _read(path)
    return MeaningTable(
        scopes=extra.scopes + own.scopes, sides=extra.sides + own.sides, families=extra.families + own.families
    )


def _read(path: Path) -> MeaningTable:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RuleError(f"cannot be read ({error})", where=path, remedy="Give a UTF-8 YAML file") from error
    data = load_yaml(text, where=str(path), error=RuleError)
    parts: dict[str, tuple[tuple[re.Pattern[str], str], ...]] = {"scopes": (), "sides": (), "families": ()}
    if not isinstance(data, dict):
        raise RuleError("is no mapping", where=path, remedy="Write the keys scopes, sides and families")
    for key, rows in data.items():
        if key not in parts or not isinstance(rows, list):
            raise RuleError(f"unknown key {key!r}", where=path, remedy="Use scopes, sides and families, each a list")
        parts[key] = tuple(_read_row(row, key, path) for row in rows)
    return MeaningTable(**parts)


def _read_row(row: object, key: str, path: Path) -> tuple[re.Pattern[str], str]:
    allowed = {"scopes": ("scope", ("host",)), "sides": ("side", ("client",)), "families": ("family", FAMILIES)}
    name, values = allowed[key]
    where = f"{path}:{getattr(row, 'line', '?')}"
    if not isinstance(row, dict) or set(row) != {"pattern", name} or row[name] not in values:
        raise RuleError(
            f"a row of {key} is wrong", where=where, remedy=f"Write {{pattern: …, {name}: one of {', '.join(values)}}}"
        )
    try:
        return re.compile(str(row["pattern"])), str(row[name])
    except re.error as error:
        raise RuleError(f"the pattern does not compile ({error})", where=where, remedy="Mend the pattern") from error


@lru_cache(maxsize=1)
def _bundled_table() -> MeaningTable:
    return load_meanings()


@lru_cache(maxsize=65_536)
def classify(metric: str) -> Meaning:
    """The meaning of a metric by the bundled table."""
    return _bundled_table().classify(metric)


def kind_of(metric: str, direction: str) -> str:
    """The kind of event that a metric going up or down is, of the catalogue."""
    meaning = classify(metric)
    family = meaning.family
    if family in SATURATIONS:
        return f"saturation.{family}" if direction == "up" else "usage.down"
    table = {
        ("latency", "up"): "latency.up",
        ("latency", "down"): "latency.down",
        ("errors", "up"): "errors.up",
        ("errors", "down"): "errors.down",
        ("availability", "down"): "availability.down",
        ("availability", "up"): "errors.down",
        ("traffic", "up"): "traffic.up",
        ("traffic", "down"): "traffic.down",
        ("gc", "up"): "gc.overhead",
        ("kpi", "down"): "kpi.down",
        ("kpi", "up"): "metric.up",
    }
    return table.get((family, direction), "metric.up" if direction == "up" else "metric.down")
