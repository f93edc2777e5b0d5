"""Which change did it, or none: a posterior over all changes and "none".

Each change has a log-linear score of place, time, what its diff can do, and how much of its words
and resources was observed. "None" has a prior and gains by operational causes. The posterior is the
softmax; the answer its largest member. The weights are judgements, the same for every system; the
posterior of a change is calibrated on made-up incidents only.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rca.extract.abnormal import STEADY, AbnormalSeries, growth, ramp_start
from rca.extract.changes import look_back
from rca.extract.context import Context
from rca.suspects.behaviour import NEGLIGIBLE, Behaviour, judge_change
from rca.suspects.evidence_text import Observed, observe
from rca.suspects.operational import belief_in, operational_events
from rca.suspects.places import CALLEE, SELF, Place, Places
from rca.suspects.sentences import describe
from rca.suspects.vocabulary import COMPOUND, load_concepts, rarity, tokens
from rca.telemetry import INFO
from rca.types import MINUTE, Change, Event, Suspect

NONE = "none"

# Weights of the score, in natural logarithms.
PLACE, TIME, EFFECT, TEXT, CONCEPTS, NUMBER = 1.2, 1.0, 1.25, 3.2, 2.75, 1.3
# "None" before anything is known, and what a certain operational cause adds: an innocent change that
# speaks of the same thing as the operational cause must not win.
NONE_PRIOR, OPERATIONAL = 1.0, 3.5
# A deployment, setting or flag of unknown content scores this, and twice its place and time: where no
# content of any change is known, one of the failing component itself within the half hour before is
# believed; beside changes of known content only one right before the onset.
BLIND, UNSEEN, BLIND_FACTOR = 2.0, 1.2, 2.0
# An incident that says nothing in words cannot speak of the change that did it: a change of the failing
# component is then given what changes that did it share with the words of incidents on average.
SILENT = 0.45
# New warnings and errors of one wording that are more than chance.
FEWEST_SAID = 5
# How wrong an onset may be that lies where a ramp was drawn back to: in shares of the way drawn back.
DRAWN_BACK = 0.25
# Minutes after which a change is half as likely; slow growth waits longer.
LAG, GROWTH_FACTOR = 240.0, 6.0
# A change right before the onset is up to half again as likely, within about four samples; an onset is
# known to a sample, and what a change does takes a sample to show.
NEAR, NEAR_STEPS, AT_ONCE = 0.5, 4.0, 1.5
# Likelihood left for a change that came after the onset: onsets are estimates, and one series of several may have
# deviated earlier by chance.
AFTER_ONSET, SHARE_OF_ONSETS, BUT_ONE = 0.003, 0.5, 0.9
FEWEST_ONSETS = 4


_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?")


@dataclass(frozen=True, kw_only=True)
class _Scene:
    """Everything the score of a change needs that is the same for all of them.

    ``doubt`` is how wrong ``onset`` may be, ns; ``silent`` whether neither the failing component
    nor a caller of it wrote a new warning or error.
    """

    observed: Observed
    places: Places
    onset: int
    onsets: tuple[int, ...]
    step: int
    doubt: int
    grows: bool
    shipped: Mapping[str, tuple[Change, ...]]
    rareness: _Rareness
    blind: bool
    silent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scored:
    change: Change
    place: Place
    behaviour: Behaviour
    factors: Mapping[str, float]
    words: tuple[str, ...]
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """Changes in order of suspicion, the id of the culprit or "none", and what may have caused it beside changes.

    ``operational`` are events without blame of their own; their severity is the belief in them.
    """

    suspects: tuple[Suspect, ...] = ()
    culprit: str = NONE
    operational: tuple[Event, ...] = ()


def rank_suspects(context: Context, first: str, onset: int) -> Suspicion:
    """Which change did it, or none.

    Args:
        context: the analysis.
        first: the component that is blamed for the failure; "": none is, so no change is either.
        onset: when it began to fail, ns; its own metrics, where they show it, say it better.

    Deployments that bring a known commit are part of that commit's story and no suspects of their own.
    """
    if not first:
        return Suspicion()
    changes = _recent(context)
    abnormal = context.abnormal
    observed = observe(context, abnormal, first, onset)
    scene = _set_scene(context, abnormal, observed, changes, onset)
    # Compared with the deviation of others, which is measured in the same way: not extrapolated.
    operational = operational_events(context, abnormal, observed, min(scene.onsets))
    if not changes:
        return Suspicion(operational=tuple(operational))
    scored = [_score(change, scene) for change in _suspects(changes)]
    scored.sort(key=lambda s: (-s.score, -s.change.time, s.change.id))
    none = NONE_PRIOR + OPERATIONAL * belief_in(operational)
    scores = np.array([*(s.score for s in scored), none])
    posterior = np.exp(scores - scores.max())
    posterior /= posterior.sum()
    suspects = tuple(_suspect(s, float(p), scene) for s, p in zip(scored, posterior, strict=False))
    believed = scored and scored[0].score > none
    culprit = scored[0].change.id if believed else NONE
    return Suspicion(suspects=suspects, culprit=culprit, operational=tuple(operational))


def _recent(context: Context) -> list[Change]:
    """Changes of the look-back; a commit belongs to it when it was written or when it was deployed."""
    window = look_back(context)
    changes = context.case.telemetry.changes
    recent = [window.start <= change.time < window.end for change in changes]
    shipped = {change.attributes.get("commit", "") for change, now in zip(changes, recent, strict=True) if now}
    return [change for change, now in zip(changes, recent, strict=True) if now or change.id in shipped]


def _suspects(changes: Sequence[Change]) -> list[Change]:
    commits = {change.id for change in changes if change.kind == "change.commit"}
    suspects: dict[str, Change] = {}
    for change in changes:
        if change.kind == "change.commit" or change.attributes.get("commit", "") not in commits:
            suspects.setdefault(change.id, change)
    return list(suspects.values())


def _set_scene(
    context: Context, abnormal: AbnormalSeries, observed: Observed, changes: Sequence[Change], onset: int
) -> _Scene:
    first = observed.first
    own = [int(time) for time in abnormal.onset[abnormal.of(first)]]
    ramp = ramp_start(abnormal, first)
    start = min([*own, *([ramp] if ramp is not None else [])], default=onset)
    faults = [template.first for template in observed.faults if template.component == first]
    deployments = [change for change in changes if change.kind != "change.commit" and change.component]
    shipped: dict[str, list[Change]] = defaultdict(list)
    for deployment in deployments:
        shipped[deployment.attributes.get("commit", "")].append(deployment)
    return _Scene(
        observed=observed,
        places=Places(context, observed, _deploys(deployments), start + abnormal.step),
        onset=start,
        onsets=(*(own or [onset]), *([min(faults)] if faults else [])),
        step=max(abnormal.step, 1),
        doubt=max(0, int(DRAWN_BACK * (min(own, default=onset) - start))),
        grows=growth(abnormal, first) > STEADY,
        shipped={sha: tuple(rows) for sha, rows in shipped.items() if sha},
        rareness=_Rareness.of([change for change in changes if change.kind == "change.commit"]),
        blind=not any(change.diff.strip() for change in changes),
        silent=_is_silent(context, observed),
    )


def _is_silent(context: Context, observed: Observed) -> bool:
    speakers = {observed.first, *context.topology.callers(observed.first)}
    said = (t for t in observed.faults if t.level > INFO and t.component in speakers)
    return not any(template.after >= FEWEST_SAID for template in said)


def _deploys(changes: Sequence[Change]) -> list[Change]:
    return [change for change in changes if change.kind == "change.deployment"]


def _score(change: Change, scene: _Scene) -> _Scored:
    place = scene.places.find(change, scene.shipped.get(change.attributes.get("commit", change.id), ()))
    time = _time(place.since, scene)
    behaviour = judge_change(change)
    words: dict[str, float] = {}
    if change.kind != "change.commit" and not change.diff.strip():
        factors = {"place": place.degree, "time": time}
        score = BLIND if scene.blind else UNSEEN
        score += BLIND_FACTOR * math.log(place.degree * time)
    else:
        behaviour = _without_diffs(change, behaviour) if scene.blind else behaviour
        words = _shared_words(behaviour, scene)
        text = sum(words[token] for token in sorted(words))
        text /= text + 2
        if scene.silent and behaviour.degree > NEGLIGIBLE:
            text = max(text, SILENT * _own(place.degree))
        concepts, number = _concepts(behaviour, scene.observed), _number(behaviour, scene.observed)
        factors = {
            "place": place.degree,
            "time": time,
            "effect": behaviour.degree,
            "text": text,
            "concepts": concepts,
            "number": number,
        }
        score = PLACE * math.log(place.degree) + TIME * math.log(time) + EFFECT * math.log(behaviour.degree)
        score += TEXT * text + CONCEPTS * concepts + NUMBER * number
    strongest = sorted((token for token in words if not token.isdigit()), key=lambda token: (-words[token], token))
    return _Scored(
        change=change,
        place=place,
        behaviour=behaviour,
        factors=factors,
        words=tuple(strongest),
        score=score,
    )


def _own(place: float) -> float:
    """1 for a change of the failing component itself, 0 for one of a callee or farther."""
    return max(0.0, (place - CALLEE) / (SELF - CALLEE))


def _without_diffs(change: Change, behaviour: Behaviour) -> Behaviour:
    """A commit where no diff is known at all: its message and paths stand in."""
    if behaviour.degree <= NEGLIGIBLE:
        return behaviour
    words = tokens(change.name)
    beliefs: dict[str, float] = {}
    concepts = load_concepts()
    concepts.add_words(beliefs, words, 0.7)
    return Behaviour(degree=0.4, added=words, headings=tokens(" ".join(change.files)), beliefs=concepts.spread(beliefs))


def _time(since: int, scene: _Scene) -> float:
    """How well the time fits, in (0, 1]: before the onset, the closer the likelier."""
    step = scene.step / MINUTE

    def before(onset: int) -> float:
        doubt = scene.doubt if onset == scene.onset else 0
        ahead = (onset + doubt - since) / MINUTE + 1.5 * step
        return 1 / (1 + math.exp(min(50.0, max(-50.0, -ahead / (0.25 * step)))))

    share = sum(before(onset) for onset in scene.onsets) / len(scene.onsets)
    gate = max(AFTER_ONSET, before(scene.onset), SHARE_OF_ONSETS * share)
    if len(scene.onsets) >= FEWEST_ONSETS:
        gate = max(gate, BUT_ONE * before(sorted(scene.onsets)[1]))
    lag = (scene.onset - since) / MINUTE + step
    half = LAG * (GROWTH_FACTOR if scene.grows else 1.0)
    near = math.exp(-max(0.0, lag - AT_ONCE * step) / (NEAR_STEPS * step))
    return gate / (1 + max(0.0, lag) / half) * (1 + NEAR * near) / (1 + NEAR)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rareness:
    """How unusual a token is among the commits of the record and in code at large, in (0, 1]."""

    commits: int
    counts: Mapping[str, int]

    @classmethod
    def of(cls, commits: Sequence[Change]) -> _Rareness:
        counts: Counter[str] = Counter()
        for commit in commits:
            counts.update(tokens(" ".join((commit.diff, commit.name, *commit.files))))
        return cls(commits=len(commits), counts=counts)

    def __call__(self, token: str) -> float:
        total = max(self.commits, 1)
        return math.log((total + 1) / (self.counts.get(token, 0) + 0.5)) / math.log((total + 1) / 1.5) * rarity(token)


def _shared_words(behaviour: Behaviour, scene: _Scene) -> dict[str, float]:
    """Tokens of a change that were observed, with their weights; names of components do not count."""
    observed, rareness = scene.observed, scene.rareness
    found: dict[str, float] = {}

    def weigh(token: str, share: float) -> float:
        usual = 0.35 if token in observed.healthy_words else 1.0
        return share * observed.words[token] * rareness(token) * usual

    for token in (behaviour.added | behaviour.removed) - observed.names:
        whole = 1.5 if token[0] == COMPOUND else 1.0
        if token in observed.words:
            found[token] = whole * weigh(token, 1.0)
        elif token in behaviour.removed and token in observed.vanished:
            found[token] = whole * 0.5 * rareness(token)
    lost, gained = observed.changed
    for token in ((behaviour.removed & lost) | (behaviour.added & gained)) - observed.names:
        found[token] = max(found.get(token, 0.0), 1.0)
    if behaviour.degree > NEGLIGIBLE:
        for token in (behaviour.headings & observed.frames) - observed.names:
            found[token] = max(found.get(token, 0.0), (1.0 if token[0] == COMPOUND else 0.4) * rareness(token))
        for token in (behaviour.headings & set(observed.words)) - set(found) - observed.names:
            found[token] = weigh(token, 0.3)
    # What stands beside a changed value names it.
    for token in (behaviour.code & set(observed.words)) - set(found) - observed.names:
        found[token] = weigh(token, 0.4)
    return found


def _concepts(behaviour: Behaviour, observed: Observed) -> float:
    """How much of what the incident speaks of the change touches, in [0, 1]: half in all, half at best."""
    products = [belief * behaviour.beliefs.get(concept, 0.0) for concept, belief in sorted(observed.beliefs.items())]
    total = sum(observed.beliefs[concept] for concept in sorted(observed.beliefs)) or 1.0
    return 0.5 * min(1.0, 2 * sum(products) / total) + 0.5 * max(products, default=0.0)


def _number(behaviour: Behaviour, observed: Observed) -> float:
    """Whether the new number occurs in new telemetry, or an error quotes a changed name, in [0, 1]."""
    shown = any(number in observed.numbers for number in behaviour.numbers if len(number.replace(".", "")) >= 2)
    shown = shown or _sets(behaviour, observed)
    return min(1.0, float(shown) + 0.5 * any(name in observed.quoted for name in behaviour.names))


def _sets(behaviour: Behaviour, observed: Observed) -> bool:
    """Whether one new line of the failing component holds a new number and a word that stands beside it in the diff."""
    words = {token for token in behaviour.code if not token[0].isdigit()} - observed.names
    lines = (seen.text for seen in observed.seen if seen.source == "log" and seen.component == observed.first)
    return any(
        not words.isdisjoint(tokens(line)) and not behaviour.numbers.isdisjoint(_NUMBER.findall(line)) for line in lines
    )


def _suspect(scored: _Scored, probability: float, scene: _Scene) -> Suspect:
    return Suspect(
        change=scored.change,
        probability=probability,
        factors={name: round(value, 4) for name, value in scored.factors.items()},
        sentence=describe(
            scored.change,
            scored.place,
            kinds=scored.behaviour.kinds,
            words=scored.words,
            first=scene.observed.first,
            onset=scene.onset,
        ),
    )
