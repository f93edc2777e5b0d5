from __future__ import annotations

from dataclasses import replace

import pytest

from rca.errors import NotFoundError
from rca.stores.protocol import Store
from rca.stores.records import (
    Feedback,
    IncidentRecord,
    Job,
    LearnedUse,
    LearnedVersion,
    PortraitRecord,
    ReportRecord,
    Sighting,
)
from rca.stores.relational_learned import MOST_KEPT


def lesson(name: str, created: int) -> Job:
    return Job(id=name, kind="learn", incident="", state="queued", attempt=0, created=created)


def report(job: str) -> ReportRecord:
    return ReportRecord(job=job, incident="", created=5, document=b"told")


def version(name: str) -> LearnedVersion:
    return LearnedVersion(version=name, created=5, card="{}", weights=b"\x00w", kinds=b"k")


def test_one_lesson_is_not_finished_at_any_time_and_none_comes_too_soon_after_another(store: Store) -> None:
    assert store.add_lesson(lesson("one", 10), since=0).result() == "one"
    assert store.add_lesson(lesson("two", 11), since=11).result() == "one"
    taken = store.claim_job("w", 12, 99, lessons=True).result()
    assert taken is not None
    assert store.add_lesson(lesson("two", 13), since=13).result() == "one"
    assert store.finish_lesson("one", taken.attempt, 14, report("one")).result()
    assert store.add_lesson(lesson("two", 15), since=9).result() == "one"
    assert store.add_lesson(lesson("two", 15), since=10).result() == "two"
    last = store.last_lesson()
    assert last is not None
    assert last.id == "two"
    assert store.report_of_job("one") == b"told"


def test_analyses_do_not_wait_for_lessons(store: Store) -> None:
    store.add_lesson(lesson("one", 1), since=0).result()
    assert store.claim_job("w", 2, 9).result() is None
    store.add_job(replace(lesson("two", 3), kind="evaluate")).result()
    taken = [store.claim_job("w", 4, 9, lessons=which).result() for which in (False, True, False, True)]
    assert [found and found.id for found in taken] == ["two", "one", None, None]


def test_only_the_last_attempt_of_a_lesson_counts(store: Store) -> None:
    store.add_lesson(lesson("one", 1), since=0).result()
    first = store.claim_job("w", 2, 3, lessons=True).result()
    second = store.claim_job("v", 4, 9, lessons=True).result()
    assert first is not None and second is not None
    use = LearnedUse(version="0001", time=5, action="promote", who="lesson")
    assert not store.finish_lesson("one", first.attempt, 5, report("one"), version=version("0001"), use=use).result()
    assert store.learned_versions() == [] and store.learned_uses() == []
    assert store.finish_lesson("one", second.attempt, 6, report("one"), version=version("0001"), use=use).result()
    assert store.learned_uses() == [use]
    assert store.learned_version("0001") == version("0001")
    assert store.learned_versions() == [replace(version("0001"), weights=b"", kinds=b"")]
    back = LearnedUse(version="", time=7, action="rollback", who="ada")
    store.use_learned(back).result()
    assert store.learned_uses() == [use, back]
    with pytest.raises(NotFoundError):
        store.learned_version("0002")


def test_old_versions_go_but_not_the_one_in_use(store: Store) -> None:
    names = [f"{number:04d}" for number in range(1, MOST_KEPT + 4)]
    for number, name in enumerate(names):
        store.add_lesson(lesson(name, number), since=number).result()
        taken = store.claim_job("w", number, 999, lessons=True).result()
        assert taken is not None
        use = LearnedUse(version=name, time=number, action="promote") if name == "0002" else None
        store.finish_lesson(name, taken.attempt, number, report(name), version=version(name), use=use).result()
    assert [one.version for one in store.learned_versions()] == ["0002", *names[3:]]


def test_what_an_analysis_saw_is_kept_once_per_incident(store: Store) -> None:
    seen = PortraitRecord(incident="i1", job="j1", engine="1", content=b"\x00")
    store.put_portrait(seen).result()
    store.put_portrait(replace(seen, job="j2", content=b"\x01")).result()
    store.put_portrait(replace(seen, incident="i2")).result()
    assert store.portraits(["i2", "i1", "i3"]) == [
        replace(seen, job="j2", content=b"\x01"),
        replace(seen, incident="i2"),
    ]
    incident = IncidentRecord(id="i1", created=1, updated=1, title="slow", start=7, end=9)
    store.file_incident(incident, replace(lesson("j1", 1), kind="analyse", incident="i1")).result()
    assert store.sightings(["i1", "i2", "i3"]) == {"i1": Sighting(job="j2", engine="1", title="slow", start=7)}
    assert store.portraits([]) == []


def test_what_was_said_changes_the_mark_and_resolutions_add_up(store: Store) -> None:
    before = store.feedback_mark()
    plain = Feedback(id="f1", incident="i1", time=3, who="ann", opinion="confirmed", component="cart", resolution="a")
    for said in (
        plain,
        replace(plain, id="f2", time=4, opinion="note", resolution="b"),
        replace(plain, id="f3", resolution=""),
    ):
        store.add_feedback(said).result()
    assert before == (0, 0)
    assert store.feedback_mark() == (3, 4)
    assert store.resolutions() == {"i1": ["a", "b"]}
