"""Log lines: what requests write, joined to their spans, what runs beside them, and what a fault adds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rca.simulator import vocabulary
from rca.simulator.dynamics import State
from rca.simulator.faults import Note
from rca.simulator.requests import Ints, Requests
from rca.simulator.scenario import LOGS, Scenario
from rca.simulator.spans import Names
from rca.simulator.world import World
from rca.telemetry import ERROR, INFO, WARN, LogBatch, Texts, texts
from rca.types import MINUTE, Change, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lines:
    """Lines of one template: shapes (lines,); ``request`` -1 where none wrote it."""

    template: str
    level: int
    component: Ints
    time: Ints
    request: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class _Style:
    """What a component writes: request templates with their share, its error, its background per minute."""

    request: tuple[tuple[str, float], ...]
    rare: str
    error: str
    background: tuple[tuple[str, float], ...]


def write_logs(
    rng: np.random.Generator,
    scenario: Scenario,
    world: World,
    state: State,
    requests: Requests,
    names: Names,
    notes: tuple[Note, ...],
    changes: tuple[Change, ...],
    window: Window,
) -> LogBatch:
    """All lines of a window in the order of time."""
    styles = _styles(scenario, world)
    blocks: list[_Lines] = []
    order = np.argsort(requests.component, kind="stable")
    bounds = np.searchsorted(requests.component[order], np.arange(len(world.names) + 1))
    failure = {root: note for note in notes if note.where == "failure" for root in note.roots}
    for component, style in enumerate(styles):
        rows = order[bounds[component] : bounds[component + 1]]
        if world.kinds[component] in ("gateway", "frontend", "service", "consumer"):
            blocks += _by_requests(rng, style, component, rows, requests, failure.get(component))
        if world.kinds[component] not in ("external", "host"):
            blocks += _beside(rng, style, component, state, window, scenario.step)
    blocks += _callers(rng, world, requests, notes)
    for note in notes:
        blocks += _added(rng, note, requests, window)
    blocks += [_started(world, change) for change in changes if change.kind == "change.deployment"]
    return _batch(rng, world, requests, names, [block for block in blocks if len(block.time)], window)


def _styles(scenario: Scenario, world: World) -> list[_Style]:
    """The same for all replicas of a service, and in every incident of the shop."""
    rng = scenario.world_stream(LOGS, scenario.components)
    made: dict[str, _Style] = {}
    for service in world.services:
        if service in made:
            continue
        chosen = rng.permutation(len(vocabulary.REQUEST_LINES))[: int(rng.integers(1, 4))]
        shares = [1.0, *rng.uniform(0.1, 0.9, len(chosen) - 1)]
        chatty = 12.0 if rng.random() < 0.08 else 1.0
        beside = rng.permutation(len(vocabulary.BACKGROUND_LINES))[:2]
        made[service] = _Style(
            request=tuple((vocabulary.REQUEST_LINES[c], float(s)) for c, s in zip(chosen, shares, strict=True)),
            rare=vocabulary.RARE_LINES[int(rng.integers(len(vocabulary.RARE_LINES)))],
            error=vocabulary.ERROR_LINES[int(rng.integers(len(vocabulary.ERROR_LINES)))],
            background=tuple((vocabulary.BACKGROUND_LINES[b], chatty * float(rng.uniform(0.2, 1.5))) for b in beside),
        )
    return [made[service] for service in world.services]


def _by_requests(
    rng: np.random.Generator,
    style: _Style,
    component: int,
    rows: Ints,
    requests: Requests,
    failure: Note | None,
) -> list[_Lines]:
    blocks = []
    for position, (template, share) in enumerate(style.request):
        # Only the first line comes before anything can fail.
        able = rows if position == 0 else rows[~requests.broken[rows]]
        written = able[rng.random(len(able)) < share]
        at = requests.start[written] + (requests.duration[written] * (0.02 + 0.9 * position / 3)).astype(np.int64)
        blocks.append(_lines(template, INFO, component, at, written))
    seldom = rows[rng.random(len(rows)) < 0.01]
    blocks.append(_lines(style.rare, WARN, component, requests.start[seldom] + requests.duration[seldom] // 2, seldom))
    broken = rows[requests.broken[rows]]
    ends = requests.start[broken] + requests.duration[broken]
    special = np.zeros(len(broken), np.bool_)
    if failure is not None:
        within = (requests.start[broken] >= failure.start) & (requests.start[broken] < failure.end)
        special = within & (rng.random(len(broken)) < failure.share)
        blocks.append(_lines(failure.text, failure.level, component, ends[special], broken[special]))
    blocks.append(_lines(style.error, ERROR, component, ends[~special], broken[~special]))
    return blocks


def _beside(
    rng: np.random.Generator, style: _Style, component: int, state: State, window: Window, step: int
) -> list[_Lines]:
    blocks = []
    for template, per_minute in style.background:
        count = int(rng.poisson(per_minute * window.seconds / 60))
        at = np.sort(rng.integers(window.start, window.end, count))
        column = state.down.shape[1] - 1 - (window.end - 1 - at) // (step * 1_000_000_000)
        at = at[state.down[component, column] < 0.5]
        blocks.append(_lines(template, INFO, component, at, np.full(len(at), -1)))
    return blocks


def _callers(rng: np.random.Generator, world: World, requests: Requests, notes: tuple[Note, ...]) -> list[_Lines]:
    """A caller's line about a failed call, in the words of the fault where the call was lost on its way."""
    blocks = []
    failed = np.flatnonzero(requests.call_failed)
    callee = world.callee[requests.edge[failed]]
    for peer in np.unique(callee):
        for lost in (False, True):
            calls = failed[(callee == peer) & (requests.lost[failed] == lost)]
            note = next((n for n in notes if n.where == "caller" and int(peer) in n.roots), None)
            told = np.zeros(len(calls), np.bool_)
            if note is not None and (lost or world.kinds[peer] == "external"):
                told = (requests.began[calls] >= note.start) & (requests.began[calls] < note.end)
            for mask, text in ((~told, vocabulary.CLIENT_LINE), (told, "" if note is None else note.text)):
                template = text.replace("{peer}", world.services[peer])
                blocks += _told(rng, template, calls[mask], requests)
    return blocks


def _told(rng: np.random.Generator, template: str, calls: Ints, requests: Requests) -> list[_Lines]:
    by = requests.component[requests.parent[calls]]
    at = requests.began[calls] + requests.lasted[calls]
    return [
        _lines(template, ERROR, int(component), at[by == component], requests.parent[calls[by == component]])
        for component in np.unique(by)
    ]


def _added(rng: np.random.Generator, note: Note, requests: Requests, window: Window) -> list[_Lines]:
    blocks = []
    start, end = max(note.start, window.start), min(note.end, window.end)
    for root in note.roots:
        if note.where == "alone" and start < end:
            count = int(rng.poisson(note.share * (end - start) / MINUTE))
            at = np.sort(rng.integers(start, end, count))
            blocks.append(_lines(note.text, note.level, root, at, np.full(count, -1)))
        elif note.where == "request":
            rows = np.flatnonzero((requests.component == root) & (requests.start >= start) & (requests.start < end))
            rows = rows[rng.random(len(rows)) < note.share]
            blocks.append(
                _lines(note.text, note.level, root, requests.start[rows] + requests.duration[rows] // 3, rows)
            )
    return blocks


def _started(world: World, change: Change) -> _Lines:
    replicas = np.array([i for i, service in enumerate(world.services) if service == change.component], np.int64)
    at = change.time + np.arange(len(replicas)) * 7_000_000_000
    version = change.attributes.get("version", "")
    template = f"starting version {version} with process id %d"
    return _Lines(template=template, level=INFO, component=replicas, time=at, request=np.full(len(replicas), -1))


def _lines(
    template: str, level: int, component: int, time: npt.NDArray[np.int64], request: npt.NDArray[np.int64]
) -> _Lines:
    return _Lines(template=template, level=level, component=np.full(len(time), component), time=time, request=request)


def _batch(
    rng: np.random.Generator,
    world: World,
    requests: Requests,
    names: Names,
    blocks: list[_Lines],
    window: Window,
) -> LogBatch:
    if not blocks:
        return LogBatch.empty()
    message: list[str] = []
    for block in blocks:
        values = np.round(10.0 ** rng.uniform(0.5, 4.5, len(block.time))).astype(np.int64).tolist()
        message += [block.template % value for value in values]
    time = np.concatenate([block.time for block in blocks])
    request = np.concatenate([block.request for block in blocks])
    inside = request >= 0
    trace: Texts = np.full(len(time), "", object)
    span: Texts = np.full(len(time), "", object)
    trace[inside] = names.trace[requests.trace[request[inside]]]
    span[inside] = names.server[request[inside]]
    batch = LogBatch(
        components=world.names,
        times=time,
        component=np.concatenate([block.component for block in blocks]).astype(np.int32),
        level=np.concatenate([np.full(len(block.time), block.level) for block in blocks]).astype(np.int8),
        message=texts(message),
        trace=trace,
        span=span,
    )
    return batch.take(np.argsort(time, kind="stable")).slice(window)
