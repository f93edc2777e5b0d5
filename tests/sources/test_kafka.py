"""Messages out of Kafka: what they mean, and, with a real Kafka, that each has one effect."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from rca.errors import OverloadedError, SourceError
from rca.sources.kafka import DeadLetter, KafkaSettings, KafkaSource, MessageBatch, cut_by_size

PAYLOADS = Path(__file__).parent / "payloads"
CHANGE = {"component": "cart", "kind": "deployment", "name": "cart 1.4.2", "time": "2026-01-31T12:00:00Z"}


def read(name: str) -> bytes:
    return (PAYLOADS / name).read_bytes()


def source(**settings: object) -> KafkaSource:
    chosen = KafkaSettings(servers="127.0.0.1:1", options={"log_level": 0}, **settings)
    return KafkaSource(chosen, lambda batch: None, lambda letter: None)


@pytest.mark.parametrize(
    ("topic", "value", "records"),
    [
        ("otlp_metrics", read("otlp_http_metrics.pb"), 20),
        ("otlp_metrics", read("otlp_http_metrics.json"), 20),
        ("otlp_logs", read("otlp_http_logs.pb"), 1),
        ("otlp_spans", read("otlp_http_traces.json"), 2),
        ("rca_changes", msgspec.json.encode(CHANGE), 1),
        ("rca_changes", msgspec.json.encode([CHANGE, {"component": "cart", "name": "HighLatency"}]), 2),
    ],
)
def test_messages_mean_what_the_same_bodies_mean_over_http(topic: str, value: bytes, records: int) -> None:
    assert source().read(topic, value).accepted == records


def test_a_request_in_protobuf_whose_length_is_the_code_of_a_brace_is_no_json() -> None:
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=1)
    record.body.string_value = "x"
    while len(request.resource_logs[0].SerializeToString()) < ord("{"):
        record.body.string_value += "x"
    content = request.SerializeToString()
    assert content[:2] == b"\n{"
    assert source().read("otlp_logs", content).accepted == 1


def test_a_topic_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(SourceError, match="'profiles'"):
        KafkaSettings(servers="127.0.0.1:1", topics={"otlp_profiles": "profiles"})


def test_an_option_that_librdkafka_does_not_know_is_refused() -> None:
    with pytest.raises(SourceError, match=r"no\.such\.option"):
        KafkaSource(KafkaSettings(servers="x:1", options={"no.such.option": "1"}), lambda _: None, lambda _: None)


def test_messages_are_delivered_in_runs_that_are_not_too_large() -> None:
    runs = [[len(one) for one in run] for run in cut_by_size([b"x" * n for n in (3, 3, 3, 20, 1, 1)], most=7)]
    assert runs == [[3, 3], [3], [20], [1, 1]]


class Cluster:
    """A topic of a real Kafka with its own group and two partitions."""

    def __init__(self, address: str, name: str) -> None:
        from confluent_kafka import Producer
        from confluent_kafka.admin import AdminClient, NewTopic

        self.address, self.topic, self.group = address, name, f"{name}-group"
        self.producer = Producer({"bootstrap.servers": address})
        admin = AdminClient({"bootstrap.servers": address})
        for future in admin.create_topics([NewTopic(name, 2, 1), NewTopic(f"{name}-dead", 1, 1)]).values():
            future.result(30)

    def send(self, values: list[bytes]) -> None:
        for i, value in enumerate(values):
            self.producer.produce(self.topic, value, partition=i % 2)
        assert self.producer.flush(30) == 0

    @contextmanager
    def reading(
        self, deliver: Callable[[MessageBatch], None], dead_letter: Callable[[DeadLetter], None] = lambda _: None
    ) -> Iterator[KafkaSource]:
        settings = KafkaSettings(
            servers=self.address,
            group=self.group,
            topics={self.topic: "changes"},
            batch=50,
            wait=0.1,
            dead_letter_topic=f"{self.topic}-dead",
            options={"session.timeout.ms": 6_000, "heartbeat.interval.ms": 500},
        )
        source = KafkaSource(settings, deliver, dead_letter)
        thread = threading.Thread(target=source.run)
        thread.start()
        try:
            yield source
        finally:
            source.stop()
            thread.join(30)
            assert not thread.is_alive()


def change(number: int) -> bytes:
    return msgspec.json.encode({**CHANGE, "id": f"change-{number}"})


class Kept:
    """A durable store that forgets nothing and takes each id once."""

    def __init__(self) -> None:
        self.changes: dict[str, int] = {}
        self.deliveries = 0
        self.grew = threading.Condition()

    def take(self, batch: MessageBatch) -> None:
        with self.grew:
            self.deliveries += len(batch.ids)
            for one in batch.received.changes:
                self.changes.setdefault(one.id, 0)
                self.changes[one.id] += 1
            self.grew.notify_all()

    def wait_for(self, count: int, seconds: float = 60) -> None:
        with self.grew:
            assert self.grew.wait_for(lambda: len(self.changes) >= count, seconds), f"{len(self.changes)} of {count}"


def test_what_was_committed_is_not_delivered_again_and_what_was_not_is(kafka: str) -> None:
    cluster, kept = Cluster(kafka, "resumed"), Kept()
    cluster.send([change(i) for i in range(100)])
    with cluster.reading(kept.take):
        kept.wait_for(100)
    assert kept.deliveries == 100
    cluster.send([change(i) for i in range(100, 120)])

    def fail(batch: MessageBatch) -> None:
        raise OverloadedError("the store is full", where="test", remedy="come again")

    failed = threading.Event()
    with cluster.reading(lambda batch: (failed.set(), fail(batch))):  # delivered to nobody, so never committed
        assert failed.wait(60)
    with cluster.reading(kept.take):
        kept.wait_for(120)
    assert kept.deliveries == 120
    assert set(kept.changes.values()) == {1}


def test_a_crash_between_the_write_and_the_commit_has_one_effect(kafka: str) -> None:
    cluster, kept = Cluster(kafka, "crashed"), Kept()
    cluster.send([change(i) for i in range(40)])
    ids: list[str] = []

    def crash(batch: MessageBatch) -> None:
        kept.take(batch)
        ids.extend(batch.ids)
        raise RuntimeError("killed after the write")

    settings = KafkaSettings(servers=kafka, group=cluster.group, topics={cluster.topic: "changes"}, batch=50, wait=1.0)
    with pytest.raises(RuntimeError, match="killed"):
        KafkaSource(settings, crash, lambda _: None).run()
    again: list[str] = []
    with cluster.reading(lambda batch: (again.extend(batch.ids), kept.take(batch))), kept.grew:
        assert kept.grew.wait_for(lambda: set(ids) <= set(again), 60)
    assert set(ids) <= set(again)  # the same messages come under the same ids
    assert len(kept.changes) == 40  # and their events are there once


def test_a_message_that_cannot_be_read_goes_to_the_dead_letters_and_holds_nothing_up(kafka: str) -> None:
    from confluent_kafka import Consumer

    cluster, kept = Cluster(kafka, "poisoned"), Kept()
    letters: list[DeadLetter] = []
    cluster.send([change(0), b"\x00 no json", change(1), b'{"kind": "magic"}', change(2)])
    with cluster.reading(kept.take, letters.append):
        kept.wait_for(3)
        cluster.send([change(3)])
        kept.wait_for(4)
    assert sorted(letter.value for letter in letters) == [b"\x00 no json", b'{"kind": "magic"}']
    assert all(letter.problem and letter.id.startswith("poisoned/") for letter in letters)
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "look", "auto.offset.reset": "earliest"})
    consumer.subscribe(["poisoned-dead"])
    buried = []
    for _ in range(60):
        buried += [message.value() for message in consumer.consume(10, 1.0)]
        if len(buried) >= 2:
            break
    consumer.close()
    assert sorted(buried) == sorted(letter.value for letter in letters)


def test_two_replicas_share_the_partitions_and_one_takes_over_from_the_other(kafka: str) -> None:
    cluster, kept = Cluster(kafka, "shared"), Kept()
    by: dict[str, set[str]] = {"first": set(), "second": set()}

    def taker(name: str) -> Callable[[MessageBatch], None]:
        def take(batch: MessageBatch) -> None:
            by[name].update(id.rsplit("/", 1)[0] for id in batch.ids)
            kept.take(batch)

        return take

    with cluster.reading(taker("first")):
        cluster.send([change(i) for i in range(20)])
        kept.wait_for(20)
        with cluster.reading(taker("second")):
            for round_ in range(1, 60):
                cluster.send([change(20 * round_ + i) for i in range(20)])
                kept.wait_for(20 * (round_ + 1))
                if by["second"]:
                    break
            assert by["second"]
        sent = len(kept.changes)
        cluster.send([change(sent + i) for i in range(20)])  # the second is gone: all are the first's again
        kept.wait_for(sent + 20)
    assert len(kept.changes) == sent + 20


def test_reading_waits_while_the_store_is_overloaded(kafka: str) -> None:
    cluster, kept = Cluster(kafka, "overloaded"), Kept()
    cluster.send([change(i) for i in range(30)])
    refusals = 0

    def take(batch: MessageBatch) -> None:
        nonlocal refusals
        if refusals < 3:
            refusals += 1
            raise OverloadedError("full", where="test", remedy="wait")
        kept.take(batch)

    with cluster.reading(take):
        kept.wait_for(30)
    assert refusals == 3
    assert kept.deliveries == 30
