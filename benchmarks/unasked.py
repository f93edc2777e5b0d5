"""How often a window is answered with a cause where nobody named a symptom, and how often that is right.

Run: ``RCA_DATA=<folder with petshop and nezha> python benchmarks/unasked.py [BED ...] [--count N] [--first SEED]``

Of each simulated bed as many windows without a fault as with one are analysed, symptoms and firing alerts withheld;
the public sets have faults only. A cause in a window without a fault is a false alarm.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from metrics_only import read_set, unasked, withhold

from rca import analyze
from rca.simulator import NO_FAULT, simulate
from rca.types import Answer, Case

Bed = Iterator[tuple[Case, Answer]]


def simulated(seeds: range, *, hide: Callable[[Case], Case], **facts: Any) -> Bed:
    """Windows of the simulator, each of its own shop."""
    for seed in seeds:
        case, answer = simulate(seed=seed, **facts)
        yield hide(case), answer


def public(_: range, *, name: str, folder: str) -> Bed:
    """A public set."""
    for case, answer in read_set(name, folder):
        yield unasked(case), answer


SHOPS: dict[str, tuple[Callable[[Case], Case], bool]] = {
    "everything": (unasked, False),
    "metrics-own": (withhold, True),
    "metrics-own-topology": (partial(withhold, topology=True), True),
    "metrics-calls": (partial(withhold, calls=True), True),
    "metrics-calls-topology": (partial(withhold, calls=True, topology=True), True),
}
BEDS: dict[str, Callable[[range], Bed]] = {
    f"{name}{end}": partial(simulated, hide=hide, metrics_only=metrics_only, **fault)
    for name, (hide, metrics_only) in SHOPS.items()
    for end, fault in (("", {}), ("-no-fault", {"fault": NO_FAULT}))
}
BEDS |= {
    "petshop": partial(public, name="petshop", folder="petshop"),
    "nezha-ob": partial(public, name="nezha-ob", folder="nezha"),
    "nezha-tt": partial(public, name="nezha-tt", folder="nezha"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("beds", nargs="*", metavar="BED", help=", ".join(BEDS))
    parser.add_argument("--count", type=int, default=40, help="simulated windows per bed")
    parser.add_argument("--first", type=int, default=17_000, help="the first seed")
    arguments = parser.parse_args()
    print(f"{'bed':32} {'n':>4} {'cause':>6} {'right':>6} {'inconclusive':>13} {'right':>6} {'healthy':>8}")
    for name in arguments.beds or BEDS:
        seen: Counter[tuple[str, bool]] = Counter()
        for case, answer in BEDS[name](range(arguments.first, arguments.first + arguments.count)):
            report = analyze(case)
            seen[report.verdict, bool(report.ranking) and report.ranking[0] in answer.components] += 1
        cause, doubt = (seen[verdict, True] + seen[verdict, False] for verdict in ("cause", "inconclusive"))
        right, guessed = seen["cause", True], seen["inconclusive", True]
        rest = seen.total() - cause - doubt
        print(f"{name:32} {seen.total():4} {cause:6} {right:6} {doubt:13} {guessed:6} {rest:8}", flush=True)


if __name__ == "__main__":
    main()
