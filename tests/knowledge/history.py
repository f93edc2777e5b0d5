"""A history small enough to check by hand: three incidents of a shop, four changes, two teams."""

from __future__ import annotations

import numpy as np

from rca.causality import CausalityGraph
from rca.rules import load_rules
from rca.topology import Topology
from rca.types import MINUTE, Change, Event, Evidence, Incident, Report, RootCause, Suspect, Symptom, Window

DAY = 86_400_000_000_000
START = 1_769_990_400_000_000_000  # Monday, 2 February 2026, 00:00 UTC
RULES = load_rules()[:3]
SHOP = Topology.from_edges(
    [("shop", "cart", 40.0), ("cart", "store", 20.0), ("shop", "pay"), ("pay", "bank")],
    components=["cart-1", "lonely"],
    kinds={"store": "database"},
    hosts={"cart": "node-1"},
    replica_of={"cart-1": "cart"},
    attributes={"cart": {"team": "basket", "zone": "a"}, "pay": {"owner": "money"}},
)
CHANGES = (
    Change(id="d1", component="cart", kind="change.deployment", name="cart 2.0", time=START, attributes={"by": "ann"}),
    Change(id="d2", component="pay", kind="change.deployment", name="pay 7", time=START + DAY),
    Change(id="d3", component="pay", kind="change.flag", name="new checkout", time=START + 2 * DAY),
    Change(id="d4", component="store", kind="change.config", name="pool", time=START, attributes={"team": "storage"}),
)


def event(component: str, kind: str, start: int, **more: object) -> Event:
    facts: dict[str, object] = {
        "id": f"{kind}:{component}:{start}",
        "component": component,
        "kind": kind,
        "name": "m",
        "start": start,
        "end": start + MINUTE,
        "severity": 0.5,
        "direction": "up",
    }
    return Event(**facts | more)


def report(
    id: str,
    start: int,
    *,
    verdict: str = "cause",
    cause: str = "cart",
    culprit: str = "none",
    suspects: tuple[int, ...] = (),
    reached: tuple[str, ...] = ("cart", "shop"),
    symptom: str = "shop",
) -> Report:
    evidence = Evidence(
        sentence="it took 400 ms, not 20", group="latency", blame=0.5, amount=0.38, noise=0.01, unit="s"
    )
    events = (
        event(cause, "change.deployment", start),
        event(cause, "latency.up", start + MINUTE, evidence=evidence, attributes={"quantile": "0.99"}),
        event(symptom, "latency.up", start + 2 * MINUTE),
    )
    graph = CausalityGraph(
        events=events,
        rules=RULES,
        cause=np.array([0, 1], np.int32),
        effect=np.array([1, 2], np.int32),
        rule=np.array([0, 1], np.int32),
        lag=np.array([MINUTE, MINUTE], np.int64),
        weight=np.array([0.75, 0.5]),
        also_rule=np.array([2], np.int32),
        also_start=np.array([0, 0, 1], np.int64),
    )
    suspected = tuple(
        Suspect(change=CHANGES[i], probability=0.75, factors={"place": 1.0}, sentence=f"{CHANGES[i].name} was new")
        for i in suspects
    )
    return Report(
        incident=Incident(
            id=id,
            window=Window(start=start, end=start + 10 * MINUTE),
            symptoms=(Symptom(component=symptom),),
            detected_at=start + 3 * MINUTE,
            title=f"{symptom} is slow",
        ),
        verdict=verdict,
        root_causes=(
            RootCause(component=cause, event=events[1], score=0.9, confidence=0.8, sentence=f"{cause} was slow"),
            RootCause(component="pay", event=None, score=0.2, confidence=0.1, sentence="pay was busy"),
        ),
        ranking=(cause, "pay"),
        scores=(0.9, 0.2),
        critical=(),
        impact=("shop",),
        blast_radius=reached,
        suspects=suspected,
        culprit=culprit,
        onset=start + MINUTE,
        missing=("no spans of pay",),
        warnings=(),
        graph=graph,
    )


REPORTS = (
    report("one", START + MINUTE, culprit="d1", suspects=(0, 3)),
    report("two", START + DAY, cause="pay", culprit="d2", suspects=(1,), reached=("bank", "cart", "pay", "shop")),
    report("three", START + 8 * DAY, verdict="inconclusive", suspects=(0, 2), reached=()),
)
