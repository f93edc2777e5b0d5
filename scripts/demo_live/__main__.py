"""From an alert of a real Prometheus to a page that says why: ``make demo-live``.

A shop runs; a bad release of one of its services is deployed; Prometheus notices that the front is slow;
Alertmanager pages; and before anybody could have opened the page, a note on it names the release.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from receiver import Receiver
from servers import (
    ADMIN,
    PAGE_SECRET,
    free_port,
    missing_programs,
    start_alertmanager,
    start_engine,
    start_prometheus,
)
from shop import Shop

CAUSE, RELEASE = "payment", "payment 2.4.0"
LIMIT = 10.0  # seconds from the alert at the engine to the note on the page
_HEALTHY_SECONDS, _ROLLOUT_SECONDS = 5.0, 8.0  # a release is told of when it begins to roll out


def main() -> int:
    """Runs the demo; 0 where the page named the true cause in time, 1 where not, 77 where programs are missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="keep the folder with all configurations and logs")
    options = parser.parse_args()
    if missing := missing_programs():
        print(f"Not installed: {', '.join(missing)}. On Debian: apt install prometheus prometheus-alertmanager")
        return 77
    if options.keep:
        return run(Path(tempfile.mkdtemp(prefix="rca-demo-live-")))
    with tempfile.TemporaryDirectory(prefix="rca-demo-live-") as folder:
        return run(Path(folder))


def run(folder: Path) -> int:
    """The demo in a folder."""
    print(f"Everything runs on loopback; its files are in {folder}.")
    begun = time.monotonic()
    with ExitStack() as stack:
        receiver = Receiver(PAGE_SECRET)
        stack.callback(receiver.stop)
        port = free_port()
        engine_url = f"http://127.0.0.1:{port}"
        alertmanager, address = start_alertmanager(folder, engine_url, receiver.url)
        stack.callback(alertmanager.stop)
        prometheus, prometheus_url, shop = start_prometheus(folder, Shop(), address)
        stack.callback(prometheus.stop)
        stack.callback(shop.stop)
        engine = start_engine(folder, port, prometheus_url, receiver.url)
        stack.callback(engine.stop)
        alertmanager.wait_for(f"http://{address}/-/ready")
        receiver.webhook = (f"{engine_url}/api/v1/ingest/pagerduty", ADMIN)
        _say(begun, "Prometheus, Alertmanager, the engine and a shop of seven services are running.")

        _tell_change(engine_url, "catalogue", "catalogue 1.9.3")  # one that has nothing to do with it
        time.sleep(_HEALTHY_SECONDS)
        _tell_change(engine_url, CAUSE, RELEASE)
        time.sleep(_ROLLOUT_SECONDS)
        shop.shop.release_badly(CAUSE)
        _say(begun, f"{RELEASE} is deployed, and is bad. Nobody is told that it is.")

        noted = _wait(lambda: [page for page in receiver.pages if page.notes], 150.0)
        if not noted:
            print(
                engine.log.read_text()[-4000:], prometheus.log.read_text()[-2000:], alertmanager.log.read_text()[-2000:]
            )
            print("No page was told anything.")
            return 1
        _wait(lambda: receiver.chat, 10.0)
        return _judge(begun, receiver, engine_url)


def _judge(begun: float, receiver: Receiver, engine_url: str) -> int:
    page = next(page for page in receiver.pages if page.notes)
    came, note = page.notes[0]
    (incident, *others) = _get(f"{engine_url}/api/v1/incidents")["incidents"]
    reached = _seconds(incident["created"])
    _say(begun, f"The page “{page.summary}” was told:\n")
    print("\n".join(f"    {line}" for line in note.splitlines()))
    chat = receiver.chat[0][1]["blocks"][0]["text"]["text"] if receiver.chat else "nothing"
    print(f"\n    Slack: {chat}\n")
    took = came - reached
    checks = {
        f"the note names {CAUSE} as the root cause": note.splitlines()[0].startswith(f"ROOT CAUSE  {CAUSE}"),
        f"the note names the change “{RELEASE}”": f"“{RELEASE}”" in note,
        f"Slack was told {CAUSE}": CAUSE in chat,
        "all alerts are one incident": not others,
        "the page was told once": len(page.notes) == 1,
        f"{took:.1f} s from the alert at the engine to the note, less than {LIMIT:g} s": took < LIMIT,
    }
    for what, holds in checks.items():
        print(f"  {'ok    ' if holds else 'MISSED'} {what}")
    _say(begun, "Done.")
    return 0 if all(checks.values()) else 1


def _tell_change(engine_url: str, service: str, name: str) -> None:
    body = json.dumps({"component": service, "kind": "deployment", "name": name}).encode()
    _ask(f"{engine_url}/api/v1/changes", body)


def _get(url: str) -> Any:
    return json.loads(_ask(url))


def _ask(url: str, body: bytes | None = None) -> bytes:
    headers = {"Authorization": f"Bearer {ADMIN}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=20) as answer:  # noqa: S310
        content: bytes = answer.read()
    return content


def _seconds(time_text: str) -> float:
    from rca.types import SECOND, to_nanoseconds

    return to_nanoseconds(time_text[:26].rstrip("Z") + "Z") / SECOND


def _wait(what: Callable[[], Any], seconds: float) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until and not what():
        time.sleep(0.1)
    return what()


def _say(begun: float, text: str) -> None:
    print(f"[{time.monotonic() - begun:5.1f} s] {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
