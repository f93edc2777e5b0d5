"""What a service's experience costs it: a lesson, and what confirmed incidents and weights add to an analysis.

python benchmarks/bench_experience.py [--incidents 500] [--simulated 125]

So many incidents are simulated (every fault in turn, each in a shop of its own) and confirmed, each several times until
they are enough; one more is analysed with all of it and without. Times are those of the processor.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from limits import Limits

from rca.service.judging import report_with_experience
from rca.service.recalling import Remembered
from rca.service.teaching import Label, learn
from rca.settings import Settings
from rca.simulator import simulate
from rca.simulator.scenario import FAULTS

FIRST_SEED = 50_000
RUNS = 15


def main(count: int, simulated: int) -> int:
    limits = Limits()
    seen: list[bytes] = []
    labels: list[Label] = []
    kinds = sorted(FAULTS)
    for number in range(min(simulated, count)):
        case, answer = simulate(seed=FIRST_SEED + number, fault=kinds[number % len(kinds)])
        seen.append(report_with_experience(case, Settings(), {})[1])
        labels.append(Label(answer.components[0] if answer.components else "", answer.kind, f"t{number % 5}"))
    repeats = -(-count // len(seen))
    seen, labels = (seen * repeats)[:count], (labels * repeats)[:count]
    limits.show("what is kept of an incident", sum(map(len, seen)) / count / 1e3, "kB")
    begin = time.process_time()
    told = {
        "labels": [msgspec.to_builtins(label) for label in labels],
        "in_use": "",
        "latest": "",
        "fingerprint": "",
        "time": "2026-01-01T00:00:00Z",
    }
    taught = learn(told, [b"", *seen], lambda _: None)
    limits.at_most(f"a lesson of {count} incidents", time.process_time() - begin, 240.0, "s")
    with tempfile.TemporaryDirectory() as folder:
        known = lay_out(Path(folder), seen, labels, taught.blobs)
        case, _ = simulate(seed=FIRST_SEED + count, fault=kinds[0])
        report_with_experience(case, Settings(), {})  # loads what the first analysis loads
        first = analysed(case, known)
        both = [(analysed(case, {}), analysed(case, known)) for _ in range(RUNS)]  # in turn: neither has colder caches
        plain, after = map(min, zip(*both, strict=True))
    limits.show("an analysis without experience", 1e3 * plain, "ms")
    limits.at_most("added to the first analysis of a process", 1e3 * (first - plain), 3_000.0, "ms")
    limits.at_most("added to each after it", 1e3 * (after - plain), 100.0, "ms")
    return limits.close()


def lay_out(folder: Path, seen: Sequence[bytes], labels: Sequence[Label], taught: Sequence[bytes]) -> dict[str, Any]:
    """The files that a worker process reads."""
    rows = []
    for number, (content, label) in enumerate(zip(seen, labels, strict=True)):
        name = f"seen-{hashlib.sha256(content).hexdigest()[:16]}-{number}.bin"
        (folder / name).write_bytes(content)
        rows.append(
            Remembered(f"i-{number}", name, label.component, label.kind, ("mended",), "slow", number, label.who)
        )
    weights, kinds = taught
    (folder / "confirmed.bin").write_bytes(msgspec.msgpack.encode(rows))
    (folder / "weights-0001.npz").write_bytes(weights)
    (folder / "kinds-0001.bin").write_bytes(kinds)
    return {
        "learned": str(folder / "weights-0001.npz"),
        "kinds": str(folder / "kinds-0001.bin"),
        "precedents": str(folder / "confirmed.bin"),
    }


def analysed(case: Any, known: dict[str, Any]) -> float:
    begin = time.process_time()
    report, _ = report_with_experience(case, Settings(), known)
    assert bool(report.similar) == bool(known)
    return time.process_time() - begin


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--incidents", type=int, default=500)
    parser.add_argument("--simulated", type=int, default=125)
    given = parser.parse_args()
    sys.exit(main(given.incidents, given.simulated))
