"""Healthy logs: how often each component writes each template, per block of time and per request."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from rca.errors import InputError, ProfileError
from rca.health.blocks import Blocks, count_traffic
from rca.health.tally import Tally, dispersion
from rca.logs.exceptions import find_exceptions
from rca.logs.messages import unwrap_batch
from rca.logs.templates import TemplateMiner, template_keys
from rca.telemetry import WARN, LogBatch, SpanBatch
from rca.types import MINUTE, Window

Floats = npt.NDArray[np.float64]
# Items of ``totals``: every line, and those of level WARN and above.
ALL_LINES, WARNINGS = 0, 1
SUMS = ("seconds", "blocks", "requests")
TALLIES = ("templates", "raised", "totals")


@dataclass(frozen=True, kw_only=True)
class LogHealth:
    """Counts of healthy lines. What is counted adds up over days and over replicas.

    Attributes:
        miner: what was learned of templates; its codes are the items of ``templates``. Copy it
            before it learns more.
        components: names, sorted.
        exceptions: names of exception classes, sorted: the items of ``raised``.
        seconds, blocks: clean time of each component, and into how many blocks it was cut.
        requests: spans of each component in that time, 0 where none are known. Shape (components,).
        templates, raised, totals: lines per template, per exception class, and all lines and warnings.
    """

    miner: TemplateMiner
    components: tuple[str, ...]
    exceptions: tuple[str, ...]
    seconds: Floats
    blocks: Floats
    requests: Floats
    templates: Tally
    raised: Tally
    totals: Tally

    @classmethod
    def build(
        cls,
        logs: LogBatch,
        windows: Sequence[Window] | None = None,
        *,
        block: int = MINUTE,
        traffic: SpanBatch | None = None,
        miner: TemplateMiner | None = None,
    ) -> LogHealth:
        """From clean lines.

        Args:
            logs: lines; those outside the windows are left out.
            windows: clean time; where it is not said, blocks with any line and short gaps between them.
            block: length of a block in ns; windows are cut into equal blocks of about this length.
            traffic: spans of the same time, for counts per request.
            miner: what is known of templates already; it is copied.
        """
        miner = TemplateMiner() if miner is None else miner.copy()
        logs = unwrap_batch(logs, miner.masks)
        codes, _ = template_keys(logs, miner)
        return cls.count(logs, codes, miner, windows, block=block, traffic=traffic)

    @classmethod
    def count(
        cls,
        logs: LogBatch,
        codes: npt.NDArray[np.int32],
        miner: TemplateMiner,
        windows: Sequence[Window] | None = None,
        *,
        block: int = MINUTE,
        traffic: SpanBatch | None = None,
    ) -> LogHealth:
        """From clean lines whose templates are known: codes of ``miner``, shape (lines,)."""
        if block <= 0:
            raise InputError(f"a block of {block} ns", where="log health", remedy="Give a length above 0")
        blocks = Blocks.cut(logs.times, windows, block)
        place = blocks.find(logs.times)
        inside = place >= 0
        logs, codes, place = logs.take(inside), codes[inside], place[inside]
        names, component = _present(logs)
        traffic_of = count_traffic(traffic, names, blocks)
        mentions, classes = find_exceptions(logs.message, miner.masks)
        exceptions = tuple(sorted(set(classes)))
        number = {name: code for code, name in enumerate(exceptions)}
        warnings = np.flatnonzero(logs.level >= WARN)
        every = np.arange(len(logs))

        def tally(rows: npt.NDArray[np.int64], item: Any) -> Tally:
            at = place[rows]
            seconds, requests = blocks.seconds[at], traffic_of(component[rows], at)
            return Tally.of_lines(component[rows], item, logs.level[rows], at, seconds, requests)

        total = np.concatenate([np.full(len(every), ALL_LINES), np.full(len(warnings), WARNINGS)])
        size = len(names)
        return cls(
            miner=miner,
            components=names,
            exceptions=exceptions,
            seconds=np.full(size, blocks.seconds.sum()),
            blocks=np.full(size, float(len(blocks.seconds))),
            requests=traffic_of.totals(size),
            templates=tally(every, codes),
            raised=tally(mentions, np.array([number[name] for name in classes], np.int64)),
            totals=tally(np.concatenate([every, warnings]), total),
        )

    @cached_property
    def index(self) -> dict[str, int]:
        """Component name -> code."""
        return {name: code for code, name in enumerate(self.components)}

    def dispersion(self, tally: Tally, *, per_request: bool = False) -> Floats:
        """How unevenly the lines of each key come from block to block: 1 as chance has it, shape (keys,)."""
        squares, exposure = (tally.per_request, self.requests) if per_request else (tally.squares, self.seconds)
        return dispersion(tally.count, squares, exposure[tally.component], self.blocks[tally.component])

    def merge(self, other: LogHealth) -> LogHealth:
        """Both together: other days, other replicas. Templates of ``other`` get their codes here."""
        miner = self.miner.copy()
        templates = miner.adopt(other.miner)
        names = tuple(sorted({*self.components, *other.components}))
        exceptions = tuple(sorted({*self.exceptions, *other.exceptions}))
        own, more = _codes(self.components, names), _codes(other.components, names)
        own_raised, more_raised = _codes(self.exceptions, exceptions), _codes(other.exceptions, exceptions)

        def add(name: str) -> Floats:
            total = np.zeros(len(names))
            np.add.at(total, own, getattr(self, name))
            np.add.at(total, more, getattr(other, name))
            return total

        return LogHealth(
            miner=miner,
            components=names,
            exceptions=exceptions,
            seconds=add("seconds"),
            blocks=add("blocks"),
            requests=add("requests"),
            templates=self.templates.renamed(own).plus(other.templates.renamed(more, templates)),
            raised=self.raised.renamed(own, own_raised).plus(other.raised.renamed(more, more_raised)),
            totals=self.totals.renamed(own).plus(other.totals.renamed(more)),
        )

    def lend(self, lenders: dict[str, tuple[str, ...]]) -> LogHealth:
        """With components added that are as well as others: name -> names of which it is a replica."""
        names = (*self.components, *sorted(lenders))
        source = np.array([self.index[name] for new in sorted(lenders) for name in lenders[new]], np.int64)
        target = np.array([len(self.components) + i for i, new in enumerate(sorted(lenders)) for _ in lenders[new]])

        def lent(tally: Tally) -> Tally:
            ends = np.searchsorted(tally.component, [source, source + 1])
            rows = [np.arange(start, end) for start, end in ends.T]
            if not rows:
                return tally
            copy = tally.take(np.concatenate(rows))
            codes = np.repeat(target, [len(part) for part in rows]).astype(np.int32)
            return tally.plus(replace(copy, component=codes))

        def grown(column: Floats) -> Floats:
            longer = np.zeros(len(names))
            longer[: len(column)] = column
            np.add.at(longer, target.astype(np.int64), column[source])
            return longer

        more: dict[str, Any] = {name: grown(getattr(self, name)) for name in SUMS}
        more |= {name: lent(getattr(self, name)) for name in TALLIES}
        return replace(self, components=names, **more)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Arrays without objects, for storage."""
        head = json.dumps({"components": self.components, "exceptions": self.exceptions})
        arrays: dict[str, npt.NDArray[Any]] = {
            "names": np.frombuffer(head.encode("ascii"), np.uint8),
            "miner": np.frombuffer(self.miner.to_json(), np.uint8),
            **{name: getattr(self, name) for name in SUMS},
        }
        for name in TALLIES:
            arrays |= {f"{name}.{column}": values for column, values in getattr(self, name).columns().items()}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[Any]]) -> LogHealth:
        """What ``to_arrays`` gave.

        Raises:
            ProfileError: an array is missing, or they do not fit together.
        """
        try:
            names = json.loads(arrays["names"].tobytes())
            columns: dict[str, Any] = {name: arrays[name].astype(np.float64) for name in SUMS}
            columns |= {name: _read_tally(name, arrays) for name in TALLIES}
            health = cls(
                miner=TemplateMiner.from_json(arrays["miner"].tobytes()),
                components=tuple(map(str, names["components"])),
                exceptions=tuple(map(str, names["exceptions"])),
                **columns,
            )
        except (KeyError, TypeError, ValueError, RecursionError) as bad:
            raise ProfileError(f"unreadable: {bad}", where="logs", remedy="Build the profile again") from bad
        health._check()
        return health

    def _check(self) -> None:
        items = {"templates": len(self.miner), "raised": len(self.exceptions), "totals": 2}
        columns = [self.seconds, self.blocks, self.requests]
        fits = all(column.shape == (len(self.components),) for column in columns)
        for name, most in items.items():
            tally: Tally = getattr(self, name)
            fits &= all(column.shape == tally.item.shape and column.ndim == 1 for column in tally.columns().values())
            for codes, limit in ((tally.item, most), (tally.component, len(self.components))):
                fits &= not codes.size or (int(codes.min()) >= 0 and int(codes.max()) < limit)
            columns += [tally.count, tally.squares, tally.per_request, tally.present]
        if not fits or not all(bool(np.isfinite(column).all() and (column >= 0).all()) for column in columns):
            raise ProfileError("the counts do not fit together", where="logs", remedy="Build the profile again")


def _present(logs: LogBatch) -> tuple[tuple[str, ...], npt.NDArray[np.int32]]:
    """The components that wrote any line, sorted, and each line's code among them."""
    used = np.unique(logs.component)
    names = tuple(sorted({logs.components[code] for code in used}))
    return names, _codes(logs.components, names)[logs.component].astype(np.int32)


def _codes(names: tuple[str, ...], among: tuple[str, ...]) -> npt.NDArray[np.int32]:
    index = {name: code for code, name in enumerate(among)}
    return np.array([index.get(name, -1) for name in names], np.int32)


def _read_tally(name: str, arrays: dict[str, npt.NDArray[Any]]) -> Tally:
    kinds = {"component": "int32", "item": "int32", "level": "int8"}
    columns = {column: kinds.get(column, "float64") for column in Tally.__dataclass_fields__}
    return Tally(**{column: arrays[f"{name}.{column}"].astype(kind) for column, kind in columns.items()})
