"""Asking other systems over HTTP: one client that is handed in, bounded answers, errors that say who did not answer.

The client (``httpx.Client``) is the caller's: with the timeouts, certificates, headers and the guard
against forbidden addresses that the service wants. Paths are appended to the base URL that is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from rca.sources.bodies import decode_json, plain_text
from rca.sources.errors import TooLargeError, UnavailableError

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")
MAX_ANSWER = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server and how it is asked.

    Attributes:
        name: what errors call it.
        url: base URL, without a slash at its end.
        client: sends the requests; the caller closes it.
        headers: of every request, such as Authorization or X-Scope-OrgID.
    """

    name: str
    url: str
    client: httpx.Client
    headers: Mapping[str, str] | None = None

    def ask(
        self,
        method: str,
        path: str,
        kind: type[T],
        *,
        params: Mapping[str, Any] | None = None,
        form: Mapping[str, Any] | None = None,
        json: Any = None,
        content: bytes | None = None,
        content_type: str = "application/json",
        max_bytes: int = MAX_ANSWER,
    ) -> T:
        """The JSON of an answer, as ``kind``.

        Raises:
            UnavailableError: no answer, or an error as answer; TooLargeError: more than ``max_bytes``;
            SourceError: an answer of another form.
        """
        import httpx

        body = msgspec.json.encode(json) if json is not None else content
        headers = {"Accept": "application/json", **(self.headers or {})}
        if body is not None:
            headers["Content-Type"] = content_type
        options: dict[str, Any] = {"params": params, "data": form, "content": body, "headers": headers}
        options = {name: value for name, value in options.items() if value is not None}
        try:
            with self.client.stream(method, f"{self.url.rstrip('/')}{path}", **options) as answer:
                received = bytearray()
                for chunk in answer.iter_bytes():
                    received += chunk
                    if len(received) > max_bytes:
                        raise TooLargeError(
                            f"an answer of more than {max_bytes} bytes", where=self.name, remedy="Ask for less at once"
                        )
        except (httpx.HTTPError, httpx.InvalidURL) as bad:
            raise UnavailableError(
                f"does not answer ({type(bad).__name__}: {bad})"[:300], where=self.name, remedy="Check URL and network"
            ) from bad
        if answer.status_code >= 300:
            refused = UnavailableError(
                f"answers {answer.status_code}: {_reason(bytes(received))}",
                where=self.name,
                remedy="Check the credentials" if answer.status_code in (401, 403) else "Check URL and query",
            )
            refused.answered = answer.status_code
            raise refused
        return decode_json(bytes(received), kind, where=self.name)


def _reason(content: bytes) -> str:
    """What an error's body says, in at most 300 characters."""
    try:
        told = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return content[:300].decode("utf-8", "replace").strip()
    if isinstance(told, dict):
        error = told.get("error") or told.get("message") or told
        if isinstance(error, dict):
            error = error.get("reason") or error.get("root_cause") or error
        return plain_text(error, 300)
    return plain_text(told, 300)
