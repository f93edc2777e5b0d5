"""RootCauseBench: frozen incidents with metrics, logs, traces, commits, deployments and flags.

A folder per incident, with ``data/`` (or ``environment/data/``) beside ``ground_truth.json`` (or
``tests/ground_truth.json``). The labels name the culprit commit, or "none" for an operational cause,
and the service that failed first.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rca.cases.labelled import LabelledCase, Onset
from rca.errors import CaseError, InputError, TelemetryError
from rca.telemetry import (
    DEBUG,
    ERROR,
    FATAL,
    INFO,
    TRACE,
    UNKNOWN,
    WARN,
    LogBatch,
    MetricFrame,
    SpanBatch,
    Telemetry,
    encode,
    texts,
)
from rca.types import SECOND, Alert, Answer, Case, Change, Incident, Symptom, Window, to_nanoseconds

MILLISECOND = 1_000_000

# The share of the time before the alert that is taken for healthy: slow faults begin hours before anybody notices.
HEALTHY_SHARE = 1 / 3

LEVELS = {
    "TRACE": TRACE,
    "DEBUG": DEBUG,
    "INFO": INFO,
    "NOTICE": INFO,
    "WARN": WARN,
    "WARNING": WARN,
    "ERROR": ERROR,
    "CRITICAL": FATAL,
    "FATAL": FATAL,
}
STATUSES = {"OK": 1, "ERROR": 2}
SAME_TRACE = "same"

_LINE_FIELDS = frozenset({"timestamp", "service", "severity_text", "msg", "trace_id", "span_id"})
_SPAN_FIELDS = frozenset({"trace_id", "span_id", "parent_id", "service", "name", "start", "duration_ms", "status"})


def load(path: Path, *, onset: Onset = "estimated") -> Iterator[LabelledCase]:
    """Every incident below a folder, in order of name, with its answer kept apart.

    ``onset`` makes no difference: the labels say what failed, not when it began.

    Raises:
        CaseError: there is no incident, or a file is missing or malformed.
        TelemetryError: a row of metrics, logs or traces is malformed.
    """
    folders = sorted(folder for folder in Path(path).iterdir() if _data_folder(folder)) if Path(path).is_dir() else []
    if not folders:
        raise CaseError("there is no incident here", where=path, remedy="Give the folder that holds the incidents")
    for folder in folders:
        yield LabelledCase(read_case(folder), read_answer(folder))


def read_case(folder: Path) -> Case:
    """What may be seen of one incident."""
    data = _data_folder(folder)
    if data is None:
        raise CaseError("there is no alert.json below the folder", where=folder)
    raw_alert = _read_json(data / "alert.json", dict)
    alert = _alert(raw_alert, data / "alert.json")
    telemetry = Telemetry(
        metrics=_read_metrics(data / "metrics.csv"),
        logs=_read_logs(data / "logs.ndjson"),
        spans=_read_spans(data / "traces.json"),
        changes=_read_changes(data / "context"),
        alerts=(alert,),
    )
    return Case(incident=_incident(folder.name, alert, telemetry), telemetry=telemetry)


def read_answer(folder: Path) -> Answer:
    """What may not be seen: the first failing service and the culprit commit, or "none"."""
    places = (folder / "ground_truth.json", folder / "tests" / "ground_truth.json", folder / "data/ground_truth.json")
    path = next((place for place in places if place.is_file()), places[0])
    truth = _read_json(path, dict)
    first, change = _text(truth, "first_failing_service", path), _text(truth, "root_cause_commit", path)
    return Answer(
        components=(first,),
        kind="operational" if change == "none" else "change",
        change=change,
        decoys=tuple(str(decoy) for decoy in truth.get("decoy_deploy_commits") or ()),
        first_failing=first,
        blast_radius=tuple(str(name) for name in truth.get("blast_radius") or ()),
    )


def _data_folder(folder: Path) -> Path | None:
    places = (folder / "data", folder / "environment" / "data")
    return next((place for place in places if (place / "alert.json").is_file()), None)


def _incident(name: str, alert: Alert, telemetry: Telemetry) -> Incident:
    seen = np.concatenate([telemetry.metrics.times, telemetry.logs.times, telemetry.spans.start])
    detected = alert.time if alert.time is not None else int(seen.max())
    first = min(int(seen.min()), detected - 1) if seen.size else detected - 10 * 60 * SECOND
    last = max(int(seen.max()), detected) if seen.size else detected
    begin = first + int((detected - first) * HEALTHY_SHARE)
    metric = alert.labels.get("metric", "")
    return Incident(
        id=name,
        window=Window(start=begin, end=last + SECOND),
        baseline=Window(start=first, end=begin),
        symptoms=(Symptom(component=alert.component, metric=metric),),
        detected_at=detected,
        title=alert.text,
    )


def _alert(raw: Mapping[str, Any], path: Path) -> Alert:
    labels = {
        key: str(raw[key])
        for key in ("metric", "monitor", "threshold", "observed", "severity")
        if raw.get(key) is not None
    }
    return Alert(
        component=_text(raw, "service", path),
        name=str(raw.get("metric") or raw.get("monitor") or "alert"),
        time=_time(raw, "fired_at", str(path)),
        text=str(raw.get("summary") or ""),
        labels=labels,
    )


def _read_metrics(path: Path) -> MetricFrame:
    times: list[int] = []
    components: list[str] = []
    metrics: list[str] = []
    values: list[float] = []
    with _open(path) as file:
        for row in csv.DictReader(file):
            where = f"{path}:{len(times) + 2}"
            times.append(_time(row, "timestamp", where))
            components.append(_text(row, "service", where))
            metrics.append(_text(row, "metric", where))
            values.append(_number(row.get("value"), where))
    if not times:
        return MetricFrame.empty()
    return MetricFrame.from_rows(
        times=np.array(times, np.int64), components=components, metrics=metrics, values=np.array(values)
    )


def _read_logs(path: Path) -> LogBatch:
    with _open(path) as file:
        lines = [(number, line) for number, line in enumerate(file, 1) if line.strip()]
    records = [(f"{path}:{number}", _parse(line, f"{path}:{number}")) for number, line in lines]
    if not records:
        return LogBatch.empty()
    names, codes = encode([_text(record, "service", where) for where, record in records])
    levels = [LEVELS.get(str(record.get("severity_text", "")).upper(), UNKNOWN) for _, record in records]
    return LogBatch(
        components=names,
        times=np.array([_time(record, "timestamp", where) for where, record in records], np.int64),
        component=codes,
        level=np.array(levels, np.int8),
        message=texts([_message(record) for _, record in records]),
        trace=texts([str(record.get("trace_id") or "") for _, record in records]),
        span=texts([str(record.get("span_id") or "") for _, record in records]),
    )


def _message(record: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in record.items() if key not in _LINE_FIELDS}
    return " ".join([str(record.get("msg", "")), *_attributes(rest)]).strip()


def _attributes(record: Mapping[str, Any]) -> list[str]:
    """``key=value`` of every attribute; those of a nested object under their own names."""
    found: list[str] = []
    for key, value in record.items():
        if isinstance(value, Mapping):
            found.extend(_attributes(value))
        elif value is not None:
            found.append(f"{key}={value if isinstance(value, str) else json.dumps(value)}")
    return found


def _read_spans(path: Path) -> SpanBatch:
    records = _read_json(path, list) if path.is_file() else []
    traces: list[str] = []
    for record in records:
        trace = str(record.get("trace_id") or "")
        traces.append(traces[-1] if trace == SAME_TRACE and traces else trace)
    where = str(path)
    duration = [_number(record.get("duration_ms"), where) for record in records]
    return SpanBatch.build(
        start=np.array([_time(record, "start", where) for record in records], np.int64),
        duration=np.array([0 if value != value else round(value * MILLISECOND) for value in duration], np.int64),
        component=[_text(record, "service", where) for record in records],
        operation=[str(record.get("name") or "") for record in records],
        trace=traces,
        span=[str(record.get("span_id") or "") for record in records],
        parent=[str(record.get("parent_id") or "") for record in records],
        status=np.array([STATUSES.get(str(record.get("status", "")).upper(), 0) for record in records], np.int8),
        text=[
            " ".join(_attributes({key: value for key, value in record.items() if key not in _SPAN_FIELDS}))
            for record in records
        ],
    )


def _read_changes(folder: Path) -> tuple[Change, ...]:
    deployments = _deployments(folder / "deploys.json")
    shipped: dict[str, str] = {}
    for deployment in deployments:
        shipped.setdefault(deployment.attributes.get("commit", ""), deployment.component)
    changes = [*_commits(folder / "commits.json", shipped), *deployments, *_flags(folder / "flags.json")]
    return tuple(sorted(changes, key=lambda change: (change.time, change.id)))


def _commits(path: Path, shipped: Mapping[str, str]) -> list[Change]:
    commits = []
    for record in _read_records(path):
        sha = _text(record, "sha", path)
        service = shipped.get(sha, "")
        commits.append(
            Change(
                id=sha,
                component=service,
                kind="change.commit",
                name=str(record.get("message") or "").strip() or sha,
                time=_time(record, "timestamp", str(path)),
                files=tuple(str(name) for name in record.get("files_changed") or ()),
                diff=str(record.get("diff") or ""),
                attributes={"commit": sha, "author": str(record.get("author") or ""), "service": service},
            )
        )
    return commits


def _deployments(path: Path) -> list[Change]:
    deployments = []
    for record in _read_records(path):
        service, version = _text(record, "service", path), str(record.get("version") or "")
        sha = str(record.get("commit_sha") or "")
        deployments.append(
            Change(
                id=f"deployment:{service}:{version}:{sha[:12]}",
                component=service,
                kind="change.deployment",
                name=f"deployment of {service} {version}".strip(),
                time=_time(record, "timestamp", str(path)),
                attributes={"commit": sha, "version": version, "service": service},
            )
        )
    return deployments


def _flags(path: Path) -> list[Change]:
    flags = []
    for record in _read_records(path):
        name, service = _text(record, "flag", path), str(record.get("service") or "")
        time = _time(record, "timestamp", str(path))
        flags.append(
            Change(
                id=f"flag:{service}:{name}:{time // SECOND}",
                component=service,
                kind="change.flag",
                name=name,
                time=time,
                attributes={
                    "value": str(record.get("change") or ""),
                    "author": str(record.get("actor") or ""),
                    "service": service,
                },
            )
        )
    return flags


def _read_records(path: Path) -> list[dict[str, Any]]:
    return list(_read_json(path, list)) if path.is_file() else []


def _read_json(path: Path, shape: type) -> Any:
    with _open(path) as file:
        text = file.read()
    value = _parse(text, str(path), shape)
    if shape is list and not all(isinstance(row, dict) for row in value):
        raise CaseError("a row is no JSON object", where=path, remedy="Write a list of objects")
    return value


def _parse(text: str, where: str, shape: type = dict) -> Any:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise CaseError(f"is no JSON ({error})", where=where, remedy="Unpack the data set again") from error
    if not isinstance(value, shape):
        raise CaseError(f"holds no JSON {'object' if shape is dict else 'list'}", where=where)
    return value


def _open(path: Path) -> Any:
    try:
        return path.open(encoding="utf-8", newline="")
    except OSError as error:
        raise CaseError(f"cannot be read ({error.strerror})", where=path, remedy="Unpack the data set again") from error


def _text(record: Mapping[str, Any], key: str, where: object) -> str:
    value = record.get(key)
    if not isinstance(value, str) or not value:
        raise CaseError(f"{key} is missing or no text", where=str(where), remedy="Unpack the data set again")
    return value


def _time(record: Mapping[str, Any], key: str, where: str) -> int:
    value = record.get(key)
    try:
        return to_nanoseconds(value if isinstance(value, str) else "")
    except InputError as error:
        raise TelemetryError(f"{key}: {error.problem}", where=where, remedy=error.remedy) from error


def _number(value: object, where: str) -> float:
    """A number; NaN where there is none."""
    if value is None or value == "":
        return float("nan")
    try:
        number = float(str(value))
    except ValueError as error:
        raise TelemetryError(f"{value!r} is no number", where=where, remedy="Leave missing samples empty") from error
    return number if abs(number) != float("inf") else float("nan")
