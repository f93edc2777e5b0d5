"""The service: CPU to read a window, latency beside heavy bodies, durable ingest, memory in a flood, kill -9.

Run: ``python benchmarks/bench_service.py [decode | health | ingest | flood | kill]...`` (default: all).
Rates are compared with their limits by the CPU seconds of all processes, so that what else runs does not matter.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import httpx
import msgspec
import numpy as np
import pyarrow as pa
from limits import Limits

from rca.formats.metrics import frame_to_grid
from rca.service.reading import ARROW, JSON, read_window
from rca.stores import open_store

ADMIN = "a-token-for-benchmarks-0123456789-012345"
RCA = (sys.executable, "-c", "from rca.cli import main; main()")
SETTINGS = {"RCA_ADMIN_TOKEN": ADMIN, "RCA_LOG_LEVEL": "warning", "RCA_ANALYSTS": "1"}
MIB = 1 << 20
BEGIN = 1_700_000_000
SAMPLES = 60
DETECTED = "2023-11-14T22:40:00Z"
KILLS = int(os.environ.get("RCA_KILL_LOOPS", "50"))
FLOOD = int(os.environ.get("RCA_FLOOD_EVENTS", "1000000"))


def window_json(series: int) -> bytes:
    """A columnar window: 2,200 series of 60 samples are about 1 MB, 11,000 about 5 MB."""
    values = np.random.default_rng(0).normal(100, 10, (series, SAMPLES)).round(3)
    rows = [
        {"component": f"svc-{i // 10}", "metric": f"m{i % 10}", "values": values[i].tolist()} for i in range(series)
    ]
    times = [BEGIN + 30 * i for i in range(SAMPLES)]
    return msgspec.json.encode({"detected_at": DETECTED, "telemetry": {"metrics": {"times_s": times, "series": rows}}})


def cpu_ms(run: object, rounds: int = 9) -> float:
    """Smallest CPU time of several rounds: what else runs on the machine only adds."""
    assert callable(run)
    best = float("inf")
    for _ in range(rounds):
        before = time.process_time()
        run()
        best = min(best, time.process_time() - before)
    return best * 1e3


def decode(limits: Limits) -> None:
    """CPU to make a case of a body."""
    body = window_json(2_050)
    limits.show("columnar JSON window", len(body) / 1e6, "MB")
    case = read_window(body, JSON, "", {}, max_json=8 * MIB, max_bytes=64 * MIB)
    table = frame_to_grid(case.telemetry.metrics)  # type: ignore[union-attr]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    arrow = sink.getvalue().to_pybytes()
    query = {"detected_at": DETECTED}

    def read_json() -> None:
        read_window(body, JSON, "", {}, max_json=8 * MIB, max_bytes=64 * MIB)

    def read_arrow() -> None:
        read_window(arrow, ARROW, "", query, max_json=8 * MIB, max_bytes=64 * MIB)

    limits.at_most("1 MB columnar JSON decoded, CPU", cpu_ms(read_json), 20, "ms")
    limits.at_most("the same as an Arrow stream, CPU", cpu_ms(read_arrow), 3, "ms")


class Served:
    """``rca serve`` as a process."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.environment = environment
        self.start()

    def start(self) -> None:
        self.log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "from rca.cli import main; main()",
                "serve",
                "--data",
                str(self.folder),
                "--port",
                "0",
            ],
            stdout=self.log,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                "RCA_ADMIN_TOKEN": ADMIN,
                "RCA_LOG_LEVEL": "warning",
                "RCA_ANALYSTS": "1",
                **self.environment,
            },
        )
        said = b""
        while b"rca listens on" not in said.rpartition(b"\n--- start\n")[2]:
            assert self.process.poll() is None, said.decode()
            time.sleep(0.1)
            said = (self.folder / "log").read_bytes()
        self.url = said.rpartition(b"rca listens on ")[2].split()[0].decode()

    def client(self) -> httpx.Client:
        limits = httpx.Limits(max_connections=100)
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {ADMIN}"}, timeout=60, limits=limits)

    def kill(self, how: int = signal.SIGKILL) -> None:
        self.process.send_signal(how)
        self.process.wait(60)
        self.log.write(b"\n--- start\n")
        self.log.close()

    def resident(self) -> float:
        """MiB of the process itself."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))

    def cpu(self) -> float:
        """CPU seconds of the process and its workers."""
        seconds = 0.0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                fields = stat.read_text().rsplit(")", 1)[1].split()
                if self.process.pid in (int(stat.parent.name), int(fields[1])):
                    seconds += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return seconds


@contextmanager
def served(**environment: str) -> Iterator[Served]:
    with tempfile.TemporaryDirectory() as folder:
        found = Served(Path(folder), **environment)
        try:
            yield found
        finally:
            if found.process.poll() is None:
                found.kill(signal.SIGTERM)


def health(limits: Limits) -> None:
    """/healthz while windows of 5 MB arrive one after the other."""
    body = window_json(10_000)
    with served() as service, service.client() as client:
        stop = threading.Event()
        statuses: Counter[int] = Counter()

        def post() -> None:
            with service.client() as sender:
                while not stop.is_set():
                    answer = sender.post("/api/v1/incidents?wait=0", content=body, headers={"Content-Type": JSON})
                    statuses[answer.status_code] += 1

        sender = threading.Thread(target=post)
        sender.start()
        took = []
        until = time.monotonic() + 20
        while time.monotonic() < until:
            started = time.perf_counter()
            client.get("/healthz").raise_for_status()
            took.append(time.perf_counter() - started)
            time.sleep(0.01)
        stop.set()
        sender.join()
    limits.show(f"windows of {len(body) / 1e6:.1f} MB meanwhile, {dict(statuses)}", sum(statuses.values()), "windows")
    limits.show("/healthz p50", float(np.median(took)) * 1e3, "ms")
    limits.at_most("/healthz p99 while 5 MB windows arrive", float(np.quantile(took, 0.99)) * 1e3, 100, "ms")


def batch(first: int, size: int) -> bytes:
    """Changes with ids of their own."""
    rows = [
        {"id": f"c{n}", "time": BEGIN + n, "component": f"svc-{n % 500}", "kind": "deployment", "name": f"v{n}"}
        for n in range(first, first + size)
    ]
    return json.dumps(rows).encode()


def lines(first: int, size: int) -> bytes:
    """Log lines as Loki's clients push them."""
    rows = [[str((BEGIN + n) * 1_000_000_000), f"request {n} took {n % 90} ms"] for n in range(first, first + size)]
    return json.dumps({"streams": [{"stream": {"service_name": f"svc-{first % 50}"}, "values": rows}]}).encode()


def ingest(limits: Limits) -> None:
    """Events a second, acknowledged when they are durable."""
    for name, path, make in (("changes", "/api/v1/changes", batch), ("log lines", "/loki/api/v1/push", lines)):
        bodies = [make(start, 5_000) for start in range(0, 200_000, 5_000)]
        with served(RCA_DECODERS="2") as service:
            before, started = service.cpu(), time.perf_counter()
            with ThreadPoolExecutor(4) as pool, service.client() as client:
                for answer in pool.map(partial(_push, client, path), bodies):
                    answer.raise_for_status()
            seconds = time.perf_counter() - started
            own = service.cpu() - before
        limits.show(f"{name} ingested durably over HTTP, as busy as the machine is", 200_000 / seconds, "/s")
        limits.at_least(f"{name} ingested durably per CPU second of all processes", 200_000 / own, 20_000, "/s")
    store_rate(limits)


def _push(client: httpx.Client, path: str, body: bytes) -> httpx.Response:
    return client.post(path, content=body, headers={"Content-Type": JSON})


def store_rate(limits: Limits) -> None:
    """The store alone, events in batches, each waited for."""
    from rca.stores.records import Entry

    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:{folder}/rca.db")
        rows = [
            Entry(id=f"e{n:032x}", time=BEGIN + n, component=f"svc-{n % 500}", kind="alert", source="s", body="x" * 95)
            for n in range(200_000)
        ]
        started, before = time.perf_counter(), time.process_time()
        for future in [store.append("events", rows[i : i + 5_000]) for i in range(0, len(rows), 5_000)]:
            future.result()
        seconds, own = time.perf_counter() - started, time.process_time() - before
        store.close()
    limits.show("events stored durably in batches of 5,000, as busy as the machine is", len(rows) / seconds, "/s")
    limits.at_least("events stored durably per CPU second", len(rows) / own, 20_000, "/s")


def flood(limits: Limits) -> None:
    """A million events, as fast as 32 senders can, half of them again."""
    with served(RCA_MAX_IN_FLIGHT="64") as service:
        with service.client() as client:
            client.post("/loki/api/v1/push", content=lines(0, 1_000), headers={"Content-Type": JSON})
        statuses: Counter[int] = Counter()
        sizes = [service.resident()]
        todo = iter(range(0, FLOOD, 2_000))
        lock = threading.Lock()

        def send(number: int) -> None:
            with service.client() as client:
                while True:
                    with lock:
                        first = next(todo, None)
                    if first is None:
                        return
                    path, make = (("/loki/api/v1/push", lines), ("/api/v1/changes", batch))[number % 2]
                    for _ in range(1 + (first // 2_000) % 2):
                        answer = client.post(path, content=make(first, 2_000), headers={"Content-Type": JSON})
                        statuses[answer.status_code] += 1

        senders = [threading.Thread(target=send, args=(number,)) for number in range(32)]
        for sender in senders:
            sender.start()
        while any(sender.is_alive() for sender in senders):
            sizes.append(service.resident())
            time.sleep(0.2)
        for sender in senders:
            sender.join()
        started = time.perf_counter()
        with service.client() as client:
            client.get("/readyz").raise_for_status()
        recovery = time.perf_counter() - started
    half = len(sizes) // 2
    others = sum(count for status, count in statuses.items() if status not in (200, 202, 204, 429, 503))
    limits.show(
        f"flood of {FLOOD} events answered {dict(sorted(statuses.items()))}", sum(statuses.values()), "requests"
    )
    limits.at_most("answers other than 2xx, 429 and 503", others, 0, "answers")
    limits.show("memory before the flood", sizes[0], "MiB")
    limits.at_most("memory at its height", max(sizes), 900, "MiB")
    limits.at_most(
        "growth from the first half of the flood to the second", max(sizes[half:]) - max(sizes[:half]), 150, "MiB"
    )
    limits.at_most("answering again after", recovery, 5, "s")


def kill(limits: Limits) -> None:
    """kill -9 in the middle of ingest, again and again on one folder: every acknowledged event is there, once."""
    rng = random.Random(1)
    acknowledged: set[str] = set()
    number = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for _ in range(KILLS):
            service = Served(folder)
            stop = threading.Event()

            def send(first: int, service: Served = service, stop: threading.Event = stop) -> None:
                with service.client() as client:
                    while not stop.is_set():
                        try:
                            answer = client.post(
                                "/api/v1/changes", content=batch(first, 50), headers={"Content-Type": JSON}
                            )
                        except httpx.TransportError:
                            return
                        if answer.status_code == 202:
                            acknowledged.update(f"c{n}" for n in range(first, first + 50))
                        first += 50

            senders = [threading.Thread(target=send, args=(number + place * 1_000_000,)) for place in range(4)]
            number += 4_000_000
            for sender in senders:
                sender.start()
            known = len(acknowledged)
            while len(acknowledged) == known:
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 0.25))
            service.kill()
            stop.set()
            for sender in senders:
                sender.join()
        store = open_store(f"sqlite:{folder}/rca.db")
        stored = Counter(row[0] for row in store.read("SELECT id FROM changes"))  # type: ignore[attr-defined]
        sound = store.read("PRAGMA integrity_check") == [("ok",)]  # type: ignore[attr-defined]
        store.close()
    limits.show(f"events acknowledged in {KILLS} lives, each ended by kill -9", len(acknowledged), "events")
    limits.at_most("acknowledged and lost", len(acknowledged - set(stored)), 0, "events")
    limits.at_most("stored more than once", sum(count - 1 for count in stored.values()), 0, "events")
    limits.at_least("database is sound", float(sound), 1, "")


PARTS = {"decode": decode, "health": health, "ingest": ingest, "flood": flood, "kill": kill}


def main() -> int:
    limits = Limits()
    for name in sys.argv[1:] or PARTS:
        PARTS[name](limits)
    return limits.close()


if __name__ == "__main__":
    sys.exit(main())
