"""PetShop: a pet shop on AWS, metrics per component every five minutes and one fault at a time.

Layout of the published set (https://github.com/amazon-science/petshop-root-cause-analysis)::

    <scenario>/graph.csv                         callers in rows, callees in columns, 1 = calls
    <scenario>/noissue/metrics.csv               healthy rows
    <scenario>/{train,test}/issue_<n>/metrics.csv
    <scenario>/{train,test}/issue_<n>/target.json   the symptom and, apart from it, the root cause

The tables have three header rows (component, metric, statistic) and one row per 300 s. The means
and the request count keep the metric's name; percentiles become ``latency_p90`` and the like.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rca.cases.labelled import LabelledCase, Onset
from rca.errors import CaseError, EvaluationError
from rca.health import HealthProfile
from rca.health.metrics import MetricHealth
from rca.telemetry import NO_PEER, MetricFrame, Telemetry, encode
from rca.topology import Topology
from rca.types import SECOND, Answer, Case, Incident, Symptom, Window

if TYPE_CHECKING:
    import pandas as pd

HEALTHY_ROWS_BEFORE = 24
"""Two hours of healthy rows stand before the abnormal ones where the onset is to be estimated."""

ROW = 300 * SECOND
_PLAIN_STATISTICS = {"Average", "Sum"}
# The exporter names a component <name>_<type of AWS X-Ray>; the first pattern found in the type decides.
_KINDS = (
    (r"^remote$", "external"),
    (r"^client$", "client"),
    (r"SQS|SNS|SimpleNotificationService|Kinesis", "queue"),
    (r"DynamoDB|Database|RDS|::S3", "database"),
)


def load(path: Path | str, *, onset: Onset = "estimated") -> Iterator[LabelledCase]:
    """The incidents below ``path``: one scenario, or a folder of scenarios at any depth.

    The files of an incident hold five rows, the first one or two of them healthy, and no history.
    With ``onset="given"`` the window is just these rows. With ``"estimated"`` the last
    ``HEALTHY_ROWS_BEFORE`` healthy rows, shifted in time so that they end where the abnormal rows
    begin, stand before them and nothing tells where the fault begins; these rows were recorded
    months apart from the incident, as was all of the health sample.

    Raises:
        EvaluationError: ``path`` holds no scenario.
        CaseError: a file is missing or malformed.
    """
    root = Path(path)
    scenarios = sorted(p.parent for p in root.rglob("graph.csv") if (p.parent / "noissue" / "metrics.csv").is_file())
    if not scenarios:
        raise EvaluationError(
            "there is no PetShop scenario here",
            where=root,
            remedy="Give a folder with graph.csv and noissue/metrics.csv",
        )
    for folder in scenarios:
        scenario = _read_scenario(folder)
        name = folder.relative_to(root).as_posix() if folder != root else folder.name
        for issue in sorted(folder.glob("*/issue_*/metrics.csv"), key=_natural_order):
            yield _read_incident(issue.parent, name, scenario, onset)


@dataclass(frozen=True, kw_only=True)
class _Scenario:
    topology: Topology
    normal: MetricFrame
    health: HealthProfile


def _natural_order(path: Path) -> list[tuple[int, str]]:
    return [(int(part) if part.isdigit() else -1, part) for part in re.split(r"(\d+)", path.as_posix())]


def _read_scenario(folder: Path) -> _Scenario:
    topology = _read_graph(folder / "graph.csv")
    normal = _read_metrics(folder / "noissue" / "metrics.csv", topology.components)
    span = Window(start=int(normal.times[0]), end=int(normal.times[-1]) + ROW)
    health = HealthProfile(windows=(span,), metrics=MetricHealth(sample=normal))
    return _Scenario(topology=topology, normal=normal, health=health)


def _read_incident(folder: Path, scenario_name: str, scenario: _Scenario, onset: Onset) -> LabelledCase:
    label = _read_label(folder / "target.json")
    frame = _read_metrics(folder / "metrics.csv", scenario.topology.components)
    start, end = int(frame.times[0]), int(frame.times[-1]) + ROW
    if onset == "estimated":
        frame = _put_before(scenario.normal, frame)
    incident = Incident(
        id=f"{scenario_name}/{folder.parent.name}/{folder.name}",
        window=Window(start=int(frame.times[0]), end=end),
        symptoms=(label.symptom,),
        detected_at=label.detected_at,
        onset=start if onset == "given" else None,
        title=f"{label.symptom.metric} of {label.symptom.component}",
    )
    case = Case(
        incident=incident,
        telemetry=Telemetry(metrics=frame),
        topology=scenario.topology,
        health=scenario.health,
    )
    return LabelledCase(case, label.answer)


@dataclass(frozen=True, kw_only=True)
class _Label:
    symptom: Symptom
    detected_at: int
    answer: Answer


def _read_label(path: Path) -> _Label:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        target, cause = data["target"], data["root_cause"]
        symptom = Symptom(component=str(target["node"]), metric=str(target["metric"]))
        # The set tabulates its results by the symptom's metric; it gives no other kind of fault.
        answer = Answer(components=(str(cause["node"]),), metric=str(cause["metric"] or ""), kind=symptom.metric)
        return _Label(symptom=symptom, detected_at=int(target["timestamp"]) * SECOND, answer=answer)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise CaseError(
            f"is no label ({type(error).__name__}: {error})",
            where=path,
            remedy="Write target {node, metric, timestamp} and root_cause {node, metric}",
        ) from error


def _read_graph(path: Path) -> Topology:
    table = _read_csv(path, header=0)
    try:
        calls = table.to_numpy(dtype=np.float64)
    except ValueError as error:
        raise CaseError(f"holds something else than 0 and 1 ({error})", where=path) from error
    rows, columns = [str(name) for name in table.index], [str(name) for name in table.columns]
    edges = [(rows[i], columns[j]) for i, j in np.argwhere(np.nan_to_num(calls) > 0)]
    names = sorted({*rows, *columns})
    return Topology.from_edges(edges, components=names, kinds={name: component_kind(name) for name in names})


def component_kind(name: str) -> str:
    """The kind of a component by the type that ends its name: ``orders_AWS::SQS::Queue`` is a queue."""
    suffix = name.rsplit("_", 1)[-1]
    return next((kind for pattern, kind in _KINDS if re.search(pattern, suffix)), "service")


def _read_metrics(path: Path, known: tuple[str, ...]) -> MetricFrame:
    table = _read_csv(path, header=[0, 1, 2])
    if table.empty or any(len(column) != 3 for column in table.columns):
        raise CaseError("holds no metrics", where=path, remedy="Give three header rows, then one row per time")
    try:
        values = table.to_numpy(dtype=np.float64).T
        times = (np.asarray(table.index, dtype=np.float64) * SECOND).round().astype(np.int64)
    except (ValueError, TypeError) as error:
        raise CaseError(f"a cell is no number ({error})", where=path) from error
    if np.isinf(values).any() or (np.diff(times) <= 0).any():
        raise CaseError("a value is infinite, or times do not increase", where=path, remedy="Sort the rows by time")
    components = [str(column[0]) for column in table.columns]
    metrics = [_metric_name(str(column[1]), str(column[2])) for column in table.columns]
    # The tracer lists only components that somebody called: the others had no requests.
    silent = sorted(set(known) - {c for c, m in zip(components, metrics, strict=True) if m == "requests"})
    zeros = np.zeros((len(silent), len(times)))
    return _frame([*components, *silent], [*metrics, *["requests"] * len(silent)], times, np.vstack([values, zeros]))


def _metric_name(metric: str, statistic: str) -> str:
    return metric if statistic in _PLAIN_STATISTICS else f"{metric}_{statistic}"


def _frame(
    components: list[str], metrics: list[str], times: npt.NDArray[np.int64], values: npt.NDArray[np.float64]
) -> MetricFrame:
    names, component = encode(components)
    metric_names, metric = encode(metrics)
    order = np.lexsort((metric, component))
    return MetricFrame(
        components=names,
        metrics=metric_names,
        component=component[order],
        metric=metric[order],
        peer=np.full(len(order), NO_PEER, np.int32),
        times=times,
        values=values[order].astype(np.float32),
    )


def _put_before(normal: MetricFrame, abnormal: MetricFrame) -> MetricFrame:
    """The abnormal rows with the last healthy ones before them, at the same distance."""
    rows = min(HEALTHY_ROWS_BEFORE, normal.times.size)
    shifted = int(abnormal.times[0]) - ROW * np.arange(rows, 0, -1, dtype=np.int64)
    keys = sorted({*_series_keys(normal), *_series_keys(abnormal)})
    values = np.full((len(keys), rows + abnormal.times.size), np.nan)
    place = {key: i for i, key in enumerate(keys)}
    values[[place[key] for key in _series_keys(normal)], :rows] = normal.values[:, -rows:]
    values[[place[key] for key in _series_keys(abnormal)], rows:] = abnormal.values
    times = np.concatenate([shifted, abnormal.times])
    return _frame([component for component, _ in keys], [metric for _, metric in keys], times, values)


def _series_keys(frame: MetricFrame) -> list[tuple[str, str]]:
    pairs = zip(frame.component, frame.metric, strict=True)
    return [(frame.components[component], frame.metrics[metric]) for component, metric in pairs]


def _read_csv(path: Path, *, header: Any) -> pd.DataFrame:
    import pandas as pd

    try:
        return pd.read_csv(path, header=header, index_col=0)
    except (OSError, UnicodeDecodeError, ValueError, IndexError) as error:
        raise CaseError(
            f"cannot be read as a table ({error})", where=path, remedy="Give the file as published"
        ) from error
