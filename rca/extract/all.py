"""All extractors in their order: everything the engine knows becomes an event."""

from __future__ import annotations

from collections.abc import Callable

from rca.errors import DetectorError, RCAError
from rca.extract.absence import extract_absence
from rca.extract.alerts import extract_alerts
from rca.extract.amounts import extract_amounts
from rca.extract.changes import extract_changes
from rca.extract.context import Context
from rca.extract.demand import extract_demand
from rca.extract.edge_metrics import pair_samples
from rca.extract.failing import extract_failing, extract_order
from rca.extract.logs import extract_logs
from rca.extract.lost_calls import extract_lost_calls
from rca.extract.network import extract_network
from rca.extract.own_metrics import extract_own_metrics, sees_calls
from rca.extract.own_time import extract_own_time
from rca.extract.requests import extract_requests
from rca.extract.saturation import extract_saturation
from rca.extract.silence import extract_silence
from rca.extract.unusual import extract_unusual
from rca.stages import Stages
from rca.types import Event

Extractor = Callable[[Context], list[Event]]


def _network(context: Context) -> list[Event]:
    samples = pair_samples(context)
    calls = context.requests.calls
    return [
        *extract_silence(context, samples),
        *extract_network(context, calls, samples),
        *extract_lost_calls(context, calls, samples),
    ]


EXTRACTORS: tuple[tuple[str, Extractor], ...] = (
    ("requests", lambda context: extract_requests(context, context.requests)),
    ("network", _network),
    ("own time", lambda context: extract_own_time(context, context.requests)),
    ("unusual", extract_unusual),
    ("absence", extract_absence),
    ("demand", extract_demand),
    ("amounts", extract_amounts),
    ("failing", extract_failing),
    ("logs", extract_logs),
    ("alerts", extract_alerts),
    ("changes", extract_changes),
)


# What single series say: beside calls, which tell what is handed on, and alone.
BESIDE_CALLS: tuple[tuple[str, Extractor], ...] = (
    ("saturation", lambda context: extract_saturation(context, context.requests)),
    ("order", extract_order),
)
ALONE: tuple[tuple[str, Extractor], ...] = (("own metrics", extract_own_metrics),)


def extract_events(context: Context, stages: Stages) -> list[Event]:
    """Events of every source, in order of time, component and id.

    A source that fails is a warning in the report: the others still speak.
    """
    events = _extract(EXTRACTORS, context, stages)
    events += _extract(BESIDE_CALLS if sees_calls(context, events) else ALONE, context, stages)
    return sorted(events, key=lambda event: (event.start, event.component, event.id))


def _extract(extractors: tuple[tuple[str, Extractor], ...], context: Context, stages: Stages) -> list[Event]:
    events: list[Event] = []
    for name, extract in extractors:
        with stages(f"events: {name}"):
            try:
                events.extend(extract(context))
            except DetectorError as error:
                stages.degrade(f"the trained detector was not used, the robust one answered: {error}")
            except RCAError as error:
                stages.warn(f"no evidence from {name}: {error}")
    return events
