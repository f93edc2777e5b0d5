"""History from Prometheus, fetched in pieces: each is kept as a file, so that a killed training asks for the rest."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import msgspec

from rca.errors import SourceError, TrainingError
from rca.registry.durable import write_file
from rca.sources.asking import Server
from rca.sources.assembly import frame_from_samples
from rca.sources.bodies import Limits
from rca.sources.errors import TooLargeError
from rca.sources.naming import Naming
from rca.sources.prometheus import query_range
from rca.telemetry import MetricFrame
from rca.training.staging import write_part
from rca.types import MINUTE, SECOND, Window

DAY = 24 * 60 * MINUTE
# A server answers at most 11,000 points of a series; a day of steps of ten seconds stays below.
MOST_POINTS = 10_000
# What one answer may hold; a piece with more is asked for in halves.
LIMITS = Limits(records=5_000_000)
TOKEN = "RCA_PROMETHEUS_TOKEN"  # noqa: S105 - the name of a variable
SECONDS = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Queries:
    """What is asked of a server.

    Attributes:
        url: base URL; its user and password are sent and never kept.
        queries: name of the metric -> PromQL; selectors keep the names of their series.
        window: the time; step: distance between samples; both in nanoseconds.
        labels: labels that name the component, tried before the usual ones.
    """

    url: str
    queries: Mapping[str, str]
    window: Window
    step: int
    labels: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """The URL without user and password."""
        parts = urlsplit(self.url)
        host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname or ""
        return urlunsplit((parts.scheme, f"{host}:{parts.port}" if parts.port else host, parts.path, "", ""))

    def key(self) -> str:
        """What tells one such question from another."""
        told = [self.source, sorted(self.queries.items()), self.window.start, self.window.end, self.step, self.labels]
        return hashlib.sha256(msgspec.json.encode(told)).hexdigest()[:16]


def is_server(data: str) -> bool:
    """Whether this is the URL of a server rather than a path."""
    return data.startswith(("http://", "https://"))


def name_queries(queries: Sequence[str], matches: Sequence[str]) -> dict[str, str]:
    """Name -> PromQL of ``NAME=EXPRESSION`` texts and of selectors.

    Raises:
        TrainingError: there are none, or a query has no name.
    """
    named: dict[str, str] = {match: match for match in matches}
    for query in queries:
        name, equals, expression = query.partition("=")
        if not equals or not name.replace("_", "").replace(":", "").replace(".", "").isalnum() or not expression:
            raise TrainingError(
                f"the query {query[:80]!r} has no name",
                where="--query",
                remedy="Write NAME=EXPRESSION, such as 'requests=sum by (service) (rate(http_requests_total[1m]))'",
            )
        named[name] = expression
    if not named:
        raise TrainingError(
            "nothing is asked of the server",
            where="--data",
            remedy="""Add --match '{job="shop"}' or --query NAME=EXPRESSION; both may be repeated""",
        )
    return named


def fetch(asked: Queries, staged: Path, show: Callable[[int, int], None]) -> list[Path]:
    """Parquet files with the samples, one per query and piece of time; those that are there are not asked for again.

    Raises:
        TrainingError: the server does not answer, or has no samples.
    """
    try:
        import httpx
    except ImportError as missing:
        raise TrainingError(
            "httpx is not installed", where="--data", remedy="pip install 'rca-engine[train]'"
        ) from missing

    folder = staged / f"prometheus-{asked.key()}"
    _forget_others(staged, folder)
    folder.mkdir(parents=True, exist_ok=True)
    pieces = [(name, query, piece) for piece in _pieces(asked) for name, query in sorted(asked.queries.items())]
    token = os.environ.get(TOKEN)
    headers = {"Authorization": f"Bearer {token}"} if token else None
    files: list[Path] = []
    with httpx.Client(timeout=SECONDS) as client:
        server = Server(name=asked.source, url=asked.url, client=client, headers=headers)
        for done, (name, query, piece) in enumerate(pieces):
            show(done, len(pieces))
            file = folder / f"{done:06d}.parquet"
            nothing = file.with_suffix(".none")
            if not file.is_file() and not nothing.is_file():
                frame = _ask(server, asked, name, query, piece)
                if frame.values.size:
                    write_part(frame, file)
                else:
                    write_file(nothing, b"")
            files += [file] if file.is_file() else []
    if not files:
        raise TrainingError(
            "the server has no such samples in this time",
            where=asked.source,
            remedy="Try the query in its web page, and look at --from, --to and --match",
        )
    return files


def _forget_others(staged: Path, own: Path) -> None:
    for other in staged.glob("prometheus-*") if staged.is_dir() else ():
        if other != own:
            shutil.rmtree(other, ignore_errors=True)


def _pieces(asked: Queries) -> Iterator[Window]:
    length = max(min(DAY, MOST_POINTS * asked.step) // asked.step, 1) * asked.step
    for start in range(asked.window.start, asked.window.end, length):
        yield Window(start=start, end=min(start + length, asked.window.end))


def _ask(server: Server, asked: Queries, name: str, query: str, piece: Window) -> MetricFrame:
    """The samples of one piece, in halves where there are too many."""
    # One step earlier: counters become rates by the sample before.
    before = Window(start=piece.start - asked.step, end=piece.end)
    try:
        received = query_range(
            server,
            {name: query},
            before,
            step=asked.step,
            naming=Naming(labels=asked.labels),
            limits=LIMITS,
        )
    except TooLargeError:
        return _halves(server, asked, name, query, piece)
    except SourceError as bad:
        if "more than" in bad.problem and piece.end - piece.start > 2 * asked.step:
            return _halves(server, asked, name, query, piece)
        raise TrainingError(bad.problem, where=bad.where, remedy=bad.remedy) from bad
    return frame_from_samples(received.samples, step=asked.step).slice(piece)


def _halves(server: Server, asked: Queries, name: str, query: str, piece: Window) -> MetricFrame:
    from rca.training.history import join_frames

    steps = (piece.end - piece.start) // asked.step
    if steps < 2:
        raise TrainingError(
            "one moment alone has too many series", where=server.name, remedy="Ask for fewer with --match or --query"
        )
    middle = piece.start + steps // 2 * asked.step
    halves = (Window(start=piece.start, end=middle), Window(start=middle, end=piece.end))
    return join_frames(_ask(server, asked, name, query, half) for half in halves)


def align(window: Window, step: int) -> Window:
    """The window on whole steps, so that two trainings ask for the same moments."""
    return Window(start=window.start // step * step, end=window.end // step * step)


def parse_duration(text: str) -> int:
    """Nanoseconds of ``90s``, ``15m``, ``12h``, ``30d`` or ``4w``.

    Raises:
        TrainingError: it is none of these.
    """
    units = {"s": SECOND, "m": MINUTE, "h": 60 * MINUTE, "d": DAY, "w": 7 * DAY}
    number, unit = text[:-1], text[-1:]
    if unit not in units or not number.isdecimal() or not int(number):
        raise TrainingError(
            f"{text[:40]!r} is no duration", remedy="Write a number and s, m, h, d or w, such as 30s or 7d"
        )
    return int(number) * units[unit]
