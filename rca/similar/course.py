"""Course: how an incident unfolded. How long after a change, how quickly it spread, between how many the blame lies.

On candidates (group ``around``): how long after each kind of change on them they, or anyone, began to suffer; how
far apart their own events began, and how long after the first of all. On the incident (group ``context``): how far
apart its events began, how strong the suspicion is and how much of it the next candidates share, and the parts of the
graph's signature that say who causes whom and what came first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rca.learning.scene import Features, Scene
from rca.similar.shape import Shape
from rca.types import MINUTE, Event

# Bounds in minutes between lags that differ in kind: at once, soon, later, too late to think of the change.
LAGS = (2, 5, 10, 20)
# Scale of one feature of the graph's signature against presence of a sign: there are many of them.
OF_SHAPE = 0.5
# Candidates after the first whose strength is compared with the first's.
NEXT = 3


def add_course(scene: Scene, features: tuple[Features, ...], context: Features, shape: Shape) -> None:
    """Adds the features of the course to those of the candidates and of the incident."""
    suffered = [event.start for event in scene.graph.events if not _is_change(event)]
    first = min(suffered, default=None)
    for found, signs in zip(features, scene.signs, strict=True):
        _add_lags(found, [scene.graph.events[sign.event] for sign in signs], first)
    if first is not None:
        context["context", "spread"] = _minutes(max(suffered) - first)
        context["context", "half of it"] = _minutes(float(np.median(suffered)) - first)
    _add_strengths(scene, context)
    for part in ("relations", "order"):
        context.update({("context", f"{part} {name}"): OF_SHAPE for name in sorted(shape[part])})


def _add_lags(found: Features, events: Sequence[Event], first: int | None) -> None:
    own = [event.start for event in events if not _is_change(event)]
    for change in (event for event in events if _is_change(event)):
        for who, begin in (("it", min(own, default=None)), ("anyone", first)):
            if begin is not None:
                found["around", f"{change.kind}, {who} {_lag(begin - change.start)}"] = 1.0
    if own and first is not None:
        found["around", "spread of its own"] = _minutes(max(own) - min(own))
        found["around", "after the first"] = _minutes(min(own) - first)


def _add_strengths(scene: Scene, context: Features) -> None:
    strengths = sorted(scene.untrained.tolist(), reverse=True)[: NEXT + 1]
    if not strengths or strengths[0] <= 0:
        return
    context["context", "strength"] = math.log1p(strengths[0])
    for place, strength in enumerate(strengths[1:], 1):
        context["context", f"strength {place}"] = math.log1p(strength)
        context["context", f"share {place}"] = strength / strengths[0]


def _is_change(event: Event) -> bool:
    return event.kind.startswith("change.")


def _lag(time: int) -> str:
    if time < 0:
        return "before"
    minutes = time / MINUTE
    return next((f"within {bound} min" for bound in LAGS if minutes < bound), "later")


def _minutes(time: float) -> float:
    return math.log1p(time / MINUTE) / 2.0
