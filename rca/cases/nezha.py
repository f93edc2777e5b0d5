"""Nezha (Yu et al., ESEC/FSE 2023): Train Ticket and Online Boutique with metrics, logs and spans.

Layout: ``rca_data/DAY/{metric,trace,log}/*.csv`` with ``DAY-fault_list.json``, and fault-free minutes
in ``construct_data/DAY``. Pods are named by their workload here: pod names change over days, and a
fault is a service's. Days that share their services are one system.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from rca.cases.alerting import alert_delay
from rca.cases.labelled import LabelledCase
from rca.errors import CaseError
from rca.health.build import HealthRecorder
from rca.telemetry import LogBatch, MetricFrame, SpanBatch, Telemetry, encode, texts
from rca.types import MINUTE, SECOND, Answer, Case, Incident, Window

if TYPE_CHECKING:
    import pandas as pd

System = Literal["tt", "ob"]
# A fault lasts about three minutes and its effects a little longer.
FAULT = 240 * SECOND
# Effects of some incidents begin up to a minute before the recorded time: around an incident
# nothing is taken for healthy.
BEFORE, AFTER = 90 * SECOND, 330 * SECOND
AROUND_ALERT = 360 * SECOND
LOOKBACK, LOOKAHEAD, GIVEN = 300 * SECOND, 90 * SECOND, 180 * SECOND
POD = r"-[0-9a-f]{8,10}-[0-9a-z]{5}$"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fault:
    day: str
    time: int
    component: str
    kind: str


def load(path: Path, *, onset: Literal["estimated", "given"], system: System) -> Iterator[LabelledCase]:
    """The incidents of one system, in order of time.

    Args:
        path: the unpacked set.
        onset: "given" tells the injection time; "estimated" an alert 60, 120 or 180 s after it.
        system: Train Ticket ("tt") or Online Boutique ("ob").

    Raises:
        CaseError: the folder is not laid out as the set is.
    """
    days = _days_of(Path(path), system)
    telemetry = _read_days(Path(path), days)
    faults = sorted((f for day in days for f in _faults(Path(path), day)), key=lambda f: (f.time, f.component))
    cut = [fault.time for fault in faults] + [time for day in days for time in _other_faults(Path(path), day)]
    recorder = HealthRecorder(telemetry, cut=[Window(start=time, end=time + FAULT) for time in cut])
    for index, fault in enumerate(faults):
        if onset == "given":
            window = Window(start=fault.time, end=fault.time + GIVEN)
            around = Window(start=fault.time - BEFORE, end=fault.time + AFTER)
            detected, known = fault.time, fault.time
        else:
            detected, known = fault.time + alert_delay(index), None
            window = Window(start=detected - LOOKBACK, end=detected + LOOKAHEAD)
            around = Window(start=detected - AROUND_ALERT, end=detected + AROUND_ALERT)
        margin = Window(start=window.start - 6 * MINUTE, end=window.end + MINUTE)
        part = telemetry.slice(window)
        incident = Incident(
            id=f"{fault.day}/{index:02d}", window=window, detected_at=detected, onset=known, title="Nezha incident"
        )
        yield LabelledCase(
            case=Case(
                incident=incident,
                telemetry=Telemetry(metrics=telemetry.metrics.slice(margin), logs=part.logs, spans=part.spans),
                health=recorder.profile(exclude=(around,)),
            ),
            answer=Answer(components=(fault.component,), kind=fault.kind),
        )


def _days_of(path: Path, system: System) -> list[str]:
    root = path / "rca_data"
    days = sorted(p.name for p in root.iterdir() if (p / "metric").is_dir()) if root.is_dir() else []
    if not days:
        raise CaseError("there is no rca_data/DAY/metric", where=path, remedy="Give the folder of the unpacked set")
    # Train Ticket's workloads are the ones whose names begin with "ts-".
    trains = {day for day in days if any(p.name.startswith("ts-") for p in (root / day / "metric").iterdir())}
    return [day for day in days if (day in trains) == (system == "tt")]


def _nanoseconds(text: str) -> int:
    return int(np.datetime64(text.replace(" ", "T"), "ns").astype(np.int64))


def _faults(path: Path, day: str) -> list[_Fault]:
    data = json.loads((path / "rca_data" / day / f"{day}-fault_list.json").read_text(encoding="utf-8"))
    return [
        _Fault(
            day=day,
            time=_nanoseconds(row["inject_time"]),
            component=_workload([row["inject_pod"]])[0],
            kind=row["inject_type"],
        )
        for hour in data.values()
        for row in hour
    ]


def _other_faults(path: Path, day: str) -> list[int]:
    file = path / "rca_data" / day / f"{day}-other-faults.json"
    return [_nanoseconds(text) for text in json.loads(file.read_text(encoding="utf-8"))] if file.exists() else []


def _workload(pods: Any) -> Any:
    import pandas as pd

    return pd.Series(pods, dtype=object).astype(str).str.replace(POD, "", regex=True).to_numpy(dtype=object)


def _read_days(path: Path, days: list[str]) -> Telemetry:
    return Telemetry(metrics=_read_metrics(path, days), spans=_read_spans(path, days), logs=_read_logs(path, days))


def _tables(path: Path, days: list[str], what: str, columns: list[str]) -> pd.DataFrame:
    import pandas as pd

    files = [
        file
        for part in ("rca_data", "construct_data")
        for day in days
        for file in sorted((path / part / day / what).glob("*.csv"))
    ]
    if not files:
        return pd.DataFrame({column: pd.Series(dtype=object) for column in columns})
    kinds = {"TraceID": str, "SpanID": str, "ParentID": str, "PodName": str, "OperationName": str, "Log": str}
    tables = [
        pd.read_csv(file, usecols=columns, dtype={k: v for k, v in kinds.items() if k in columns}) for file in files
    ]
    return pd.concat(tables, ignore_index=True)


def _read_spans(path: Path, days: list[str]) -> SpanBatch:
    columns = ["TraceID", "SpanID", "ParentID", "PodName", "OperationName", "StartTimeUnixNano", "EndTimeUnixNano"]
    table = _tables(path, days, "trace", columns).drop_duplicates(["TraceID", "SpanID"])
    start = table.StartTimeUnixNano.to_numpy(np.int64)
    parent = table.ParentID.fillna("").to_numpy(dtype=object)
    parent[parent == "root"] = ""
    return SpanBatch.build(
        start=start,
        duration=np.maximum(table.EndTimeUnixNano.to_numpy(np.int64) - start, 0),
        component=_workload(table.PodName),
        operation=table.OperationName.fillna("").to_numpy(dtype=object),
        trace=table.TraceID.to_numpy(dtype=object),
        span=table.SpanID.to_numpy(dtype=object),
        parent=parent,
    )


def _read_logs(path: Path, days: list[str]) -> LogBatch:
    columns = ["TimeUnixNano", "PodName", "TraceID", "SpanID", "Log"]
    table = _tables(path, days, "log", columns).drop_duplicates()
    if not len(table):
        return LogBatch.empty()
    names, codes = encode(_workload(table.PodName))
    return LogBatch(
        components=names,
        times=table.TimeUnixNano.to_numpy(np.int64),
        component=codes,
        level=np.zeros(len(table), np.int8),
        message=texts(table.Log.fillna("").to_numpy(dtype=object)),
        trace=texts(table.TraceID.fillna("").to_numpy(dtype=object)),
        span=texts(table.SpanID.fillna("").to_numpy(dtype=object)),
    )


def _read_metrics(path: Path, days: list[str]) -> MetricFrame:
    import pandas as pd

    rows: list[pd.DataFrame] = []
    for day in days:
        folder = path / "rca_data" / day / "metric"
        for file in sorted(folder.glob("*_metric.csv")):
            table = pd.read_csv(file)
            # The column TimeStamp is hours or years off: Time is right.
            long = table.drop(columns=["Time", "TimeStamp", "PodName"]).assign(time=_minute(table.Time))
            long = long.melt("time", var_name="metric")
            rows.append(long.assign(component=_workload(table.PodName[:1])[0], peer=""))
        rows.extend(_edge_rows(folder))
    all_rows = pd.concat(rows, ignore_index=True)
    return MetricFrame.from_rows(
        times=all_rows.time.to_numpy(np.int64),
        components=all_rows.component.to_numpy(dtype=object),
        metrics=all_rows.metric.to_numpy(dtype=object),
        peers=all_rows.peer.to_numpy(dtype=object),
        values=all_rows.value.to_numpy(np.float64),
    )


def _edge_rows(folder: Path) -> list[pd.DataFrame]:
    """Latency of calls taken at both ends: source_50.csv and destination_50.csv, columns CALLER_CALLEE."""
    import pandas as pd

    rows = []
    for side in ("source", "destination"):
        file = folder / f"{side}_50.csv"
        if not file.exists():
            continue
        table = pd.read_csv(file)
        for column in table.columns[2:]:
            caller, _, callee = column.partition("_")
            if callee and "_" not in callee:
                component, peer = (caller, callee) if side == "source" else (callee, caller)
                rows.append(
                    pd.DataFrame(
                        {
                            "time": _minute(table[table.columns[0]]),
                            "metric": f"{side}_latency_p50_s",
                            "value": table[column],
                            "component": component,
                            "peer": peer,
                        }
                    )
                )
    return rows


def _minute(time: Any) -> Any:
    """The minute of each scrape (all pods of a minute on one axis), kept at its usual second."""
    seconds = np.array([np.datetime64(text[:19].replace(" ", "T"), "s") for text in time]).astype(np.int64)
    return seconds * SECOND
