"""One incident made by hand: a configuration change halves a connection pool, and a shop fails.

payment lost connections, so checkout waits and fails, so web fails. cart is innocent.
"""

from __future__ import annotations

import numpy as np
import pytest

from rca.causality import CausalityGraph
from rca.rules import Rule
from rca.telemetry import LogBatch, MetricFrame, SpanBatch, Telemetry, texts
from rca.topology import Topology
from rca.types import (
    MINUTE,
    SECOND,
    Case,
    Change,
    Event,
    Evidence,
    Incident,
    Report,
    RootCause,
    Suspect,
    Symptom,
    Window,
    to_nanoseconds,
)

START = to_nanoseconds("2026-03-02T13:30:00Z")
ONSET = START + 30 * MINUTE
ALERT = ONSET + 6 * MINUTE
END = START + 45 * MINUTE


def event(
    component: str, kind: str, name: str, after: int, severity: float, sentence: str, blame: float = 0.5
) -> Event:
    start = ONSET + after * SECOND
    return Event(
        id=f"{kind}:{component}:{name}",
        component=component,
        kind=kind,
        name=name,
        start=start,
        end=END,
        severity=severity,
        evidence=Evidence(sentence=sentence, group=kind, blame=blame, likelihood=3.0),
    )


EVENTS = (
    event("payment", "change.config", "pool.max_size", -20, 0.9, "pool.max_size went from 50 to 5 at 13:59:40", 0.7),
    event(
        "payment",
        "saturation.connections",
        "db_pool_used_ratio",
        10,
        1.0,
        "The connection pool was 100 % in use for 14 minutes (healthy: 12 to 31 %)",
        0.9,
    ),
    event(
        "payment",
        "latency.up",
        "latency_p95_ms",
        30,
        0.9,
        "95 % of 412 calls took longer than 480 ms (healthy: 38 ms)",
        0.6,
    ),
    event(
        "checkout",
        "latency.up",
        "latency_p95_ms",
        60,
        0.8,
        "Requests took 510 ms (healthy: 72 ms), 92 % of it waiting for payment",
        0.2,
    ),
    event("checkout", "errors.up", "error_ratio", 90, 0.7, "31 % of requests failed (healthy: 0.2 %)", 0.1),
    event("web", "errors.up", "error_ratio", 120, 0.6, "18 % of requests failed (healthy: 0.1 %)", 0.05),
    event(
        "cart", "traffic.down", "requests_per_s", 180, 0.3, "12 requests per second arrived (healthy: 15 to 22)", 0.1
    ),
)
# Beside what counts: seen on the cause without weight, and a cause that is no change.
DISK = event("payment", "log.new_template", "slow disk", 5, 0.2, "payment writes that its disk is slow", 0.1)
HOST = event("node-1", "saturation.cpu", "cpu_ratio", 15, 0.4, "node-1 was busier than usual", 0.0)
LINKS = (
    (0, 1, "a changed pool size exhausts the pool"),
    (1, 2, "an exhausted connection pool makes requests wait"),
    (2, 3, "a slow dependency slows its callers"),
    (3, 4, "requests that wait too long fail"),
    (4, 5, "a failing dependency makes its callers fail"),
    (4, 6, "fewer finished orders mean less traffic"),
)


def make_graph(events: tuple[Event, ...], links: tuple[tuple[int, int, str], ...]) -> CausalityGraph:
    names = sorted({name for _, _, name in links})
    rules = tuple(
        Rule(
            name=name,
            cause=("latency.up",),
            effect=("errors.up",),
            relation="dependency",
            max_lag=10 * MINUTE,
            weight=0.8,
            why="made by hand",
        )
        for name in names
    )
    ordered = sorted(links)
    return CausalityGraph(
        events=events,
        rules=rules,
        cause=np.array([a for a, _, _ in ordered], np.int32),
        effect=np.array([b for _, b, _ in ordered], np.int32),
        rule=np.array([names.index(name) for _, _, name in ordered], np.int32),
        lag=np.array([max(events[b].start - events[a].start, 0) for a, b, _ in ordered], np.int64),
        weight=np.array([0.8 - 0.05 * (a % 5) for a, _, _ in ordered], np.float64),
    )


def make_incident() -> Incident:
    return Incident(
        id="2026-03-02-checkout",
        title="Checkout fails for one customer in three",
        window=Window(start=ONSET - 5 * MINUTE, end=END),
        baseline=Window(start=START, end=ONSET - 5 * MINUTE),
        detected_at=ALERT,
        symptoms=(Symptom(component="web", metric="error_ratio", direction="up"),),
    )


CHANGE = Change(
    id="cfg-418",
    component="payment",
    kind="change.config",
    name="pool.max_size 50 -> 5",
    time=ONSET - 20 * SECOND,
    files=("deploy/payment/values.yaml",),
    attributes={"key": "pool.max_size", "old": "50", "new": "5"},
)


@pytest.fixture
def report() -> Report:
    return make_report()


def make_report() -> Report:
    suspect = Suspect(
        change=CHANGE,
        probability=0.91,
        factors={"time": 0.9, "place": 1.0, "effect": 0.8},
        sentence="20 s before the onset, on the component that failed first; a smaller pool can exhaust connections",
    )
    first = RootCause(
        component="payment",
        event=EVENTS[0],
        score=0.92,
        confidence=0.86,
        sentence="payment ran out of database connections after pool.max_size was lowered from 50 to 5.",
        because=(EVENTS[1], EVENTS[0], EVENTS[2]),
        chain=EVENTS[:6],
        beside=(DISK,),
        change=suspect,
    )
    second = RootCause(
        component="checkout",
        event=EVENTS[3],
        score=0.21,
        confidence=0.1,
        sentence="checkout answered slowly.",
        because=EVENTS[3:5],
        chain=EVENTS[3:6],
        against="92 % of its extra time was spent in payment",
    )
    third = RootCause(
        component="cart",
        event=EVENTS[6],
        score=0.06,
        confidence=0.04,
        sentence="cart was called less.",
        because=EVENTS[6:7],
        against="its traffic fell three minutes after payment was saturated",
    )
    return Report(
        incident=make_incident(),
        verdict="cause",
        root_causes=(first, second, third),
        ranking=("payment", "checkout", "cart", "web"),
        scores=(0.92, 0.21, 0.06, 0.02),
        critical=(EVENTS[4], EVENTS[5]),
        impact=("cart", "checkout"),
        blast_radius=("cart", "checkout", "web"),
        suspects=(suspect,),
        culprit="cfg-418",
        operational=(HOST,),
        onset=ONSET,
        missing=("cart sends no spans: its own time cannot be told from that of its callees",),
        warnings=("No health profile was given; 25 minutes of baseline stand in for it",),
        graph=make_graph(EVENTS, LINKS),
        timings={"events": 0.02, "ranking": 0.01},
    )


@pytest.fixture
def case() -> Case:
    return make_case()


def make_case() -> Case:
    times = np.arange(START, END, 20 * SECOND, dtype=np.int64)
    rng = np.random.default_rng(4)
    bad = times >= ONSET + 20 * SECOND
    series = {
        ("payment", "db_pool_used_ratio"): np.where(bad, 1.0, rng.uniform(0.12, 0.31, len(times))),
        ("payment", "latency_p95_ms"): np.where(bad, 480, 38) * rng.lognormal(0, 0.12, len(times)),
        ("checkout", "latency_p95_ms"): np.where(bad, 510, 72) * rng.lognormal(0, 0.1, len(times)),
        ("checkout", "error_ratio"): np.where(bad, 0.31, 0.002) * rng.lognormal(0, 0.3, len(times)),
        ("web", "error_ratio"): np.where(bad, 0.18, 0.001) * rng.lognormal(0, 0.3, len(times)),
        ("cart", "requests_per_s"): np.where(bad, 12, 18) * rng.lognormal(0, 0.1, len(times)),
    }
    series["checkout", "error_ratio"][100:104] = np.nan
    count = len(times)
    metrics = MetricFrame.from_rows(
        times=np.tile(times, len(series)),
        components=[component for component, _ in series for _ in range(count)],
        metrics=[metric for _, metric in series for _ in range(count)],
        values=np.concatenate(list(series.values())),
    )
    spans = SpanBatch.build(
        start=times,
        duration=(np.where(bad, 510, 72) * 1_000_000).astype(np.int64),
        component=["checkout"] * count,
        operation=["POST /checkout"] * count,
        trace=[f"t{i}" for i in range(count)],
        span=[f"s{i}" for i in range(count)],
        parent=[""] * count,
        kind=np.full(count, 2),
    )
    logs = LogBatch(
        components=("payment",),
        times=times,
        component=np.zeros(count, np.int32),
        level=np.where(bad, 5, 3).astype(np.int8),
        message=texts(["could not obtain a connection within 5 s" if b else "charged" for b in bad]),
        trace=texts([""] * count),
        span=texts([""] * count),
    )
    topology = Topology.from_edges(
        [("web", "checkout"), ("web", "cart"), ("checkout", "payment"), ("checkout", "cart")],
        attributes={"payment": {"owner": "team payments", "runbook": "https://runbooks.example/payment"}},
    )
    telemetry = Telemetry(metrics=metrics, spans=spans, logs=logs, changes=(CHANGE,))
    return Case(incident=make_incident(), telemetry=telemetry, topology=topology)
