"""Series of Prometheus, by their labels: whose they are, and what their values mean."""

from __future__ import annotations

import math
from collections.abc import Mapping

from rca.sources.dimensions import Dimensions, graph_edge, read_dimensions
from rca.sources.naming import IDENTITY, Naming, Origin, is_host_metric
from rca.sources.otlp_resources import topology_of
from rca.sources.samples import COUNTER, GAUGE, Series
from rca.topology import Topology

NAME = "__name__"
# What Prometheus says about its own work, not about anybody's health.
_OWN = ("scrape_", "prometheus_remote_storage_", "ALERTS")
# The series' own fields; and what tells two Prometheus apart that scrape the same targets: their samples are the same.
_NOT_APART = frozenset((NAME, "le", "quantile", "prometheus_replica", "__replica__"))
_SUFFIXES = (("_bucket", "bucket"), ("_count", "count"), ("_sum", "sum"))
# MetricMetadata.MetricType of prompb/types.proto
COUNTER_TYPE, GAUGE_TYPE, UNTYPED = 1, 2, 0


class PrometheusSeries:
    """Reads label sets, and remembers who was seen: components, replicas, hosts and calls.

    What identifies a target repeats with each of its series, what tells series apart repeats with
    each target: the two are looked up apart, once each.
    """

    def __init__(self, naming: Naming, types: Mapping[str, int] | None = None) -> None:
        self._naming = naming
        self._types = types or {}
        self._identity = IDENTITY.union(naming.labels)
        self._whose: dict[tuple[bool, tuple[tuple[str, str], ...]], Origin] = {}
        self._what: dict[tuple[tuple[str, str], ...], tuple[Series, tuple[str, str] | None] | None] = {}
        self._origins: dict[Origin, None] = {}
        self._edges: set[tuple[str, str]] = set()

    def read(self, labels: Mapping[str, str], *, name: str = "") -> Series | None:
        """The series of a label set; None where it says nothing about a component.

        Args:
            labels: with ``__name__``.
            name: the metric, where the labels have no name (results of functions).
        """
        pairs = sorted(labels.items())
        own = tuple([pair for pair in pairs if pair[0] in self._identity])
        other = tuple([pair for pair in pairs if pair[0] not in self._identity])
        metric = labels.get(NAME, "") or name
        if not labels.get(NAME):
            other = ((NAME, name), *other)
        if other not in self._what:
            self._what[other] = self._template(metric, dict(other))
        found = self._what[other]
        if found is None or _is_sum_of_containers(metric, labels):
            return None
        series, edge = found
        if edge is not None:
            self._edges.add(edge)
            origin = Origin(component=edge[0])
        else:
            place = is_host_metric(metric), own
            known = self._whose.get(place)
            origin = known or self._whose.setdefault(place, self._naming.origin(dict(own), metric))
        self._origins.setdefault(origin)
        apart = ",".join([f"{key}={value}" for key, value in pairs if key not in _NOT_APART])
        # Built anew instead of replaced: this is the hot line of a remote write.
        return Series(origin.component, series.metric, series.sort, series.peer, apart, *series[5:])

    def _template(self, metric: str, facts: dict[str, str]) -> tuple[Series, tuple[str, str] | None] | None:
        """What a series is apart from whose it is, and the call that it is about."""
        if not metric or metric.startswith(_OWN):
            return None
        facts.pop(NAME, None)
        part, base, bound = _part(metric, facts)
        edge = graph_edge(metric, facts)
        dimensions = read_dimensions(metric, facts)
        if edge is not None:
            failed = dimensions.failed or "_failed" in metric
            dimensions = Dimensions(labels="", peer=edge[1], failed=failed)
        series = Series(
            component="",
            metric=base,
            sort=self._sort(metric, part),
            peer=dimensions.peer,
            labels=dimensions.labels,
            part=part,
            bound=bound,
            failed=dimensions.failed,
        )
        return series, edge

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


def _is_sum_of_containers(metric: str, labels: Mapping[str, str]) -> bool:
    """Whether cAdvisor measured a pod's whole control group: its containers are told one by one as well."""
    if not metric.startswith("container_") or metric.startswith("container_network_"):
        return False
    return bool(labels.get("pod")) and labels.get("container", "") in ("", "POD")


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
