"""Lines per second of template mining against plain drain3 with the same masks, and whether both group alike.

python benchmarks/bench_logs.py --data DIR_OF_LOGHUB_2K
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from drain3 import TemplateMiner as PlainMiner
from drain3.masking import MaskingInstruction
from drain3.template_miner_config import TemplateMinerConfig
from limits import Limits

from rca.logs import TemplateMiner, load_masks
from rca.telemetry import texts


def read_lines(folder: Path) -> list[str]:
    """The contents of a system's log lines, without their headers."""
    with (folder / f"{folder.name}_2k.log_structured.csv").open(encoding="utf-8", newline="") as file:
        return [row["Content"] for row in csv.DictReader(file)]


def plain_drain(lines: list[str]) -> np.ndarray:
    """Groups by drain3's own miner, with the masks that ship here."""
    config = TemplateMinerConfig()
    config.masking_instructions = [MaskingInstruction(m.pattern, m.replacement[1:-1]) for m in load_masks().masks]
    miner = PlainMiner(config=config)
    return np.array([miner.add_log_message(line)["cluster_id"] for line in lines])


def ours(lines: list[str]) -> np.ndarray:
    """Groups by our miner."""
    return TemplateMiner().assign(texts(lines))


def same_partition(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two labellings group the same lines together."""
    return len(np.unique(a)) == len(np.unique(b)) == len(np.unique(np.stack([a, b]), axis=1).T)


def best_time(mine: Callable[[list[str]], np.ndarray], lines: list[str], repeats: int) -> float:
    """Seconds of the quickest of several runs, each from an empty state."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        mine(lines)
        times.append(time.process_time() - start)
    return min(times)


def main() -> int:
    """Prints the table; the exit code is 1 where the grouping differs or the total ratio is below the floor."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("RCA_DATA", "."), "loghub_2k"))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--floor", type=float, default=4.0, help="least ratio in total")
    options = parser.parse_args()
    folders = sorted(path for path in options.data.glob("*") if (path / f"{path.name}_2k.log").exists())
    if not folders:
        print(f"left out: no system of loghub_2k lies in {options.data}; name its folder with --data, or set RCA_DATA")
        return 0
    load_masks()
    print(f"{'system':<12}{'lines':>7}{'templates':>11}{'plain lines/s':>15}{'ours lines/s':>14}{'ratio':>7}  grouping")
    total, plain_total, ours_total, identical = 0, 0.0, 0.0, True
    for folder in folders:
        lines = read_lines(folder)
        groups = ours(lines)
        same = same_partition(plain_drain(lines), groups)
        identical &= same
        slow, fast = best_time(plain_drain, lines, options.repeats), best_time(ours, lines, options.repeats)
        total, plain_total, ours_total = total + len(lines), plain_total + slow, ours_total + fast
        row = f"{folder.name:<12}{len(lines):>7}{len(np.unique(groups)):>11}{len(lines) / slow:>15,.0f}"
        print(f"{row}{len(lines) / fast:>14,.0f}{slow / fast:>7.1f}  {'identical' if same else 'DIFFERENT'}")
    ratio = plain_total / ours_total
    row = f"{'total':<12}{total:>7}{'':>11}{total / plain_total:>15,.0f}{total / ours_total:>14,.0f}{ratio:>7.1f}"
    print(f"{row}  {'identical' if identical else 'DIFFERENT'}")
    limits = Limits()
    limits.at_least("lines per second, in those of plain drain3", ratio, options.floor, "x")
    limits.at_least("grouping identical", float(identical), 1, "")
    return limits.close()


if __name__ == "__main__":
    sys.exit(main())
