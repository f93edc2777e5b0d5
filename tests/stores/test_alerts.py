"""Which alerts belong together is decided once, whoever asks, and never twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from rca.errors import ConflictError
from rca.stores import open_store
from rca.stores.members import Members
from rca.stores.protocol import Store
from rca.stores.records import AlertRecord, Delivery, Grouped, Grouping, IncidentRecord, Job, ReportRecord, Retention


def alert(key: str, start: int = 100, **facts: object) -> AlertRecord:
    plain = {"key": key, "start": start, "component": "cart", "name": "Slow", "state": "firing", "groups": ("g",)}
    return AlertRecord(**plain | facts)


def by_group(told: AlertRecord, members: Members) -> str:
    return next((each.incident for each in members.sharing(told)), "")


def grouping(now: int = 1_000, **facts: object) -> Grouping:
    def opened(told: AlertRecord) -> IncidentRecord:
        return IncidentRecord(id=f"inc-{told.key}-{told.start}", created=now, updated=now, start=0, end=now)

    plain = {
        "choose": by_group,
        "open": opened,
        "now": now,
        "settled": now + 2,
        "follow_up": now + 90,
        "most_analyses": 2,
        "closed_since": now - 100,
    }
    return Grouping(**plain | facts)


def job_of(incident: str) -> Job:
    return Job(id=f"job-{incident}", kind="alert", incident=incident, state="queued", attempt=0, created=1)


def test_the_first_alert_opens_an_incident_and_others_join_it(store: Store) -> None:
    first = store.group_alerts([alert("a"), alert("b")], grouping()).result()
    assert (first.opened, first.joined) == (("inc-a-100",), ())
    assert first.placed == {"a": "inc-a-100", "b": "inc-a-100"}
    second = store.group_alerts([alert("c")], grouping()).result()
    assert (second.opened, second.joined) == ((), ("inc-a-100",))
    other = store.group_alerts([alert("d", groups=("h",))], grouping()).result()
    assert other.opened == ("inc-d-100",)
    assert [one.key for one in store.alerts_of("inc-a-100")] == ["a", "b", "c"]
    assert store.alerts_of("inc-a-100")[0].groups == ("g",)


def test_an_alert_that_is_told_again_changes_nothing(store: Store) -> None:
    store.group_alerts([alert("a")], grouping()).result()
    again = store.group_alerts([alert("a"), alert("a")], grouping(now=2_000)).result()
    assert (again.opened, again.joined, again.closed) == ((), (), ())
    assert len(store.alerts_of("inc-a-100")) == 1
    assert len(store.incidents()) == 1


def test_an_incident_closes_with_its_last_alert_and_opens_again_with_the_next(store: Store) -> None:
    store.group_alerts([alert("a"), alert("b")], grouping()).result()
    assert store.group_alerts([alert("a", state="resolved")], grouping(now=1_100)).result().closed == ()
    assert store.group_alerts([alert("b", state="resolved")], grouping(now=1_200)).result().closed == ("inc-a-100",)
    assert store.incident("inc-a-100").state == "closed"
    late = store.group_alerts([alert("b")], grouping(now=1_210)).result()  # its firing, once more and too late
    assert (late.opened, late.joined) == ((), ())
    assert store.incident("inc-a-100").state == "closed"
    back = store.group_alerts([alert("a", start=1_250)], grouping(now=1_250)).result()
    assert (back.opened, back.joined) == ((), ("inc-a-100",))
    assert store.incident("inc-a-100").state == "open"


def test_what_was_closed_long_ago_stays_closed(store: Store) -> None:
    store.group_alerts([alert("a")], grouping()).result()
    store.group_alerts([alert("a", state="resolved")], grouping(now=1_100)).result()
    later = store.group_alerts([alert("a", start=5_000)], grouping(now=5_000)).result()
    assert later.opened == ("inc-a-5000",)


def test_an_end_before_its_begin_opens_nothing_and_neither_does_the_begin(store: Store) -> None:
    assert store.group_alerts([alert("a", state="resolved")], grouping()).result().placed == {}
    assert store.group_alerts([alert("a")], grouping()).result().opened == ()
    assert store.incidents() == []


def test_a_page_that_joined_alerts_ends_with_them(store: Store) -> None:
    store.group_alerts([alert("a"), alert("p", page="PD1")], grouping()).result()
    assert store.group_alerts([alert("a", state="resolved")], grouping(now=1_100)).result().closed == ("inc-a-100",)
    store.group_alerts([alert("q", page="PD2", groups=("only",))], grouping()).result()
    ended = store.group_alerts([alert("q", page="PD2", groups=("only",), state="resolved")], grouping()).result()
    assert ended.closed == ("inc-q-100",)


def test_an_analysis_that_is_due_is_queued_once_and_a_bounded_number_of_times(store: Store) -> None:
    store.group_alerts([alert("a")], grouping(now=1_000)).result()
    assert store.claim_due(1_001, job_of).result() == []
    assert [job.incident for job in store.claim_due(1_002, job_of).result()] == ["inc-a-100"]
    assert store.claim_due(9_999, job_of).result() == []
    assert store.job("job-inc-a-100").state == "queued"
    for number, expected in ((1, 1), (2, 0)):
        store.group_alerts([alert(f"n{number}")], grouping(now=2_000 * number)).result()
        assert len(store.claim_due(90_000, lambda i, n=number: replace(job_of(i), id=f"j{n}")).result()) == expected
    assert store.analyses_of("inc-a-100") == 2


def test_a_report_and_what_tells_of_it_are_durable_together_or_not_at_all(store: Store) -> None:
    store.group_alerts([alert("a")], grouping()).result()
    store.claim_due(1_002, job_of).result()
    claimed = store.claim_job("w", 1, 10).result()
    assert claimed is not None
    report = ReportRecord(job=claimed.id, incident=claimed.incident, created=5, document=b"{}")
    told = Delivery(id="d", incident="inc-a-100", target="t", state="waiting", attempt=0, due=1, created=1, body="{}")
    outcome = {"verdict": "cause", "cause": "cart", "confidence": 0.5, "deliveries": [told], "due": 7_000}
    assert not store.finish_job(claimed.id, claimed.attempt + 1, 5, report, **outcome).result()
    assert store.deliveries() == []
    assert store.finish_job(claimed.id, claimed.attempt, 5, report, **outcome).result()
    assert [one.id for one in store.deliveries()] == ["d"]
    assert len(store.claim_due(7_000, lambda i: replace(job_of(i), id="j2")).result()) == 1


def test_what_is_forgotten_takes_its_alerts_along(store: Store) -> None:
    store.group_alerts([alert("a"), alert("r", state="resolved")], grouping()).result()
    store.forget(Retention(events_before=1 << 60, bodies_before=0, incidents_before=1 << 60)).result()
    assert store.alerts_of("inc-a-100") == []
    assert store.alerts_of("") == []
    assert store.analyses_of("inc-a-100") == 0


def test_replicas_that_hear_of_one_cause_at_the_same_time_open_one_incident(url: str, store: Store) -> None:
    others = [open_store(url) for _ in range(3)]
    try:
        with ThreadPoolExecutor(4) as pool:
            told = [
                pool.submit(lambda s, n: s.group_alerts([alert(f"k{n}")], grouping()).result(), one, number)
                for number, one in enumerate([store, *others] * 5)
            ]
        grouped = [future.result() for future in told]
    finally:
        for one in others:
            one.close()
    assert sum(len(each.opened) for each in grouped) == 1
    assert len(store.incidents()) == 1
    assert len(store.alerts_of(store.incidents()[0].id)) == 20


def shared(told: AlertRecord, incident: str, members: Members) -> list[str]:
    return sorted({each.incident for each in members.sharing(told)} - {incident}, key=members.order)


def two_and_a_bridge(store: Store, bridge: str = "c") -> Grouped:
    """Incidents inc-a-100 and inc-b-100, and an alert that belongs to both."""
    store.group_alerts([alert("a"), alert("b", groups=("h",))], grouping()).result()
    told = alert(bridge, groups=("g", "h"), start=200)
    return store.group_alerts([told], grouping(now=2_000, others=shared)).result()


def answer(store: Store, incident: str, verdict: str, cause: str) -> None:
    """Lets the analysis of an incident end with a report."""
    store.claim_due(5_000, job_of).result()
    while store.claim_job("w", 1, 100).result() is not None:
        pass
    (job,) = store.jobs(incident=incident)
    report = ReportRecord(job=job.id, incident=incident, created=5, document=b"{}")
    told = {"verdict": verdict, "cause": cause, "confidence": 0.5}
    assert store.finish_job(job.id, job.attempt, 5, report, **told).result()


def test_an_alert_that_belongs_to_two_incidents_makes_them_one(store: Store) -> None:
    grouped = two_and_a_bridge(store)
    assert [(each.incident, each.home) for each in grouped.merged] == [("inc-b-100", "inc-a-100")]
    assert grouped.placed == {"c": "inc-a-100"}
    assert [one.key for one in store.alerts_of("inc-a-100")] == ["a", "b", "c"]
    assert store.alerts_of("inc-b-100") == []
    assert store.incident("inc-b-100").state == "merged"
    assert store.home_of("inc-b-100") == store.home_of("inc-a-100") == "inc-a-100"
    assert [each.incident for each in store.mergers("inc-a-100")] == ["inc-b-100"]
    (entry,) = store.audit()
    assert (entry.action, entry.subject) == ("incident.merge", "inc-b-100")
    assert "inc-a-100" in entry.outcome
    again = store.group_alerts([alert("b", groups=("h",))], grouping(now=3_000, others=shared)).result()
    assert (again.opened, again.merged, again.placed) == ((), (), {"b": "inc-a-100"})
    assert [each.incident for each in store.claim_due(10_000, job_of).result()] == ["inc-a-100"]


def test_what_is_merged_is_no_longer_analysed_and_closes_with_the_other(store: Store) -> None:
    store.group_alerts([alert("a"), alert("b", groups=("h",))], grouping()).result()
    jobs = store.claim_due(5_000, job_of).result()
    claimed = store.claim_job("w", 1, 100).result()
    assert claimed is not None
    store.group_alerts([alert("c", groups=("g", "h"))], grouping(now=2_000, others=shared)).result()
    assert [store.job(each.id).state for each in jobs if each.incident == "inc-b-100"] == ["cancelled"]
    ends = [alert("a", state="resolved"), alert("b", state="resolved"), alert("c", state="resolved")]
    assert store.group_alerts(ends, grouping(now=3_000)).result().closed == ("inc-a-100",)
    assert store.incident("inc-b-100").state == "merged"


def test_a_cause_that_only_the_later_incident_found_is_not_given_up(store: Store) -> None:
    store.group_alerts([alert("a"), alert("b", groups=("h",))], grouping()).result()
    answer(store, "inc-b-100", "cause", "disk")
    told = store.group_alerts([alert("c", groups=("g", "h"))], grouping(now=2_000, others=shared)).result()
    assert told.merged == ()
    assert store.merge_same_cause("inc-a-100", "disk", apart=10, now=9).result()[0].incident == "inc-b-100"


def test_incidents_that_name_one_cause_are_one_where_they_are_near_in_time(store: Store) -> None:
    first = [alert("a"), alert("b", groups=("h",), start=150), alert("f", groups=("f",), start=900)]
    store.group_alerts(first, grouping()).result()
    for incident in ("inc-a-100", "inc-f-900"):
        answer(store, incident, "cause", "disk")
    assert store.merge_same_cause("inc-b-150", "mail", apart=100, now=9).result() == []
    (merger,) = store.merge_same_cause("inc-b-150", "disk", apart=100, now=9).result()
    assert (merger.incident, merger.home, merger.reason) == ("inc-b-150", "inc-a-100", "both name disk as the cause")
    assert store.merge_same_cause("inc-b-150", "disk", apart=100, now=9).result() == []


def test_a_merger_of_a_merger_points_to_the_first(store: Store) -> None:
    store.group_alerts([alert("z", groups=("z",), start=50)], grouping(now=500)).result()
    two_and_a_bridge(store)
    store.group_alerts([alert("y", groups=("z", "g"))], grouping(now=3_000, others=shared)).result()
    assert {store.home_of(f"inc-{name}-100") for name in "ab"} == {"inc-z-50"}
    assert len(store.alerts_of("inc-z-50")) == 5


def test_a_merger_can_be_undone_and_is_not_done_again(store: Store) -> None:
    two_and_a_bridge(store)
    parted = store.part_incident("inc-b-100", 4_000).result()
    assert (parted.home, parted.parted) == ("inc-a-100", 4_000)
    assert [one.key for one in store.alerts_of("inc-a-100")] == ["a", "c"]
    assert [one.key for one in store.alerts_of("inc-b-100")] == ["b"]
    assert store.incident("inc-b-100").state == "open"
    assert store.home_of("inc-b-100") == "inc-b-100"
    assert store.mergers("inc-a-100") == []
    assert {each.incident for each in store.claim_due(4_000, job_of).result()} == {"inc-a-100", "inc-b-100"}
    with pytest.raises(ConflictError):
        store.part_incident("inc-b-100", 5_000).result()
    assert two_and_a_bridge(store, "another").merged == ()
