"""What the knowledge graph costs the service: milliseconds added to an analysis, and what its death or silence adds.

python benchmarks/bench_graph.py [--rounds 15]

Services without a graph, with a file and with Neo4j answer the same windows in turn. What is added is compared with its
limit by the least processor time of the service's processes in several rounds, so that what else runs does not matter;
how long Neo4j itself takes is measured by bench_knowledge.py. The server is one found at ../shared/servers, started for
the run. The topology is that of bench_knowledge.py: 5,000 components, 50,000 dependencies; three hops from the symptom
reach a thousand components.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
from bench_knowledge import PASSWORD, START, Server, large_topology
from limits import Limits

import rca.service.graph
from rca.knowledge import Knowledge
from rca.knowledge.neo4j_store import Neo4jStore
from rca.knowledge.sqlite_store import SQLiteStore
from rca.knowledge.synced import READ_SECONDS, SyncedStore
from rca.service.configuration import Configuration
from rca.service.examples import WINDOW
from rca.service.server import make_server
from rca.service.state import Service
from rca.topology import Topology

ADMIN = "a-token-for-benchmarks-0123456789-012345"
TOPOLOGY = large_topology()
WARM = 30  # questions until the server has compiled what answers them
READ_LIMIT, DEATH_LIMIT = 150.0, 1_000.0  # ms added: of processors, of a clock


def names_of(topology: Topology) -> dict[str, str]:
    """The example's components as components of the topology that call each other in the same way."""
    web = "service-0001"
    cart = topology.callees(web)[0]
    return {"web": web, "cart": cart, "cart-db": next(name for name in topology.callees(cart) if name != web)}


NAMES = names_of(TOPOLOGY)


def window(number: int) -> dict[str, Any]:
    """The example, under names that the topology knows."""
    series = [{**each, "component": NAMES[each["component"]]} for each in WINDOW["telemetry"]["metrics"]["series"]]
    changes = [{**each, "component": NAMES[each["component"]]} for each in WINDOW["telemetry"]["changes"]]
    telemetry = {"metrics": {**WINDOW["telemetry"]["metrics"], "series": series}, "changes": changes}
    symptoms = [{"component": NAMES["web"], "metric": "latency_ms"}]
    edges = [[NAMES["web"], NAMES["cart"]], [NAMES["cart"], NAMES["cart-db"]]]
    named = {"title": f"window {number}", "symptoms": symptoms, "topology": {"edges": edges}, "telemetry": telemetry}
    return {**WINDOW, **named}


class Serving:
    """A service in a thread of its own."""

    def __init__(self, graph: str, folder: str) -> None:
        settings = {"admin_token": ADMIN, "analysts": 1, "log_level": "error"}
        configuration = Configuration(data=folder, port=0, graph=graph, **settings)
        self.service = Service(configuration)
        listening, ports = threading.Event(), []

        def started(port: int) -> None:
            ports.append(port)
            listening.set()

        self._server = make_server(configuration, self.service, started=started)
        before = set(children())
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        listening.wait()
        self.workers = sorted(set(children()) - before)
        headers = {"Authorization": f"Bearer {ADMIN}"}
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{ports[0]}", headers=headers, timeout=60)

    def close(self) -> None:
        self.client.close()
        self._server.should_exit = True
        self._thread.join()

    def answer(self, number: int) -> tuple[float, bool]:
        """Milliseconds to the report, and whether it is marked degraded."""
        begun = time.perf_counter()
        report = self.client.post("/api/v1/incidents?wait=60", json=window(number))
        took = (time.perf_counter() - begun) * 1e3
        report.raise_for_status()
        return took, bool(report.json()["degraded"])


def children() -> list[int]:
    """The processes that this one has started."""
    return [int(number) for number in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()] + [
        int(number)
        for task in Path("/proc/self/task").iterdir()
        if task.name != str(os.getpid())
        for number in (task / "children").read_text().split()
    ]


def cpu_ms(processes: list[int]) -> float:
    """Processor time that this process and others have used."""
    used = time.process_time() * 1e3
    for number in processes:
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
        used += (int(fields[11]) + int(fields[12])) * 1e3 / os.sysconf("SC_CLK_TCK")
    return used


def in_turn(services: dict[str, Serving], rounds: int) -> dict[str, tuple[float, float]]:
    """Median milliseconds and least processor milliseconds of an answer of each, after two rounds that warm up."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in services}
    for number in range(rounds + 2):
        for name, each in services.items():
            before = cpu_ms(each.workers)
            took, degraded = each.answer(number)
            if degraded:
                raise SystemExit(f"{name} is degraded")
            times[name].append((took, cpu_ms(each.workers) - before))
    return {
        name: (statistics.median(took for took, _ in each[2:]), min(used for _, used in each[2:]))
        for name, each in times.items()
    }


def be_patient(service: Service, seconds: float) -> None:
    """How long it waits for its graph: what is measured is work, however busy the machine."""
    rca.service.graph.PATIENCE = seconds / READ_SECONDS
    if service.graph is not None and isinstance(store := service.graph.knowledge.store, SyncedStore):
        store._patience = seconds


def main() -> int:
    """Measures and prints; 1 where a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    os.environ["RCA_NEO4J_PASSWORD"] = PASSWORD
    limits, topology, at = Limits(), TOPOLOGY, START // 2
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        file = str(Path(folder) / "graph.sqlite")
        with Knowledge(SQLiteStore(file)) as knowledge:
            knowledge.record_topology(topology, source="cmdb", at=at)
        server = Server(str(Path(folder) / "neo4j"))
        server.start()
        stack.callback(server.kill)
        with Knowledge(Neo4jStore(server.uri, password=PASSWORD)) as knowledge:
            knowledge.record_topology(topology, source="cmdb", at=at)
        graphs = {"none": "none", "an empty file": "", "a file": file, "Neo4j": server.uri}
        services = {name: start(stack, graph) for name, graph in graphs.items()}
        far = services["Neo4j"]
        be_patient(far.service, 60.0)
        while far.service.graph.knowledge.store.catch_up(60.0, first=True).reason:
            time.sleep(0.2)
        for _ in range(WARM):
            far.service.graph.knowledge.topology_near(list(NAMES.values()), at)
        found = in_turn(services, rounds)
        wall, used = found["none"]
        limits.show("an answer without a graph", wall, "ms")
        limits.show("an answer without a graph, of processors", used, "ms")
        for name in ("an empty file", "a file", "Neo4j"):
            limits.show(f"added by {name}", found[name][0] - wall, "ms")
            limits.at_most(f"added by {name}, of processors", found[name][1] - used, READ_LIMIT, "ms")
        be_patient(far.service, READ_SECONDS)
        for what, how in (("silence", signal.SIGSTOP), ("death", signal.SIGKILL)):
            assert server.process is not None
            os.killpg(server.process.pid, how)
            took, degraded = far.answer(1_000)
            limits.at_least(f"{what} of Neo4j: marked degraded", float(degraded), 1.0, "")
            limits.at_most(f"added by the {what} of Neo4j", took - found["Neo4j"][0], DEATH_LIMIT, "ms")
            if what == "silence":
                os.killpg(server.process.pid, signal.SIGCONT)
                while far.client.get("/readyz").json()["graph"] != "ok":
                    time.sleep(0.2)
    return limits.close()


def start(stack: ExitStack, graph: str) -> Serving:
    """A service in a folder that goes with the stack."""
    service = Serving(graph, stack.enter_context(tempfile.TemporaryDirectory()))
    stack.callback(service.close)
    return service


if __name__ == "__main__":
    sys.exit(main())
