"""What goes over the pipe between the service and its worker processes: length, then msgpack."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

SIZE = 8
MAX_FRAME = 1 << 30
# What helps where a worker has too little memory; it may find that out itself, or die of it.
SMALLER = "Take a shorter window or baseline, or raise worker_memory"


class Call(msgspec.Struct, array_like=True):
    """What a worker is asked: the operation, its parameters, and contents."""

    operation: str
    parameters: dict[str, Any]
    blobs: list[bytes]


class Answer(msgspec.Struct, array_like=True):
    """What a worker says: that it is ready, how far it is, its result, or why there is none."""

    kind: Literal["ready", "progress", "result", "refused", "broken"]
    values: dict[str, Any]
    blobs: list[bytes] = []


_encoder = msgspec.msgpack.Encoder()
_calls = msgspec.msgpack.Decoder(Call)
_answers = msgspec.msgpack.Decoder(Answer)


def encode(message: Call | Answer) -> bytes:
    """A frame."""
    body = _encoder.encode(message)
    return len(body).to_bytes(SIZE, "big") + body


def read_call(body: bytes) -> Call:
    """The call in a frame's body."""
    return _calls.decode(body)


def read_answer(body: bytes) -> Answer:
    """The answer in a frame's body."""
    return _answers.decode(body)
