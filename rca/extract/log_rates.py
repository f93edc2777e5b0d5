"""Log lines of the incident against health, per component and item and for every candidate onset at once.

A rate is compared twice: per second, and per unit of traffic (requests of the component; where none
are known, its other lines, else the lines of everybody else). Only what deviates the same way in
both counts, by the lesser of the two: twice the traffic with twice the lines is no deviation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from rca.health.logs import ALL_LINES, LogHealth
from rca.health.tally import Tally, dispersion
from rca.likelihood import LN10
from rca.telemetry import LogBatch, SpanBatch
from rca.types import SECOND

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]
# Fewer other lines than this in health do not show how much traffic there is.
FEWEST_LINES = 20.0


def poisson_ratio(n1: Floats, t1: Floats, n0: Floats, t0: Floats) -> Floats:
    """log10 likelihood ratio of two Poisson rates against one, signed by the window's; all shapes broadcast.

    Args:
        n1, t1: lines and exposure in the window.
        n0, t0: the same in health; half a line is added, so that what was never seen is not impossible.

    Returns:
        > 0 where lines come more often than in health, < 0 where less; 0 where an exposure is 0.
    """
    hits = n0 + 0.5
    known = (t1 > 0) & (t0 > 0)
    t1, t0 = np.where(known, t1, 1.0), np.where(known, t0, 1.0)
    window, health, pooled = n1 / t1, hits / t0, (n1 + hits) / (t1 + t0)
    # No line at all has no logarithm, and adds nothing.
    gain = n1 * np.log(np.where(n1 > 0, window / pooled, 1.0)) + hits * np.log(health / pooled)
    return np.asarray(np.where(known, np.sign(window - health) * np.maximum(gain, 0.0) / LN10, 0.0), np.float64)


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Keys (component, item) with their lines in health and after each candidate onset.

    ``component``, ``item``, ``level`` shape (keys,); ``lines`` and ``likelihood`` (signed, over-dispersion
    taken out) shape (keys, candidates); ``healthy`` lines, ``usual`` lines per second, ``share`` of
    healthy blocks with any, shape (keys,); ``first``, ``last`` rows of the lines of a key in the
    batch, -1 where there are none.
    """

    component: Codes
    item: Codes
    level: npt.NDArray[np.int8]
    lines: Floats
    likelihood: Floats
    healthy: Floats
    usual: Floats
    share: Floats
    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.item)


@dataclass(frozen=True, kw_only=True)
class Observation:
    """The lines from the first candidate onset to the last end, in order of time.

    Attributes:
        logs: lines; their components are codes into ``health.components``.
        health: a baseline that knows every component of the lines.
        spans: requests in the same time.
        onsets, ends: candidates, ns, shape (candidates,).
    """

    logs: LogBatch
    health: LogHealth
    spans: SpanBatch
    onsets: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]

    @cached_property
    def seconds(self) -> Floats:
        """Seconds after each candidate onset in which lines were collected at all, shape (candidates,)."""
        if not len(self.logs):
            return np.zeros(len(self.onsets))
        first, last = int(self.logs.times[0]), int(self.logs.times[-1]) + 1
        covered = np.minimum(self.ends, last) - np.maximum(self.onsets, first)
        return np.asarray(np.maximum(covered, 0) / SECOND, np.float64)

    @cached_property
    def lines(self) -> Floats:
        """Lines per component and candidate, shape (components, candidates)."""
        return self.count(self.logs.component, len(self.health.components), self.logs.times)

    @cached_property
    def requests(self) -> Floats:
        """Requests per component and candidate, shape (components, candidates); all 0 where none are known."""
        size, index = len(self.health.components), self.health.index
        code = np.array([index.get(name, -1) for name in self.spans.components] or [0], np.int64)
        code = code[self.spans.component]
        return self.count(code[code >= 0], size, self.spans.start[code >= 0])

    def count(self, key: npt.NDArray[Any], size: int, times: npt.NDArray[np.int64]) -> Floats:
        """How many times of each key lie after each candidate onset: shape (size, candidates)."""
        edges = np.unique(np.concatenate([self.onsets, self.ends]))
        place = np.searchsorted(edges, times, side="right")
        width = len(edges) + 1
        cells = np.bincount(key.astype(np.int64) * width + place, minlength=size * width)
        before = np.cumsum(cells.reshape(size, width), axis=1).astype(np.float64)  # lines before each edge
        start, end = np.searchsorted(edges, self.onsets), np.searchsorted(edges, self.ends)
        return np.asarray(before[:, end] - before[:, start], np.float64)

    def rates(self, tally: Tally, rows: npt.NDArray[np.int64], items: npt.NDArray[Any]) -> Rates:
        """Items of the given lines against a tally of health, every key that either has."""
        logs, health = self.logs, self.health
        component = np.concatenate([tally.component, logs.component[rows]]).astype(np.int64)
        item = np.concatenate([tally.item, items]).astype(np.int64)
        width = int(item.max(initial=0)) + 1
        keys, code = np.unique(component * width + item, return_inverse=True)
        size, known, seen = len(keys), code[: len(tally)], code[len(tally) :]
        of, exposure = (keys // width).astype(np.int32), self.seconds[None, :]
        healthy, squares, per_request, present = (
            _spread(column, known, size) for column in (tally.count, tally.squares, tally.per_request, tally.present)
        )
        level = np.zeros(size, np.int8)
        level[known] = tally.level
        if len(rows):
            highest = np.full(size, -1, np.int8)
            np.maximum.at(highest, seen, logs.level[rows])
            level = np.where(highest >= 0, highest, level).astype(np.int8)
        first, last = np.full(size, -1, np.int64), np.full(size, -1, np.int64)
        last[seen] = rows
        first[seen[::-1]] = rows[::-1]
        lines = self.count(seen, size, logs.times[rows])
        seconds, blocks = health.seconds[of], health.blocks[of]
        uneven = dispersion(healthy, squares, seconds, blocks)[:, None]
        per_second = poisson_ratio(lines, exposure, healthy[:, None], seconds[:, None]) / uneven
        per_traffic = self._per_traffic(
            of, lines, healthy, dispersion(healthy, per_request, health.requests[of], blocks), uneven
        )
        return Rates(
            component=of,
            item=(keys % width).astype(np.int32),
            level=level,
            lines=lines,
            likelihood=np.where(exposure > 0, _lesser(per_second, per_traffic), 0.0),
            healthy=healthy,
            usual=healthy / np.maximum(seconds, 1e-9),
            share=present / np.maximum(blocks, 1.0),
            first=first,
            last=last,
        )

    def _per_traffic(self, of: Codes, lines: Floats, healthy: Floats, per_request: Floats, uneven: Floats) -> Floats:
        """The likelihood per unit of traffic, NaN where traffic is unknown: shape (keys, candidates)."""
        health = self.health
        served, usual = self.requests[of], health.requests[of][:, None]
        traced = self.requests.sum(axis=0)[None, :] > 0
        by_request = poisson_ratio(lines, served, healthy[:, None], usual) / per_request[:, None]
        # Served nothing while others were: silence is no wonder.
        by_request = np.where(served > 0, by_request, np.where(lines > 0, np.nan, 0.0))
        totals = health.totals.take(health.totals.item == ALL_LINES)
        written = _spread(totals.count, totals.component, len(health.components))
        own, own_usual = self.lines[of] - lines, (written[of] - healthy)[:, None]
        all_usual = np.bincount(np.zeros(len(written), np.int64), written, 1)[0]
        others, others_usual = self.lines.sum(axis=0) - self.lines[of], (all_usual - written[of])[:, None]
        enough = own_usual >= FEWEST_LINES
        proxy, proxy_usual = np.where(enough, own, others), np.where(enough, own_usual, others_usual)
        by_lines = poisson_ratio(lines, proxy, healthy[:, None], proxy_usual) / uneven
        by_lines = np.where((proxy > 0) & (proxy_usual >= FEWEST_LINES), by_lines, np.nan)
        return np.where((usual > 0) & traced, by_request, by_lines)


def _lesser(a: Floats, b: Floats) -> Floats:
    """What both say, by the lesser; 0 where they contradict each other; ``a`` where ``b`` is NaN."""
    lesser = np.where(np.sign(a) == np.sign(b), np.sign(a) * np.minimum(np.abs(a), np.abs(b)), 0.0)
    return np.asarray(np.where(np.isnan(b), a, lesser), np.float64)


def _spread(values: Floats, place: npt.NDArray[Any], size: int) -> Floats:
    out = np.zeros(size)
    out[place] = values
    return out
