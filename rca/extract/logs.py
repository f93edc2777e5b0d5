"""Events from log lines: new templates, bursts, silence, more warnings, new exceptions, complaints of others.

All of it is weak evidence: services log much that is not their fault, and least when they hang.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from rca.extract.complaints import Complaints
from rca.extract.context import Context
from rca.extract.log_events import keep_strongest, make_event, with_complaints
from rca.extract.log_rates import Observation, Rates
from rca.extract.log_sentences import Wording
from rca.health.logs import ALL_LINES, WARNINGS, LogHealth
from rca.likelihood import binomial_ratio
from rca.logs.exceptions import find_exceptions
from rca.logs.messages import unwrap_batch
from rca.logs.templates import TemplateMiner, canonical_order
from rca.telemetry import ERROR, FATAL, INFO, UNKNOWN, WARN, LogBatch
from rca.types import Event, Window

Floats = npt.NDArray[np.float64]

# A likelihood ratio of a hundred, after a correction for how many kinds of line were looked at.
LEAST_LIKELIHOOD = 2.0
# Most blame by kind. Lines that report an error tell more than a change of how many there are.
NEW_ERROR, NEW_OTHER, RATE = 0.5, 0.2, 0.3
# Present in no more than this share of healthy blocks: hardly ever seen.
RARE_SHARE = 0.02
# What has less than twice or more than half its healthy rate is not worth an event, however sure.
FACTOR = 2.0
# A line is missed only where it is usual: in at least half of the healthy blocks.
USUAL_SHARE = 0.5
# Less than this share of all lines left: the component is silent, and its templates are not told one by one.
SILENT_SHARE = 0.1
FEWEST_WARNINGS = 3
SEVERITY = {FATAL: 1.0, ERROR: 0.9, WARN: 0.6}
ALL, SHIFT = "all lines", "warnings and errors"


def extract_logs(context: Context) -> list[Event]:
    """At most five events per component, the strongest.

    Blame is averaged over the candidate onsets. Without healthy logs only error lines and exceptions
    that the case's own lines before the earliest onset did not have are events; without such lines, none.
    """
    logs = context.case.telemetry.logs
    baseline = context.health.logs or _earlier_lines(context)
    if not len(logs) or baseline is None or not len(baseline.components):
        return []
    inside = (logs.times >= context.span.start) & (logs.times < context.span.end)
    if not inside.any():
        return []
    finder = _Finder.of(context, baseline, inside, only_errors=context.health.logs is None)
    return keep_strongest(finder.events())


def _earlier_lines(context: Context) -> LogHealth | None:
    """What the case's own lines were like before the earliest candidate onset."""
    logs = context.case.telemetry.logs
    before = logs.times < context.span.start
    if not before.any():
        return None
    earlier = unwrap_batch(logs.take(before))
    window = Window(start=int(earlier.times.min()), end=context.span.start)
    # The codes are the context's own; no template is looked up in this miner.
    return LogHealth.count(earlier, context.template_of[before], TemplateMiner(), [window])


@dataclass(frozen=True, kw_only=True)
class _Finder:
    """One search through the lines of an incident.

    Attributes:
        observation: lines after the first candidate onset, in order of time.
        codes: the template of each, shape (lines,).
        replaced: components whose service has a replica now that health did not know: that they are
            silent is no wonder.
        borrowed: components without a baseline of their own or of a replica's: only warnings and errors count.
        only_errors: whether the baseline is too thin for anything else.
    """

    context: Context
    observation: Observation
    codes: npt.NDArray[np.int32]
    replaced: frozenset[str]
    borrowed: frozenset[str]
    only_errors: bool

    @classmethod
    def of(cls, context: Context, health: LogHealth, inside: npt.NDArray[np.bool_], *, only_errors: bool) -> _Finder:
        logs = unwrap_batch(context.case.telemetry.logs.take(inside))
        order = canonical_order(logs)
        logs, codes = logs.take(order), context.template_of[inside][order]
        health, replaced, borrowed = _with_baselines(health, logs, context)
        number = np.array([health.index.get(name, -1) for name in logs.components] or [0], np.int32)[logs.component]
        known = number >= 0
        logs = replace(logs.take(known), components=health.components, component=number[known])
        observation = Observation(
            logs=logs,
            health=health,
            spans=context.case.telemetry.spans,
            onsets=context.onsets,
            ends=context.ends,
        )
        return cls(
            context=context,
            observation=observation,
            codes=codes[known],
            replaced=replaced,
            borrowed=borrowed,
            only_errors=only_errors,
        )

    def events(self) -> list[Event]:
        health, logs = self.observation.health, self.observation.logs
        templates = self.observation.rates(health.templates, np.arange(len(logs)), self.codes)
        rows, classes = find_exceptions(logs.message, health.miner.masks)
        names = tuple(sorted({*health.exceptions, *classes}))
        place = {name: code for code, name in enumerate(names)}
        recoded = np.array([place[name] for name in health.exceptions], np.int32)
        raised = self.observation.rates(
            health.raised.renamed(np.arange(len(health.components), dtype=np.int32), recoded),
            rows,
            np.array([place[name] for name in classes], np.int64),
        )
        silent, events = self._silent()
        events += self._template_events(templates, silent)
        events += self._exception_events(raised, names)
        return events if self.only_errors else [*events, *self._level_shifts()]

    def _template_events(self, rates: Rates, silent: frozenset[int]) -> list[Event]:
        """New templates, bursts and silences."""
        texts = self.context.templates
        likelihood = _corrected(rates)
        new = rates.share <= RARE_SHARE
        likelihood[new] /= 1.0 + self._novelties(rates)[new]
        events: list[Event] = []
        for key in np.flatnonzero(np.abs(likelihood).max(axis=1, initial=0.0) >= LEAST_LIKELIHOOD):
            component, level = int(rates.component[key]), int(rates.level[key])
            if not self._may_speak(component, level):
                continue
            wording = self._wording(rates, int(key), likelihood[key], texts[rates.item[key]])
            more = np.maximum(likelihood[key], 0.0)
            if new[key] and more.max() >= LEAST_LIKELIHOOD:
                cap = NEW_ERROR if level >= WARN else NEW_OTHER
                event = make_event("log.new_template", wording, more, cap, "up", SEVERITY.get(level, 0.3))
            elif self.only_errors:
                continue
            elif more.max() >= LEAST_LIKELIHOOD and wording.lines >= FACTOR * wording.expected:
                event = make_event("log.burst", wording, more, RATE, "up", SEVERITY.get(level, 0.4))
            elif rates.share[key] >= USUAL_SHARE and wording.lines * FACTOR <= wording.expected:
                if component not in silent:
                    fewer = np.maximum(-likelihood[key], 0.0)
                    events.append(make_event("log.silence", wording, fewer, RATE, "down", 0.4))
                continue
            else:
                continue
            events += with_complaints(event, wording, more, self._spoken_of.get((component, int(rates.item[key]))))
        return events

    @cached_property
    def _spoken_of(self) -> dict[tuple[int, int], tuple[str, ...]]:
        """(component, template) of warnings and errors that speak of others -> whom they name, if anybody."""
        logs, found = self.observation.logs, {}
        complaints = Complaints(self.context.components, self.context.topology)
        rows = np.flatnonzero(logs.level >= WARN)
        keys = np.stack([logs.component[rows], self.codes[rows]], axis=1)
        for (component, template), first in zip(*_first_rows(keys), strict=True):
            text = str(logs.message[rows[first]])
            named = complaints.named_by(logs.components[component], text)
            if named or complaints.points_elsewhere(text):
                found[int(component), int(template)] = named
        return found

    def _exception_events(self, rates: Rates, names: tuple[str, ...]) -> list[Event]:
        """Exception classes that a component hardly ever raised in health."""
        likelihood = _corrected(rates)
        events = []
        for key in np.flatnonzero(
            (likelihood.max(axis=1, initial=0.0) >= LEAST_LIKELIHOOD) & (rates.share <= RARE_SHARE)
        ):
            wording = self._wording(rates, int(key), likelihood[key], names[rates.item[key]])
            level = max(int(rates.level[key]), WARN)
            more = np.maximum(likelihood[key], 0.0)
            event = make_event("error.exception", wording, more, NEW_ERROR, "up", SEVERITY[level])
            events.append(replace(event, attributes={**event.attributes, "type": wording.name}))
        return events

    def _silent(self) -> tuple[frozenset[int], list[Event]]:
        """Components that stopped writing altogether, and their events."""
        totals = self.observation.health.totals
        logs = self.observation.logs
        rates = self.observation.rates(
            totals.take(totals.item == ALL_LINES), np.arange(len(logs)), np.full(len(logs), ALL_LINES)
        )
        silent: set[int] = set()
        events: list[Event] = []
        for key in np.flatnonzero(rates.likelihood.min(axis=1, initial=0.0) <= -LEAST_LIKELIHOOD):
            wording = self._wording(rates, int(key), rates.likelihood[key], ALL)
            component = int(rates.component[key])
            if wording.lines <= SILENT_SHARE * wording.expected and self._may_speak(component, INFO):
                silent.add(component)
                if wording.component in self.replaced:
                    continue
                fewer = np.maximum(-rates.likelihood[key], 0.0)
                events.append(make_event("log.silence", wording, fewer, RATE, "down", 0.6))
        return frozenset(silent), events

    def _level_shifts(self) -> list[Event]:
        """Components whose warnings and errors are more than usual, in number or as a share of their lines.

        Lines that complain of others do not count.
        """
        health, logs = self.observation.health, self.observation.logs
        own = [(c, t) not in self._spoken_of for c, t in zip(logs.component.tolist(), self.codes.tolist(), strict=True)]
        rows = np.flatnonzero((logs.level >= WARN) & np.array(own, bool))
        rates = self.observation.rates(
            health.totals.take(health.totals.item == WARNINGS), rows, np.full(len(rows), WARNINGS)
        )
        everything = health.totals.take(health.totals.item == ALL_LINES)
        usual = np.zeros(len(health.components))
        usual[everything.component] = everything.count
        now, before = self.observation.lines[rates.component], usual[rates.component][:, None]
        uneven = np.maximum(1.0, _unevenness(health)[rates.component])[:, None]
        ratio = binomial_ratio(rates.lines, np.maximum(now, rates.lines), rates.healthy[:, None], before) / uneven
        ratio = np.where(ratio > 0, np.maximum(ratio, rates.likelihood), 0.0)
        events = []
        for key in np.flatnonzero(ratio.max(axis=1, initial=0.0) >= LEAST_LIKELIHOOD):
            best = int(ratio[key].argmax())
            lines, total = rates.lines[key, best], max(now[key, best], 1.0)
            healthy = rates.healthy[key] / max(before[key, 0], 1.0)
            if (
                lines < FEWEST_WARNINGS
                or lines / total < FACTOR * healthy
                or not self._may_speak(rates.component[key], WARN)
            ):
                continue
            wording = replace(
                self._wording(rates, int(key), ratio[key], SHIFT),
                shares=(lines / total, healthy),
                total=total,
            )
            events.append(make_event("log.level_shift", wording, np.maximum(ratio[key], 0.0), RATE, "up", 0.5))
        return events

    def _may_speak(self, component: Any, level: int = INFO) -> bool:
        """Whether a line of this level says anything, given how well the component is known."""
        borrowed = self.observation.health.components[component] in self.borrowed
        return level >= (ERROR if self.only_errors else WARN if borrowed else UNKNOWN)

    def _novelties(self, rates: Rates) -> Floats:
        """New templates to be expected from each key's component after an onset, shape (keys, 1).

        Good and Turing: what was seen in one block alone tells how often something new comes.
        """
        health = self.observation.health
        once = health.templates.component[health.templates.present == 1]
        singles = np.bincount(once, minlength=len(health.components))
        per_second = singles / np.maximum(health.seconds, 1e-9)
        longest = self.observation.seconds.max(initial=0.0)
        return np.asarray(per_second[rates.component][:, None] * longest, np.float64)

    def _wording(self, rates: Rates, key: int, likelihood: Floats, name: str) -> Wording:
        observation = self.observation
        best = int(np.abs(likelihood).argmax())
        first, last = int(rates.first[key]), int(rates.last[key])
        times, messages = observation.logs.times, observation.logs.message
        seconds = float(observation.seconds[best])
        return Wording(
            component=observation.health.components[rates.component[key]],
            name=name,
            code=int(rates.item[key]),
            level=int(rates.level[key]),
            example="" if first < 0 else str(messages[first]),
            lines=float(rates.lines[key, best]),
            expected=float(rates.usual[key]) * seconds,
            healthy=float(rates.healthy[key]),
            seconds=seconds,
            healthy_seconds=float(observation.health.seconds[rates.component[key]]),
            onset=int(observation.onsets[best]),
            first=None if first < 0 else int(times[first]),
            end=int(observation.ends[best]) if last < 0 else int(times[last]) + 1,
        )


def _with_baselines(
    health: LogHealth, logs: LogBatch, context: Context
) -> tuple[LogHealth, frozenset[str], frozenset[str]]:
    """A baseline that knows every component that may speak; who was replaced; who borrowed it from all others.

    A pod that health does not know is held against the other replicas of its service; what has
    none, against everybody, and only if it warns.
    """
    service = context.topology.service
    replicas: dict[str, list[str]] = defaultdict(list)
    for name in health.components:
        replicas[service(name)].append(name)
    failing = {logs.components[code] for code in np.unique(logs.component[logs.level >= WARN])}
    lenders: dict[str, tuple[str, ...]] = {}
    replaced: set[str] = set()
    borrowed: set[str] = set()
    for name in sorted({logs.components[code] for code in np.unique(logs.component)} - set(health.components)):
        if service(name) in replicas:
            lenders[name] = tuple(replicas[service(name)])
            replaced.update(lenders[name])
        elif name in failing:
            lenders[name] = health.components
            borrowed.add(name)
    return (health.lend(lenders) if lenders else health), frozenset(replaced), frozenset(borrowed)


def _first_rows(keys: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Distinct rows of a table and where each first stands."""
    distinct, first = np.unique(keys, axis=0, return_index=True)
    return distinct, first


def _corrected(rates: Rates) -> Floats:
    """Likelihoods, less the number of keys of the component that were looked at: shape (keys, candidates)."""
    tested = np.log10(np.maximum(np.bincount(rates.component, minlength=1), 1))[rates.component][:, None]
    return np.asarray(np.sign(rates.likelihood) * np.maximum(np.abs(rates.likelihood) - tested, 0.0), np.float64)


def _unevenness(health: LogHealth) -> Floats:
    """How unevenly warnings come, per component: shape (components,)."""
    out = np.ones(len(health.components))
    warnings = health.totals.item == WARNINGS
    out[health.totals.component[warnings]] = health.dispersion(health.totals)[warnings]
    return out
