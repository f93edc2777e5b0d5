"""The small labelled cases that ship with the project, written anew: ``python -m rca.simulator.demo FOLDER``."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from rca.cases.folder import write_case
from rca.errors import InputError
from rca.simulator.incident import play, simulate_history
from rca.simulator.scenario import NO_FAULT, SUBTLE_FAULTS, Scenario
from rca.telemetry import MetricFrame

# Fault and seed of each case, in the order of the folders: of the seeds from 100, 200, … on the first in which the
# topology is known, the cause is no entrance and is not what was paged (in the first case: calls others itself), and
# an innocent deployment is there; the twelfth is a false alarm. No method was asked. The last two are the first that
# also show what a trained detector adds, which says nothing of how often it does.
CASES: tuple[tuple[str, int], ...] = (
    ("bad_deployment", 101),
    ("memory_leak", 200),
    ("slow_query", 300),
    ("network_delay", 400),
    ("pod_kill", 500),
    ("bad_config", 600),
    ("connection_pool", 700),
    ("certificate_expiry", 900),
    ("noisy_neighbour", 1000),
    ("delayed_onset", 1100),
    ("two_faults", 1201),
    (NO_FAULT, 1300),
    ("slow_onset", 1408),
    ("multivariate", 1506),
)
# The shop of the first case, where the subtle faults happen as well, and the bundled detector that knows it.
SHOP, MODEL = 101, "demo-shop"
# Small enough to ship: a small part of the traces that the simulator samples otherwise.
COMPONENTS, MINUTES, TRACED_BASELINE, TRACES_PER_MINUTE = 12, 20, 10, 2.2


def demo_scenario(fault: str, seed: int) -> Scenario:
    """The scenario of one case."""
    return Scenario(
        seed=seed,
        fault=fault,
        world=SHOP if fault in SUBTLE_FAULTS else None,
        components=COMPONENTS,
        minutes=MINUTES,
        traced_baseline=TRACED_BASELINE,
        traces_per_minute=TRACES_PER_MINUTE,
    )


def demo_history(days: float) -> MetricFrame:
    """Healthy metrics of the first case's shop, before any incident in it."""
    telemetry = simulate_history(seed=SHOP, world=SHOP, components=COMPONENTS, days=days, traced_minutes=0)
    return telemetry.metrics


def folder_name(fault: str) -> str:
    """What the folder of a fault is called, without its number."""
    return "no-fault" if fault == NO_FAULT else fault.replace("_", "-")


def write_demo(path: str | Path) -> tuple[Path, ...]:
    """Writes the fourteen cases below a folder, answers apart, and gives their paths.

    Raises:
        CaseError: a case is there already, or the folder cannot be written.
    """
    written = []
    for number, (fault, seed) in enumerate(CASES, start=1):
        name = f"{number:02d}-{folder_name(fault)}"
        scenario = demo_scenario(fault, seed)
        case, answer = play(scenario)
        model = MODEL if SHOP in (seed, scenario.world) else ""
        case = replace(case, incident=replace(case.incident, id=f"demo-shop-{number:02d}"), model=model)
        written.append(write_case(case, Path(path) / name, answer=answer))
    return tuple(written)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise InputError("one folder is expected", remedy="python -m rca.simulator.demo FOLDER")
    for written in write_demo(sys.argv[1]):
        print(written)
