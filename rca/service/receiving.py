"""Telemetry by other ways than HTTP requests: OTLP over gRPC, and Kafka. Durable before it is acknowledged."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from rca.errors import OverloadedError, SettingsError, StoreError
from rca.service.logs import LOGGER
from rca.service.operations import pushed_of, with_topology
from rca.service.pushing import note
from rca.sources.bodies import Limits
from rca.sources.received import AlertNotice, Received
from rca.stores.tables import pack

if TYPE_CHECKING:
    import grpc

    from rca.service.state import Service
    from rca.sources.kafka import DeadLetter, KafkaSource, MessageBatch

_STOP_SECONDS = 5.0


class Receiver:
    """Listens for OTLP over gRPC and reads from Kafka, where the configuration says so."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._loop = asyncio.get_running_loop()
        self._limits = Limits(inflated=service.configuration.max_body << 20)
        self._kafka: KafkaSource | None = None
        self._reading: threading.Thread | None = None
        self._grpc: grpc.Server | None = None
        self.grpc_port = 0

    def start(self) -> None:
        """Begins to listen and to read.

        Raises:
            SettingsError: the address cannot be listened on, or a library is missing.
        """
        configuration = self._service.configuration
        if configuration.grpc_port:
            self._listen(f"{configuration.host}:{configuration.grpc_port}")
        if configuration.kafka_servers:
            self._read_kafka()

    def stop(self) -> None:
        """Takes nothing more; what is under way is finished."""
        if self._grpc is not None:
            self._grpc.stop(_STOP_SECONDS).wait()
        if self._kafka is not None and self._reading is not None:
            self._kafka.stop()
            self._reading.join()

    def deliver(self, source: str, received: Received, ids: Sequence[str] = ()) -> None:
        """Makes something received durable; called from other threads than the event loop's.

        Args:
            ids: what the sender's messages are known by, where it may deliver them in other batches.

        Raises:
            OverloadedError: the store is busy or away; the sender may come again.
        """
        service = self._service
        try:
            if ids and len(service.store.seen_bodies(ids)) == len(set(ids)):
                return
            received = with_topology(received)
            pushed = pushed_of(received, source)
            packed = pack(received)
            writes: list[Future[int]] = []
            if pushed.changes:
                writes.append(service.store.append("changes", pushed.changes))
            if pushed.alerts:
                writes.append(service.store.append("events", pushed.alerts))
            telemetry = service.windows.append(packed, _digest(source, [one.content for one in packed]), ids)
            note(service, pushed, source)
            for write in writes:
                write.result()
            telemetry.result()
        except StoreError as error:
            raise OverloadedError(error.problem, where=error.where, remedy="Send again later") from error
        service.metrics.records.labels(source, "accepted").inc(pushed.accepted)
        service.metrics.records.labels(source, "rejected").inc(pushed.rejected)
        if pushed.alerts and service.listeners:  # also what came before: it may not have got so far then
            notices = [msgspec.json.decode(entry.body.encode(), type=AlertNotice) for entry in pushed.alerts]
            for listener in service.listeners:
                asyncio.run_coroutine_threadsafe(_tell(listener, notices), self._loop).result()

    def _listen(self, address: str) -> None:
        try:
            from rca.sources.otlp_grpc import otlp_server
        except ImportError as bad:
            raise SettingsError("grpcio is not installed", remedy="pip install 'rca-engine[service]'") from bad
        try:
            server, self.grpc_port = otlp_server(
                address,
                lambda signal, received: self.deliver(f"otlp_{signal}", received),
                credentials=_credentials(self._service),
                authorize=self._may_send,
                naming=self._service.naming,
                limits=self._limits,
            )
        except RuntimeError as bad:
            raise SettingsError(f"cannot listen on {address}", where="grpc_port", remedy="Choose another port") from bad
        server.start()
        self._grpc = server

    def _may_send(self, metadata: Mapping[str, str]) -> bool:
        found = self._service.auth.find(str(metadata.get("authorization", "")))
        return found is not None and found.may("ingest")

    def _read_kafka(self) -> None:
        from rca.sources.kafka import TOPICS, KafkaSettings, KafkaSource

        configuration = self._service.configuration
        topics = dict(_pair(text, "kafka_topics") for text in configuration.kafka_topics) or dict(TOPICS)
        options = dict(_pair(text, "kafka_options") for text in configuration.kafka_options)
        settings = KafkaSettings(
            servers=configuration.kafka_servers, group=configuration.kafka_group, topics=topics, options=options
        )
        self._kafka = KafkaSource(settings, self._take, self._bury, naming=self._service.naming, limits=self._limits)
        self._reading = threading.Thread(target=self._kafka.run, name="rca-kafka")
        self._reading.start()

    def _take(self, batch: MessageBatch) -> None:
        self.deliver("kafka", batch.received, [f"kafka:{number}" for number in batch.ids])

    def _bury(self, letter: DeadLetter) -> None:
        self._service.metrics.records.labels("kafka", "unreadable").inc()
        LOGGER.warning("a message of Kafka cannot be read", extra={"letter": str(letter)[:500]})


async def _tell(listener: object, notices: list[AlertNotice]) -> None:
    assert callable(listener)  # noqa: S101 - narrows the type
    await listener(notices)


def _credentials(service: Service) -> grpc.ServerCredentials | None:
    import grpc

    configuration = service.configuration
    if not configuration.tls_certificate:
        return None
    pair = Path(configuration.tls_key).read_bytes(), Path(configuration.tls_certificate).read_bytes()
    authority = configuration.tls_client_authority
    roots = Path(authority).read_bytes() if authority else None
    return grpc.ssl_server_credentials([pair], roots, require_client_auth=roots is not None)


def _digest(source: str, contents: Sequence[bytes]) -> str:
    mixed = hashlib.sha256(source.encode())
    for content in contents:
        mixed.update(content)
    return mixed.hexdigest() if contents else f"nothing {time.time_ns()}"


def _pair(text: str, where: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise SettingsError("is no name=value", where=where, remedy="Write name=value, parted by commas")
    return name.strip(), value.strip()
