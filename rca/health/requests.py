"""Healthy requests: how often what happens after what, per type of request, with its over-dispersion.

Counts are kept per pair "a request of this type that has A also has B", summed over blocks of
time, with the sum that Pearson's chi-square between blocks needs; both sums add up over days.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from rca.calls import SEPARATOR
from rca.health.columns import check_codes, check_lengths, to_names
from rca.spans import component_of
from rca.tracing import ENTRY, LOG, RequestTable
from rca.types import MINUTE

# A template that is rare in every request (< 50 %), shown by several components (>= 3) in many
# clean blocks (>= 10 %) is background: registry hiccups, flaky probes. Read off Train Ticket's
# one chronic failure; nothing else in two systems meets it.
RARE_SHARE, BACKGROUND_COMPONENTS, BACKGROUND_BLOCKS = 0.5, 3, 0.1
# Blocks with fewer requests say nothing about what is usual in a block.
BLOCK_REQUESTS = 50
NOISE_QUANTILE = 0.9


def split_item(item: str) -> tuple[str, str, str]:
    """(request type, what, name) of an item key."""
    kind, what, *name = item.split(SEPARATOR)
    return kind, what, SEPARATOR.join(name)


@dataclass(frozen=True, kw_only=True)
class RequestHealth:
    """Sums over blocks of clean time.

    Attributes:
        items: item keys, sorted.
        requests, covered: float64, shape (items,): requests that have the item; the same among
            requests whose trace has logs.
        blocks, covered_blocks: int64, shape (items,): blocks in which there were any.
        first, second: int32 item codes, shape (pairs,): pairs that occurred, sorted.
        both: float64, shape (pairs,): requests that have both.
        squares: float64, shape (pairs,): sum over blocks of both² / requests that have the first.
        noise_components: names; noise: float32, shape (blocks, noise components): the strongest
            deviation (log10 ratio) that each component shows in each block against the others.
        background: templates that belong to background failures.
    """

    items: tuple[str, ...]
    requests: npt.NDArray[np.float64]
    covered: npt.NDArray[np.float64]
    blocks: npt.NDArray[np.int64]
    covered_blocks: npt.NDArray[np.int64]
    first: npt.NDArray[np.int32]
    second: npt.NDArray[np.int32]
    both: npt.NDArray[np.float64]
    squares: npt.NDArray[np.float64]
    noise_components: tuple[str, ...]
    noise: npt.NDArray[np.float32]
    background: tuple[str, ...]

    @cached_property
    def is_log(self) -> npt.NDArray[np.bool_]:
        """Whether each item is a log template, shape (items,)."""
        return np.array([split_item(item)[1] == LOG for item in self.items], bool)

    @cached_property
    def trials(self) -> npt.NDArray[np.float64]:
        """Requests that have the first of each pair (only covered ones before a template), shape (pairs,)."""
        of_log = self.is_log[self.second]
        return np.where(of_log, self.covered[self.first], self.requests[self.first])

    @cached_property
    def dispersion(self) -> npt.NDArray[np.float64]:
        """Over-dispersion of each pair between blocks: Pearson chi² / (blocks - 1), at least 1."""
        of_log = self.is_log[self.second]
        blocks = np.where(of_log, self.covered_blocks[self.first], self.blocks[self.first])
        share = (self.both + 0.5) / (self.trials + 1)
        spread = self.squares - 2 * share * self.both + share**2 * self.trials
        chi = spread / np.maximum(share * (1 - share), 1e-9) / np.maximum(blocks - 1, 1)
        return np.where(blocks > 2, np.maximum(1.0, chi), 1.0)

    @cached_property
    def usual_deviation(self) -> dict[str, float]:
        """What each component's requests deviate by in a usual block (90 %), log10."""
        if self.noise.shape[0] < 3:
            return {}
        high = np.quantile(self.noise, NOISE_QUANTILE, axis=0)
        return {name: float(value) for name, value in zip(self.noise_components, high, strict=True)}

    def merge(self, other: RequestHealth) -> RequestHealth:
        """Both together: counts add up, background failures of either stay background."""
        items = tuple(sorted({*self.items, *other.items}))
        position = {item: i for i, item in enumerate(items)}
        parts = [(part, np.array([position[item] for item in part.items], np.int64)) for part in (self, other)]

        def add(name: str) -> npt.NDArray[Any]:
            total = np.zeros(len(items), getattr(self, name).dtype)
            for part, at in parts:
                np.add.at(total, at, getattr(part, name))
            return total

        width = max(len(items), 1)
        keys = np.concatenate([at[part.first] * width + at[part.second] for part, at in parts])
        pairs, code = np.unique(keys, return_inverse=True)
        names = tuple(sorted({*self.noise_components, *other.noise_components}))
        return RequestHealth(
            items=items,
            requests=add("requests"),
            covered=add("covered"),
            blocks=add("blocks"),
            covered_blocks=add("covered_blocks"),
            first=(pairs // width).astype(np.int32),
            second=(pairs % width).astype(np.int32),
            both=_totals(code, np.concatenate([p.both for p, _ in parts]), len(pairs)),
            squares=_totals(code, np.concatenate([p.squares for p, _ in parts]), len(pairs)),
            noise_components=names,
            noise=np.concatenate([_spread(part.noise, part.noise_components, names) for part, _ in parts]),
            background=tuple(sorted({*self.background, *other.background})),
        )

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Arrays without objects, for storage."""
        numbers = ("requests", "covered", "blocks", "covered_blocks", "first", "second", "both", "squares", "noise")
        words = ("items", "noise_components", "background")
        return {name: getattr(self, name) for name in numbers} | {
            name: np.array(getattr(self, name), dtype=np.str_) for name in words
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[Any]]) -> RequestHealth:
        """The reverse of ``to_arrays``."""
        items, names = to_names(arrays["items"]), to_names(arrays["noise_components"])
        of_item = ("requests", "covered", "blocks", "covered_blocks")
        of_pair = ("first", "second", "both", "squares")
        check_lengths("items", len(items), **{name: arrays[name] for name in of_item})
        check_lengths("pairs", len(arrays["first"]), **{name: arrays[name] for name in of_pair})
        check_lengths("noise components", len(names), noise=arrays["noise"].T)
        check_codes("first", arrays["first"], len(items))
        check_codes("second", arrays["second"], len(items))
        return cls(
            items=items,
            requests=arrays["requests"],
            covered=arrays["covered"],
            blocks=arrays["blocks"],
            covered_blocks=arrays["covered_blocks"],
            first=arrays["first"],
            second=arrays["second"],
            both=arrays["both"],
            squares=arrays["squares"],
            noise_components=names,
            noise=arrays["noise"],
            background=to_names(arrays["background"]),
        )


def _totals(code: npt.NDArray[Any], values: npt.NDArray[Any], size: int) -> npt.NDArray[np.float64]:
    return np.bincount(code, values, size).astype(np.float64)


def _spread(noise: npt.NDArray[np.float32], names: tuple[str, ...], into: tuple[str, ...]) -> npt.NDArray[np.float32]:
    wide = np.zeros((noise.shape[0], len(into)), np.float32)
    position = {name: i for i, name in enumerate(into)}
    wide[:, [position[name] for name in names]] = noise
    return wide


@dataclass(frozen=True, kw_only=True)
class RequestBlocks:
    """Clean requests counted per block of time: what profiles of any choice of blocks are summed from."""

    items: tuple[str, ...]
    starts: npt.NDArray[np.int64]
    size: int
    requests: sparse.csr_array
    covered: sparse.csr_array
    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    both: sparse.csr_array
    background: tuple[str, ...]

    def profile(self, keep: npt.NDArray[np.bool_]) -> RequestHealth:
        """The sums over the blocks of a mask, shape (blocks,)."""
        rows = np.flatnonzero(keep)
        requests, covered, both = (m[rows].tocsc() for m in (self.requests, self.covered, self.both))
        of_log = np.array([split_item(item)[1] == LOG for item in self.items], bool)[self.second]
        trials_of = [m.toarray() for m in (requests, covered)]
        coo = both.tocoo()
        log_entry = of_log[coo.col]
        n = np.where(log_entry, trials_of[1][coo.row, self.first[coo.col]], trials_of[0][coo.row, self.first[coo.col]])
        squares = _totals(coo.col, coo.data**2 / np.maximum(n, 1), both.shape[1])
        total = _column_sums(both)
        kept = total > 0
        health = RequestHealth(
            items=self.items,
            requests=_column_sums(requests),
            covered=_column_sums(covered),
            blocks=_column_sums(requests > 0).astype(np.int64),
            covered_blocks=_column_sums(covered > 0).astype(np.int64),
            first=self.first[kept].astype(np.int32),
            second=self.second[kept].astype(np.int32),
            both=total[kept],
            squares=squares[kept],
            noise_components=(),
            noise=np.zeros((0, 0), np.float32),
            background=self.background,
        )
        return self._with_noise(health, trials_of, both[:, np.flatnonzero(kept)])

    def _with_noise(
        self, health: RequestHealth, trials_of: Sequence[npt.NDArray[Any]], both: sparse.csc_array
    ) -> RequestHealth:
        """Each block against the others: what deviates in health as well."""
        from dataclasses import replace

        from rca.extract.request_patterns import deviations, strongest_by_group

        owners = [component_of(split_item(item)[0]) for item in health.items]
        names = tuple(sorted(set(owners)))
        owner = np.array([names.index(name) for name in owners], np.int64)[health.first] if names else np.zeros(0, int)
        entries = np.array([split_item(item)[1] == ENTRY for item in health.items], bool)
        big = np.flatnonzero(trials_of[0][:, entries].sum(axis=1) >= BLOCK_REQUESTS)
        of_log = health.is_log[health.second]
        noise = np.zeros((len(big), len(names)), np.float32)
        dense = both.tocsr()
        for row, block in enumerate(big):
            n1 = np.where(of_log, trials_of[1][block][health.first], trials_of[0][block][health.first])
            k1 = dense[[block]].toarray().ravel()
            ratio = deviations(k1, n1, health.both - k1, health.trials - n1, health.dispersion)
            noise[row] = strongest_by_group(np.abs(ratio), owner, len(names))
        return replace(health, noise_components=names, noise=noise)


def _column_sums(matrix: sparse.csc_array) -> npt.NDArray[np.float64]:
    return np.asarray(matrix.sum(axis=0), np.float64).ravel()


def count_blocks(table: RequestTable, clean: npt.NDArray[np.bool_], *, size: int = MINUTE) -> RequestBlocks:
    """Count the clean requests of a table per block; requests with background failures leave it.

    Args:
        table: requests.
        clean: which of them are healthy, shape (requests,).
        size: length of a block in ns.
    """
    background = find_background(table, clean, size)
    clean = clean & ~touched_by(table, background)
    rows = np.flatnonzero(clean)
    occurs = sparse.csr_array(table.occurs[rows])
    starts, block = np.unique(table.start[rows] // size * size, return_inverse=True)
    pick = sparse.csr_array((np.ones(len(rows)), (block, np.arange(len(rows)))), shape=(len(starts), len(rows)))
    covered = sparse.csr_array(occurs.multiply(table.covered[rows][:, None]))
    count = len(table.items)
    pairs, counts = [], []
    for at in range(len(starts)):
        part = occurs[np.flatnonzero(block == at)]
        together = (part.T @ part).tocoo()
        pairs.append(together.row.astype(np.int64) * count + together.col)
        counts.append(together.data)
    keys, code = np.unique(np.concatenate(pairs), return_inverse=True) if pairs else (np.zeros(0, np.int64),) * 2
    row = np.repeat(np.arange(len(starts)), [len(p) for p in pairs]) if pairs else np.zeros(0, np.int64)
    data = np.concatenate(counts) if counts else np.zeros(0)
    return RequestBlocks(
        items=table.items,
        starts=starts,
        size=size,
        requests=sparse.csr_array(pick @ occurs),
        covered=sparse.csr_array(pick @ covered),
        first=keys // max(count, 1),
        second=keys % max(count, 1),
        both=sparse.csr_array((data, (row, code)), shape=(len(starts), len(keys))),
        background=background,
    )


def find_background(table: RequestTable, clean: npt.NDArray[np.bool_], size: int) -> tuple[str, ...]:
    """Templates of background failures: rare, in several components, in many clean blocks."""
    keys = [split_item(item) for item in table.items]
    log = np.array([i for i, key in enumerate(keys) if key[1] == LOG], np.int64)
    rows = np.flatnonzero(clean & table.covered)
    if not log.size or not rows.size:
        return ()
    names = sorted({keys[i][2] for i in log})
    place = {name: i for i, name in enumerate(names)}
    occurs = sparse.csc_array(table.occurs[rows])
    count = np.asarray(occurs.sum(axis=0)).ravel()
    entry = {keys[i][0]: count[i] for i in range(len(keys)) if keys[i][1] == ENTRY}
    total = np.array([entry[keys[i][0]] for i in log])
    used = log[(total >= 5) & (count[log] > 0)]
    if not used.size:
        return ()
    template = np.array([place[keys[i][2]] for i in used])
    share = np.zeros(len(names))
    np.maximum.at(share, template, count[used] / np.array([entry[keys[i][0]] for i in used]))
    components: list[set[str]] = [set() for _ in names]
    for i, t in zip(used, template, strict=True):
        components[t].add(component_of(keys[i][0]))
    coo = sparse.csc_array(occurs[:, used]).tocoo()
    block = table.start[rows][coo.row] // size
    seen = np.unique(np.stack([template[coo.col], block]), axis=1)
    blocks = np.bincount(seen[0], minlength=len(names))
    all_blocks = len(np.unique(table.start[np.flatnonzero(clean)] // size))
    return tuple(
        name
        for i, name in enumerate(names)
        if len(components[i]) >= BACKGROUND_COMPONENTS
        and blocks[i] >= BACKGROUND_BLOCKS * all_blocks
        and share[i] < RARE_SHARE
    )


def touched_by(table: RequestTable, background: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Requests that carry a background template, and every request above one, shape (requests,)."""
    wanted = set(background)
    columns = [i for i, item in enumerate(table.items) if (key := split_item(item))[1] == LOG and key[2] in wanted]
    if not columns:
        return np.zeros(len(table), bool)
    marked = np.asarray(sparse.csc_array(table.occurs)[:, columns].sum(axis=1)).ravel() > 0
    return table.with_ancestors(marked)
