"""Learning on a labelled set, and under stress: ``python benchmarks/learning.py SET DATA [FOLDS_SEED ...]``.

Prints AC@1/AC@3 of the untrained answer, of weights learnt from the other folds, of the same with one
label in ten replaced by a random component, and of services whose labels were all taken away (leave one
root service out); the expected calibration error; and the learning curve. Each incident is analysed
once; no weights that rank an incident have seen its label.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rca.cases.registry import load_set
from rca.evaluation.calibration import calibration_error
from rca.evaluation.measures import worst_rank
from rca.learning.confirmed import Confirmed, confirm, deal_folds
from rca.learning.learned import ENOUGH
from rca.learning.observing import observe
from rca.learning.training import train

Codes = npt.NDArray[np.int64]
Split = tuple[Codes, Codes]

FOLDS, WRONG, WRONG_DRAWS = 5, 0.1, 4
CURVE = (5, 10, 20, 40, 80)


def main(set_name: str, data: Path, seeds: Sequence[int]) -> None:
    incidents = [
        one
        for case, answer in load_set(set_name, data)
        if answer.components and (one := confirm(observe(case), answer.components, kind=answer.kind))
    ]
    print(f"{set_name}: {len(incidents)} incidents, {FOLDS} folds, seeds {', '.join(map(str, seeds))}")
    untrained = np.array([rank_of(one, one.description.untrained) for one in incidents])
    print(f"  untrained                {figure(untrained)}")
    clean = []
    for seed in seeds:
        ranks, raw, calibrated = learned_ranks(incidents, incidents, folds_of(incidents, seed))
        clean.append(ranks)
        errors = [calibration_error(stated, (ranks == 1).tolist()) for stated in (raw, calibrated)]
        print(
            f"  learned, seed {seed}          {figure(ranks)}  calibration error {errors[1]:.3f}, raw {errors[0]:.3f}"
        )
    print(f"  learned, mean            {figure(*clean)}")
    noisy = []
    for draw in range(WRONG_DRAWS):
        seed = seeds[draw % len(seeds)]
        noisy.append(learned_ranks(incidents, mislabel(incidents, draw), folds_of(incidents, seed))[0])
    print(f"  {WRONG:.0%} wrong labels, {WRONG_DRAWS} draws {figure(*noisy)}")
    print_unseen(incidents, untrained)
    for count in CURVE:
        curve = [
            learned_ranks(incidents, incidents, fewer(folds_of(incidents, seed), count, seed))[0] for seed in seeds[:2]
        ]
        print(f"  {count:3d} labels               {figure(*curve)}")


def print_unseen(incidents: Sequence[Confirmed], untrained: Codes) -> None:
    services = np.array([one.service for one in incidents])
    splits = [(np.flatnonzero(services != name), np.flatnonzero(services == name)) for name in sorted(set(services))]
    ranks, _, _ = learned_ranks(incidents, incidents, splits)
    print(f"  service never labelled   {figure(ranks)}")
    for _, test in splits:
        name = services[test[0]]
        print(f"    {name:22s} {figure(ranks[test])}  untrained {figure(untrained[test])}  n {len(test)}")


def folds_of(incidents: Sequence[Confirmed], seed: int) -> list[Split]:
    everyone = np.arange(len(incidents))
    return [(np.setdiff1d(everyone, test), test) for test in deal_folds(incidents, FOLDS, seed=seed)]


def fewer(splits: Sequence[Split], count: int, seed: int) -> list[Split]:
    rng = np.random.default_rng(1_000 + seed)
    return [(np.sort(rng.permutation(seen)[:count]), test) for seen, test in splits]


def mislabel(incidents: Sequence[Confirmed], seed: int) -> list[Confirmed]:
    """One label in ten names another component, drawn at random."""
    rng = np.random.default_rng(seed)
    labels = list(incidents)
    for i in rng.choice(len(labels), round(WRONG * len(labels)), replace=False).tolist():
        others = [c for c in range(len(labels[i].description.candidates)) if c not in labels[i].causes]
        labels[i] = replace(labels[i], causes=frozenset([int(rng.choice(others))]))
    return labels


def learned_ranks(
    incidents: Sequence[Confirmed], labels: Sequence[Confirmed], splits: Sequence[Split]
) -> tuple[Codes, list[float], list[float]]:
    """Rank of the true cause of each incident, and the confidence in the first candidate, raw and calibrated."""
    ranks = np.zeros(len(incidents), np.int64)
    raw, calibrated = [0.0] * len(incidents), [0.0] * len(incidents)
    for seen, test in splits:
        model = train([labels[i] for i in seen]).model if len(seen) >= ENOUGH else None
        for i in test.tolist():
            description = incidents[i].description
            if model is None:
                ranks[i] = rank_of(incidents[i], description.untrained)
                continue
            posterior = model.posterior(description)
            ranks[i] = rank_of(incidents[i], posterior.probability)
            raw[i], calibrated[i] = float(posterior.raw.max()), float(posterior.probability.max())
    return ranks, raw, calibrated


def rank_of(one: Confirmed, scores: npt.NDArray[np.float64]) -> int:
    names = one.description.candidates
    return worst_rank(dict(zip(names, scores.tolist(), strict=True)), [names[i] for i in one.causes]) or len(names)


def figure(*ranks: Codes) -> str:
    first, third = (np.mean([(one <= k).mean() for one in ranks]) for k in (1, 3))
    return f"{first:.3f}/{third:.3f}"


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), [int(seed) for seed in sys.argv[3:]] or [0])
