"""Bodies as they arrive: inflated within bounds, decoded as JSON, headers looked up."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from rca.sources.errors import SourceError, TooLargeError, UnsupportedError

T = TypeVar("T")
_REMEDY = "Send smaller batches"
# Four bytes may stand for a block of 128 KiB: what one piece of so many bytes inflates to stays small.
_ZSTD_PIECE = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is taken from one request or message.

    ``inflated`` bytes after decompression (64 MiB is what OTLP receivers take); ``records`` lines,
    spans, samples or events; ``text`` characters of one text, of which the rest is cut.
    """

    inflated: int = 64 << 20
    records: int = 1_000_000
    text: int = 16_384

    def check_records(self, count: int, where: str) -> None:
        """Raises TooLargeError where there are too many."""
        if count > self.records:
            raise TooLargeError(f"{count} records, more than {self.records}", where=where, remedy=_REMEDY)


DEFAULT_LIMITS = Limits()


def header(headers: Mapping[str, str], name: str) -> str:
    """The value of a header, whatever the case of its name; "" where there is none."""
    wanted = name.lower()
    return next((value for key, value in headers.items() if key.lower() == wanted), "")


def media_type(headers: Mapping[str, str]) -> str:
    """The media type without its parameters, in lower case."""
    return header(headers, "content-type").partition(";")[0].strip().lower()


def inflate(body: bytes, encoding: str, *, where: str, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """The body without its Content-Encoding: none, gzip, deflate, zstd or snappy (block format).

    Never more than ``limits.inflated`` bytes are made of it.

    Raises:
        SourceError: damaged; TooLargeError: more bytes than are taken; UnsupportedError: another encoding.
    """
    name = encoding.strip().lower()
    if name in ("", "identity"):
        content = body
    elif name in ("gzip", "x-gzip", "deflate"):
        content = _inflate_zlib(body, 15 if name == "deflate" else 31, where, limits.inflated)
    elif name == "zstd":
        content = _inflate_zstd(body, where, limits.inflated)
    elif name == "snappy":
        content = inflate_snappy(body, where=where, limits=limits)
    else:
        raise UnsupportedError(
            f"the content encoding {name[:40]!r}", where=where, remedy="Use gzip, zstd, deflate or no compression"
        )
    if len(content) > limits.inflated:
        raise TooLargeError(f"more than {limits.inflated} bytes", where=where, remedy=_REMEDY)
    return content


def inflate_snappy(body: bytes, *, where: str, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """A body in snappy's block format; its length stands at its beginning and is checked first.

    Raises:
        SourceError: damaged; TooLargeError: more bytes than are taken.
    """
    import cramjam

    try:
        size = cramjam.snappy.decompress_raw_len(body)
        if size > limits.inflated:
            raise TooLargeError(f"{size} bytes inflated, more than {limits.inflated}", where=where, remedy=_REMEDY)
        return bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError as bad:
        raise SourceError(
            "no snappy block", where=where, remedy="Compress in snappy's block format, without frames"
        ) from bad


def decode_json(content: bytes, kind: type[T], *, where: str) -> T:
    """JSON as ``kind``; every failure names the place in the document.

    Raises:
        SourceError: no UTF-8, no JSON, nested too deep, or of another type than ``kind``.
    """
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError as bad:
        problem, _, place = str(bad).partition(" - at `$")
        raise SourceError(problem, where=f"{where}{place.rstrip('`')}", remedy="Send the documented types") from bad
    except (msgspec.DecodeError, UnicodeDecodeError) as bad:
        raise SourceError(f"no JSON: {bad}", where=where, remedy="Send one JSON document in UTF-8") from bad
    except RecursionError as bad:
        raise SourceError("JSON nested too deep", where=where, remedy="Send the documented fields") from bad


def digest(*parts: str) -> str:
    """A stable id of texts: 32 hex digits of SHA-256; parts do not run into each other."""
    mixed = hashlib.sha256()
    for part in parts:
        content = part.encode("utf-8", "surrogatepass")
        mixed.update(len(content).to_bytes(8, "big"))
        mixed.update(content)
    return mixed.hexdigest()[:32]


def plain_text(value: Any, limit: int = DEFAULT_LIMITS.text) -> str:
    """A JSON value as a text of at most ``limit`` characters: texts as they are, objects as JSON."""
    if isinstance(value, str):
        text = value
    elif value is None:
        text = ""
    elif isinstance(value, bool):
        text = "true" if value else "false"
    else:
        text = msgspec.json.encode(value).decode()
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _inflate_zlib(body: bytes, window: int, where: str, limit: int) -> bytes:
    parts, size, rest = [], 0, body
    try:
        while rest:  # a gzip body may consist of several members
            stream = zlib.decompressobj(window)
            part = stream.decompress(rest, limit + 1 - size)
            size += len(part)
            if size > limit:
                raise TooLargeError(f"more than {limit} bytes inflated", where=where, remedy=_REMEDY)
            if not stream.eof:
                raise SourceError("the compressed body is cut off", where=where, remedy="Send it whole")
            parts.append(part)
            rest = stream.unused_data
    except zlib.error as bad:
        raise SourceError(f"damaged compression ({bad})", where=where, remedy="Compress the body once") from bad
    return b"".join(parts)


def _inflate_zstd(body: bytes, where: str, limit: int) -> bytes:
    try:
        import zstandard
    except ImportError as bad:
        raise UnsupportedError("zstd is not installed", where=where, remedy="Send gzip, or install zstandard") from bad
    parts, size, at = [], 0, 0
    decompressor = zstandard.ZstdDecompressor(max_window_size=128 << 20)
    try:
        while at < len(body):  # a body may consist of several frames
            stream = decompressor.decompressobj()
            while at < len(body) and not stream.eof:
                part = stream.decompress(body[at : at + _ZSTD_PIECE])
                at += _ZSTD_PIECE
                size += len(part)
                if size > limit:
                    raise TooLargeError(f"more than {limit} bytes inflated", where=where, remedy=_REMEDY)
                parts.append(part)
            if not stream.eof:
                raise SourceError("the compressed body is cut off", where=where, remedy="Send it whole")
            at = min(at, len(body)) - len(stream.unused_data)
    except zstandard.ZstdError as bad:
        raise SourceError("damaged zstd", where=where, remedy="Compress the body once") from bad
    return b"".join(parts)
