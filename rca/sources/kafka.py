"""Telemetry from Kafka: OTLP topics of the OpenTelemetry Collector, and a JSON topic of changes and alerts.

The Collector's Kafka exporter writes one Export…ServiceRequest per message to ``otlp_spans``,
``otlp_metrics`` and ``otlp_logs``, as ``otlp_proto`` (its default) or ``otlp_json``.

Offsets are committed only after ``deliver`` has returned, so nothing that was committed is lost; what
is delivered again, after a crash or a rebalance, has to have one effect: each batch comes with the
ids of its messages (``topic/partition/offset``) for that. A message that cannot be read goes to
``dead_letter`` and holds nothing up.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rca.errors import OverloadedError, SourceError
from rca.sources.bodies import DEFAULT_LIMITS, Limits
from rca.sources.errors import UnavailableError
from rca.sources.generic_json import decode_generic
from rca.sources.naming import DEFAULT_NAMING, Naming
from rca.sources.otlp import SIGNALS, read_export
from rca.sources.received import Received

if TYPE_CHECKING:
    import confluent_kafka

# topic -> what its messages are
TOPICS: Mapping[str, str] = {
    "otlp_spans": "traces",
    "otlp_metrics": "metrics",
    "otlp_logs": "logs",
    "rca_changes": "changes",
}
_KINDS = frozenset((*SIGNALS, "changes"))
_CONSUMERS = ("session.", "heartbeat.", "group.", "max.poll.", "auto.offset.", "fetch.", "partition.", "queued.")
_LOG = logging.getLogger("rca.sources.kafka")
_BATCH_BYTES = 16 << 20  # decoded, a few times as much
_PAUSE, _LONGEST_PAUSE = 0.2, 10.0  # seconds between tries to deliver


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSettings:
    """Where and how to read.

    Attributes:
        servers: ``host:port``, several parted by commas.
        group: replicas of one group share the partitions.
        topics: topic -> "traces", "metrics", "logs" or "changes".
        batch: messages that are delivered at once; wait: seconds that a batch waits to fill.
        dead_letter_topic: where messages go that cannot be read; "" keeps to the callback alone.
        options: further settings of librdkafka, such as ``security.protocol`` and ``sasl.password``.
    """

    servers: str
    group: str = "rca"
    topics: Mapping[str, str] = field(default_factory=lambda: dict(TOPICS))
    batch: int = 500
    wait: float = 0.5
    dead_letter_topic: str = ""
    options: Mapping[str, str | int | bool] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        unknown = sorted(set(self.topics.values()) - _KINDS)
        if unknown or not self.topics:
            raise SourceError(
                f"the kind {unknown[0]!r} of a topic is unknown" if unknown else "no topics",
                where="Kafka",
                remedy=f"Use {', '.join(sorted(_KINDS))}",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageBatch:
    """What some messages held, and the id of each: the same whenever it is delivered again."""

    received: Received
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A message that cannot be read, and why."""

    id: str
    topic: str
    value: bytes
    problem: str


class KafkaSource:
    """Reads topics until it is stopped.

    Args:
        settings: where and how.
        deliver: makes a batch durable and returns; where it raises OverloadedError it is asked again,
            with growing pauses, and nothing more is read meanwhile.
        dead_letter: gets every message that cannot be read.

    Raises:
        SourceError: a setting that librdkafka does not know.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        deliver: Callable[[MessageBatch], None],
        dead_letter: Callable[[DeadLetter], None],
        *,
        naming: Naming = DEFAULT_NAMING,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        import confluent_kafka

        self._settings, self._deliver, self._dead_letter = settings, deliver, dead_letter
        self._naming, self._limits = naming, limits
        self._stopped = threading.Event()
        self._lost: set[tuple[str, int]] = set()  # partitions that went to others while a batch was under way
        self._held: list[confluent_kafka.Message] = []  # what came while a batch could not be delivered
        common = {"bootstrap.servers": settings.servers, **settings.options}
        try:
            self._consumer = confluent_kafka.Consumer(
                {
                    "auto.offset.reset": "earliest",
                    "partition.assignment.strategy": "cooperative-sticky",
                    **common,
                    "group.id": settings.group,
                    "enable.auto.commit": False,
                    "enable.partition.eof": False,
                },
                logger=_LOG,
            )
            shared = {name: value for name, value in common.items() if not name.startswith(_CONSUMERS)}
            self._producer = confluent_kafka.Producer(shared, logger=_LOG) if settings.dead_letter_topic else None
        except confluent_kafka.KafkaException as bad:
            raise SourceError(str(bad.args[0]), where="Kafka", remedy="Check the options") from bad

    def run(self) -> None:
        """Reads, delivers and commits until ``stop``; then leaves the group, so that others take over at once.

        Raises:
            UnavailableError: the cluster refuses (credentials, rights, unknown topics with no right to
                create them). A cluster that is only unreachable is waited for.
        """
        import confluent_kafka

        self._consumer.subscribe(list(self._settings.topics), on_revoke=self._revoked, on_lost=self._revoked)
        try:
            while not self._stopped.is_set():
                try:
                    messages = self._consumer.consume(self._settings.batch, self._settings.wait)
                except (confluent_kafka.KafkaException, RuntimeError) as bad:
                    raise UnavailableError(str(bad), where="Kafka", remedy="Check the cluster") from bad
                held, self._held = self._held, []
                # What follows a batch that was given up stays uncommitted: all() reads no further.
                all(self._handle(part) for part in cut_by_size([*held, *messages]))
        finally:
            self._consumer.close()
            if self._producer is not None:
                self._producer.flush(10)

    def stop(self) -> None:
        """Lets ``run`` finish the batch in hand and return; from any thread or a signal handler."""
        self._stopped.set()

    def _handle(self, messages: Sequence[confluent_kafka.Message]) -> bool:
        """Whether the messages became durable; False where the source was stopped before."""
        self._lost.clear()
        parts: list[Received] = []
        ids: list[str] = []
        done: list[confluent_kafka.Message] = []
        for message in messages:
            error = message.error()
            if error is not None:
                if error.fatal() or error.code() in _refusals():
                    raise UnavailableError(str(error), where="Kafka", remedy="Check credentials and rights")
                continue  # the broker is away or elects a leader: librdkafka goes on by itself
            done.append(message)
            id = f"{message.topic()}/{message.partition()}/{message.offset()}"
            try:
                parts.append(self.read(message.topic() or "", message.value() or b""))
                ids.append(id)
            except SourceError as bad:
                self._bury(
                    DeadLetter(id=id, topic=message.topic() or "", value=message.value() or b"", problem=str(bad))
                )
        if parts and not self._delivered(MessageBatch(received=Received.merge(parts), ids=tuple(ids))):
            return False
        self._commit(done)
        return True

    def read(self, topic: str, value: bytes) -> Received:
        """What one message holds. OTLP in JSON is told from protobuf by its first byte.

        Raises:
            SourceError: it cannot be read.
        """
        kind = self._settings.topics.get(topic, "")
        if kind == "changes":
            return decode_generic(value, limits=self._limits)
        if len(value) > self._limits.inflated:
            raise SourceError(f"{len(value)} bytes", where=topic, remedy="Send smaller batches")
        json = value[:1] == b"{"  # no request in protobuf begins so
        for signal in ("traces", "metrics", "logs"):
            if signal == kind:
                return read_export(signal, value, json=json, naming=self._naming, limits=self._limits)
        raise SourceError(f"a message of the topic {topic[:80]!r}", where="Kafka", remedy="Name it in the settings")

    def _delivered(self, batch: MessageBatch) -> bool:
        """Whether the batch became durable: False where the source was stopped before."""
        pause = _PAUSE
        while True:
            try:
                self._deliver(batch)
                return True
            except OverloadedError:
                # Who does not poll loses its partitions. These are paused; only newly assigned ones can give something.
                assigned = self._consumer.assignment()
                self._consumer.pause(assigned)
                message = self._consumer.poll(0)
                if message is not None:
                    self._held.append(message)
                if self._stopped.wait(pause):
                    return False
                self._resume(assigned)
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _resume(self, partitions: Sequence[confluent_kafka.TopicPartition]) -> None:
        kept = {(one.topic, one.partition) for one in self._consumer.assignment()}
        self._consumer.resume([one for one in partitions if (one.topic, one.partition) in kept])

    def _bury(self, letter: DeadLetter) -> None:
        self._dead_letter(letter)
        if self._producer is not None:
            headers: Any = {"problem": letter.problem.encode()[:1_000], "origin": letter.id.encode()}
            self._producer.produce(self._settings.dead_letter_topic, letter.value, headers=headers)
            if self._producer.flush(10):
                raise UnavailableError(
                    "a dead letter was not taken", where="Kafka", remedy="Check the dead letter topic"
                )

    def _commit(self, messages: Sequence[confluent_kafka.Message]) -> None:
        """Commits behind the last message of each partition that is still ours."""
        import confluent_kafka

        last: dict[tuple[str, int], int] = {}
        for message in messages:
            place = message.topic() or "", message.partition() or 0
            last[place] = max(last.get(place, 0), (message.offset() or 0) + 1)
        offsets = [
            confluent_kafka.TopicPartition(topic, partition, offset)
            for (topic, partition), offset in sorted(last.items())
            if (topic, partition) not in self._lost
        ]
        if offsets:
            try:
                self._consumer.commit(offsets=offsets, asynchronous=False)
            except confluent_kafka.KafkaException as bad:
                # Delivered all the same: whoever has the partition now delivers it once more, to no effect.
                if bad.args and bad.args[0].fatal():
                    raise UnavailableError(str(bad), where="Kafka", remedy="Check the cluster") from bad

    def _revoked(self, _: Any, partitions: Sequence[confluent_kafka.TopicPartition]) -> None:
        self._lost.update((partition.topic, partition.partition) for partition in partitions)


def cut_by_size(
    messages: Sequence[confluent_kafka.Message], most: int = _BATCH_BYTES
) -> Iterator[Sequence[confluent_kafka.Message]]:
    """Runs of messages of at most ``most`` bytes together, or of one that is larger."""
    begin = size = 0
    for i, message in enumerate(messages):
        length = len(message)
        if size and size + length > most:
            yield messages[begin:i]
            begin, size = i, 0
        size += length
    if begin < len(messages):
        yield messages[begin:]


def _refusals() -> frozenset[int]:
    """Errors that waiting does not mend."""
    from confluent_kafka import KafkaError

    names = (
        "TOPIC_AUTHORIZATION_FAILED",
        "GROUP_AUTHORIZATION_FAILED",
        "SASL_AUTHENTICATION_FAILED",
        "_AUTHENTICATION",
    )
    return frozenset(getattr(KafkaError, name) for name in names)
