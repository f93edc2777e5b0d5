"""Series of Prometheus, by their labels: whose they are, and what their values mean."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from rca.sources.dimensions import Dimensions, graph_edge, read_dimensions
from rca.sources.naming import Naming, Origin
from rca.sources.otlp_resources import topology_of
from rca.sources.samples import COUNTER, GAUGE, Series
from rca.topology import Topology

NAME = "__name__"
# What Prometheus says about its own work, not about anybody's health.
_OWN = ("scrape_", "prometheus_remote_storage_", "ALERTS")
_SUFFIXES = (("_bucket", "bucket"), ("_count", "count"), ("_sum", "sum"))
# MetricMetadata.MetricType of prompb/types.proto
COUNTER_TYPE, GAUGE_TYPE, UNTYPED = 1, 2, 0


class PrometheusSeries:
    """Reads label sets, and remembers who was seen: components, replicas, hosts and calls."""

    def __init__(self, naming: Naming, types: Mapping[str, int] | None = None) -> None:
        self._naming = naming
        self._types = types or {}
        self._origins: dict[Origin, None] = {}
        self._edges: set[tuple[str, str]] = set()

    def read(self, labels: Mapping[str, str], *, name: str = "") -> Series | None:
        """The series of a label set; None where it says nothing about a component.

        Args:
            labels: with ``__name__``.
            name: the metric, where the labels have no name (results of functions).
        """
        metric = labels.get(NAME, "") or name
        if not metric or metric.startswith(_OWN):
            return None
        part, base, bound = _part(metric, labels)
        facts = {key: value for key, value in labels.items() if key != NAME}
        edge = graph_edge(metric, facts)
        dimensions = read_dimensions(metric, facts)
        if edge is not None:
            self._edges.add(edge)
            origin = Origin(component=edge[0])
            dimensions = Dimensions(labels="", peer=edge[1], failed=dimensions.failed or "_failed" in metric)
        else:
            origin = self._naming.origin(facts, metric)
        self._origins.setdefault(origin)
        apart = ",".join(f"{key}={facts[key]}" for key in sorted(facts) if key not in ("le", "quantile"))
        return Series(
            component=origin.component,
            metric=base,
            sort=self._sort(metric, part),
            peer=dimensions.peer,
            replica=apart,
            labels=dimensions.labels,
            part=part,
            bound=bound,
            failed=dimensions.failed,
        )

    def topology(self) -> Topology:
        """Whoever was seen."""
        return topology_of(list(self._origins), edges=[(caller, callee, 1.0) for caller, callee in sorted(self._edges)])

    def _sort(self, metric: str, part: str) -> str:
        if part:
            return GAUGE if part == "quantile" else COUNTER
        known = self._types.get(metric, UNTYPED)
        if known in (COUNTER_TYPE, GAUGE_TYPE):
            return COUNTER if known == COUNTER_TYPE else GAUGE
        return COUNTER if metric.endswith("_total") else GAUGE


def _part(metric: str, labels: Mapping[str, str]) -> tuple[str, str, float]:
    """Which part of a histogram or summary a series is, of which metric, and its bound or quantile."""
    if "quantile" in labels:
        quantile = to_number(labels["quantile"])
        return ("quantile", metric, quantile) if 0.0 <= quantile <= 1.0 else ("", metric, 0.0)
    for suffix, part in _SUFFIXES:
        if metric.endswith(suffix) and len(metric) > len(suffix):
            if part != "bucket":
                return part, metric.removesuffix(suffix), 0.0
            bound = to_number(labels.get("le", ""))
            return ("", metric, 0.0) if math.isnan(bound) else (part, metric.removesuffix(suffix), bound)
    return "", metric, 0.0


def to_number(text: str) -> float:
    """A number as Prometheus writes it, +Inf and NaN included; NaN where it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def labels_text(pairs: Iterable[tuple[str, str]]) -> str:
    """``{a="b"}`` of labels, for messages."""
    return "{" + ", ".join(f'{name}="{value}"' for name, value in sorted(pairs)) + "}"
