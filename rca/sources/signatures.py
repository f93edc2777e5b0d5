"""Signatures of webhooks: HMAC-SHA256 over the raw body, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from rca.sources.errors import SignatureError


def sign(secret: bytes, body: bytes) -> str:
    """The signature in hex digits."""
    return hmac.new(secret, body, hashlib.sha256).hexdigest()


def check_signature(body: bytes, given: str, secrets: Sequence[bytes], *, prefix: str, where: str) -> None:
    """Passes where one of the signatures in ``given`` was made with one of the secrets.

    Args:
        body: exactly as it was received, before any decoding.
        given: the header: one signature or several, parted by commas.
        secrets: more than one while a secret is being replaced.
        prefix: what stands before the hex digits, such as ``sha256=``.

    Raises:
        SignatureError: none fits, there is none, or there is no secret to check with.
    """
    expected = [prefix + sign(secret, body) for secret in secrets if secret]
    offered = [part.strip() for part in given.split(",") if part.strip()]
    fits = False
    for one in expected:
        for other in offered[:16]:  # senders sign once per secret, of which there are two at most
            fits |= hmac.compare_digest(one.encode(), other.encode("utf-8", "replace"))
    if not fits:
        raise SignatureError(
            "the signature is missing or does not fit" if expected else "no secret is configured",
            where=where,
            remedy="Configure the same secret on both sides, and sign the body as it is sent",
        )
