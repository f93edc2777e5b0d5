"""What every store promises, on each of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from time import sleep

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rca.errors import ConflictError, NotFoundError, OverloadedError, StoreError
from rca.stores import open_store
from rca.stores.protocol import Store
from rca.stores.records import (
    AuditEntry,
    Delivery,
    Entry,
    Feedback,
    IdempotencyKey,
    IncidentRecord,
    Job,
    ReportRecord,
    Retention,
    Segment,
    Token,
)

KEY = IdempotencyKey(owner="ops", key="k1", digest="d1")


def entry(name: str, time: int = 10, component: str = "cart") -> Entry:
    return Entry(id=name, time=time, component=component, kind="alert.firing", source="test", body="{}")


def incident(name: str, created: int = 1, **facts: object) -> IncidentRecord:
    return IncidentRecord(**{"id": name, "created": created, "updated": created, "start": 0, "end": 10} | facts)


def job(name: str, of: str = "i1", created: int = 1, **facts: object) -> Job:
    plain = {"id": name, "kind": "analyse", "incident": of, "state": "queued", "attempt": 0, "created": created}
    return Job(**plain | facts)


def report(of: Job, document: bytes = b"{}") -> ReportRecord:
    return ReportRecord(job=of.id, incident=of.incident, created=5, document=document, page=b"<html>")


def file(store: Store, name: str, **facts: object) -> Job:
    """An incident with one job of the same number."""
    made = job(f"j-{name}", name, **facts)
    store.file_incident(incident(name), made).result()
    return made


def finish(store: Store, claimed: Job | None) -> bool:
    assert claimed is not None
    return store.finish_job(
        claimed.id, claimed.attempt, 5, report(claimed), verdict="cause", cause="cart", confidence=0.9
    ).result()


def test_an_entry_that_comes_twice_is_kept_once(store: Store) -> None:
    assert store.append("events", [entry("a"), entry("b")]).result() == 2
    assert store.append("events", [entry("b"), entry("c")]).result() == 1
    assert [found.id for found in store.entries("events", 0, 20)] == ["a", "b", "c"]
    assert store.count("events") == 3
    assert store.count("changes") == 0


@given(st.lists(st.lists(st.integers(0, 30), max_size=8), max_size=8))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_order_and_the_repeats_the_union_is_kept(store: Store, batches: list[list[int]]) -> None:
    before = {found.id for found in store.entries("changes", 0, 100)}
    pending = [store.append("changes", [entry(f"e{n}", n) for n in batch]) for batch in batches]
    new = sum(future.result() for future in pending)
    after = [found.id for found in store.entries("changes", 0, 100)]
    assert len(after) == len(set(after)) == len(before) + new
    assert set(after) == before | {f"e{n}" for batch in batches for n in batch}


def test_entries_are_asked_for_by_time_and_component(store: Store) -> None:
    store.append("events", [entry("a", 1), entry("b", 5, "pay"), entry("c", 9)]).result()
    assert [found.id for found in store.entries("events", 1, 9)] == ["a", "b"]
    assert [found.id for found in store.entries("events", 0, 10, components=["pay", "x"])] == ["b"]
    assert [found.id for found in store.entries("events", 0, 10, limit=1)] == ["a"]


def test_texts_come_back_as_they_were_but_for_nul(store: Store) -> None:
    odd = replace(entry("'; DROP TABLE events; --"), component="ü\u2028😀%s?", body='{"a":"\\u0000"}')
    store.append("events", [odd]).result()
    assert store.entries("events", 0, 20) == [odd]
    store.append("events", [entry("nul\x00")]).result()
    assert store.count("events") == 2


def test_an_incident_and_its_job_are_there_together(store: Store) -> None:
    made = file(store, "i1")
    assert store.incident("i1").title == ""
    assert store.jobs(incident="i1") == [made]
    with pytest.raises(NotFoundError):
        store.incident("i2")


def test_the_same_idempotency_key_files_one_incident(store: Store) -> None:
    first = store.file_incident(incident("i1"), job("j1"), key=KEY).result()
    again = store.file_incident(incident("i2"), job("j2", "i2"), key=KEY).result()
    assert (first.replay, again.replay) == (False, True)
    assert (again.incident, again.job) == ("i1", "j1")
    with pytest.raises(NotFoundError):
        store.incident("i2")


def test_an_idempotency_key_for_another_request_is_refused(store: Store) -> None:
    store.file_incident(incident("i1"), job("j1"), key=KEY).result()
    with pytest.raises(ConflictError):
        store.file_incident(incident("i2"), job("j2", "i2"), key=replace(KEY, digest="d2")).result()
    other = store.file_incident(incident("i3"), job("j3", "i3"), key=replace(KEY, owner="dev")).result()
    assert not other.replay


def test_a_full_queue_refuses_and_keeps_nothing(store: Store) -> None:
    store.file_incident(incident("i1"), job("j1"), most_queued=1).result()
    with pytest.raises(OverloadedError):
        store.file_incident(incident("i2"), job("j2", "i2"), most_queued=1).result()
    with pytest.raises(NotFoundError):
        store.incident("i2")


def test_incidents_are_listed_newest_first_page_by_page(store: Store) -> None:
    for number in range(5):
        store.file_incident(incident(f"i{number}", created=number // 2), job(f"j{number}", f"i{number}")).result()
    first = store.incidents(limit=2)
    rest = store.incidents(limit=9, before=(first[-1].created, first[-1].id))
    assert [found.id for found in first + rest] == ["i4", "i3", "i2", "i1", "i0"]
    assert store.incidents(state="closed") == []
    assert store.set_incident_state("i1", "closed", 9).result()
    assert [found.id for found in store.incidents(state="closed")] == ["i1"]


def test_jobs_are_taken_up_in_order_and_finished_once(store: Store) -> None:
    file(store, "i1", created=1)
    file(store, "i2", created=2)
    first = store.claim_job("w1", 10, 20).result()
    second = store.claim_job("w2", 10, 20).result()
    assert first is not None
    assert second is not None
    assert (first.id, second.id) == ("j-i1", "j-i2")
    assert store.claim_job("w3", 10, 20).result() is None
    assert finish(store, first)
    assert not finish(store, first)
    assert store.job("j-i1").state == "done"
    assert store.incident("i1").cause == "cart"
    assert store.report("i1") == ("j-i1", b"{}")
    assert store.report("i1", "page")[1] == b"<html>"
    with pytest.raises(NotFoundError):
        store.report("i2")


def test_a_lease_that_ran_out_passes_the_job_on_and_only_the_last_attempt_counts(store: Store) -> None:
    file(store, "i1")
    slow = store.claim_job("w1", 10, 20).result()
    assert store.claim_job("w2", 20, 40).result() is None
    quick = store.claim_job("w2", 21, 40).result()
    assert slow is not None
    assert quick is not None
    assert (slow.attempt, quick.attempt) == (1, 2)
    assert not store.renew_job(slow.id, slow.attempt, 90, "late").result()
    assert not finish(store, slow)
    assert store.renew_job(quick.id, quick.attempt, 90, "ranking").result()
    assert store.job(quick.id).progress == "ranking"
    assert finish(store, quick)
    assert not store.fail_job(slow.id, slow.attempt, 50, "late").result()


def test_a_job_whose_workers_die_each_time_fails_in_the_end(store: Store) -> None:
    file(store, "i1")
    for attempt in range(3):
        assert store.claim_job("w", 100 * attempt, 100 * attempt + 1).result() is not None
    assert store.claim_job("w", 1000, 1001).result() is None
    assert store.job("j-i1").state == "failed"
    assert "died" in store.job("j-i1").error


def test_a_job_that_was_given_back_each_time_fails_in_the_end(store: Store) -> None:
    """A service that dies of a job gives it back when it starts again."""
    file(store, "i1")
    for now in range(3):
        assert store.claim_job("w", now, now + 100, most_attempts=3).result() is not None
        store.return_jobs_of("").result()
    assert store.claim_job("w", 9, 100, most_attempts=3).result() is None
    assert store.job("j-i1").state == "failed"


def test_what_failed_is_told_of_once(store: Store) -> None:
    made = file(store, "i1")
    assert store.untold_failures() == []
    claimed = store.claim_job("w", 1, 100).result()
    assert claimed is not None
    store.fail_job(made.id, claimed.attempt, 2, "no memory").result()
    assert [each.id for each in store.untold_failures()] == [made.id]
    told = Delivery(id="d1", incident="i1", target="t", state="waiting", attempt=0, due=0, created=1, body="{}")
    assert store.settle_failure(made.id, 3, [told]).result()
    assert not store.settle_failure(made.id, 4, [replace(told, id="d2")]).result()
    assert store.untold_failures() == []
    assert [each.id for each in store.deliveries()] == ["d1"]
    assert store.incident("i1").verdict == "failed"


def test_a_failure_after_a_report_leaves_the_answer(store: Store) -> None:
    file(store, "i1")
    assert finish(store, store.claim_job("w", 1, 100).result())
    store.add_job(job("again")).result()
    claimed = store.claim_job("w", 1, 100).result()
    assert claimed is not None
    store.fail_job(claimed.id, claimed.attempt, 2, "no memory").result()
    assert store.settle_failure(claimed.id, 3, []).result()
    assert store.incident("i1").verdict == "cause"


def test_a_job_that_waits_beyond_its_deadline_fails(store: Store) -> None:
    file(store, "i1", deadline=50)
    assert store.claim_job("w", 51, 60).result() is None
    assert store.job("j-i1").state == "failed"


def test_a_cancelled_job_is_neither_taken_up_nor_finished(store: Store) -> None:
    file(store, "i1")
    file(store, "i2", created=2)
    running = store.claim_job("w", 1, 9).result()
    assert running is not None
    assert store.cancel_job("j-i1", 3).result()
    assert store.cancel_job("j-i2", 3).result()
    assert not store.cancel_job("j-i2", 3).result()
    assert not finish(store, running)
    assert store.claim_job("w", 20, 30).result() is None
    assert store.count_jobs() == {"cancelled": 2}


def test_a_job_given_back_is_taken_up_again(store: Store) -> None:
    file(store, "i1")
    taken = store.claim_job("w1", 1, 9).result()
    assert taken is not None
    assert store.return_job(taken.id, taken.attempt).result()
    again = store.claim_job("w2", 2, 9).result()
    assert again is not None
    assert again.attempt == 2
    assert store.return_jobs_of("w1").result() == 0
    assert store.return_jobs_of("w2").result() == 1


def test_many_claim_at_once_and_no_job_goes_to_two(url: str, store: Store) -> None:
    names = [f"i{number}" for number in range(30)]
    for name in names:
        file(store, name)
    other = open_store(url) if store.shared else store
    with ThreadPoolExecutor(8) as pool:
        claims = [pool.submit((store, other)[n % 2].claim_job, f"w{n}", 1, 9) for n in range(40)]
        taken = [claim.result().result() for claim in claims]
    if other is not store:
        other.close()
    assert sorted(found.incident for found in taken if found is not None) == sorted(names)


def test_the_last_confirmed_cause_of_each_incident_counts(store: Store) -> None:
    plain = Feedback(id="f1", incident="i1", time=1, who="ann", opinion="confirmed", component="cart")
    plain = replace(plain, kind="memory", resolution="raised the limit", token="t1")
    said = [
        plain,
        replace(plain, id="f2", time=2, component="pay", who="bob"),
        replace(plain, id="f3", time=3, opinion="note", component="", note="see wiki"),
        replace(plain, id="f4", incident="i2"),
    ]
    assert [store.add_feedback(each).result() for each in (*said, plain)] == [True, True, True, True, False]
    assert store.feedback("i1") == said[:3]
    assert [(found.incident, found.component) for found in store.confirmed()] == [("i1", "pay"), ("i2", "cart")]
    assert [found.incident for found in store.confirmed(["i2"])] == ["i2"]
    assert [found.incident for found in store.confirmed(limit=1)] == ["i1"]  # the latest


def test_a_delivery_goes_to_one_sender_at_a_time_until_it_is_settled(store: Store) -> None:
    plain = Delivery(id="d1", incident="i1", target="slack", state="waiting", attempt=0, due=5, created=1, body="{}")
    assert store.add_deliveries([plain, replace(plain, id="d2", due=90)]).result() == 2
    assert store.add_deliveries([plain]).result() == 0
    assert [found.id for found in store.claim_deliveries(10, 20).result()] == ["d1"]
    assert store.claim_deliveries(10, 20).result() == []
    (again,) = store.claim_deliveries(20, 30).result()
    assert again.attempt == 2
    assert not store.settle_delivery("d1", 1, "sent").result()
    assert store.settle_delivery("d1", 2, "dead", error="410").result()
    assert store.deliveries(state="dead")[0].error == "410"
    assert store.revive_delivery("d1", 40).result()
    assert not store.revive_delivery("d1", 40).result()
    assert store.delivery("d1").attempt == 0


def test_tokens_are_kept_without_their_secret_and_can_be_revoked(store: Store) -> None:
    token = Token(id="t1", name="ops", digest=b"\x00\xff", scopes=("read", "ingest"), created=1)
    store.add_token(token).result()
    assert store.token("t1") == token
    assert store.revoke_token("t1", 9).result()
    assert not store.revoke_token("t1", 10).result()
    assert store.tokens() == [replace(token, revoked=9)]
    with pytest.raises(NotFoundError):
        store.token("t2")


def test_the_audit_log_only_grows_and_is_read_backwards(store: Store) -> None:
    plain = AuditEntry(time=1, who="ops", action="token.create", subject="t1", outcome="done")
    store.record([plain, replace(plain, subject="t2")]).result()
    newest, oldest = store.audit()
    assert (newest.subject, oldest.subject) == ("t2", "t1")
    assert store.audit(before=newest.id) == [oldest]


def test_segments_are_found_by_time_and_exchanged_together(store: Store) -> None:
    plain = Segment(id="s1", signal="logs", start=10, end=20, rows=1, size=5, created=1)
    store.add_segments([plain, replace(plain, id="s2", start=30, end=40)], ["b1"], 1).result()
    assert [found.id for found in store.segments(start=20, end=30)] == ["s1"]
    assert [found.id for found in store.segments(signal="logs")] == ["s1", "s2"]
    assert store.segments(signal="spans") == []
    assert store.seen_bodies(["b1", "b2"]) == {"b1"}
    merged = replace(plain, id="s3", end=40)
    assert store.replace_segments(["s1", "s2"], [merged]).result()
    assert not store.replace_segments(["s1", "s2"], [replace(plain, id="s4")]).result()
    assert store.segments() == [merged]
    assert store.drop_segments(["s3"]).result() == 1


def test_files_inside_the_database_come_back(store: Store) -> None:
    store.put_file("a/1.zip", b"\x00\x01" * 100_000, 1).result()
    store.put_file("a/1.zip", b"\x00\x02", 2).result()
    assert store.file("a/1.zip") == b"\x00\x02"
    assert store.file_names() == [("a/1.zip", 1)]
    assert store.drop_files(["a/1.zip"]).result() == 1
    with pytest.raises(NotFoundError):
        store.file("a/1.zip")


def test_components_and_topology_are_remembered_with_the_time_they_were_last_seen(store: Store) -> None:
    store.note_components(["pay", "cart"], 1).result()
    store.note_components(["cart"], 5).result()
    assert store.components() == [("cart", 1, 5), ("pay", 1, 1)]
    assert store.components(after="cart", limit=1) == [("pay", 1, 1)]
    store.note_topology([("cart", "pay")], {("cart", "host"): "n1"}, 1).result()
    store.note_topology([("cart", "db")], {("cart", "host"): "n2"}, 5).result()
    assert store.edges(0) == [("cart", "db"), ("cart", "pay")]
    assert store.edges(2) == [("cart", "db")]
    assert store.facts(0) == [("cart", "host", "n2")]


def test_what_is_too_old_is_forgotten(store: Store) -> None:
    store.append("events", [entry("old", 1), entry("new", 99)]).result()
    old = incident("i1", created=1, snapshot="snapshots/i1.zip")
    store.file_incident(old, job("j1")).result()
    store.file_incident(incident("i2", created=99), job("j2", "i2")).result()
    limits = Retention(events_before=50, bodies_before=50, incidents_before=50)
    assert store.forget(limits).result() == ["snapshots/i1.zip"]
    assert [found.id for found in store.entries("events", 0, 1000)] == ["new"]
    assert [found.id for found in store.incidents()] == ["i2"]
    assert [found.id for found in store.jobs()] == ["j2"]


def test_what_was_acknowledged_is_there_after_it_is_opened_again(url: str) -> None:
    first = open_store(url)
    first.append("events", [entry("a")]).result()
    first.close()
    again = open_store(url)
    assert again.count("events") == 1
    again.close()
    with pytest.raises(StoreError, match="closed"):
        again.append("events", [entry("b")])


def test_a_store_may_be_closed_while_threads_read_it_and_refuses_them_then(url: str) -> None:
    opened = open_store(url)
    opened.append("events", [entry(f"e{number}") for number in range(20_000)]).result()

    def read_on() -> int:
        whole = 0
        while True:
            try:
                assert opened.count("events") == 20_000
            except StoreError:
                return whole
            whole += 1

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read_on) for _ in range(4)]
        sleep(0.3)
        opened.close()
        assert sum(reader.result(20) for reader in readers) > 0


def test_a_store_that_a_newer_version_made_is_refused(url: str, store: Store) -> None:
    store.submit(lambda sql: sql.run("UPDATE schema_version SET version = version + 1")).result()
    with pytest.raises(StoreError, match="newer version"):
        open_store(url)


def test_a_piece_of_work_that_fails_takes_nobody_elses_with_it(store: Store) -> None:
    good = [store.append("events", [entry(f"g{n}")]) for n in range(3)]
    bad = store.submit(lambda sql: sql.run("INSERT INTO nonsense VALUES (1)"))
    good += [store.append("events", [entry(f"h{n}")]) for n in range(3)]
    with pytest.raises(StoreError, match="nonsense"):
        bad.result()
    assert [future.result() for future in good] == [1] * 6
