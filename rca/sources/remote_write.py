"""Prometheus' remote write, version 1: ``POST /api/v1/write`` with a snappy-compressed WriteRequest.

Version 2 is refused with 415, upon which Prometheus falls back to version 1. Prometheus sends again
after 5xx, with growing pauses and from its log; after 429 only where it is told to
(``retry_on_http_429``); after other 4xx never (https://prometheus.io/docs/specs/prw/remote_write_spec/).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rca.errors import SourceError
from rca.sources.bodies import DEFAULT_LIMITS, Limits, header, inflate_snappy, media_type
from rca.sources.errors import UnsupportedError
from rca.sources.instants import LARGEST
from rca.sources.messages import parse_message
from rca.sources.naming import DEFAULT_NAMING, Naming
from rca.sources.prometheus_labels import NAME, PrometheusSeries
from rca.sources.received import Received
from rca.sources.samples import SampleCollector

OVERLOADED = 503
ACCEPTED = 204
_MILLISECOND = 1_000_000
_WHERE = "remote write"


def decode_remote_write(
    body: bytes,
    *,
    headers: Mapping[str, str] | None = None,
    naming: Naming = DEFAULT_NAMING,
    limits: Limits = DEFAULT_LIMITS,
) -> Received:
    """The samples of one WriteRequest.

    Staleness markers and infinite values are missing samples. Native histograms are rejected, and
    counted; metadata tell counters from gauges where they are sent along.

    Raises:
        SourceError: no snappy block, no WriteRequest; UnsupportedError: version 2 or another encoding.
    """
    _check_version(headers or {})
    content = inflate_snappy(body, where=_WHERE, limits=limits)
    request: Any = parse_message("prometheus.WriteRequest", content, where=_WHERE)
    if content and not request.timeseries and not request.metadata:
        raise SourceError("no series and no metadata", where=_WHERE, remedy="Send prometheus.WriteRequest")
    reader = PrometheusSeries(naming, {meta.metric_family_name: meta.type for meta in request.metadata})
    out = SampleCollector()
    rejected = ignored = seen = 0
    problem = ""
    for series in request.timeseries:
        seen += len(series.samples)
        limits.check_records(seen, _WHERE)
        labels = {label.name: label.value for label in series.labels}
        key = reader.read(labels)
        if not labels.get(NAME):
            rejected += len(series.samples)
            problem = problem or "a series has no name"
        elif key is None:
            ignored += len(series.samples)
        else:
            code = out.code(key)
            for sample in series.samples:
                time = sample.timestamp * _MILLISECOND
                if 0 < time <= LARGEST:
                    value = sample.value
                    out.add(code, time, value if math.isfinite(value) else math.nan)
                else:
                    rejected += 1
                    problem = problem or "a sample lies before 1970 or beyond the year 2261"
        if series.histograms:
            rejected += len(series.histograms)
            problem = problem or "native histograms are not read: send classic histograms along"
    return Received(
        samples=out.batch(), topology=reader.topology(), rejected=rejected, problem=problem, ignored=ignored
    )


def _check_version(headers: Mapping[str, str]) -> None:
    media = header(headers, "content-type").replace(" ", "").lower()
    version = header(headers, "x-prometheus-remote-write-version")
    if "proto=io.prometheus.write.v2" in media or version.startswith("2"):
        raise UnsupportedError("remote write 2.0", where=_WHERE, remedy="Send version 1: prometheus.WriteRequest")
    if media_type(headers) not in ("", "application/x-protobuf"):
        raise UnsupportedError(f"the content type {media[:60]!r}", where=_WHERE, remedy="Send application/x-protobuf")
    encoding = header(headers, "content-encoding").strip().lower()
    if encoding not in ("", "snappy"):
        raise UnsupportedError(f"the content encoding {encoding[:40]!r}", where=_WHERE, remedy="Compress with snappy")
