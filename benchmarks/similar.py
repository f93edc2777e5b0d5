"""How often the nearest confirmed incident had the same kind of cause: ``python benchmarks/similar.py SET [DATA]``.

SET is one of ``rca evaluate``'s, or ``simulator``: 500 incidents (or as many as DATA says), every fault of the
simulator in turn, each in a shop of its own.

Leave one out: the neighbours of an incident are all others. What is learnt of kinds is learnt in ten folds, so that no
weights have seen the label of an incident that they judge. Beside it stand the graphs' resemblance alone (which needs
no labels), the most frequent kind, and chance (a neighbour drawn at random); then what precedents do to the ranking.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from rca.cases.registry import load_set
from rca.evaluation.measures import worst_rank
from rca.learning.confirmed import deal_folds
from rca.pipeline import trace_causes
from rca.settings import Settings
from rca.similar import Precedent, Precedents, learn_kinds, portray
from rca.similar.advice import MOST, raise_candidates
from rca.similar.precedents import Neighbour
from rca.simulator import simulate
from rca.simulator.scenario import FAULTS, SUBTLE_FAULTS
from rca.stages import Stages
from rca.types import Answer, Case

FOLDS, SEED = 10, 0
SIMULATED, FIRST_SEED = 500, 40_000


def main(name: str, data: str) -> None:
    past = [_precedent(case, answer) for case, answer in _labelled(name, data) if answer.components and answer.kind]
    kinds = Counter(one.kind for one in past)
    size = len(past)
    chance = sum(count * (count - 1) for count in kinds.values()) / (size * (size - 1))
    print(
        f"{name}: {size} incidents, {len(kinds)} kinds; most frequent {max(kinds.values()) / size:.3f}, "
        f"chance {chance:.3f}"
    )
    bare = Precedents(past)
    print(f"  resemblance alone      {_share(past, [bare.nearest(one.portrait, 1) for one in past])}", flush=True)
    found = leave_one_out(past)
    print(f"  first neighbour        {_share(past, found)}")
    print_ranking(past, found)


def leave_one_out(past: Sequence[Precedent]) -> list[tuple[Neighbour, ...]]:
    """The neighbours of each incident among all others, by weights that did not see its label."""
    taught = [i for i, one in enumerate(past) if one.confirmed is not None]
    dealt = deal_folds([one.confirmed for one in past if one.confirmed is not None], FOLDS, seed=SEED)
    fold = np.arange(len(past)) % FOLDS  # of incidents whose cause showed nothing: they teach nothing
    for number, members in enumerate(dealt):
        fold[np.array(taught)[members]] = number
    found: dict[int, tuple[Neighbour, ...]] = {}
    for number in range(FOLDS):
        kinds = learn_kinds([one for i in taught if fold[i] != number and (one := past[i].confirmed) is not None])
        precedents = Precedents(past, kinds=kinds)
        found |= {i: precedents.nearest(past[i].portrait, MOST) for i in np.flatnonzero(fold == number).tolist()}
    return [found[i] for i in range(len(past))]


def print_ranking(past: Sequence[Precedent], found: Sequence[tuple[Neighbour, ...]]) -> None:
    """AC@1/AC@3 of the untrained ranking, and with what the neighbours add."""
    before, after = [], []
    for one, neighbours in zip(past, found, strict=True):
        description = one.portrait.description
        strength = dict(zip(description.candidates, description.untrained.tolist(), strict=True))
        raised = raise_candidates(description, neighbours)
        before.append(worst_rank(strength, one.components) or len(strength))
        weighed = {name: value * (1.0 + raised.get(name, 0.0)) for name, value in strength.items()}
        after.append(worst_rank(weighed, one.components) or len(strength))
    for title, ranks in (("ranking without", before), ("ranking with", after)):
        first, third = (np.mean(np.array(ranks) <= k) for k in (1, 3))
        print(f"  {title:22s} {first:.3f}/{third:.3f}")


def _share(past: Sequence[Precedent], found: Sequence[tuple[Neighbour, ...]]) -> str:
    same = [bool(near) and near[0].precedent.kind == one.kind for one, near in zip(past, found, strict=True)]
    return f"{np.mean(same):.3f}"


def _precedent(case: Case, answer: Answer) -> Precedent:
    context, graph, ranking = trace_causes(case, Settings(), Stages())
    scores = dict(zip(ranking.names, ranking.scores.tolist(), strict=True))
    portrait = portray(graph, scores, context.topology, incident=case.incident.id)
    return Precedent(
        portrait=portrait, components=answer.components, kind=answer.kind, start=case.incident.window.start
    )


def _labelled(name: str, data: str) -> Iterable[tuple[Case, Answer]]:
    if name != "simulator":
        yield from ((one.case, one.answer) for one in load_set(name, Path(data)))
        return
    faults = (*FAULTS, *SUBTLE_FAULTS)
    for number in range(int(data or SIMULATED)):
        yield simulate(seed=FIRST_SEED + number, fault=faults[number % len(faults)])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "")
