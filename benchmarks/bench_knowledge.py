"""The knowledge graph in Neo4j: writing a large history, reading a topology, and what its death costs.

python benchmarks/bench_knowledge.py [--events 200000]

The server is one found at ../shared/servers, started for the run, or that at RCA_NEO4J_URI (without the
part about its death). Its times are wall times: it is another process, or another machine.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from limits import Limits

from rca.errors import StoreError
from rca.knowledge import Knowledge
from rca.knowledge.neo4j_store import Neo4jStore
from rca.knowledge.rows import Batch
from rca.knowledge.sqlite_store import SQLiteStore
from rca.knowledge.synced import SyncedStore
from rca.knowledge.window import situate
from rca.simulator import simulate
from rca.topology import Topology
from rca.types import MINUTE, SECOND, Symptom

SERVE = Path(__file__).resolve().parents[2] / "shared" / "servers" / "serve"
PASSWORD = "a-password-of-benchmarks"
COMPONENTS, DEPENDENCIES, EVENTS_PER_INCIDENT = 5_000, 50_000, 500
START = 1_770_000_000 * SECOND
WRITE_LIMIT, NEAR_LIMIT, READ_LIMIT, DEATH_LIMIT = 60.0, 50.0, 150.0, 1.0
ASKED = 60
GROUP = 19  # incidents per batch: just under 10,000 rows, one transaction


class Server:
    """A server of our own."""

    def __init__(self, folder: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri, self.folder = f"bolt://127.0.0.1:{self.port}", folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [str(SERVE), "neo4j", self.folder, str(self.port)]
        environment = {**os.environ, "NEO4J_PASSWORD": PASSWORD}
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        wait_for(self.uri, PASSWORD)

    def kill(self) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def cpu(self) -> float:
        """Seconds of processor time that the server has used."""
        if self.process is None:
            return 0.0
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().split()
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def wait_for(uri: str, password: str) -> None:
    end = time.monotonic() + 600  # a machine that is busy, and 200,000 events to recover
    while True:
        store = Neo4jStore(uri, password=password)
        try:
            store.server.prepare()
            return
        except StoreError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)
        finally:
            store.close()


@contextmanager
def server() -> Iterator[tuple[str, str, Server | None]]:
    if uri := os.environ.get("RCA_NEO4J_URI"):
        yield uri, os.environ.get("RCA_NEO4J_PASSWORD", ""), None
        return
    with tempfile.TemporaryDirectory() as folder:
        own = Server(folder)
        own.start()
        try:
            yield own.uri, PASSWORD, own
        finally:
            own.kill()


def large_topology() -> Topology:
    """Dependencies drawn evenly: every component has ten, three hops reach a thousand."""
    rng = np.random.default_rng(0)
    names = [f"service-{i:04d}" for i in range(COMPONENTS)]
    pairs = np.unique(rng.integers(0, COMPONENTS, (DEPENDENCIES * 11 // 10, 2)), axis=0)
    pairs = rng.permutation(pairs[pairs[:, 0] != pairs[:, 1]])[:DEPENDENCIES]
    return Topology.from_edges(
        [(names[a], names[b], 1.0 + (a + b) % 90) for a, b in pairs.tolist()],
        components=names,
        attributes={name: {"team": f"team-{i % 40}"} for i, name in enumerate(names)},
    )


def incident_batch(number: int) -> Batch:
    """One incident with its events and a chain of links."""
    incident, start = f"incident-{number:05d}", START + number * 60 * MINUTE
    head = {
        **{"id": incident, "title": "slow", "start": start, "end": start + 20 * MINUTE, "detected_at": None},
        **{"onset": start, "verdict": "cause", "component": "service-0001", "kind": "latency.up", "change": ""},
        **{"missing": [], "report": "{}"},
    }
    events = []
    for place in range(EVENTS_PER_INCIDENT):
        component = f"service-{(number * 7 + place * 13) % COMPONENTS:04d}"
        begin = start + place * SECOND
        events.append(
            {
                **{"incident": incident, "number": place, "id": f"latency.up:{component}:{place}"},
                **{"component": component, "kind": "latency.up", "name": "latency_p99", "start": begin},
                **{"end": begin + MINUTE, "severity": 0.5, "direction": "up"},
                "evidence": '{"sentence": "it took 400 ms, not 20", "group": "latency", "blame": 0.3}',
                "attributes": "{}",
            }
        )
    return Batch(rows={"incidents": [head], "events": events}, renewed=(incident,))


def merged(batches: list[Batch]) -> Batch:
    rows: dict[str, list[Any]] = {}
    for batch in batches:
        for table, each in batch.rows.items():
            rows.setdefault(table, []).extend(each)
    return Batch(rows=rows, renewed=tuple(name for batch in batches for name in batch.renewed))


def bench_writing(limits: Limits, knowledge: Knowledge, own: Server | None, events: int) -> None:
    topology = large_topology()
    incidents = [incident_batch(number) for number in range(events // EVENTS_PER_INCIDENT)]
    begin, ours, theirs = time.perf_counter(), time.process_time(), own.cpu() if own else 0.0
    knowledge.record_topology(topology, source="kubernetes", at=START)
    topology_seconds = time.perf_counter() - begin
    for first in range(0, len(incidents), GROUP):
        knowledge.store.write(merged(incidents[first : first + GROUP]))
    seconds = time.perf_counter() - begin
    limits.show("write 5,000 components and 50,000 dependencies", topology_seconds, "s")
    limits.at_most(f"the same and {events:,} events of {len(incidents)} incidents", seconds, WRITE_LIMIT, "s")
    limits.show("  of our processor", time.process_time() - ours, "s")
    if own:
        limits.show("  of the server's processor", own.cpu() - theirs, "s")


def milliseconds(task: Callable[[int], Any], own: Server | None) -> tuple[float, float]:
    """p50 of the wall time and the mean processor time of both sides, after a warm-up."""
    for number in range(ASKED):
        task(number)
    taken = []
    ours, theirs = time.process_time(), own.cpu() if own else 0.0
    for number in range(ASKED):
        begin = time.perf_counter()
        task(number)
        taken.append(time.perf_counter() - begin)
    cpu = time.process_time() - ours + ((own.cpu() - theirs) if own else 0.0)
    return statistics.median(taken) * 1e3, cpu / ASKED * 1e3


def bench_reading(limits: Limits, store: Neo4jStore, own: Server | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        net = SQLiteStore(Path(folder) / "net.sqlite", store.tenant)
        _read(limits, store, SyncedStore(store, net, patience=30.0), own)
        net.close()


def _read(limits: Limits, store: Neo4jStore, synced: SyncedStore, own: Server | None) -> None:
    knowledge = Knowledge(synced)  # as `rca analyze --graph` does: what was read is remembered on the disk
    case, _ = simulate(seed=1)

    def names(number: int) -> None:
        reached = store.near_names([f"service-{number * 37:04d}"], START, hops=3, callers=0)
        assert len(reached) > 50

    def situated(number: int) -> None:
        symptom = Symptom(component=f"service-{number * 37:04d}")
        incident = replace(case.incident, symptoms=(symptom,))
        assert not situate(knowledge, replace(case, incident=incident)).known.degraded

    p50, cpu = milliseconds(names, own)
    limits.at_most("three hops around a symptom (about 1,100 of 5,000), p50", p50, NEAR_LIMIT, "ms")
    limits.show("  of both processors", cpu, "ms")
    p50, cpu = milliseconds(situated, own)
    limits.at_most("an analysis takes its topology from Neo4j, p50", p50, READ_LIMIT, "ms")
    limits.show("  of both processors", cpu, "ms")


def bench_death(limits: Limits, uri: str, password: str, own: Server, tenant: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        remote = Neo4jStore(uri, password=password, tenant=tenant)
        store = SyncedStore(remote, SQLiteStore(Path(folder) / "net.sqlite", tenant), patience=30.0)
        knowledge = Knowledge(store)
        warm = Knowledge(store).topology_near(["service-0037"], START)
        assert not warm.degraded
        fast = Knowledge(SyncedStore(remote, store.local, breaker=store.breaker))
        own.kill()
        begin = time.perf_counter()
        known = fast.topology_near(["service-0037"], START)
        limits.at_most("the server is killed: an answer comes later by", time.perf_counter() - begin, DEATH_LIMIT, "s")
        assert known.degraded
        assert known.topology.components == warm.topology.components
        begin = time.perf_counter()
        fast.topology_near(["service-0037"], START)
        limits.show("  and the next one, while it is left alone", time.perf_counter() - begin, "s")
        knowledge.store.write(incident_batch(1_000_000))
        own.start()
        begin = time.perf_counter()
        assert store.sync().pending == 0
        limits.show("it is back: what waited has been sent after", time.perf_counter() - begin, "s")
        assert len(remote.rows("events", ["incident-1000000"]).rows) == EVENTS_PER_INCIDENT
        store.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000, help="events to write")
    events = parser.parse_args().events
    if not SERVE.is_file() and not os.environ.get("RCA_NEO4J_URI"):
        print("no Neo4j server: neither RCA_NEO4J_URI nor ../shared/servers")
        return 0
    limits = Limits()
    with server() as (uri, password, own):
        tenant = uuid.uuid4().hex
        store = Neo4jStore(uri, password=password, tenant=tenant)
        try:
            bench_writing(limits, Knowledge(store), own, events)
            bench_reading(limits, store, own)
            if own:
                bench_death(limits, uri, password, own, tenant)
        except BaseException:
            limits.close()  # what was measured until then
            raise
        finally:
            store.close()
    return limits.close()


if __name__ == "__main__":
    sys.exit(main())
