"""Real servers on loopback, each for one session, and a receiver that keeps what was posted to it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

# A script that runs a server in the foreground: ``serve opensearch|kafka FOLDER PORT``.
SERVE = Path(os.environ.get("RCA_TEST_SERVERS", Path(__file__).parents[3] / "shared" / "servers")) / "serve"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            pytest.fail(f"{process.args} ended with {process.returncode}")
        if ready():
            return
        time.sleep(0.1)
    pytest.fail(f"{process.args} is not ready after {seconds} s")


def run(command: list[str], folder: Path, ready: Callable[[], bool]) -> Iterator[None]:
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder)
    try:
        wait_until(ready, process)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def answers(url: str) -> Callable[[], bool]:
    def ready() -> bool:
        try:
            return httpx.get(url, timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    return ready


def need_server(name: str) -> None:
    if os.environ.get("CI"):
        pytest.skip(f"a real {name} is not run in CI")
    if shutil.which("java") is None:
        pytest.skip(f"{name} needs Java")
    if not SERVE.exists():
        pytest.skip(f"no script to run {name} at {SERVE}")


def need_binary(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@pytest.fixture(scope="session")
def opensearch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real OpenSearch."""
    need_server("OpenSearch")
    folder, port = tmp_path_factory.mktemp("opensearch"), free_port()
    url = f"http://127.0.0.1:{port}"
    for _ in run([str(SERVE), "opensearch", str(folder), str(port)], folder, answers(f"{url}/_cluster/health")):
        yield url


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real Kafka."""
    need_server("Kafka")
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    folder, port = tmp_path_factory.mktemp("kafka"), free_port()
    address = f"127.0.0.1:{port}"
    admin = AdminClient({"bootstrap.servers": address, "log_level": 0})

    def ready() -> bool:
        try:
            return bool(admin.list_topics(timeout=1).brokers)
        except KafkaException:
            return False

    for _ in run([str(SERVE), "kafka", str(folder), str(port)], folder, ready):
        yield address


@pytest.fixture(scope="session")
def victoria_metrics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real VictoriaMetrics."""
    binary = need_binary("victoria-metrics")
    folder, port = tmp_path_factory.mktemp("victoria"), free_port()
    url = f"http://127.0.0.1:{port}"
    command = [binary, f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={folder}", "-retentionPeriod=100y"]
    for _ in run(command, folder, answers(f"{url}/health")):
        yield url


@dataclass
class Receiver:
    """A loopback HTTP server: keeps every request and answers as it is told."""

    answer: Callable[[str, bytes, dict[str, str]], tuple[int, bytes, str]] = lambda path, body, headers: (200, b"", "")
    requests: list[tuple[str, bytes, dict[str, str]]] = field(default_factory=list)
    url: str = ""

    def serve(self) -> Iterator[Receiver]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_request(self) -> None:
                headers = dict(self.headers.items())
                chunked = headers.get("Transfer-Encoding", "") == "chunked"
                body = self._chunks() if chunked else self.rfile.read(int(headers.get("Content-Length", 0)))
                path, _, query = self.path.partition("?")
                headers["query"] = query
                receiver.requests.append((path, body, headers))
                status, content, kind = receiver.answer(path, body, headers)
                self.send_response(status)
                if kind:
                    self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def _chunks(self) -> bytes:
                body = b""
                while size := int(self.rfile.readline().strip() or b"0", 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def log_message(self, *_: object) -> None:
                pass

        for method in ("GET", "POST", "PUT", "DELETE"):
            setattr(Handler, f"do_{method}", Handler.handle_request)
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


@pytest.fixture(scope="session")
def writing_prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Receiver]]:
    """A real Prometheus that scrapes itself and writes to a receiver."""
    binary = need_binary("prometheus")
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    for receiver in Receiver(answer=lambda path, body, headers: (204, b"", "")).serve():
        settings = {
            "global": {"scrape_interval": "1s"},
            "scrape_configs": [{"job_name": "prometheus", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}],
            "remote_write": [{"url": f"{receiver.url}/api/v1/write", "queue_config": {"batch_send_deadline": "1s"}}],
        }
        (folder / "prometheus.yml").write_text(json.dumps(settings))
        command = [
            binary,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        url = f"http://127.0.0.1:{port}"
        for _ in run(command, folder, answers(f"{url}/-/ready")):
            yield url, receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    yield from Receiver().serve()


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=10, trust_env=False) as client:
        yield client
