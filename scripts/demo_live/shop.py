"""A synthetic shop of seven services that export their metrics as Prometheus reads them.

    web -> cart -> cart-db      web -> catalogue      web -> checkout -> payment -> ledger-db

Each service counts the requests that it serves and those that it makes (by callee), with their durations
and failures; a caller waits for its callees and fails with them. A bad release of one of them makes its own
part slow and failing; what its callers feel follows from that.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CALLS: dict[str, tuple[str, ...]] = {
    "web": ("cart", "catalogue", "checkout"),
    "cart": ("cart-db",),
    "catalogue": (),
    "checkout": ("payment",),
    "payment": ("ledger-db",),
    "cart-db": (),
    "ledger-db": (),
}
OWN_SECONDS = {"web": 0.02, "cart": 0.015, "catalogue": 0.03, "checkout": 0.02, "payment": 0.04}
RATE = 40.0  # requests per second at the front; of each 4, 2 go to the cart, 1 to the catalogue, 1 to checkout
SHARE = {"cart": 0.5, "catalogue": 0.25, "checkout": 0.25, "payment": 1.0, "cart-db": 1.0, "ledger-db": 1.0}
BOUNDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_SERVED, _MADE = "http_server_request_duration_seconds", "http_client_request_duration_seconds"


class Shop:
    """The counters of all services, advanced in steps of time."""

    def __init__(self, seed: int = 7) -> None:
        self._random = random.Random(seed)  # noqa: S311 - noise of measurements
        self._counts: dict[tuple[str, str, str], float] = {}
        self._gauges: dict[tuple[str, str], float] = {}
        self._bad = ""
        self._lock = threading.Lock()

    def release_badly(self, service: str) -> None:
        """From now on a service takes 0.9 s longer, and a fifth of its requests fail."""
        self._bad = service

    def step(self, seconds: float) -> None:
        """Lets some time pass."""
        with self._lock:
            self._serve("web", RATE * seconds * self._random.gauss(1.0, 0.03), seconds)

    def page(self, service: str) -> str:
        """The metrics of a service in Prometheus' text format."""
        with self._lock:
            lines = [f"{name}{{{labels}}} {value:.6f}" for name, labels, value in self._rows(service)]
        return "\n".join(lines) + "\n"

    def rows(self) -> Iterator[tuple[str, str, float]]:
        """Every series of every service as (name, labels with the job, value)."""
        for service in CALLS:
            for name, labels, value in self._rows(service):
                yield (
                    name,
                    ",".join(part for part in (f'job="{service}",instance="{service}:8080"', labels) if part),
                    value,
                )

    def _rows(self, service: str) -> Iterator[tuple[str, str, float]]:
        for (owner, name, labels), value in sorted(self._counts.items()):
            if owner == service:
                yield name, labels, value
        for (owner, name), value in sorted(self._gauges.items()):
            if owner == service:
                yield name, "", value

    def _serve(self, service: str, requests: float, seconds: float) -> tuple[float, float]:
        """Serves requests; seconds that one takes, and the share that fails."""
        duration = OWN_SECONDS.get(service, 0.008) * self._random.gauss(1.0, 0.05)
        failed = 0.001 * self._random.random()
        busy = 0.1 + 0.3 * requests / max(RATE * seconds, 1e-9) * self._random.gauss(1.0, 0.05)
        if service == self._bad:
            duration, failed, busy = duration + 0.9, failed + 0.2, busy + 0.5
        for callee in CALLS[service]:
            taken, lost = self._serve(callee, requests * SHARE[callee], seconds)
            self._count(service, _MADE, f'peer_service="{callee}",', requests * SHARE[callee], taken, lost)
            duration += SHARE[callee] * taken
            failed += SHARE[callee] * lost
        self._count(service, _SERVED, "", requests, duration, failed)
        self._add(service, "process_cpu_seconds_total", "", busy * seconds)
        self._gauges[service, "process_resident_memory_bytes"] = 2e8 * self._random.gauss(1.0, 0.01)
        return duration, failed

    def _count(self, service: str, name: str, labels: str, requests: float, duration: float, failed: float) -> None:
        for code, count in (("200", requests * (1 - failed)), ("503", requests * failed)):
            told = f'{labels}code="{code}"'
            self._add(service, f"{name}_count", told, count)
            self._add(service, f"{name}_sum", told, count * duration)
            for bound in BOUNDS:
                # Durations are spread evenly from half to one and a half times their mean.
                below = min(max((bound - duration / 2) / max(duration, 1e-9), 0.0), 1.0)
                self._add(service, f"{name}_bucket", f'{told},le="{bound}"', count * below)
            self._add(service, f"{name}_bucket", f'{told},le="+Inf"', count)

    def _add(self, service: str, name: str, labels: str, value: float) -> None:
        key = service, name, labels
        self._counts[key] = self._counts.get(key, 0.0) + value


class RunningShop:
    """A shop in real time: each service's metrics below ``/SERVICE/metrics``."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self._stop = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                service = self.path.split("/")[1]
                content = shop.page(service).encode() if service in CALLS else b""
                self.send_response(200 if content else 404)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self) -> None:
        """Ends it."""
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()

    def _run(self) -> None:
        last = time.monotonic()
        while not self._stop.wait(0.25):
            now = time.monotonic()
            self.shop.step(now - last)
            last = now


def history(shop: Shop, end: float, *, minutes: float, step: float) -> Iterator[str]:
    """The healthy time before, as OpenMetrics with times: what `promtool tsdb create-blocks-from` reads.

    Samples of one family have to stand together, so they are gathered before they are written.
    """
    families: dict[str, list[str]] = {}
    for number in range(int(minutes * 60 / step)):
        shop.step(step)
        at = end - minutes * 60 + number * step
        for name, labels, value in shop.rows():
            families.setdefault(name, []).append(f"{name}{{{labels}}} {value:.6f} {at:.3f}\n")
    for name in sorted(families):
        yield f"# TYPE {name} unknown\n"
        yield from families[name]
    yield "# EOF\n"
