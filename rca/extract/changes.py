"""Changes become events: every deployment, configuration, flag, commit … that may have mattered.

A change is no evidence by itself ("blame the last deployment" is wrong more often than right), so
its blame is zero: suspicion comes from place, time and effect together (``rca.suspects``).
"""

from __future__ import annotations

from rca.extract.context import Context
from rca.kinds import find_kind
from rca.quantities import clock, duration
from rca.types import MINUTE, Change, Event, Evidence, Window

# Slow faults (leaks, growing tables, certificates) wait for hours, hardly longer than a day.
LOOK_BACK = 24 * 60 * MINUTE
GROUP = "change"
# How much the running system usually changes by it.
SEVERITIES = {"change.commit": 0.2, "change.scaling": 0.4, "change.flag": 0.5, "experiment.started": 0.4}
DEFAULT_SEVERITY = 0.6


def extract_changes(context: Context) -> list[Event]:
    """One event per change in the look-back whose component is known, in order of time.

    Raises:
        TelemetryError: a change's kind is unknown.
    """
    window = look_back(context)
    changes = [change for change in context.case.telemetry.changes if change.component]
    recent = [change for change in changes if window.start <= change.time < window.end]
    events: dict[str, Event] = {}
    for change in sorted(recent, key=lambda change: (change.time, change.id)):
        event = _event(change, context.span.start)
        events.setdefault(event.id, event)
    return list(events.values())


def look_back(context: Context) -> Window:
    """From a day before the earliest candidate onset to the end of the incident's window."""
    end = max(context.case.incident.window.end, context.span.end)
    return Window(start=min(context.span.start - LOOK_BACK, end), end=end)


def _event(change: Change, onset: int) -> Event:
    lag = onset - change.time
    when = f"{duration(lag)} {'before' if lag >= 0 else 'after'} the earliest onset"
    author = change.attributes.get("author", "")
    by = f" by {author}" if author else ""
    kind = find_kind(change.kind, where=f"change {change.id[:80]!r}")
    return Event(
        id=f"{kind}:{change.component}:{change.id}",
        component=change.component,
        kind=kind,
        name=change.name,
        start=change.time,
        end=change.time,
        severity=SEVERITIES.get(kind, DEFAULT_SEVERITY),
        evidence=Evidence(
            sentence=f"{change.name}{by} on {change.component} at {clock(change.time)}, {when}", group=GROUP
        ),
        attributes={**change.attributes, "change": change.id},
    )
