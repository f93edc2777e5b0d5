"""A service for all tests of this folder, in a thread; others of their own as processes."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from rca.service.configuration import Configuration
from rca.service.frames import SIZE, Answer, Call, encode, read_answer, read_call
from rca.service.server import make_server
from rca.service.state import Service
from rca.service.worker import answer_call, load_operations
from rca.service.workers import WorkerPool, error_of, too_long

ADMIN = "a-token-for-tests-0123456789-0123456789"
RCA = (sys.executable, "-c", "from rca.cli import main; main()")
STORES = Path(__file__).resolve().parents[1] / "stores" / "conftest.py"


class Threads:
    """What a pool of worker processes does, in threads: without the seconds that a process takes to start.

    Calls and answers go through the same frames. Nothing can be killed.
    """

    def __init__(self, pool: WorkerPool) -> None:
        self.count = pool.count
        self.waiting = 0
        self._idle = asyncio.Semaphore(pool.count)
        self._operations = load_operations()

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def call(
        self,
        operation: str,
        parameters: Mapping[str, Any],
        blobs: Sequence[bytes] = (),
        *,
        seconds: float,
        progress: Callable[[str], None] | None = None,
    ) -> Answer:
        loop = asyncio.get_running_loop()
        told = progress or (lambda _: None)

        def work() -> Answer:
            call = read_call(encode(Call(operation, dict(parameters), list(blobs)))[SIZE:])
            done = answer_call(self._operations, call, lambda stage: loop.call_soon_threadsafe(told, stage))
            return read_answer(encode(done)[SIZE:])

        async with self._idle:
            try:
                async with asyncio.timeout(seconds):
                    answer = await asyncio.to_thread(work)
            except TimeoutError as bad:
                raise too_long(operation, seconds) from bad
        if answer.kind == "result":
            return answer
        raise error_of(answer)


class Running:
    """A service that runs in a thread of the tests; ``processes``: with the worker processes of real ones."""

    def __init__(self, configuration: Configuration, *, processes: bool) -> None:
        self.configuration = configuration
        self.service = Service(configuration)
        if not processes:
            self.service.decoders = Threads(self.service.decoders)  # type: ignore[assignment]
            self.service.analysts = Threads(self.service.analysts)  # type: ignore[assignment]
        listening = threading.Event()
        self.port = 0

        def started(port: int) -> None:
            self.port = port
            listening.set()

        self.server = make_server(configuration, self.service, started=started)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        while not listening.wait(0.2):
            assert self.thread.is_alive(), "the service did not start"

    @property
    def app(self) -> Any:
        return self.server.config.app

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, token: str = ADMIN, **options: Any) -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, **options)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(30)
        assert not self.thread.is_alive()


@contextmanager
def running(folder: Path, *, processes: bool = False, **facts: Any) -> Iterator[Running]:
    plain = {"data": str(folder), "port": 0, "admin_token": ADMIN, "analysts": 1, "stop_seconds": 10.0}
    started = Running(Configuration(**plain | facts), processes=processes)
    try:
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The service that most tests share."""
    secrets = dict.fromkeys(("github_secrets", "pagerduty_secrets", "grafana_secrets"), ("a-shared-secret",))
    limits = {"header_seconds": 2.0, "idle_seconds": 2.0, "body_seconds": 6.0}
    with running(tmp_path_factory.mktemp("service"), processes=True, **secrets, **limits) as started:
        yield started


@pytest.fixture
def run_service(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts services of their own, in threads."""
    with ExitStack() as stack:
        yield lambda **facts: stack.enter_context(running(tmp_path, **facts))


@pytest.fixture
def http(server: Running) -> Iterator[httpx.Client]:
    """A client with all rights."""
    with server.client() as client:
        yield client


class Process:
    """``rca serve`` as a process of its own."""

    def __init__(self, folder: Path, environment: dict[str, str], config: Path | None = None) -> None:
        self.port = free_port()
        self.log = folder / f"log-{self.port}"
        single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self.output = self.log.open("wb")
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "from rca.cli import main; main()",
                "serve",
                "--data",
                str(folder / "data"),
                "--port",
                str(self.port),
                *(["--config", str(config)] if config else []),
            ],
            stdout=self.output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **single, "RCA_ADMIN_TOKEN": ADMIN, "RCA_ANALYSTS": "1", **environment},
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait_until_ready(self, seconds: float = 180.0) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert self.process.poll() is None, self.log.read_text()
            try:
                if httpx.get(f"{self.url}/readyz", timeout=2).is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
        raise AssertionError(self.log.read_text())

    def kill(self, how: int = signal.SIGKILL) -> int:
        self.process.send_signal(how)
        code = self.process.wait(60)
        self.output.close()
        return code

    def resident(self) -> int:
        """Bytes of memory of the process itself."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) << 10
        raise AssertionError("no such process")


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts services as processes; all on one data folder unless told otherwise."""
    started: list[Process] = []

    def start(folder: Path = tmp_path, config: Path | None = None, **environment: str) -> Process:
        started.append(Process(folder, environment, config))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.kill()
        one.output.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """The server of the stores' tests."""
    spec = importlib.util.spec_from_file_location("stores_conftest", STORES)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = module.start_server()
    try:
        yield found
    finally:
        found.stop("immediate")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def threads() -> type[Threads]:
    """What stands for a pool of processes."""
    return Threads


@pytest.fixture(scope="session")
def start() -> Callable[..., Any]:
    """Starts a service in a thread, on a folder, as a context."""
    return running
