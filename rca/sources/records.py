"""Log lines and spans collected one by one, and given as columns."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

from rca.formats.batches import LEVELS
from rca.telemetry import UNKNOWN, LogBatch, SpanBatch, encode, texts

_LEVEL_FIELD = re.compile(r"\b(?:level|lvl|severity)\"?\s*[=:]\s*\"?([a-zA-Z]{3,13})\b")


def level_of(word: str) -> int:
    """The level that a word means in any log library; 0 where it means none."""
    return LEVELS.get(word.strip().lower(), UNKNOWN)


def level_in(line: str) -> int:
    """The level that a line says in ``level=warn`` or ``"level":"warn"``; 0 where it says none."""
    found = _LEVEL_FIELD.search(line, 0, 2_000)
    return level_of(found[1]) if found else UNKNOWN


@dataclass(slots=True)
class LineCollector:
    """Collects log lines."""

    times: list[int] = field(default_factory=list)
    components: list[str] = field(default_factory=list)
    levels: list[int] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    traces: list[str] = field(default_factory=list)
    spans: list[str] = field(default_factory=list)

    def add(self, time: int, component: str, level: int, message: str, trace: str = "", span: str = "") -> None:
        """One line."""
        self.times.append(time)
        self.components.append(component)
        self.levels.append(level)
        self.messages.append(message)
        self.traces.append(trace)
        self.spans.append(span)

    def __len__(self) -> int:
        return len(self.times)

    def batch(self) -> LogBatch:
        """The lines in order of time; equal times keep their order."""
        times = np.array(self.times, np.int64)
        components, component = encode(self.components)
        lines = LogBatch(
            components=components,
            times=times,
            component=component,
            level=np.array(self.levels, np.int8),
            message=texts(self.messages),
            trace=texts(self.traces),
            span=texts(self.spans),
        )
        return lines.take(np.argsort(times, kind="stable"))


@dataclass(slots=True)
class SpanCollector:
    """Collects spans."""

    starts: list[int] = field(default_factory=list)
    durations: list[int] = field(default_factory=list)
    components: list[str] = field(default_factory=list)
    operations: list[str] = field(default_factory=list)
    traces: list[str] = field(default_factory=list)
    spans: list[str] = field(default_factory=list)
    parents: list[str] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    peers: list[str] = field(default_factory=list)
    link_traces: list[str] = field(default_factory=list)
    link_spans: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.starts)

    def batch(self) -> SpanBatch:
        """The spans in order of their start."""
        start = np.array(self.starts, np.int64)
        spans = SpanBatch.build(
            start=start,
            duration=np.array(self.durations, np.int64),
            component=self.components,
            operation=self.operations,
            trace=self.traces,
            span=self.spans,
            parent=self.parents,
            kind=np.array(self.kinds, np.int8),
            status=np.array(self.statuses, np.int8),
            peer=self.peers,
            link_trace=self.link_traces,
            link_span=self.link_spans,
            text=self.texts,
        )
        return spans.take(np.argsort(start, kind="stable"))
