"""Data points of OTLP as samples.

gauge                  one gauge
sum                    a counter (or the growth of one, by its temporality); a gauge where it may also fall
histogram              count, sum and the counts up to each bound
exponential histogram  the same, with the powers of two as bounds: a fixed set, so that replicas can be added up
summary                count and sum, and one gauge per quantile
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from rca.sources.bodies import Limits
from rca.sources.dimensions import Dimensions, graph_edge, read_dimensions
from rca.sources.instants import LARGEST
from rca.sources.naming import Naming, Origin
from rca.sources.otlp_attributes import attributes_of
from rca.sources.otlp_resources import Resources, topology_of
from rca.sources.received import Received
from rca.sources.samples import COUNTER, DELTA, GAUGE, SampleCollector, Series

_DELTA, _CUMULATIVE = 1, 2  # AggregationTemporality
_NO_VALUE = 1  # DataPointFlags: no recorded value
_NAME = 300
# Bounds of exponential histograms: 60 microseconds to 18 hours in seconds; a bit to 64 KiB where bytes are counted
# in thousands. What lies outside counts at the edges.
_POWERS = range(-14, 17)
_BOUNDS = tuple(2.0**power for power in _POWERS)
# Bounds of one histogram: more are nobody's latency.
_MOST_BOUNDS = 500


def read_metrics(request: Any, *, naming: Naming, limits: Limits, where: str) -> Received:
    """The data points of an ExportMetricsServiceRequest. Points that cannot be read are rejected."""
    reader = _Reader(naming, limits, where)
    for part in request.resource_metrics:
        origin, process = reader.resources.origin(part.resource)
        for scope in part.scope_metrics:
            for metric in scope.metrics:
                reader.read(metric, origin, process)
    edges = [(caller, callee, 1.0) for caller, callee in sorted(reader.edges)]
    topology = reader.resources.topology().merge(topology_of([], edges=edges) if edges else None)
    return Received(samples=reader.out.batch(), topology=topology, rejected=reader.rejected, problem=reader.problem)


class _Reader:
    """Reads the points of one request."""

    def __init__(self, naming: Naming, limits: Limits, where: str) -> None:
        self.out = SampleCollector()
        self.resources = Resources(naming)
        self.edges: set[tuple[str, str]] = set()
        self.rejected, self.problem = 0, ""
        self._naming, self._limits, self._where = naming, limits, where
        self._dimensions: dict[tuple[str, bytes], tuple[Origin | None, Dimensions]] = {}
        self._seen = 0

    def read(self, metric: Any, origin: Origin, process: str) -> None:
        """All points of one metric."""
        which = metric.WhichOneof("data")
        if which is None:
            return
        data = getattr(metric, which)
        self._seen += len(data.data_points)
        self._limits.check_records(self._seen, self._where)
        sort = _sort(which, data)
        name = metric.name[:_NAME]
        if sort is None or not name:
            self._reject(len(data.data_points), "a metric has no name, or a histogram or sum no temporality")
            return
        for point in data.data_points:
            if point.flags & _NO_VALUE:
                continue
            if not 0 < point.time_unix_nano <= LARGEST:
                self._reject(1, "a data point has no time, or one beyond the year 2261")
            elif not self._add(which, sort, self._key(name, sort, origin, process, point), point):
                self._reject(1, "a data point has no finite value, or counts that do not belong to its bounds")

    def _reject(self, count: int, problem: str) -> None:
        self.rejected += count
        self.problem = self.problem or problem

    def _key(self, name: str, sort: str, origin: Origin, process: str, point: Any) -> Series:
        """The series of a point; what its attributes say is looked up once per set of them."""
        place = name, b"".join(pair.SerializeToString(deterministic=True) for pair in point.attributes)
        found = self._dimensions.get(place)
        if found is None:
            facts = attributes_of(point.attributes)
            edge = graph_edge(name, facts)
            own = None
            if edge is not None:
                self.edges.add(edge)
                own = Origin(component=edge[0])
            dimensions = read_dimensions(name, facts)
            if edge is not None:
                dimensions = Dimensions(labels="", peer=edge[1], failed=dimensions.failed)
            found = self._dimensions[place] = own, dimensions
        own, dimensions = found
        whose = origin if own is None else own
        # Request labels are added up later; until then each set of them is a series, or their counters would mix.
        replica = f"{process}{{{_mark(place[1])}}}" if place[1] else process
        return Series(
            component=whose.component,
            metric=name,
            sort=sort,
            peer=dimensions.peer,
            replica=replica,
            labels=dimensions.labels,
            failed=dimensions.failed,
        )

    def _add(self, which: str, sort: str, key: Series, point: Any) -> bool:
        if which in ("gauge", "sum"):
            kind = point.WhichOneof("value")
            value = float(getattr(point, kind)) if kind else math.nan
            return self._put(key, point, value)
        if which == "histogram":
            return self._add_buckets(key, point, point.explicit_bounds, point.bucket_counts)
        if which == "exponential_histogram":
            return self._add_buckets(key, point, _BOUNDS, _folded(point))
        for quantile in point.quantile_values[:_MOST_BOUNDS]:
            if 0.0 <= quantile.quantile <= 1.0:
                self._put(key._replace(sort=GAUGE, part="quantile", bound=quantile.quantile), point, quantile.value)
        return self._put(key._replace(part="count"), point, point.count) and self._put(
            key._replace(part="sum"), point, point.sum
        )

    def _add_buckets(self, key: Series, point: Any, bounds: Iterable[float], counts: Iterable[int]) -> bool:
        edges, counted = list(bounds), list(counts)
        if len(edges) > _MOST_BOUNDS or (counted and len(counted) != len(edges) + 1):
            return False
        if any(not a < b for a, b in pairwise(edges)):
            return False
        if not self._put(key._replace(part="count"), point, point.count):
            return False
        if point.HasField("sum"):
            self._put(key._replace(part="sum"), point, point.sum)
        total = 0
        for edge, count in zip((*edges, math.inf), counted, strict=False):
            total += count
            self._put(key._replace(part="bucket", bound=edge), point, total)
        return True

    def _put(self, key: Series, point: Any, value: float) -> bool:
        if not math.isfinite(value):
            return False
        start = point.start_time_unix_nano
        self.out.add(self.out.code(key), point.time_unix_nano, float(value), start if start <= LARGEST else 0)
        return True


def _sort(which: str, data: Any) -> str | None:
    if which == "gauge":
        return GAUGE
    if which == "summary":
        return COUNTER
    if which == "sum" and not data.is_monotonic:
        return GAUGE if data.aggregation_temporality == _CUMULATIVE else DELTA
    return {_DELTA: DELTA, _CUMULATIVE: COUNTER}.get(data.aggregation_temporality)


def _folded(point: Any) -> list[int]:
    """Counts between powers of two, one more than there are bounds, of an exponential histogram.

    A bucket ``i`` of scale ``s`` covers (2^(i/2^s), 2^((i+1)/2^s)]: all of it counts where its upper edge lies.
    """
    counts = [0] * (len(_BOUNDS) + 1)
    counts[0] += point.zero_count + sum(point.negative.bucket_counts)
    scale = max(min(point.scale, 20), -10)
    width = 2.0**-scale
    for i, count in enumerate(point.positive.bucket_counts):
        if count:
            power = math.ceil((point.positive.offset + i + 1) * width - 1e-9)
            counts[min(max(power - _POWERS[0], 0), len(_BOUNDS))] += count
    return counts


def _mark(attributes: bytes) -> str:
    """A short text that tells sets of attributes apart."""
    return hashlib.blake2b(attributes, digest_size=8).hexdigest()
