"""What was observed in words: new log lines, span texts, names of abnormal metrics, the alert, and what is usual."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rca.extract.abnormal import AbnormalSeries
from rca.extract.context import Context
from rca.extract.failing import competitors
from rca.suspects.vocabulary import load_concepts, raise_belief, tokens
from rca.telemetry import ERROR, INFO

# Weight of a text by its source: on the blamed component, and elsewhere.
WEIGHTS = {"log": (1.0, 0.5), "span": (0.7, 0.3), "metric": (0.8, 0.35), "alert": (0.9, 0.9)}
# A template is new if its rate grew threefold, gone if it fell below 0.3 of its rate with four lines seen before.
NEW_RATE, GONE_RATE, FEWEST_GONE = 3.0, 0.3, 4
# An object that an error names in quotes or brackets says more than other words.
QUOTED_WEIGHT = 1.3
# Lines and spans read: the newest. Far more than a person reads; keeps the time of an analysis bounded.
MOST_LINES, MOST_SPANS = 200_000, 20_000

_ROLES = tokens("worker cache queue gateway proxy store broker scheduler index pool")
_QUOTED = re.compile(r"[\"'`\[]([\w.\-]{3,})[\"'`\]]")
_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?")
_ATTRIBUTE = re.compile(r"(?:^|\s)([A-Za-z_][\w.]*)=")
_NAME = re.compile(r"[A-Za-z][\w\-]*")
_STACK = re.compile(r"stack|backtrace|traceback", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One text of the incident: its weight in [0, 1], where it comes from, and whose it is."""

    text: str
    weight: float
    source: str
    component: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """Log lines of one component, level and wording.

    ``lines`` are the distinct ones of the incident (of health, where the incident has none), with
    their ``counts``; ``first`` when the first of them came, ns; ``before`` and ``after`` count all
    lines on both sides of the onset.
    """

    component: str
    level: int
    lines: tuple[str, ...]
    counts: tuple[int, ...]
    first: int
    before: int
    after: int


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What was observed around one blamed component.

    ``seen`` are texts of the incident, ``healthy`` texts of before. ``since`` is the time that
    divides them, ns. ``faults`` and ``gone`` are templates that appeared and disappeared.
    ``changed`` holds tokens that the attributes of one operation lost and gained; ``components``
    the names of everything known.
    """

    first: str
    since: int
    seen: tuple[Seen, ...]
    healthy: tuple[str, ...]
    faults: tuple[Template, ...]
    gone: tuple[Template, ...]
    changed: tuple[frozenset[str], frozenset[str]]
    components: tuple[str, ...]
    plateaus: frozenset[str]

    @cached_property
    def words(self) -> dict[str, float]:
        """Token -> the largest weight of a text that holds it."""
        weights: dict[str, float] = {}
        for seen in self.seen:
            for token in tokens(seen.text):
                weights[token] = max(weights.get(token, 0.0), seen.weight)
            for name in _QUOTED.findall(seen.text):
                for token in tokens(name):
                    weights[token] = max(weights.get(token, 0.0), QUOTED_WEIGHT * seen.weight)
        return weights

    @cached_property
    def healthy_words(self) -> frozenset[str]:
        """Tokens that are seen in health too."""
        return frozenset(token for text in self.healthy for token in tokens(text))

    @cached_property
    def vanished(self) -> frozenset[str]:
        """Tokens of health that the incident no longer shows."""
        gone = {token for template in self.gone for token in tokens(template.lines[0])}
        return frozenset((gone | self.healthy_words) - set(self.words))

    @cached_property
    def quoted(self) -> frozenset[str]:
        """Objects that texts of the incident name in quotes or brackets."""
        return frozenset(name for seen in self.seen for name in _QUOTED.findall(seen.text))

    @cached_property
    def names(self) -> frozenset[str]:
        """Tokens of component names: everybody writes them, so they accuse nobody.

        A word for a role (the worker of "order-worker") is left out where it is said apart from any name.
        """
        names = frozenset(token for name in self.components for token in tokens(name))
        roles = names & _ROLES - {token for name in self.components if name.isalpha() for token in tokens(name)}
        return names - (roles & self._said_apart if roles else roles)

    @cached_property
    def _said_apart(self) -> frozenset[str]:
        known = frozenset(self.components)
        words = {word for seen in self.seen if seen.source != "metric" for word in _NAME.findall(seen.text)}
        return tokens(" ".join(sorted(words - known)))

    @cached_property
    def frames(self) -> frozenset[str]:
        """Tokens of stack traces in new log lines."""
        found: set[str] = set()
        for template in self.faults:
            for line in template.lines:
                for key, value in attributes(line):
                    if _STACK.search(key):
                        found |= tokens(value)
        return frozenset(found)

    @cached_property
    def numbers(self) -> frozenset[str]:
        """Numbers in new lines and spans that health does not show, and levels at which series stand still."""
        new = {n for seen in self.seen if seen.source in ("log", "span") for n in _NUMBER.findall(seen.text)}
        return frozenset(new - {n for text in self.healthy for n in _NUMBER.findall(text)}) | self.plateaus

    @cached_property
    def beliefs(self) -> dict[str, float]:
        """Concept -> how much the incident speaks of it, weighted by how much it tells causes apart."""
        concepts = load_concepts()
        found: dict[str, float] = {}
        for seen in self.seen:
            for token in sorted(tokens(seen.text)):
                usual = 0.3 if token in self.healthy_words and seen.source != "metric" else 1.0
                for concept in concepts.of_token.get(token, ()):
                    raise_belief(found, concept, 0.45 * seen.weight * usual)
        return {concept: belief * concepts.weight[concept] for concept, belief in found.items()}


def observe(context: Context, abnormal: AbnormalSeries, first: str, onset: int) -> Observed:
    """Everything observed, in words, seen from the blamed component ``first``; ``onset`` in ns."""
    telemetry = context.case.telemetry
    since = (int(abnormal.onset.min()) if len(abnormal) else onset) - 2 * abnormal.step
    templates = list(_templates(context, since))
    span = max(1, int(telemetry.logs.times.max(initial=since)) - since)
    before = max(1, since - int(telemetry.logs.times.min(initial=since)))
    faults = [t for t in templates if _is_new(t, span, before)]
    gone = [t for t in templates if t.before >= FEWEST_GONE and t.after / span < GONE_RATE * t.before / before]
    seen = [
        Seen(text=t.lines[-1], weight=_weight("log", t.component == first), source="log", component=t.component)
        for t in faults
    ]
    fresh = {id(t) for t in faults}
    healthy = [t.lines[0] for t in templates if id(t) not in fresh]
    distinct = _distinct_spans(context, since)
    span_seen, span_healthy = _span_texts(context, distinct, first)
    seen += [*span_seen, *_metric_texts(abnormal, first), *_alert_texts(context)]
    return Observed(
        first=first,
        since=since,
        seen=tuple(seen),
        healthy=(*healthy, *span_healthy),
        faults=tuple(faults),
        gone=tuple(gone),
        changed=_changed_attributes(context, distinct),
        components=tuple(sorted({*competitors(context), *context.components})),
        plateaus=_plateaus(abnormal),
    )


def attributes(text: str) -> Iterator[tuple[str, str]]:
    """The ``key=value`` pairs of a text; a value ends where the next key begins."""
    marks = list(_ATTRIBUTE.finditer(text))
    ends = [*(mark.start() for mark in marks), len(text)][1:]
    for mark, end in zip(marks, ends, strict=True):
        yield mark[1], text[mark.end() : end].strip()


def _weight(source: str, own: bool) -> float:
    return WEIGHTS[source][0 if own else 1]


def _is_new(template: Template, span: int, before: int) -> bool:
    grown = template.after / span > NEW_RATE * template.before / before
    return grown and (template.level > INFO or template.before == 0)


def _templates(context: Context, since: int) -> Iterator[Template]:
    """Lines grouped by component, level and template, in order of first appearance."""
    logs = context.case.telemetry.logs
    chosen = np.argsort(logs.times, kind="stable")[-MOST_LINES:]
    logs, codes = logs.take(chosen), context.template_of[chosen].tolist()
    messages, times = logs.message.tolist(), logs.times
    begin = int(np.searchsorted(times, since))
    grouped: dict[tuple[int, int, int], list[int]] = defaultdict(list)
    for row, key in enumerate(zip(logs.component.tolist(), logs.level.tolist(), codes, strict=True)):
        grouped[key].append(row)
    for (component, level, _), members in grouped.items():
        late = members[bisect_left(members, begin) :]
        shown = Counter([messages[row] for row in late or members])
        yield Template(
            component=logs.components[component],
            level=level,
            lines=tuple(shown),
            counts=tuple(shown.values()),
            first=int(times[(late or members)[0]]),
            before=len(members) - len(late),
            after=len(late),
        )


def _distinct_spans(context: Context, since: int) -> list[tuple[int, bool]]:
    """The first of equal spans, in order of time, and whether it came after ``since``.

    Equal in component, operation and text, both before or both after.
    """
    import pandas as pd

    spans = context.case.telemetry.spans
    rows = np.argsort(spans.start, kind="stable")[-MOST_SPANS:]
    key, _ = pd.factorize(spans.text[rows])
    late = spans.start[rows] >= since
    parts = (
        (spans.component[rows], len(spans.components)),
        (spans.operation[rows], len(spans.operations)),
        (late, 2),
    )
    key = key.astype(np.int64)
    for code, size in parts:
        key = key * size + code
    _, first = np.unique(key, return_index=True)
    first.sort()
    return list(zip(rows[first].tolist(), late[first].tolist(), strict=True))


def _span_texts(context: Context, distinct: Sequence[tuple[int, bool]], first: str) -> tuple[list[Seen], list[str]]:
    spans = context.case.telemetry.spans
    seen: dict[tuple[str, str], Seen] = {}
    healthy: dict[str, None] = {}
    for row, late in distinct:
        component = spans.components[spans.component[row]]
        text = f"{spans.operations[spans.operation[row]]} {spans.text[row]}".strip()
        if late:
            weight = _weight("span", component == first)
            seen.setdefault((component, text), Seen(text=text, weight=weight, source="span", component=component))
        else:
            healthy[text] = None
    return list(seen.values()), list(healthy)


def _metric_texts(abnormal: AbnormalSeries, first: str) -> list[Seen]:
    names = dict.fromkeys((abnormal.component(i), abnormal.metric(i)) for i in range(len(abnormal)))
    return [
        Seen(
            text=f"{metric.replace('_', ' ')} {metric}",
            weight=_weight("metric", component == first),
            source="metric",
            component=component,
        )
        for component, metric in names
    ]


def _alert_texts(context: Context) -> list[Seen]:
    return [
        Seen(
            text=f"{alert.name.replace('_', ' ')} {alert.text}".strip(),
            weight=_weight("alert", True),
            source="alert",
            component=alert.component,
        )
        for alert in context.case.telemetry.alerts
    ]


def _changed_attributes(
    context: Context, distinct: Sequence[tuple[int, bool]]
) -> tuple[frozenset[str], frozenset[str]]:
    """Tokens that attributes of one operation had in health only, and have in the incident only."""
    spans = context.case.telemetry.spans
    sides: dict[tuple[int, int, str], tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))
    for row, late in distinct:
        for key, value in attributes(spans.text[row]):
            if not key.startswith(("error", "status")):
                side = sides[int(spans.component[row]), int(spans.operation[row]), key]
                side[late].update(tokens(value))
    both = [(old, new) for old, new in sides.values() if old and new]
    lost = {token for old, new in both for token in old - new}
    gained = {token for old, new in both for token in new - old}
    return frozenset(lost), frozenset(gained)


def _plateaus(abnormal: AbnormalSeries) -> frozenset[str]:
    """Levels at which an abnormal series stands still after the alert: limits that were hit, as texts."""
    frame = abnormal.frame
    if not len(abnormal):
        return frozenset()
    at = int(np.searchsorted(frame.times, abnormal.alert))
    found = set()
    for row in abnormal.row.tolist()[:1000]:
        values = frame.values[row, max(0, at - 3) : at + 6].astype(np.float64)
        values = values[~np.isnan(values)]
        if len(values) >= 5 and np.ptp(values) <= 0.02 * abs(float(np.median(values))) + 1e-9:
            found.add(f"{round(float(np.median(values)), 3):g}")
    return frozenset(found)


def failures(observed: Observed) -> Counter[str]:
    """Error lines of the blamed component that health did not show: line -> how often it came."""
    found: Counter[str] = Counter()
    for template in observed.faults:
        if template.component == observed.first and template.level >= ERROR:
            found.update(dict(zip(template.lines, template.counts, strict=True)))
    return found
