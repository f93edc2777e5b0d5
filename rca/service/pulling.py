"""Asking the configured sources for what an incident needs: metrics, logs and calls of its window and baseline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rca.errors import RCAError
from rca.notify.endpoints import CALLS, METRICS, Source
from rca.notify.networks import Network, read_networks
from rca.service.logs import LOGGER
from rca.service.operations import with_topology
from rca.sources.asking import Server
from rca.sources.received import Received
from rca.stores.tables import pack
from rca.types import SECOND, Window

if TYPE_CHECKING:
    import httpx

    from rca.service.configuration import Configuration
    from rca.service.metrics import Metrics
    from rca.sources.naming import Naming

_Asking = Callable[[Source, "httpx.Client"], Received]
# Logs are read oldest first: half of what may be read is kept for the window itself.
_SHARE_OF_WINDOW = 2
_SURVEY_STEP = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """What the sources gave: files by signal, what they say of the topology, and what could not be had."""

    files: tuple[tuple[str, bytes], ...] = ()
    received: Received = field(default_factory=Received)
    warnings: tuple[str, ...] = ()


class Puller:
    """Asks all sources side by side, each with a guarded client of its own."""

    def __init__(self, configuration: Configuration, naming: Naming, metrics: Metrics) -> None:
        self._sources = configuration.sources
        self._seconds = configuration.pull_seconds
        self._allowed: tuple[Network, ...] = read_networks(configuration.allowed_networks, where="allowed_networks")
        self._naming = naming
        self._metrics = metrics
        for source in self._sources:  # an authority that cannot be read stops the start, not the first incident
            source.client(self._allowed).close()

    @property
    def any(self) -> bool:
        """Whether there is anybody to ask."""
        return bool(self._sources)

    async def pull(self, window: Window, baseline: Window) -> Pulled:
        """What all sources have of a window and the baseline before it.

        A source that fails, or takes longer than ``pull_seconds``, is a warning; the others count.
        """
        told = await self._ask_all(lambda source, client: self._ask(source, client, window, baseline))
        received = [part for part, _ in told if part is not None]
        merged = await asyncio.to_thread(lambda: with_topology(Received.merge([Received(), *received])))
        packed = await asyncio.to_thread(pack, merged)
        warnings = [warning for _, warning in told if warning] + list(merged.warnings)
        return Pulled(
            files=tuple((one.signal, one.content) for one in packed), received=merged, warnings=tuple(warnings)
        )

    async def survey(self, minutes: float) -> Received:
        """What the sources say of the topology, from the last minutes of metrics and calls."""
        now = time.time_ns()
        window = Window(start=now - int(minutes * 60 * SECOND), end=now)
        told = await self._ask_all(lambda source, client: self._ask_topology(source, client, window))
        parts = [part for part, _ in told if part is not None]
        return await asyncio.to_thread(lambda: with_topology(Received.merge([Received(), *parts])))

    async def _ask_all(self, ask: _Asking) -> list[tuple[Received | None, str]]:
        tasks = [asyncio.create_task(asyncio.to_thread(self._guarded, source, ask)) for source in self._sources]
        if not tasks:
            return []
        await asyncio.wait(tasks, timeout=self._seconds)
        out: list[tuple[Received | None, str]] = []
        for source, task in zip(self._sources, tasks, strict=True):
            if task.done():
                out.append(task.result())
            else:  # its thread ends with the deadline of its exchange
                self._metrics.pulls.labels(source.name, "late").inc()
                out.append((None, f"{source.name} took longer than {self._seconds:g} s: nothing of it was used"))
        return out

    def _guarded(self, source: Source, ask: _Asking) -> tuple[Received | None, str]:
        try:
            with source.client(self._allowed) as client:
                answer = ask(source, client)
        except RCAError as error:
            self._metrics.pulls.labels(source.name, "failed").inc()
            LOGGER.warning("a source did not answer", extra={"source": source.name, "problem": str(error)})
            return None, f"{source.name} gave nothing: {error.problem}"[:300]
        except Exception as error:  # a mistake of ours in reading one source must not cost the others
            self._metrics.pulls.labels(source.name, "failed").inc()
            LOGGER.error("a mistake in rca itself", exc_info=error, extra={"source": source.name})
            return None, f"{source.name} could not be read: a mistake in rca itself"
        self._metrics.pulls.labels(source.name, "answered").inc()
        return answer, ""

    def _ask(self, source: Source, client: httpx.Client, window: Window, baseline: Window) -> Received:
        server = _server(source, client)
        whole = Window(start=min(baseline.start, window.start), end=window.end)
        if source.kind in METRICS:
            from rca.sources.prometheus import query_range

            return query_range(server, source.queries, whole, step=int(source.step * SECOND), naming=self._naming)
        if source.kind in CALLS:
            from rca.sources.jaeger import query_dependencies

            return query_dependencies(server, whole, zipkin=source.kind == "zipkin")
        first = self._ask_logs(source, server, window, max(source.most // _SHARE_OF_WINDOW, 1))
        left = source.most - len(first.logs)
        parts = [first]
        if left > 0 and baseline.end > baseline.start:
            parts.append(self._ask_logs(source, server, baseline, left))
        return Received.merge(parts)

    def _ask_logs(self, source: Source, server: Server, window: Window, most: int) -> Received:
        if source.kind == "loki":
            from rca.sources.loki_query import query_logs as query_loki

            share = max(most // len(source.queries), 1)
            parts = [
                query_loki(server, query, window, most=share, naming=self._naming) for query in source.queries.values()
            ]
            return Received.merge(parts)
        from rca.sources.elastic import LogQuery, query_logs

        query = LogQuery(index=source.index, query=source.query, time_field=source.time_field, most=most)
        return query_logs(server, query, window, naming=self._naming)

    def _ask_topology(self, source: Source, client: httpx.Client, window: Window) -> Received:
        server = _server(source, client)
        received = Received()
        if source.kind in METRICS:
            from rca.sources.prometheus import query_range

            step = int(max(source.step, _SURVEY_STEP) * SECOND)
            received = query_range(server, source.queries, window, step=step, naming=self._naming)
        elif source.kind in CALLS:
            from rca.sources.jaeger import query_dependencies

            received = query_dependencies(server, window, zipkin=source.kind == "zipkin")
        return Received(samples=received.samples, topology=received.topology)


def _server(source: Source, client: httpx.Client) -> Server:
    return Server(name=source.name, url=source.url, client=client, headers=source.request_headers)
