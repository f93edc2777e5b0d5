"""Who may do what: API tokens, kept as SHA-256 of a secret of 256 random bits, and their scopes.

A token reads ``rca_<id>_<secret>``. It is given as ``Authorization: Bearer TOKEN``, or as the password
of Basic authentication by senders that know nothing else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rca.errors import NotFoundError, SettingsError
from rca.stores.records import Token

if TYPE_CHECKING:
    from rca.stores.protocol import Store

SCOPES = ("ingest", "read", "analyse", "feedback", "admin")
ADMIN_ID = "admin"
TOKEN = re.compile(r"rca_([a-z0-9]{1,16})_([A-Za-z0-9_-]{43})")
# A token that was revoked on another replica, or by the command line, works for so long: said in the docs.
MEMORY_SECONDS = 2.0
_MOST_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who asks, and what for he may."""

    id: str
    name: str
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        """Whether a scope is his; admin is all of them."""
        return scope in self.scopes or "admin" in self.scopes


def make_token(name: str, scopes: Iterable[str], *, now: int, expires: int | None = None) -> tuple[Token, str]:
    """A new token, and the text that its owner gets, once.

    Raises:
        SettingsError: an unknown scope, or none.
    """
    wanted = tuple(sorted(set(scopes)))
    unknown = [scope for scope in wanted if scope not in SCOPES]
    if unknown or not wanted:
        problem = f"the scope {unknown[0][:40]!r} is unknown" if unknown else "a token without scopes"
        raise SettingsError(problem, remedy=f"Give some of {', '.join(SCOPES)}")
    number = secrets.token_hex(4)
    secret = secrets.token_urlsafe(32)
    token = Token(id=number, name=name[:100], digest=_digest(secret), scopes=wanted, created=now, expires=expires)
    return token, f"rca_{number}_{secret}"


def admin_token(text: str, *, now: int) -> Token:
    """The token that the configuration gives, of whatever form."""
    found = TOKEN.fullmatch(text)
    secret = found[2] if found else text
    return Token(
        id=found[1] if found else ADMIN_ID, name="configured", digest=_digest(secret), scopes=("admin",), created=now
    )


class Authenticator:
    """Checks tokens against the store, and remembers what it found for a moment."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._remembered: dict[str, tuple[float, Token | None]] = {}

    def find(self, authorization: str) -> Principal | None:
        """Who an ``Authorization`` header is; None where it is nobody. Reads the store: not in the event loop."""
        text = _token_text(authorization)
        found = TOKEN.fullmatch(text)
        number, secret = (found[1], found[2]) if found else (ADMIN_ID, text)
        token = self._token(number)
        given = _digest(secret)
        # Compared even where there is no such token: the time taken says nothing.
        fits = hmac.compare_digest(given, token.digest if token is not None else bytes(32))
        if token is None or not fits or token.revoked is not None:
            return None
        if token.expires is not None and token.expires <= time.time_ns():
            return None
        return Principal(id=token.id, name=token.name, scopes=frozenset(token.scopes))

    def knows(self, authorization: str) -> bool:
        """Whether ``find`` would answer without reading the store."""
        found = TOKEN.fullmatch(_token_text(authorization))
        remembered = self._remembered.get(found[1] if found else ADMIN_ID)
        return remembered is not None and remembered[0] > time.monotonic()

    def forget(self) -> None:
        """Looks every token up again."""
        self._remembered.clear()

    def _token(self, number: str) -> Token | None:
        now = time.monotonic()
        remembered = self._remembered.get(number)
        if remembered is not None and remembered[0] > now:
            return remembered[1]
        try:
            token: Token | None = self._store.token(number)
        except NotFoundError:
            token = None
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[number] = (now + MEMORY_SECONDS, token)
        return token


def _token_text(authorization: str) -> str:
    scheme, _, rest = authorization.strip().partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).decode("utf-8").partition(":")[2]
        except (binascii.Error, ValueError):
            return ""
    return ""


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()
