"""Where the nodes of a picture stand: in columns from left to right along the edges, few crossings.

Longest paths over the circles' condensation give the columns, two sweeps of barycentres the order
within them (Sugiyama, Tagawa and Toda 1981).
"""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from rca.knowledge.picture import Picture

COLUMN, ROW = 236, 42  # pixels at 100 %
FEWEST_ROWS = 60  # a longer column is folded: thousands of nodes stay in sight
SHAPE = 1.5  # width by height of a screen, which a large graph is folded to fill


def lay_out(picture: Picture) -> list[tuple[int, int]]:
    """(x, y) of each node, the same for the same picture; nodes without edges at the right."""
    size = len(picture.nodes)
    code = {node.id: place for place, node in enumerate(picture.nodes)}
    pairs = sorted({(code[e.source], code[e.target]) for e in picture.edges if e.source != e.target})
    if not size:
        return []
    column = _columns(size, pairs)
    linked = {end for pair in pairs for end in pair}
    last = max((column[node] for node in linked), default=-1)
    rows: dict[int, list[int]] = defaultdict(list)
    for node in range(size):
        rows[column[node] if node in linked else last + 1].append(node)
    order = _order(rows, pairs)
    most = max(FEWEST_ROWS, math.isqrt(int(size * COLUMN / ROW / SHAPE)))
    places: list[tuple[int, int]] = [(0, 0)] * size
    x = 0
    for each in sorted(order):
        for begin in range(0, len(order[each]), most):
            part = order[each][begin : begin + most]
            for row, node in enumerate(part):
                places[node] = (x, int((row - len(part) / 2) * ROW))
            x += COLUMN
    return places


def _columns(size: int, pairs: list[tuple[int, int]]) -> list[int]:
    rows, targets = (np.array([pair[end] for pair in pairs], np.int64) for end in (0, 1))
    matrix = sparse.coo_array((np.ones(len(pairs)), (rows, targets)), shape=(size, size)).tocsr()
    count, group = csgraph.connected_components(matrix, directed=True, connection="strong")
    after: list[set[int]] = [set() for _ in range(count)]
    waits = [0] * count
    for source, target in pairs:
        a, b = int(group[source]), int(group[target])
        if a != b and b not in after[a]:
            after[a].add(b)
            waits[b] += 1
    depth = [0] * count
    ready = [each for each in range(count) if not waits[each]]
    while ready:
        each = ready.pop()
        for other in sorted(after[each]):
            depth[other] = max(depth[other], depth[each] + 1)
            waits[other] -= 1
            if not waits[other]:
                ready.append(other)
    return [depth[int(group[node])] for node in range(size)]


def _order(rows: dict[int, list[int]], pairs: list[tuple[int, int]]) -> dict[int, list[int]]:
    near: dict[int, list[int]] = defaultdict(list)
    for source, target in pairs:
        near[source].append(target)
        near[target].append(source)
    place = {node: row for column in rows.values() for row, node in enumerate(column)}
    for sweep in (sorted(rows), sorted(rows, reverse=True)) * 2:
        for each in sweep:
            middle = {
                node: sum(place[other] for other in near[node]) / len(near[node]) if near[node] else place[node]
                for node in rows[each]
            }
            rows[each] = sorted(rows[each], key=lambda node: (middle[node], node))
            place.update({node: row for row, node in enumerate(rows[each])})
    return rows
