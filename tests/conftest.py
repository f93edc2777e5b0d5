"""A shop small enough to check by hand: shop asks cart and pay, cart asks store, which is not instrumented.

A request begins every 6 s, the same in health, all times in ms after its begin:

    shop  GET /buy   0 ........................................ 100     own time 100 - 40 - 30 = 30
    shop  call cart     10 ............ 50                              on the way 40 - 30 = 10
    cart  GET /cart        15 ..... 45                                  own time 30 - 20 = 10
    cart  SELECT             20..40        to store                     as the client sees it: 20
    shop  call pay                          55 ........ 85              on the way 30 - 20 = 10
    pay   POST /pay                            60 ... 80                own time 20

Each of shop, cart and pay writes one line per request. 30 min of health, then a window of 10 min whose
fault begins 2 min after its start.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from rca.extract.context import Context
from rca.health.build import build_profile
from rca.settings import Settings
from rca.telemetry import INFO, SPAN_CLIENT, SPAN_SERVER, LogBatch, MetricFrame, SpanBatch, Telemetry, texts
from rca.topology import Topology
from rca.types import MINUTE, SECOND, Case, Incident, Symptom, Window, to_nanoseconds

MS = 1_000_000
START = to_nanoseconds("2026-03-02T12:00:00Z")
HEALTH = Window(start=START, end=START + 30 * MINUTE)
WINDOW = Window(start=HEALTH.end, end=HEALTH.end + 10 * MINUTE)
ONSET = WINDOW.start + 2 * MINUTE
EVERY = 6 * SECOND
OK, FAILED = 1, 2

# component, operation, parent's number, begin and end in ms, kind, peer
REQUEST = (
    ("shop", "GET /buy", "", 0, 100, SPAN_SERVER, ""),
    ("shop", "call cart", "0", 10, 50, SPAN_CLIENT, ""),
    ("cart", "GET /cart", "1", 15, 45, SPAN_SERVER, ""),
    ("cart", "SELECT", "2", 20, 40, SPAN_CLIENT, "store"),
    ("shop", "call pay", "0", 55, 85, SPAN_CLIENT, ""),
    ("pay", "POST /pay", "4", 60, 80, SPAN_SERVER, ""),
)
LINES = {"shop": "order received", "cart": "cart was read", "pay": "payment was taken"}
LEVELS = {"cpu_usage": 0.2, "memory_usage": 0.5, "request_rate": 10.0}


@dataclass(frozen=True)
class Shop:
    """The shop with one fault; "" is none.

    network: 40 ms more on the way into cart. own time: pay works 60 ms longer. lost: every call to pay is lost.
    missing: cart no longer asks store. breaks off: shop no longer calls pay, and cart's is the last call.
    cpu: cart's processor at .9. demand: four times as many requests by the metrics.
    """

    fault: str = ""

    start, onset, health, window, every = START, ONSET, HEALTH, WINDOW, EVERY

    @property
    def begins(self) -> np.ndarray:
        return np.arange(HEALTH.start, WINDOW.end, EVERY)

    def _request(self, faulty: bool) -> list[tuple[str, str, str, int, int, int, str, int, str]]:
        fault = self.fault if faulty else ""
        rows = []
        for number, (component, operation, parent, begin, end, kind, peer) in enumerate(REQUEST):
            status = OK
            if fault == "network" and operation in ("call cart", "GET /buy"):
                end += 40
            if fault == "own time" and operation in ("POST /pay", "call pay", "GET /buy"):
                end += 60
            if fault == "missing" and operation in ("GET /cart", "call cart", "GET /buy"):
                end -= 20
            if fault == "breaks off" and operation == "GET /buy":
                end -= 30
            if fault == "lost" and operation == "call pay":
                status = FAILED
            gone = {"lost": ("POST /pay",), "missing": ("SELECT",), "breaks off": ("call pay", "POST /pay")}
            if operation not in gone.get(fault, ()):
                rows.append((component, operation, parent, begin, end, kind, peer, status, str(number)))
        return rows

    def spans(self) -> SpanBatch:
        rows = [(at, f"t{i}", *row) for i, at in enumerate(self.begins.tolist()) for row in self._request(at >= ONSET)]
        at, trace, component, operation, parent, begin, end, kind, peer, status, span = zip(*rows, strict=True)
        begins, ends = np.array(begin) * MS, np.array(end) * MS
        return SpanBatch.build(
            start=np.array(at) + begins,
            duration=ends - begins,
            component=component,
            operation=operation,
            trace=trace,
            span=span,
            parent=parent,
            kind=np.array(kind),
            status=np.array(status),
            peer=peer,
        )

    def logs(self) -> LogBatch:
        rows = []
        for i, at in enumerate(self.begins.tolist()):
            for component, line in LINES.items():
                silent = component == "pay" and at >= ONSET and self.fault in ("lost", "breaks off")
                if not silent:
                    number = {"shop": "0", "cart": "2", "pay": "5"}[component]
                    rows.append((at, component, line, f"t{i}", number))
        times, components, lines, traces, spans = zip(*rows, strict=True)
        names = tuple(sorted(set(components)))
        return LogBatch(
            components=names,
            times=np.array(times),
            component=np.array([names.index(name) for name in components], np.int32),
            level=np.full(len(times), INFO, np.int8),
            message=texts(lines),
            trace=texts(traces),
            span=texts(spans),
        )

    def metrics(self) -> MetricFrame:
        times = np.arange(HEALTH.start, WINDOW.end, MINUTE)
        rows = {}
        for component in LINES:
            for place, (metric, level) in enumerate(LEVELS.items()):
                # A small wave, the same in every half of health.
                rows[component, metric] = level * (1 + 0.02 * np.cos(np.arange(len(times)) + place))
        after = times > ONSET
        if self.fault == "cpu":
            rows["cart", "cpu_usage"] = np.where(after, 0.9, rows["cart", "cpu_usage"])
        if self.fault == "demand":
            rows["shop", "request_rate"] = np.where(after, 4.0, 1.0) * rows["shop", "request_rate"]
        return MetricFrame.from_rows(
            times=np.tile(times, len(rows)),
            components=np.repeat([component for component, _ in rows], len(times)),
            metrics=np.repeat([metric for _, metric in rows], len(times)),
            values=np.concatenate(list(rows.values())),
        )

    @property
    def topology(self) -> Topology:
        return Topology.from_edges([("shop", "cart"), ("shop", "pay"), ("cart", "store")], kinds={"store": "database"})

    def telemetry(self) -> Telemetry:
        return Telemetry(metrics=self.metrics(), logs=self.logs(), spans=self.spans())

    def case(self, **incident: object) -> Case:
        facts: dict[str, object] = {
            "id": "shop",
            "window": WINDOW,
            "baseline": HEALTH,
            "onset": ONSET,
            "symptoms": (Symptom(component="shop"),),
        }
        return Case(incident=Incident(**facts | incident), telemetry=self.telemetry(), topology=self.topology)

    def context(self, *, telemetry: Telemetry | None = None, **facts: object) -> Context:
        case = self.case()
        case = case if telemetry is None else replace(case, telemetry=telemetry)
        parts: dict[str, object] = {
            "case": case,
            "topology": self.topology,
            "health": build_profile(Shop().telemetry().slice(HEALTH)),
            "onsets": np.array([ONSET]),
            "ends": np.array([WINDOW.end]),
            "settings": Settings(),
        }
        return Context(**parts | facts)


@pytest.fixture
def shop() -> Shop:
    """The shop without a fault; ``replace(shop, fault=...)`` breaks it."""
    return Shop()
