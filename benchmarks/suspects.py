"""Suspects on RootCauseBench, and under stress that no label set contains: ``python benchmarks/suspects.py DATA``.

Reads the labels to judge, never to decide. Stress: the culprit deleted (right answer: "none"), a
foreign culprit deployed at the same minute in its place ("none") or beside it (the true one), alerts
raised by every other component, blank messages, services renamed.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from rca.cases.rootcausebench import load
from rca.extract.context import Context, prepare
from rca.extract.failing import competitors, extract_failing, extract_order
from rca.extract.logs import extract_logs
from rca.settings import Settings
from rca.suspects import rank_suspects
from rca.types import Answer, Case, Change, Event, Symptom

Labelled = list[tuple[Case, Answer]]


def blame(events: Iterable[Event]) -> Counter[str]:
    """Blame by component: the strongest event of each group, groups added up."""
    groups: dict[tuple[str, str], float] = {}
    for event in events:
        if event.evidence is not None:
            key = (event.component, event.evidence.group)
            groups[key] = max(groups.get(key, event.evidence.blame), event.evidence.blame, key=abs)
    total: Counter[str] = Counter()
    for (component, _), value in sorted(groups.items()):
        total[component] += value  # type: ignore[assignment]
    return total


def first_failing(context: Context) -> str:
    """The component with most blame by order, error spans, demand, alert and logs alone."""
    total = blame([*extract_order(context), *extract_failing(context), *extract_logs(context)])
    able = competitors(context)
    return max(sorted(name for name in total if name in able), key=lambda name: total[name], default="")


def culprit(case: Case, first: str) -> tuple[str, list[str]]:
    """The answer, and the changes in order of suspicion."""
    context = prepare(case, Settings())
    found = rank_suspects(context, first, case.incident.alert_time)
    return found.culprit, [suspect.change.id for suspect in found.suspects]


def with_changes(case: Case, changes: Iterable[Change]) -> Case:
    ordered = tuple(sorted(changes, key=lambda change: (change.time, change.id)))
    return replace(case, telemetry=replace(case.telemetry, changes=ordered))


def without(case: Case, sha: str | None) -> list[Change]:
    return [c for c in case.telemetry.changes if sha not in (c.id, c.attributes.get("commit"))]


def foreign(case: Case, answer: Answer, commit: Change, beside: bool) -> Case:
    """Another incident's culprit, deployed to the failing component when the true one was."""
    alert = case.incident.alert_time
    deployed = [c for c in case.telemetry.changes if c.kind == "change.deployment"]
    true = [c.time for c in deployed if c.attributes.get("commit") == answer.change]
    time = min(true, default=max((c.time for c in deployed if c.time < alert - 6 * 60 * 10**9), default=alert))
    first = answer.first_failing or ""
    commit = replace(commit, component=first)
    ships = Change(
        id=f"deployment:{first}:foreign",
        component=first,
        kind="change.deployment",
        name="foreign",
        time=time,
        attributes={"commit": commit.id, "version": "foreign"},
    )
    kept = list(case.telemetry.changes) if beside else without(case, answer.change)
    return with_changes(case, [*kept, commit, ships])


def blank(case: Case) -> Case:
    """Every commit without its message."""
    return with_changes(
        case, (replace(c, name=c.id) if c.kind == "change.commit" else c for c in case.telemetry.changes)
    )


def alerts_elsewhere(case: Case) -> Iterator[Case]:
    """The alert raised by each other component that has metrics."""
    frame = case.telemetry.metrics
    alerting = case.incident.symptoms[0].component
    for name in sorted({frame.components[code] for code in frame.component} - {alerting}):
        yield replace(case, incident=replace(case.incident, symptoms=(Symptom(component=name),)))


def culprits(labelled: Labelled) -> dict[str, Change]:
    return {
        case.incident.id: change
        for case, answer in labelled
        for change in case.telemetry.changes
        if change.id == answer.change
    }


def figures(labelled: Labelled) -> Iterator[str]:
    firsts = [first_failing(prepare(case, Settings())) for case, _ in labelled]
    yield count("first failing", (f == a.first_failing for f, (_, a) in zip(firsts, labelled, strict=True)))
    yield count(
        "first failing, alert elsewhere",
        (
            first_failing(prepare(other, Settings())) == answer.first_failing
            for case, answer in labelled
            for other in alerts_elsewhere(case)
        ),
    )
    answers = [culprit(case, first) for first, (case, _) in zip(firsts, labelled, strict=True)]
    pairs = list(zip(answers, labelled, strict=True))
    yield count("culprit or none", (a[0] == t.change for a, (_, t) in pairs))
    yield count("culprit ranked first", (a[1][0] == t.change for a, (_, t) in pairs if t.change != "none"))
    yield count("none where none", (a[0] == "none" for a, (_, t) in pairs if t.change == "none"))
    yield f"decoys named: {sum(a[0] in t.decoys for a, (_, t) in pairs)}"
    yield from stress(labelled)


def stress(labelled: Labelled) -> Iterator[str]:
    known = culprits(labelled)

    def first(answer: Answer) -> str:
        return answer.first_failing or ""

    guilty = [(case, answer) for case, answer in labelled if answer.change != "none"]
    yield count(
        "culprit deleted: none",
        (culprit(with_changes(c, without(c, a.change)), first(a))[0] == "none" for c, a in guilty),
    )
    others = [(c, a, known[name]) for c, a in labelled for name in sorted(known) if name != c.incident.id]
    yield count(
        "foreign in its place: none", (culprit(foreign(c, a, x, False), first(a))[0] == "none" for c, a, x in others)
    )
    yield count(
        "foreign beside it: true one",
        (culprit(foreign(c, a, x, True), first(a))[0] == a.change for c, a, x in others if a.change != "none"),
    )
    yield count("blank messages", (culprit(blank(c), first(a))[0] == a.change for c, a in labelled))


def count(name: str, right: Iterable[bool]) -> str:
    marks = list(right)
    return f"{name}: {sum(marks)} of {len(marks)}"


def main() -> None:
    for line in figures([(case, answer) for case, answer in load(Path(sys.argv[1]))]):
        print(line, flush=True)


if __name__ == "__main__":
    main()
