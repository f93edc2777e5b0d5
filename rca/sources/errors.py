"""The kinds of SourceError, each with the HTTP status that its sender understands.

SourceError          400  malformed: sending it again does not help
├── TooLargeError    413  more bytes, records or levels than are taken
├── UnsupportedError 415  an encoding, version or media type that is not read
├── SignatureError   401  not signed with the shared secret
└── UnavailableError 502  a server that was asked does not answer, or answers with an error
"""

from __future__ import annotations

from rca.errors import SourceError

__all__ = ["SignatureError", "SourceError", "TooLargeError", "UnavailableError", "UnsupportedError"]


class TooLargeError(SourceError):
    """More bytes, records or levels than are taken."""

    status = 413


class UnsupportedError(SourceError):
    """An encoding, a version or a media type that is not read."""

    status = 415


class SignatureError(SourceError):
    """A payload that is not signed with the shared secret."""

    status = 401


class UnavailableError(SourceError):
    """A server that was asked does not answer, or answers with an error.

    ``answered`` is the HTTP status of its answer, 0 where there was none.
    """

    status = 502
    answered = 0
