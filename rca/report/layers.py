"""A layered layout (Sugiyama, Tagawa and Toda, 1981): causes to the left of their effects, few crossings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

_SWEEPS = 8  # crossings hardly fall after a few sweeps of the barycentre heuristic


@dataclass(frozen=True, slots=True, kw_only=True)
class Bend:
    """Where an edge passes a column that it does not stop in."""

    edge: tuple[str, str]
    column: int


Place = str | Bend


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """Columns from left to right, each from top to bottom; the columns that a long edge passes."""

    columns: tuple[tuple[Place, ...], ...]
    column_of: Mapping[str, int]
    bends: Mapping[tuple[str, str], tuple[Bend, ...]]


def arrange(nodes: Sequence[str], edges: Iterable[tuple[str, str]]) -> Layers:
    """Columns for the nodes; ``nodes`` come in order of importance, which settles ties and cycles."""
    rank = {name: place for place, name in enumerate(nodes)}
    pairs = sorted({pair for pair in edges if pair[0] != pair[1]}, key=lambda pair: (rank[pair[0]], rank[pair[1]]))
    forward = _without_cycles(nodes, pairs)
    column_of = _longest_paths(nodes, forward)
    bends = {
        (a, b): tuple(Bend(edge=(a, b), column=column) for column in range(column_of[a] + 1, column_of[b]))
        for a, b in forward
    }
    columns: list[list[Place]] = [[] for _ in range(max(column_of.values(), default=-1) + 1)]
    for name in nodes:
        columns[column_of[name]].append(name)
    for path in bends.values():
        for bend in path:
            columns[bend.column].append(bend)
    _reduce_crossings(columns, _segments(bends))
    return Layers(columns=tuple(tuple(column) for column in columns), column_of=column_of, bends=bends)


def _without_cycles(nodes: Sequence[str], pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The edges less those that close a cycle in a depth-first walk from the most important node."""
    after: dict[str, list[str]] = {name: [] for name in nodes}
    for a, b in pairs:
        after[a].append(b)
    done: set[str] = set()
    kept: list[tuple[str, str]] = []
    for start in nodes:
        path, stack = {start}, [(start, iter(after[start]))]
        if start in done:
            continue
        while stack:
            name, rest = stack[-1]
            successor = next(rest, None)
            if successor is None:
                stack.pop()
                path.discard(name)
                done.add(name)
            elif successor not in path:
                kept.append((name, successor))
                if successor not in done:
                    path.add(successor)
                    stack.append((successor, iter(after[successor])))
    return kept


def _longest_paths(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    incoming = dict.fromkeys(nodes, 0)
    after: dict[str, list[str]] = {name: [] for name in nodes}
    for a, b in edges:
        incoming[b] += 1
        after[a].append(b)
    ready = [name for name in nodes if incoming[name] == 0]
    column = dict.fromkeys(nodes, 0)
    for name in ready:  # grows while it is walked: Kahn's algorithm
        for successor in after[name]:
            column[successor] = max(column[successor], column[name] + 1)
            incoming[successor] -= 1
            if incoming[successor] == 0:
                ready.append(successor)
    return column


def _segments(bends: Mapping[tuple[str, str], Sequence[Bend]]) -> list[tuple[Place, Place]]:
    found: list[tuple[Place, Place]] = []
    for (a, b), path in bends.items():
        stops: list[Place] = [a, *path, b]
        found += list(pairwise(stops))
    return found


def _reduce_crossings(columns: list[list[Place]], segments: Sequence[tuple[Place, Place]]) -> None:
    before: dict[Place, list[Place]] = {}
    after: dict[Place, list[Place]] = {}
    for a, b in segments:
        after.setdefault(a, []).append(b)
        before.setdefault(b, []).append(a)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        neighbours = before if down else after
        for index in range(len(columns)) if down else reversed(range(len(columns))):
            beside = index - 1 if down else index + 1
            if not 0 <= beside < len(columns):
                continue
            position = {place: at / max(len(columns[beside]) - 1, 1) for at, place in enumerate(columns[beside])}
            columns[index] = _by_barycentre(columns[index], neighbours, position)


def _by_barycentre(
    column: Sequence[Place], neighbours: Mapping[Place, Sequence[Place]], position: Mapping[Place, float]
) -> list[Place]:
    def centre(at: int) -> tuple[float, int]:
        known = [position[place] for place in neighbours.get(column[at], ()) if place in position]
        return (sum(known) / len(known) if known else at / max(len(column) - 1, 1), at)

    return [column[at] for at in sorted(range(len(column)), key=centre)]
