"""The description of a case: which incident, when, felt by whom, in which topology; as JSON.

``case.json`` of a case folder is such a description. A whole window in one document (to be sent to a
service) is the same object with the telemetry inside, under ``telemetry``, and the topology spelt out.
Nearly everything may be left out; either ``window.start`` or ``detected_at`` may not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from rca.errors import CaseError, InputError
from rca.formats.native_json import MAX_BYTES, decode_json, telemetry_from_json, telemetry_to_json
from rca.formats.times import parse_times
from rca.telemetry import Telemetry
from rca.topology import Topology
from rca.topology_files import topology_from_json, topology_to_json
from rca.types import MINUTE, Case, Direction, Incident, Symptom, Window, to_text

# An alert takes minutes to fire: what it is about began before it. Ten samples where sampling is slow.
BEFORE_DETECTION = 10 * MINUTE
SAMPLES_BEFORE_DETECTION = 10
NO_BASELINE = "none"
LEAST = '{"detected_at": "2026-01-31T12:00:00Z"}'
TIME_REMEDY = "Write ISO 8601 with a zone, such as 2026-01-31T12:00:00Z, or a number of s, ms, us or ns"

_MODEL = re.compile(r"[a-z0-9._-]{1,64}(@[0-9]{4,6})?")

_Time = str | int | float
_ABSENT = msgspec.Raw()


class _Window(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    start: _Time
    end: _Time | None = None


class _Symptom(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    component: str
    metric: str = ""
    direction: Direction = "none"


class Description(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What ``case.json`` says, as it stands there."""

    id: str = ""
    title: str = ""
    window: _Window | None = None
    baseline: _Window | str | None = None
    detected_at: _Time | None = None
    onset: _Time | None = None
    symptoms: list[_Symptom] = []
    topology: msgspec.Raw = _ABSENT
    kinds: dict[str, str] = {}
    hosts: dict[str, str] = {}
    replica_of: dict[str, str] = {}
    attributes: dict[str, dict[str, str]] = {}
    model: str = ""
    telemetry: msgspec.Raw = _ABSENT

    @property
    def topology_file(self) -> str:
        """The file that ``topology`` names; "" where it is spelt out or absent."""
        raw = bytes(self.topology)
        return msgspec.json.decode(raw, type=str) if raw.startswith(b'"') else ""

    def own_topology(self, where: str) -> Topology | None:
        """What the description itself says of the topology; None where it says nothing.

        Raises:
            TopologyError: ``topology`` is malformed.
        """
        raw = bytes(self.topology)
        edges = (
            topology_from_json(raw, where=f"{where}, topology")
            if raw not in (b"", b"null") and raw[:1] != b'"'
            else None
        )
        facts = (self.kinds, self.hosts, self.replica_of, self.attributes)
        if not any(facts):
            return edges
        said = Topology.from_edges(
            [], kinds=self.kinds, hosts=self.hosts, replica_of=self.replica_of, attributes=self.attributes
        )
        return said.merge(edges)


def decode_description(content: bytes, *, where: str, max_bytes: int = MAX_BYTES) -> Description:
    """A description from JSON.

    Raises:
        CaseError: no JSON, or unknown names or wrong types in it.
    """
    described: Description = decode_json(content, Description, where=where, max_bytes=max_bytes, error=CaseError)
    return described


def case_from_description(
    described: Description, telemetry: Telemetry, topology: Topology | None, *, name: str, where: str
) -> Case:
    """A case, with what the description leaves out made up from the telemetry.

    The id is ``name``; the window runs from ten minutes (or ten samples, where those are longer)
    before detection to the end of the telemetry; the baseline is everything before the window.

    Raises:
        CaseError: times are missing or contradict each other, or a symptom's component is unknown.
    """
    seen = _extent(telemetry)
    detected = _time(described.detected_at, f"{where}, detected_at")
    window = _window(described, seen, telemetry.metrics.step, detected, where)
    incident = Incident(
        id=described.id or name,
        title=described.title,
        window=window,
        baseline=_baseline(described, seen, window, where),
        detected_at=detected,
        onset=_time(described.onset, f"{where}, onset"),
        symptoms=tuple(
            Symptom(component=s.component, metric=s.metric, direction=s.direction) for s in described.symptoms
        ),
    )
    known = {*telemetry.components, *(topology.components if topology else ()), *described.kinds, *described.hosts}
    for i, symptom in enumerate(incident.symptoms):
        if known and symptom.component not in known:
            raise CaseError(
                f"the component {symptom.component[:80]!r} is neither in the telemetry nor in the topology",
                where=f"{where}, symptoms[{i}]",
                remedy=_suggest(symptom.component, known),
            )
    return Case(incident=incident, telemetry=telemetry, topology=topology, model=_model(described, where))


def _model(described: Description, where: str) -> str:
    """The name of the trained detector; a description may come from outside and cannot lead into the file system."""
    if described.model and not _MODEL.fullmatch(described.model):
        raise CaseError(
            f"{described.model[:80]!r} is no name of a model",
            where=f"{where}, model",
            remedy="Write name or name@version; a path can be given to `rca analyze --model`",
        )
    return described.model


def incident_window_from_json(content: bytes, *, where: str = "window", max_bytes: int = MAX_BYTES) -> Case:
    """A whole case from one document: a description with ``telemetry`` and perhaps ``topology`` inside.

    Raises:
        InputError: malformed, too large, or a topology that is the name of a file.
    """
    described = decode_description(content, where=where, max_bytes=max_bytes)
    if described.topology_file:
        raise CaseError("names a file", where=f"{where}, topology", remedy="Spell the topology out in the document")
    raw = bytes(described.telemetry)
    telemetry = telemetry_from_json(raw, where=f"{where}.telemetry", max_bytes=max_bytes) if raw else Telemetry()
    return case_from_description(described, telemetry, described.own_topology(where), name="incident", where=where)


def case_to_json(case: Case) -> bytes:
    """One document that ``incident_window_from_json`` reads back; a health profile is not part of it."""
    described = describe(case)
    if case.topology is not None:
        described.topology = msgspec.Raw(topology_to_json(case.topology))
    described.telemetry = msgspec.Raw(telemetry_to_json(case.telemetry))
    return encode_description(described)


def describe(case: Case) -> Description:
    """The description of a case, without its telemetry and topology; times as ISO 8601."""
    incident = case.incident
    baseline = incident.baseline
    return Description(
        id=incident.id,
        title=incident.title,
        window=_Window(start=to_text(incident.window.start), end=to_text(incident.window.end)),
        baseline=NO_BASELINE if baseline is None else _Window(start=to_text(baseline.start), end=to_text(baseline.end)),
        detected_at=None if incident.detected_at is None else to_text(incident.detected_at),
        onset=None if incident.onset is None else to_text(incident.onset),
        symptoms=[_Symptom(component=s.component, metric=s.metric, direction=s.direction) for s in incident.symptoms],
        model=case.model if _MODEL.fullmatch(case.model) else "",
    )


def encode_description(described: Description) -> bytes:
    """JSON without what was left out."""
    fields: Mapping[str, Any] = {
        name: value
        for name in described.__struct_fields__
        if (value := getattr(described, name)) not in ("", None, [], {}) and not _is_absent(value)
    }
    try:
        return msgspec.json.encode(fields)
    except UnicodeEncodeError as bad:
        raise CaseError("a text is not Unicode", where=described.id, remedy="Decode it with errors='replace'") from bad


def _is_absent(value: Any) -> bool:
    return isinstance(value, msgspec.Raw) and not bytes(value)


def _time(value: _Time | None, where: str) -> int | None:
    """A time as the tables take it: ISO 8601, or a number whose unit its size tells."""
    if value is None:
        return None
    import pyarrow as pa

    try:
        times, given = parse_times(pa.array([value]), "", where=where)
    except InputError as bad:
        raise CaseError(bad.problem.removeprefix("row 1: "), where=where, remedy=TIME_REMEDY) from bad
    except (pa.ArrowException, OverflowError, UnicodeEncodeError) as bad:
        raise CaseError("is no time", where=where, remedy=TIME_REMEDY) from bad
    if not given[0]:
        raise CaseError("is empty", where=where, remedy=TIME_REMEDY)
    return int(times[0])


def _extent(telemetry: Telemetry) -> Window | None:
    """From the first to just after the last of all samples, lines and spans; None where there is nothing."""
    times = [telemetry.metrics.times, telemetry.logs.times, telemetry.spans.start]
    firsts = [int(column.min()) for column in times if column.size]
    lasts = [int(column.max()) for column in times if column.size]
    return Window(start=min(firsts), end=max(lasts) + 1) if firsts else None


def _window(described: Description, seen: Window | None, step: int, detected: int | None, where: str) -> Window:
    given = described.window
    if given is not None:
        start = _time(given.start, f"{where}, window.start")
        end = _time(given.end, f"{where}, window.end")
    elif detected is not None:
        start = detected - max(BEFORE_DETECTION, SAMPLES_BEFORE_DETECTION * step)
        end = None
    else:
        raise CaseError(
            "neither a window nor detected_at", where=where, remedy='Add "detected_at": the time when somebody noticed'
        )
    assert start is not None  # noqa: S101 - window.start is required by its type
    if end is None:
        end = max([time for time in (detected, seen.end if seen else None) if time is not None], default=start)
    if end <= start:
        raise CaseError(
            f"the window ends at {to_text(end)}, not after its start at {to_text(start)}",
            where=f"{where}, window",
            remedy="Check the times, and that the telemetry reaches into the window",
        )
    return Window(start=start, end=end)


def _baseline(described: Description, seen: Window | None, window: Window, where: str) -> Window | None:
    given = described.baseline
    place = f"{where}, baseline"
    if isinstance(given, _Window):
        start = _time(given.start, f"{place}.start")
        end = _time(given.end, f"{place}.end")
        assert start is not None  # noqa: S101 - required by its type
        end = window.start if end is None else end
        if end <= start:
            raise CaseError("the baseline is empty", where=place, remedy="Give it an end after its start")
        if end > window.start and start < window.end:
            raise CaseError("baseline and window overlap", where=place, remedy="End it where the window starts")
        return Window(start=start, end=end)
    if given is not None:
        if given != NO_BASELINE:
            raise CaseError(f"{given[:40]!r} is no baseline", where=place, remedy='Write {"start": …} or "none"')
        return None
    if seen is None or seen.start >= window.start:
        return None
    return Window(start=seen.start, end=window.start)


def _suggest(name: str, known: set[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, sorted(known), n=3)
    return f"Did you mean {' or '.join(near)}?" if near else f"Known are {', '.join(sorted(known)[:10])}"
