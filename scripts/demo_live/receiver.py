"""Stands for PagerDuty and Slack: takes what Alertmanager and the engine send, and keeps when it came.

Like PagerDuty it opens an incident for each new ``dedup_key``, tells of it by a signed webhook, says by which
key its alerts are known, and takes notes.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Page:
    """An incident of "PagerDuty": its key, and the notes with the time when each came."""

    id: str
    key: str
    summary: str
    notes: list[tuple[float, str]] = field(default_factory=list)


class Receiver:
    """The server; ``pages`` and ``chat`` are what responders would see."""

    def __init__(self, secret: str) -> None:
        self.pages: list[Page] = []
        self.chat: list[tuple[float, dict[str, Any]]] = []
        self.webhook = ("", "")  # the engine's URL and token
        self._secret = secret
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._reply(receiver.get(self.path))

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                self._reply(receiver.post(self.path, json.loads(content)))

            def _reply(self, answer: Any) -> None:
                content = json.dumps(answer).encode()
                self.send_response(202)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Ends it."""
        self._server.shutdown()
        self._server.server_close()

    def get(self, path: str) -> Any:
        """What is asked of "PagerDuty": the alerts or the notes of an incident."""
        page = self._page(path)
        if path.endswith("/alerts"):
            return {"alerts": [{"id": "A1", "alert_key": page.key}] if page else []}
        return {"notes": [{"content": text} for _, text in page.notes] if page else []}

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """What is told: a message to "Slack", a note or an event of "PagerDuty"."""
        now = time.time()
        if path.startswith("/slack"):
            self.chat.append((now, body))
            return "ok"
        if path.endswith("/notes"):
            page = self._page(path)
            if page is not None:
                page.notes.append((now, body["note"]["content"]))
            return {"note": {"id": "N1"}}
        if body.get("event_action") == "trigger":
            self._open(body)
        return {"status": "success", "message": "Event processed", "dedup_key": body.get("dedup_key", "")}

    def _page(self, path: str) -> Page | None:
        return next((page for page in self.pages if page.id in path.split("/")), None)

    def _open(self, event: dict[str, Any]) -> None:
        with self._lock:
            if any(page.key == event["dedup_key"] for page in self.pages):
                return
            page = Page(id=f"PD{len(self.pages) + 1}", key=event["dedup_key"], summary=event["payload"]["summary"])
            self.pages.append(page)
        threading.Thread(target=self._tell, args=(page,), daemon=True).start()

    def _tell(self, page: Page) -> None:
        """The webhook of version 3."""
        url, token = self.webhook
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        service = {"id": "PSHOP", "type": "service_reference", "summary": "Shop"}
        data = {"id": page.id, "type": "incident", "title": page.summary, "service": service, "created_at": now}
        event = {"id": f"event-{page.id}", "event_type": "incident.triggered", "occurred_at": now, "data": data}
        content = json.dumps({"event": event}).encode()
        signature = hmac.new(self._secret.encode(), content, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-PagerDuty-Signature": f"v1={signature}",
            "Authorization": f"Bearer {token}",
        }
        request = urllib.request.Request(url, content, headers)  # noqa: S310 - the engine on loopback
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310
