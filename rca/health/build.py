"""Building health profiles from clean telemetry: once over a whole stretch, or block by block."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from rca.health.edges import EdgeHealth
from rca.health.logs import LogHealth
from rca.health.metrics import MetricHealth, clean_columns
from rca.health.profile import HealthProfile
from rca.health.requests import RequestBlocks, count_blocks
from rca.logs.messages import unwrap_batch
from rca.logs.templates import TemplateMiner, template_keys
from rca.sampling import align
from rca.spans import LinkedSpans, link_spans
from rca.telemetry import Telemetry, texts
from rca.tracing import RequestTable, cut_requests
from rca.types import MINUTE, Window


class HealthRecorder:
    """Reads a stretch of telemetry once and gives profiles of any clean part of it.

    Args:
        telemetry: days of telemetry, incidents included.
        cut: times of past incidents; nothing of them enters a profile.
        block: requests and log lines are counted per block of this length, in ns.
        joined: the spans and lines of this telemetry, where they are joined already.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        *,
        cut: Sequence[Window] = (),
        block: int = MINUTE,
        joined: LinkedSpans | None = None,
    ) -> None:
        self._telemetry = telemetry
        self._cut = tuple(cut)
        self._block = block
        self._joined = joined
        self._miner = TemplateMiner()
        self._metrics = align(telemetry.metrics)

    def profile(self, *, exclude: Sequence[Window] = (), small: bool = False) -> HealthProfile:
        """Healthy behaviour outside the incidents and outside ``exclude``."""
        telemetry, cut = self._telemetry, (*self._cut, *exclude)
        metrics = None
        if self._metrics.values.size:
            clean = clean_columns(self._metrics, cut)
            metrics = MetricHealth.build(self._metrics, clean) if clean.any() else None
        requests = edges = own_times = None
        if len(telemetry.spans):
            keep = np.ones(len(self._blocks.starts), bool)
            for window in exclude:
                keep &= ~((self._blocks.starts + self._block > window.start) & (self._blocks.starts < window.end))
            requests = self._blocks.profile(keep) if keep.any() else None
            calls = self._table.calls
            edges = EdgeHealth.build(calls, _outside(calls.start, calls.start + np.maximum(calls.gap, 0), cut))
            own_times = EdgeHealth.of_requests(self._table, _outside(self._table.start, self._table.end, cut))
        return HealthProfile(
            windows=self._windows(cut),
            metrics=metrics,
            logs=self._log_health(cut),
            requests=requests,
            edges=edges,
            own_times=own_times,
            small=small,
        )

    @cached_property
    def template_of(self) -> npt.NDArray[np.int32]:
        """The template of each line: code of the profiles' miner, shape (lines,)."""
        return template_keys(self._telemetry.logs, self._miner)[0]

    @cached_property
    def _table(self) -> RequestTable:
        joined = self._joined or link_spans(self._telemetry.spans, self._telemetry.logs)
        codes = self.template_of
        return cut_requests(joined, texts(self._miner.templates)[codes] if len(codes) else np.zeros(0, object))

    @cached_property
    def _blocks(self) -> RequestBlocks:
        clean = _outside(self._table.start, self._table.end, self._cut)
        return count_blocks(self._table, clean, size=self._block)

    def _log_health(self, cut: tuple[Window, ...]) -> LogHealth | None:
        logs = self._telemetry.logs
        if not len(logs):
            return None
        clean = _outside(logs.times, logs.times + 1, cut)
        lines, codes = unwrap_batch(logs.take(clean), self._miner.masks), self.template_of[clean]
        spans = self._telemetry.spans
        traffic = spans.take(_outside(spans.start, spans.start + 1, cut)) if len(spans) else None
        return LogHealth.count(lines, codes, self._miner, block=self._block, traffic=traffic)

    def _windows(self, cut: tuple[Window, ...]) -> tuple[Window, ...]:
        return subtract(_extent(self._telemetry), cut)


def build_profile(
    telemetry: Telemetry, *, exclude: Sequence[Window] = (), small: bool = False, block: int = MINUTE
) -> HealthProfile:
    """The health profile of telemetry; the times of past incidents are given as ``exclude``."""
    return HealthRecorder(telemetry, cut=exclude, block=block).profile(small=small)


def subtract(window: Window | None, cut: Sequence[Window]) -> tuple[Window, ...]:
    """What is left of a window without others, in order."""
    if window is None:
        return ()
    left, at = [], window.start
    for part in sorted(cut):
        if part.start > at:
            left.append(Window(start=at, end=min(part.start, window.end)))
        at = max(at, part.end)
        if at >= window.end:
            break
    if at < window.end:
        left.append(Window(start=at, end=window.end))
    return tuple(left)


def _extent(telemetry: Telemetry) -> Window | None:
    times = [t for t in (telemetry.metrics.times, telemetry.logs.times, telemetry.spans.start) if len(t)]
    if not times:
        return None
    return Window(start=min(int(t.min()) for t in times), end=max(int(t.max()) for t in times) + 1)


def _outside(start: Any, end: Any, cut: Sequence[Window]) -> npt.NDArray[np.bool_]:
    clean = np.ones(len(start), bool)
    for window in cut:
        clean &= ~((end > window.start) & (start < window.end))
    return clean
