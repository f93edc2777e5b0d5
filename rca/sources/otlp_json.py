"""OTLP's JSON as protobuf messages.

It differs from protobuf's own JSON mapping, whose parser would read it wrongly without a word:
trace and span ids are hex, not base64; enums are integers only; unknown keys are ignored
(https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from rca.sources.bodies import decode_json
from rca.sources.errors import SourceError

_IDS = frozenset(("trace_id", "span_id", "parent_span_id"))
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})*")
_INTEGERS = frozenset(
    (
        *(FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64),
        *(FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64),
    )
)
_FLOATS = frozenset((FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT))
_SPECIAL = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
_DEEPEST = 64  # protobuf's parsers stop at 100


def parse_otlp_json(content: bytes, message: Message, *, where: str) -> None:
    """Fills ``message``, an Export…ServiceRequest, with what OTLP's JSON says.

    Raises:
        SourceError: no JSON, nested too deep, or a value of the wrong type; the error names its path.
    """
    document: dict[str, Any] = decode_json(content, dict, where=where)
    _fill(message, document, where, 0)


def _fill(message: Message, document: Any, where: str, depth: int) -> None:
    if not isinstance(document, dict):
        raise _wrong("an object", document, where)
    if depth > _DEEPEST:
        raise SourceError("JSON nested too deep", where=where, remedy="Send flat attributes")
    fields = _fields(message.DESCRIPTOR)
    for key, value in document.items():
        known = fields.get(key)
        if known is None or value is None:
            continue
        name, repeated, descriptor = known
        place = f"{where}.{key}"
        nested = descriptor.cpp_type == FieldDescriptor.CPPTYPE_MESSAGE
        if repeated:
            if not isinstance(value, list):
                raise _wrong("a list", value, place)
            target = getattr(message, name)
            for i, item in enumerate(value):
                if nested:
                    _fill(target.add(), item, f"{place}[{i}]", depth + 1)
                else:
                    target.append(_scalar(descriptor, item, f"{place}[{i}]"))
        elif nested:
            child = getattr(message, name)
            child.SetInParent()
            _fill(child, value, place, depth + 1)
        else:
            _set(message, name, _scalar(descriptor, value, place), place)


def _set(message: Message, name: str, value: Any, place: str) -> None:
    try:
        setattr(message, name, value)
    except (ValueError, TypeError, OverflowError) as bad:
        raise SourceError(f"{str(value)[:60]!r} does not fit", where=place, remedy="Send a value in its range") from bad


@lru_cache(maxsize=256)
def _fields(descriptor: Descriptor) -> Mapping[str, tuple[str, bool, FieldDescriptor]]:
    """lowerCamelCase name -> name, whether repeated, and the field."""
    return {field.json_name: (field.name, field.is_repeated, field) for field in descriptor.fields}


def _scalar(field: FieldDescriptor, value: Any, where: str) -> Any:
    kind = field.cpp_type
    if kind in _INTEGERS or kind == FieldDescriptor.CPPTYPE_ENUM:
        return _integer(field, value, where)
    if kind in _FLOATS:
        if isinstance(value, str):
            value = _SPECIAL[value] if value in _SPECIAL else _number(value, where)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise _wrong("a number", value, where)
        try:
            return float(value)
        except OverflowError as bad:
            raise _wrong("a number of 64 bits", "a larger one", where) from bad
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        if not isinstance(value, bool):
            raise _wrong("true or false", value, where)
        return value
    if not isinstance(value, str):
        raise _wrong("a text", value, where)
    return _bytes(field, value, where) if field.type == FieldDescriptor.TYPE_BYTES else value


def _integer(field: FieldDescriptor, value: Any, where: str) -> int:
    if isinstance(value, str) and field.cpp_type != FieldDescriptor.CPPTYPE_ENUM:
        if not re.fullmatch(r"-?\d{1,20}", value, re.ASCII):
            raise _wrong("an integer", value, where)
        value = int(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong("an integer", value, where)
    wide = field.cpp_type in (FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64)
    unsigned = field.cpp_type in (FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64)
    bits = (64 if wide else 32) - (not unsigned)
    if not (0 if unsigned else -(1 << bits)) <= value < 1 << bits:
        raise _wrong(f"an integer of {64 if wide else 32} bits", value, where)
    return value


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError as bad:
        raise _wrong("a number", text, where) from bad


def _bytes(field: FieldDescriptor, text: str, where: str) -> bytes:
    if field.name in _IDS:
        if not _HEX.fullmatch(text):
            raise _wrong("an id in hex digits", text, where)
        return bytes.fromhex(text)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as bad:
        raise _wrong("base64", text, where) from bad


def _wrong(expected: str, value: Any, where: str) -> SourceError:
    shown = (
        str(value)[:40] if isinstance(value, (str, int, float)) and abs(_size(value)) < 1e30 else type(value).__name__
    )
    return SourceError(f"{shown!r} is not {expected}", where=where, remedy="Send OTLP's JSON encoding")


def _size(value: str | int | float) -> float:
    """Python refuses to print integers of thousands of digits."""
    return 0.0 if isinstance(value, (str, float)) else float(value.bit_length())
