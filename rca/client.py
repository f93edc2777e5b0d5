"""A client of the service: windows in, reports out.

    with rca.Client("http://127.0.0.1:8080", token) as client:
        report = client.analyze(rca.read_case("my-incident"))

Requests that the service was too busy for are sent again, and so are those that broke off: each
window is sent under a key of its own, so that it has one effect.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from rca.errors import RCAError, SettingsError

if TYPE_CHECKING:
    import httpx

    from rca.types import Case

_API = "/api/v1"
_AGAIN = frozenset({408, 429, 502, 503, 504})
_POLL = 0.5


class ServiceError(RCAError):
    """The service refused a request, or did not answer.

    ``status`` is the HTTP status, 0 where there was no answer.
    """

    def __init__(self, problem: str, *, where: str | None = None, remedy: str | None = None, status: int = 0) -> None:
        super().__init__(problem, where=where, remedy=remedy)
        self.status = status


class Client:
    """Speaks to one service.

    Args:
        url: where it is; default: ``RCA_URL`` of the environment, else http://127.0.0.1:8080.
        token: an API token; default: ``RCA_TOKEN`` of the environment.
        timeout: seconds for one request.
        retries: how often a request is sent again.
        verify: a PEM file of authorities to trust besides the usual ones, for TLS with a certificate of one's own.

    Raises:
        SettingsError: there is no token, or httpx is not installed.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        timeout: float = 90.0,
        retries: int = 5,
        verify: str | Path | None = None,
    ) -> None:
        try:
            import httpx
        except ImportError as bad:
            raise SettingsError("httpx is not installed", remedy="pip install 'rca-engine[service]'") from bad
        token = token or os.environ.get("RCA_TOKEN", "")
        if not token:
            raise SettingsError("no token", remedy="Set RCA_TOKEN; `rca token create` makes one")
        context: Any = True
        if verify is not None:
            import ssl

            context = ssl.create_default_context(cafile=str(verify))
        self._retries = retries
        self._http = httpx.Client(
            base_url=url or os.environ.get("RCA_URL", "") or "http://127.0.0.1:8080",
            headers={"Authorization": f"Bearer {token}"},
            timeout=timeout,
            verify=context,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def analyze(self, case: Case | Mapping[str, Any] | bytes, *, wait: float = 300.0) -> dict[str, Any]:
        """The report of a case, a window as a dict (see docs/service.md), or a packed case.

        Args:
            wait: seconds to wait for the report.

        Raises:
            ServiceError: refused, failed, or not ready within the wait.
        """
        until = time.monotonic() + wait
        answer = self._post_window(case, min(wait, 30.0))
        if answer.status_code == 200:
            return _document(answer)
        job = self.wait(_document(answer)["id"], until - time.monotonic())
        return self.report(job["incident"])

    def submit(self, case: Case | Mapping[str, Any] | bytes) -> dict[str, Any]:
        """Files a window without waiting: its job, with the ``incident`` and its ``links``."""
        answer = self._post_window(case, 0.0)
        if answer.status_code == 202:
            return _document(answer)
        return self.job(answer.headers["x-rca-job"])

    def wait(self, job: str, seconds: float = 300.0) -> dict[str, Any]:
        """The job once it is done.

        Raises:
            ServiceError: it failed, was cancelled (``status`` 410), or takes longer.
        """
        until = time.monotonic() + seconds
        while True:
            found = self.job(job)
            if found["state"] == "done":
                return found
            if found["state"] == "failed":
                error = found["error"]
                raise ServiceError(
                    error["detail"], where=error.get("where") or job, remedy=error.get("remedy"), status=409
                )
            if time.monotonic() >= until:
                raise ServiceError(f"is not done after {seconds:g} s", where=job, remedy="Ask for the job again later")
            time.sleep(_POLL)

    def job(self, job: str) -> dict[str, Any]:
        """How far a job is."""
        return _document(self._send("GET", f"{_API}/jobs/{job}"))

    def cancel(self, job: str) -> dict[str, Any]:
        """Cancels a job that is not finished."""
        return _document(self._send("DELETE", f"{_API}/jobs/{job}"))

    def incidents(self, **filters: str) -> Iterator[dict[str, Any]]:
        """Incidents, newest first; ``state``, ``verdict`` and ``cause`` choose among them."""
        cursor: str | None = ""
        while cursor is not None:
            page = _document(self._send("GET", f"{_API}/incidents", params={**filters, "cursor": cursor}))
            yield from page["incidents"]
            cursor = page["next"]

    def incident(self, incident: str) -> dict[str, Any]:
        """An incident with its jobs and what was said of it."""
        return _document(self._send("GET", f"{_API}/incidents/{incident}"))

    def report(self, incident: str) -> dict[str, Any]:
        """The last report of an incident."""
        return _document(self._send("GET", f"{_API}/incidents/{incident}/report"))

    def page(self, incident: str) -> str:
        """The incident page as HTML."""
        return self._send("GET", f"{_API}/incidents/{incident}/page").text

    def graph(self, incident: str, form: Literal["json", "graphml"] = "json") -> str:
        """The causality graph as JSON or GraphML."""
        return self._send("GET", f"{_API}/incidents/{incident}/graph", params={"format": form}).text

    def feedback(
        self,
        incident: str,
        opinion: Literal["confirmed", "wrong", "note"],
        *,
        component: str = "",
        kind: str = "",
        resolution: str = "",
        note: str = "",
        who: str = "",
    ) -> dict[str, Any]:
        """Says what the cause was, of which ``kind`` (the type of fault), and what ended it (``resolution``)."""
        said = {"opinion": opinion, "component": component, "note": note, "who": who}
        said |= {name: text for name, text in (("kind", kind), ("resolution", resolution)) if text}
        return _document(self._send("POST", f"{_API}/incidents/{incident}/feedback", json=said))

    def split(self, incident: str) -> dict[str, Any]:
        """Undoes the merger of an incident with an earlier one."""
        return _document(self._send("POST", f"{_API}/incidents/{incident}/split"))

    def evaluate(self, incidents: list[str] | None = None) -> dict[str, Any]:
        """How often the confirmed cause came first."""
        return _document(self._send("POST", f"{_API}/evaluate", json={"incidents": incidents or []}))

    def learn(self) -> dict[str, Any]:
        """Has the service learn from what was confirmed; the job of the lesson."""
        return _document(self._send("POST", f"{_API}/learn"))

    def learned(self) -> dict[str, Any]:
        """What the service learnt, and which version is in use ("": the untrained answer)."""
        return _document(self._send("GET", f"{_API}/learned"))

    def roll_back(self, *, untrained: bool = False) -> dict[str, Any]:
        """Goes back to the version that was in use before, or to the ``untrained`` answer; what is in use then."""
        params = {"untrained": "true"} if untrained else {}
        return _document(self._send("POST", f"{_API}/learned/rollback", params=params))

    def deliveries(
        self, *, incident: str = "", state: Literal["", "waiting", "sent", "dead"] = ""
    ) -> list[dict[str, Any]]:
        """Messages to others, newest first, at most 1,000."""
        params = {"incident": incident, "state": state, "limit": "1000"}
        found: list[dict[str, Any]] = _document(self._send("GET", f"{_API}/deliveries", params=params))["deliveries"]
        return found

    def retry_delivery(self, delivery: str) -> dict[str, Any]:
        """Sends a message again that is dead."""
        return _document(self._send("POST", f"{_API}/deliveries/{delivery}/retry"))

    def push_changes(self, *changes: Mapping[str, Any]) -> dict[str, Any]:
        """Tells of changes; each needs a ``component`` and a ``kind`` such as "deployment"."""
        return _document(self._send("POST", f"{_API}/changes", json=[dict(change) for change in changes]))

    def _post_window(self, case: Case | Mapping[str, Any] | bytes, wait: float) -> httpx.Response:
        if isinstance(case, bytes):
            content, media = case, "application/zip"
        elif isinstance(case, Mapping):
            import msgspec

            content, media = msgspec.json.encode(dict(case)), "application/json"
        else:
            from rca.stores.snapshots import pack_case

            content, media = pack_case(case), "application/zip"
        headers = {"Content-Type": media, "Idempotency-Key": secrets.token_hex(16)}
        return self._send("POST", f"{_API}/incidents", params={"wait": f"{wait:g}"}, content=content, headers=headers)

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        import httpx

        again = method != "POST" or "Idempotency-Key" in request.get("headers", {})
        for attempt in range(self._retries + 1):
            pause = min(0.5 * 2**attempt, 10.0)
            last = attempt == self._retries
            try:
                answer = self._http.request(method, path, **request)
            except httpx.TransportError as bad:
                if last or not (again or isinstance(bad, httpx.ConnectError)):
                    raise ServiceError(
                        f"the service does not answer: {bad or type(bad).__name__}",
                        where=str(self._http.base_url),
                        remedy="Check its address, and that it runs: GET /readyz",
                    ) from bad
            else:
                if answer.is_success:
                    return answer
                if last or answer.status_code not in _AGAIN:
                    raise _error_of(answer)
                told = answer.headers.get("retry-after", "")
                pause = min(float(told), 30.0) if told.isdigit() else pause
            time.sleep(pause)
        raise AssertionError("unreachable")


def _document(answer: httpx.Response) -> dict[str, Any]:
    document: dict[str, Any] = answer.json()
    return document


def _error_of(answer: httpx.Response) -> ServiceError:
    try:
        told = answer.json()
        problem = f"{told['title']}: {told['detail']}"
        return ServiceError(problem, where=told.get("where"), remedy=told.get("remedy"), status=answer.status_code)
    except (ValueError, KeyError, TypeError):
        return ServiceError(f"the service answers {answer.status_code}", status=answer.status_code)
