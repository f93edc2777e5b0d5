"""Metrics of components and nothing else: the engine beside the baselines, AC@1 / AC@3 / Avg@5.

Run: ``RCA_DATA=<folder with petshop, nezha, tvdiag> python benchmarks/metrics_only.py [BED ...] [--count N]``

Spans, logs, metrics of calls, dependencies, alerts and the symptom are withheld from simulated incidents
and from public sets. ``rcaeval-*`` are folders in the layout of RCAEval's RE1 (one column per service
and metric, one row per second, a new value every ten, rates over a minute), made of simulated incidents and
read by the loader of that set. Ties count at the worst rank. Without names every bed runs.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from rca.cases.labelled import LabelledCase, Onset
from rca.cases.rcaeval import load as load_rcaeval
from rca.cases.registry import load_set
from rca.evaluation.measures import measures, stack
from rca.evaluation.results import OURS
from rca.evaluation.runner import assess
from rca.simulator import simulate
from rca.simulator.scenario import FAULT, Scenario
from rca.telemetry import NO_PEER, MetricFrame, Telemetry
from rca.types import MINUTE, SECOND, Case

METHODS = (OURS, "baro", "nsigma", "max-z", "alert-count")
Load = Callable[[int], Iterator[LabelledCase]]

# Faults of RCAEval and the simulated ones that are like them.
FAULTS = {
    "cpu": "cpu",
    "mem": "memory_leak",
    "disk": "disk",
    "delay": "network_delay",
    "loss": "network_loss",
    "socket": "connection_pool",
}
MEAN = "http_server_request_duration_seconds_mean"
# Column of RCAEval: simulated metrics that are added up to it, the one that callers take of the same, and what
# to take off that; replicas and callers are averaged where there is one. As a service mesh measures calls, what
# happens on the way into a service is its own.
COLUMNS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "cpu": (("container_cpu_utilization_ratio",), "", ""),
    "mem": (("container_memory_working_set_bytes",), "", ""),
    "diskio": (("container_disk_io_bytes_per_second",), "", ""),
    "socket": (("process_threads", "db_client_connections_used", "db_connections_used"), "", ""),
    "workload": (("http_server_requests_per_second",), "", ""),
    "error": (("http_server_error_ratio",), "http_client_error_ratio", "http_server_error_ratio"),
    "latency-50": (("http_server_request_duration_seconds_p50",), "http_client_request_duration_seconds_mean", MEAN),
    "latency-90": (("http_server_request_duration_seconds_p95",), "http_client_request_duration_seconds_mean", MEAN),
}
SCRAPE, RATE = 10, 60  # seconds between samples, and what rates are taken over
RATES = ("cpu", "diskio", "workload", "error", "latency-50", "latency-90")


def simulated(count: int, *, first: int = 12_000, **given: bool) -> Iterator[LabelledCase]:
    """Incidents of the simulator, each in its own shop, as ``withhold`` leaves them."""
    for seed in range(first, first + count):
        case, answer = simulate(seed=seed, metrics_only=True)
        yield LabelledCase(withhold(case, **given), answer)


def like_rcaeval(count: int, *, onset: Onset) -> Iterator[LabelledCase]:
    """Folders as RCAEval publishes them, read back."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            fault = list(FAULTS)[number % len(FAULTS)]
            _write_folder(Path(folder), 12_500 + number, fault)
        yield from load_rcaeval(Path(folder), onset=onset)


def _write_folder(root: Path, seed: int, fault: str) -> None:
    scenario = Scenario(
        seed=seed, fault=FAULTS[fault], minutes=20, baseline=15, step=SCRAPE, metrics_only=True, traced_baseline=0
    )
    case, answer = simulate(
        seed=seed, fault=FAULTS[fault], minutes=20, baseline=15, step=SCRAPE, metrics_only=True, traced_baseline=0
    )
    assert case.topology is not None
    service = case.topology.service(answer.components[0])
    injected = scenario.window.start + int(scenario.stream(FAULT, 1).uniform(4.0, 9.0) * MINUTE) // SECOND * SECOND
    folder = root / f"{service}_{fault}" / str(seed)
    folder.mkdir(parents=True)
    (folder / "inject_time.txt").write_text(f"{injected // SECOND}\n", encoding="utf-8")
    columns = _columns(case)
    seconds = np.arange(columns[""][0], columns[""][-1] + 1)
    rows = np.searchsorted(columns.pop(""), seconds, side="right") - 1
    table = np.column_stack([seconds, *(values[rows] for values in columns.values())])
    header = ",".join(["time", *columns])
    np.savetxt(folder / "data.csv", table, delimiter=",", fmt="%.10g", header=header, comments="")


def _columns(case: Case) -> dict[str, np.ndarray]:
    """Values by column; "" holds the seconds."""
    frame, topology = case.telemetry.metrics, case.topology
    assert topology is not None
    found: dict[str, np.ndarray] = {"": frame.times // SECOND}
    hosts = {name for name, kind in topology.kinds.items() if kind == "host"}
    services = sorted({topology.service(name) for name in frame.components if name not in hosts})
    for service in services:
        members = [name for name in frame.components if topology.service(name) == service]
        for column, (metrics, client, less) in COLUMNS.items():
            values = _total(frame, metrics, members, averaged=bool(client))
            if client:
                way = _total(frame, (client,), members, averaged=True, called=True)
                way = np.nan_to_num(np.maximum(way - _total(frame, (less,), members, averaged=True), 0.0))
                values = values + way
            if not np.isfinite(values).any():
                continue
            if column in RATES:
                width = RATE // SCRAPE
                padded = np.concatenate([np.repeat(values[:1], width - 1), values])
                values = np.lib.stride_tricks.sliding_window_view(padded, width).mean(axis=1)
            found[f"{service}_{column}"] = values * (100.0 if column == "cpu" else 1.0)
    return found


def _total(
    frame: MetricFrame, metrics: tuple[str, ...], members: list[str], *, averaged: bool, called: bool = False
) -> np.ndarray:
    """The sum or the mean of a service's series, ``called``: of those that others keep of it; NaN where unknown."""
    wanted = np.array([metric in metrics for metric in frame.metrics])[frame.metric]
    of_service = np.array([*(name in members for name in frame.components), False])
    rows = wanted & (of_service[frame.peer] if called else of_service[frame.component] & (frame.peer == NO_PEER))
    known = frame.values[rows].astype(np.float64)
    seen = np.isfinite(known).sum(axis=0)
    return np.where(seen, np.nansum(known, axis=0) / (np.maximum(seen, 1) if averaged else 1), np.nan)


def public(_: int, *, name: str, folder: str, onset: Onset = "estimated", **given: bool) -> Iterator[LabelledCase]:
    """A public set as ``withhold`` leaves it."""
    for case, answer in read_set(name, folder, onset=onset):
        yield LabelledCase(withhold(case, **given), answer)


def read_set(name: str, folder: str, *, onset: Onset = "estimated") -> Iterator[LabelledCase]:
    """The incidents of a public set below RCA_DATA."""
    return load_set(name, Path(os.environ.get("RCA_DATA", "/nowhere")) / folder, onset=onset)


def unasked(case: Case) -> Case:
    """The case as it is, but for who complained."""
    alerts = tuple(alert for alert in case.telemetry.alerts if alert.time is None)
    incident = replace(case.incident, symptoms=(), title="")
    return replace(case, incident=incident, telemetry=replace(case.telemetry, alerts=alerts))


def withhold(case: Case, *, calls: bool = False, topology: bool = False, symptom: bool = False) -> Case:
    """The case with metrics of its components, and alerts on them, alone, and of the rest what is named."""
    case = case if symptom else unasked(case)
    frame = case.telemetry.metrics
    metrics = frame if calls else frame.select(np.flatnonzero(frame.peer == NO_PEER))
    alerts = [a for a in case.telemetry.alerts if not a.group.startswith("spans") and not a.kind.startswith("log.")]
    health = case.health
    if health is not None:
        health = replace(health, requests=None, edges=None, own_times=None, logs=None)
    return replace(
        case,
        telemetry=Telemetry(metrics=metrics, alerts=tuple(alerts)),
        topology=case.topology if topology else None,
        health=health,
    )


BEDS: dict[str, Load] = {
    "simulated": partial(simulated, topology=True, symptom=True, calls=True),
    "simulated-calls": partial(simulated, calls=True),
    "simulated-symptom": partial(simulated, symptom=True),
    "simulated-topology": partial(simulated, topology=True),
    "simulated-own": simulated,
    "rcaeval-given": partial(like_rcaeval, onset="given"),
    "rcaeval-estimated": partial(like_rcaeval, onset="estimated"),
    "petshop-given": partial(public, name="petshop", folder="petshop", onset="given"),
    "petshop-estimated": partial(public, name="petshop", folder="petshop"),
    "petshop-symptom": partial(public, name="petshop", folder="petshop", symptom=True),
    "petshop-topology": partial(public, name="petshop", folder="petshop", topology=True),
    "nezha-ob-given": partial(public, name="nezha-ob", folder="nezha", onset="given"),
    "nezha-ob-estimated": partial(public, name="nezha-ob", folder="nezha"),
    "nezha-tt-given": partial(public, name="nezha-tt", folder="nezha", onset="given"),
    "nezha-tt-estimated": partial(public, name="nezha-tt", folder="nezha"),
    "tvdiag-gaia": partial(public, name="tvdiag-gaia", folder="tvdiag"),
    "tvdiag-sockshop": partial(public, name="tvdiag-sockshop", folder="tvdiag"),
    "tvdiag-hotel": partial(public, name="tvdiag-hotel", folder="tvdiag"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("beds", nargs="*", metavar="BED", help=", ".join(BEDS))
    parser.add_argument("--count", type=int, default=60, help="simulated incidents per bed")
    arguments = parser.parse_args()
    print(f"{'bed':20} {'n':>4}  " + "  ".join(f"{name:>16}" for name in METHODS))
    for name in arguments.beds or BEDS:
        results = [assess(case, answer, METHODS).methods for case, answer in BEDS[name](arguments.count)]
        cells = []
        for method in METHODS:
            found = measures(stack([result[method].card for result in results]))
            cells.append(f"{found['AC@1']:.2f} {found['AC@3']:.2f} {found['Avg@5']:.2f}".rjust(16))
        print(f"{name:20} {len(results):4}  " + "  ".join(cells), flush=True)


if __name__ == "__main__":
    main()
