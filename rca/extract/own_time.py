"""A component's own time per request, its calls taken out: what it does slower itself."""

from __future__ import annotations

import numpy as np

from rca.extract.context import Context
from rca.extract.slowness import HEALTHY_SHARE, slow_ratios
from rca.likelihood import saturate
from rca.quantities import percent
from rca.spans import component_of
from rca.tracing import RequestTable
from rca.types import Event, Evidence

SCALE = 10.0


def extract_own_time(context: Context, requests: RequestTable) -> list[Event]:
    """Events ``self_time.up`` on components whose requests take longer between their calls.

    It loses to what explains it: a saturated host, or a callee for which threads wait.
    """
    health = context.health.own_times
    if health is None or not len(requests):
        return []
    ratio_of_type, slow_of_type, judged_of_type = slow_ratios(
        health,
        requests.types,
        requests.type_of,
        requests.start,
        requests.own_time,
        context.onsets,
        context.ends,
    )
    owners = [component_of(name) for name in requests.types]
    names = sorted(set(owners))
    place = {name: i for i, name in enumerate(names)}
    owner = np.array([place[name] for name in owners], np.int64)
    ratio, slow, judged = (np.zeros((len(names), len(context.onsets))) for _ in range(3))
    for total, part in ((ratio, ratio_of_type), (slow, slow_of_type), (judged, judged_of_type)):
        np.add.at(total, owner, part)
    ratio = np.maximum(ratio, 0.0)
    blame = saturate(ratio, SCALE).mean(axis=1)
    events = []
    for at in np.flatnonzero(ratio.max(axis=1, initial=0.0) > 1.0):
        candidate = int(np.argmax(ratio[at]))
        share = slow[at, candidate] / max(judged[at, candidate], 1)
        events.append(
            Event(
                id=f"self_time.up:{names[at]}:requests",
                component=names[at],
                kind="self_time.up",
                name="own time of requests",
                start=int(context.onsets[candidate]),
                end=int(context.ends[candidate]),
                severity=float(blame[at]),
                direction="up",
                evidence=Evidence(
                    sentence=f"{percent(share)} of {judged[at, candidate]:.0f} requests of {names[at]} took longer "
                    f"than health allows, the time of its callees taken out (healthy: {percent(HEALTHY_SHARE)})",
                    group="own time",
                    blame=float(blame[at]),
                    likelihood=float(ratio[at, candidate]),
                    explainable=True,
                ),
            )
        )
    return events
