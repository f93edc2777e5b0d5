"""TVDiag: alerts already extracted from three systems, without times (Xie et al., 2024; WHU-AISE/TVDiag).

Layout of one system's folder: ``label.csv`` (index, instance, anomaly_type, …) and in ``raw/`` one JSON
object per kind of alert, incident index -> rows:

- ``metrics.json``: [instance, (host,) metric, "up" or "down"]
- ``logs.json``: [instance, template]
- ``traces.json``: [caller, callee, operation, "PD" (performance degradation) or an error code]
- ``nodes.json``: names of the instances. ``edges.json`` is not read: it holds both directions of each call.

As the set gives no times, every incident has the same window of one minute, and alerts have no time.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from rca.cases.labelled import LabelledCase, Onset
from rca.errors import CaseError
from rca.extract.meaning import kind_of
from rca.health import HealthProfile
from rca.health.events import EventHistory
from rca.telemetry import Telemetry
from rca.topology import Topology
from rca.types import MINUTE, Alert, Answer, Case, Direction, Incident, Window

WINDOW = Window(start=0, end=MINUTE)
SYSTEMS = ("gaia", "sockshop", "hotel")
RAW = ("metrics", "logs", "traces", "nodes")

Rows = list[list[Any]]

_INSTANCE = re.compile(r"-?\d+$")
_HOST_IN_URL = re.compile(r"^https?://[^/]+")
# Columns of one quantity: per core, normalised or not, per percentile, with and without "total".
_SAME = ((re.compile(r"core_\d+"), "core"), (re.compile(r"_(norm_)?pct$"), ""), (re.compile(r"_p\d+$"), "_p"))


def load(path: Path, *, onset: Onset = "estimated", system: str = "") -> Iterator[LabelledCase]:
    """The incidents of one system in the order of ``label.csv``, each with the history of all others.

    Args:
        path: the system's folder, or the set's folder where ``system`` is given.
        onset: without effect; the set has no times.
        system: gaia, sockshop or hotel.

    Raises:
        CaseError: a file is missing or not of the documented form.
    """
    folder = _folder(Path(path), system)
    raw = {name: _read(folder / "raw" / f"{name}.json") for name in RAW}
    labelled = [_labelled(row, raw, folder) for row in _labels(folder / "label.csv")]
    health = HealthProfile(events=history(case for case, _ in labelled))
    for case, answer in labelled:
        yield LabelledCase(
            Case(incident=case.incident, telemetry=case.telemetry, topology=case.topology, health=health), answer
        )


def history(cases: Iterable[Case]) -> EventHistory:
    """What components raised in these incidents; labels are not read."""
    return EventHistory.build(cases)


def _folder(path: Path, system: str) -> Path:
    for folder in (path / system, path):
        if (folder / "label.csv").is_file():
            return folder
    raise CaseError(
        "there is no label.csv",
        where=path / system,
        remedy=f"Give the folder of one system ({', '.join(SYSTEMS)}) of the unpacked set",
    )


def _read(path: Path) -> dict[str, Rows]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, list[Any]])
    except OSError as error:
        raise CaseError("cannot be read", where=path, remedy="Unpack the set completely") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CaseError(
            f"is not the JSON that is expected ({error})", where=path, remedy="Unpack the set anew"
        ) from error


def _labels(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    lacking = {"index", "instance", "anomaly_type"} - set(rows[0] if rows else ())
    if lacking:
        raise CaseError(f"lacks the column {min(lacking)}", where=path, remedy="Unpack the set anew")
    return rows


def _labelled(row: dict[str, str], raw: dict[str, dict[str, Rows]], folder: Path) -> LabelledCase:
    index = row["index"]
    components = [str(name) for name in raw["nodes"].get(index, [])]
    if not components:
        raise CaseError("an incident has no nodes", where=f"{folder / 'raw' / 'nodes.json'}, {index}")
    try:
        metrics, hosts, context = _metric_alerts(raw["metrics"].get(index, []), components)
        traces, calls = _trace_alerts(raw["traces"].get(index, []), components)
        logs = _log_alerts(raw["logs"].get(index, []), components)
    except (ValueError, TypeError, IndexError) as error:
        raise CaseError(f"a row of the incident is malformed ({error})", where=f"{folder}, {index}") from error
    topology = Topology.from_edges(
        calls,
        components=components,
        hosts=hosts,
        replica_of={name: service for name in components if (service := _INSTANCE.sub("", name)) != name},
        attributes=context,
    )
    incident = Incident(id=f"{folder.name}-{index}", window=WINDOW)
    case = Case(incident=incident, telemetry=Telemetry(alerts=(*metrics, *logs, *traces)), topology=topology)
    kind = row["anomaly_type"].strip("[]")
    return LabelledCase(case, Answer(components=(row["instance"],), kind=kind))


def _metric_alerts(rows: Rows, components: list[str]) -> tuple[list[Alert], dict[str, str], dict[str, dict[str, str]]]:
    """Alerts of components, the hosts that rows name, and what hosts themselves show (context, never a candidate)."""
    alerts = []
    hosts: dict[str, str] = {}
    context: dict[str, list[str]] = {}
    for row in rows:
        instance, metric, direction = str(row[0]), str(row[-2]), _direction(row[-1])
        if instance not in components:
            context.setdefault(instance, []).append(f"{metric} {direction}")
            continue
        if len(row) > 3:
            hosts[instance] = str(row[1])
        alerts.append(
            Alert(
                component=instance,
                name=metric,
                kind=kind_of(metric, direction),
                direction=direction,
                group=f"{_quantity(metric)} {direction}",
            )
        )
    return alerts, hosts, {host: {"alerts": ", ".join(sorted(shown))} for host, shown in sorted(context.items())}


def _direction(text: object) -> Direction:
    if text == "up":
        return "up"
    if text == "down":
        return "down"
    raise ValueError(f"the direction {text!r} is neither up nor down")


def _quantity(metric: str) -> str:
    for pattern, text in _SAME:
        metric = pattern.sub(text, metric)
    return metric.replace("stats_total_", "stats_")


def _log_alerts(rows: Rows, components: list[str]) -> list[Alert]:
    alerts = []
    for instance, template in rows:
        if instance not in components:
            continue
        # Two of the systems write the instance before the template, which would make each replica's its own.
        name = f"template {str(template).removeprefix(f'{instance}-')}"
        alerts.append(Alert(component=instance, name=name, kind="log.new_template", group=name))
    return alerts


def _trace_alerts(rows: Rows, components: list[str]) -> tuple[list[Alert], list[tuple[str, str]]]:
    """Alerts on both ends of each call (role in, out, self, entry) and the calls between components."""
    alerts: list[Alert] = []
    calls: list[tuple[str, str]] = []
    for caller, callee, operation, code in rows:
        operation = _HOST_IN_URL.sub("", operation)
        if caller == callee:
            ends = [(caller, "", "self")]
        else:
            known = caller in components
            ends = [(callee, caller if known else "", "in" if known else "entry"), (caller, callee, "out")]
        alerts.extend(_span_alert(*end, operation, code) for end in ends if end[0] in components)
        if caller != callee and caller in components and callee in components:
            calls.append((caller, callee))
    return alerts, calls


def _span_alert(component: str, peer: str, role: str, operation: str, code: str) -> Alert:
    slow = code == "PD"
    what = "slow" if slow else "failing" if code == "ERROR" else f"failing with {code}"
    return Alert(
        component=component,
        name=f"{operation} {what}",
        kind="latency.up" if slow else "errors.up",
        direction="up",
        group=f"spans {role} {'slow' if slow else 'failing'}",
        peer=peer,
        operation=operation,
        labels={"role": role},
    )
