"""One small incident: web calls cart, cart calls store; since 14:45 cart asks store once per item."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pytest

from rca.extract.context import Context
from rca.health import HealthProfile
from rca.settings import Settings
from rca.telemetry import ERROR, INFO, WARN, LogBatch, MetricFrame, SpanBatch, Telemetry, encode, texts
from rca.topology import Topology
from rca.types import MINUTE, Alert, Case, Change, Incident, Symptom, Window

SAMPLES, ONSET, ALERT = 60, 45, 50
CULPRIT = "a" * 40

N_PLUS_ONE = """@@ services/cart/price.go @@ func Price
-\trows := catalog.FetchPrices(ctx, skus)
+\tfor _, sku := range skus {
+\t\trow := catalog.FetchPrice(ctx, sku) // SELECT price FROM catalog_prices WHERE sku = $1
+\t\tresult = append(result, row)
+\t}
"""
RENAME = """@@ services/cart/total.go @@ func Total
-\tsum := add(items)
-\treturn sum
+\ttotal := add(items)
+\treturn total
"""
TIDY_LOGS = """@@ services/cart/log.go @@
-\tlog.Printf("price of %s", sku)
+\tlogger.Info("price", "sku", sku)
"""


def commit(
    sha: str, name: str, diff: str, files: tuple[str, ...] = ("services/cart/price.go",), at: float = 40.0
) -> Change:
    return Change(
        id=sha,
        component="",
        kind="change.commit",
        name=name,
        time=int(at * MINUTE),
        files=files,
        diff=diff,
        attributes={"commit": sha, "author": "ada"},
    )


def deployment(component: str, at: float, sha: str = "", kind: str = "change.deployment") -> Change:
    return Change(
        id=f"{kind}:{component}:{at}",
        component=component,
        kind=kind,
        name=f"new version of {component}",
        time=int(at * MINUTE),
        attributes={"commit": sha, "version": "v2"},
    )


def steady(level: float) -> npt.NDArray[np.float64]:
    return level * (1 + 0.01 * np.sin(np.arange(SAMPLES) * 2.4))


def jump(level: float, factor: float, at: int = ONSET) -> npt.NDArray[np.float64]:
    values = steady(level)
    values[at:] *= factor
    return values


@dataclass(frozen=True, kw_only=True)
class Shop:
    """The incident, part by part; every part can be replaced."""

    series: dict[tuple[str, str], npt.NDArray[np.float64]]
    lines: tuple[tuple[float, str, int, str], ...] = ()
    changes: tuple[Change, ...] = ()
    alert: str = "cart answers slowly"
    alert_on: str = "cart"
    edges: tuple[tuple[str, str], ...] = (("web", "cart"), ("cart", "store"))
    hosts: dict[str, str] = field(default_factory=dict)
    rename: dict[str, str] = field(default_factory=dict)

    def name(self, component: str) -> str:
        return self.rename.get(component, component)

    def context(self) -> Context:
        metrics, logs = self._metrics(), self._logs()
        incident = Incident(
            id="i",
            window=Window(start=20 * MINUTE, end=SAMPLES * MINUTE),
            baseline=Window(start=0, end=20 * MINUTE),
            detected_at=ALERT * MINUTE,
            symptoms=(Symptom(component=self.name(self.alert_on)),),
        )
        alert = Alert(component=self.name(self.alert_on), name="latency", time=ALERT * MINUTE, text=self.alert)
        changes = tuple(replace(change, component=self.name(change.component)) for change in self.changes)
        telemetry = Telemetry(
            metrics=metrics, logs=logs, spans=SpanBatch.empty(), changes=changes, alerts=(alert,) if self.alert else ()
        )
        return Context(
            case=Case(incident=incident, telemetry=telemetry),
            topology=Topology.from_edges([(self.name(a), self.name(b)) for a, b in self.edges], hosts=self.hosts),
            health=HealthProfile(),
            onsets=np.array([ONSET * MINUTE], np.int64),
            ends=np.array([SAMPLES * MINUTE], np.int64),
            settings=Settings(),
        )

    def _metrics(self) -> MetricFrame:
        rows = [(k * MINUTE, c, m, v) for (c, m), values in self.series.items() for k, v in enumerate(values)]
        return MetricFrame.from_rows(
            times=np.array([row[0] for row in rows], np.int64),
            components=[self.name(row[1]) for row in rows],
            metrics=[row[2] for row in rows],
            values=np.array([row[3] for row in rows]),
        )

    def _logs(self) -> LogBatch:
        names, codes = encode([self.name(row[1]) for row in self.lines])
        return LogBatch(
            components=names if self.lines else (),
            times=np.array([int(row[0] * MINUTE) for row in self.lines], np.int64),
            component=codes,
            level=np.array([row[2] for row in self.lines], np.int8),
            message=texts([row[3] for row in self.lines]),
            trace=texts(["t"] * len(self.lines)),
            span=texts([""] * len(self.lines)),
        )


def lines(component: str, level: int, text: str, at: Iterable[float]) -> tuple[tuple[float, str, int, str], ...]:
    return tuple((time, component, level, text) for time in at)


@pytest.fixture
def shop() -> Shop:
    slow = lines(
        "cart",
        WARN,
        "slow request db.statement=SELECT price FROM catalog_prices WHERE sku db.calls_in_request=42",
        np.arange(ONSET, 58, 0.5),
    )
    usual = lines("cart", INFO, "handled request", np.arange(1, 44, 1.0))
    return Shop(
        series={
            ("cart", "latency_p99_ms"): jump(200, 15),
            ("cart", "db_query_count_per_request"): jump(3, 14),
            ("web", "latency_p99_ms"): jump(300, 12, at=ONSET + 1),
            ("store", "cpu_utilization"): steady(0.3),
        },
        lines=(*usual, *slow),
        changes=(
            commit(CULPRIT, "refactor: prices per line", N_PLUS_ONE),
            deployment("cart", ONSET - 3, CULPRIT),
            commit("b" * 40, "tidy logs", TIDY_LOGS, ("services/cart/log.go",), at=41),
            deployment("cart", ONSET - 1, "b" * 40),
            commit("c" * 40, "rename", RENAME, ("services/cart/total.go",), at=20),
            deployment("web", ONSET - 2),
        ),
    )


@pytest.fixture
def ingredients() -> dict[str, Callable[..., object]]:
    """The builders that a test may vary the incident with."""
    return {"commit": commit, "deployment": deployment, "jump": jump, "steady": steady, "lines": lines}


assert ERROR > WARN > INFO
