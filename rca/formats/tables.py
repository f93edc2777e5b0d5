"""The five tables of telemetry: which columns each has, which are required, and what they mean.

Every form (JSON, Arrow, Parquet, CSV) carries the same columns under the same names. A time or a
duration carries its unit in its name (``time_ns``); a bare ``time`` is an ISO 8601 text with a zone,
a zoned timestamp, or a number whose unit its size tells (see ``rca.formats.times``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from rca.errors import TelemetryError

Form = Literal["time", "duration", "text", "number", "word", "texts", "labels"]
UNITS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: its name, what its cells hold, whether it must be there, and what it means."""

    name: str
    form: Form
    required: bool = False
    meaning: str

    @property
    def spellings(self) -> dict[str, str]:
        """Name in a file -> its unit, "" where the values tell it."""
        if self.form == "time":
            names = {f"{self.name}_{unit}": unit for unit in UNITS}
            also = {"timestamp": ""} if self.name == "time" else {}
            return {self.name: "", **also, **names}
        if self.form == "duration":
            return {f"{self.name}_{unit}": unit for unit in UNITS}
        return {self.name: ""}


def _column(name: str, form: Form, meaning: str, *, required: bool = False) -> Column:
    return Column(name=name, form=form, required=required, meaning=meaning)


TABLES: dict[str, tuple[Column, ...]] = {
    "metrics": (
        _column("time", "time", "when it was sampled", required=True),
        _column("component", "text", "what it was measured on", required=True),
        _column("metric", "text", "name of the metric", required=True),
        _column("value", "number", "the sample; empty, null and NaN: missing", required=True),
        _column("peer", "text", "the other end, where the series describes calls"),
    ),
    "logs": (
        _column("time", "time", "when the line was written", required=True),
        _column("component", "text", "who wrote it", required=True),
        _column("message", "text", "the line", required=True),
        _column("level", "word", "trace, debug, info, warn, error, fatal, or 1 to 6; 0: unknown"),
        _column("trace", "text", "id of the trace that it belongs to"),
        _column("span", "text", "id of the span that it belongs to"),
    ),
    "spans": (
        _column("start", "time", "when the span began", required=True),
        _column("duration", "duration", "how long it took (or give end)"),
        _column("end", "time", "when the span ended (or give a duration)"),
        _column("component", "text", "who did the work", required=True),
        _column("operation", "text", "what was done, such as the route", required=True),
        _column("trace", "text", "id of the trace", required=True),
        _column("span", "text", "id of the span", required=True),
        _column("parent", "text", "id of the parent span; empty: a root"),
        _column("kind", "word", "internal, server, client, producer, consumer, or 1 to 5; 0: unspecified"),
        _column("status", "word", "unset, ok, error, or 0 to 2"),
        _column("peer", "text", "the uninstrumented component that is called"),
        _column("link_trace", "text", "trace of the span that caused this one over a message"),
        _column("link_span", "text", "id of the span that caused this one over a message"),
        _column("text", "text", "what else the span says: error message, statement, attributes as key=value"),
    ),
    "changes": (
        _column("time", "time", "when it was done", required=True),
        _column("component", "text", "what was changed; empty where only the files tell"),
        _column("kind", "text", "a kind of change of the catalogue, such as deployment", required=True),
        _column("id", "text", "id of the change; default: its kind, component and number of its row"),
        _column("name", "text", "what it is called"),
        _column("files", "texts", "files that a commit touched: a JSON list, or a text parted by ;"),
        _column("diff", "text", "the diff of a commit"),
        _column("attributes", "labels", "further facts: a JSON object, or columns attributes.<name>"),
    ),
    "alerts": (
        _column("component", "text", "what it fired on", required=True),
        _column("name", "text", "the rule that fired", required=True),
        _column("time", "time", "when it fired; empty where nobody knows"),
        _column("end", "time", "when it was resolved"),
        _column("kind", "text", "a kind of the catalogue; default alert.firing"),
        _column("severity", "number", "0 to 1; default 0.5"),
        _column("direction", "text", "up, down or none"),
        _column("group", "text", "what is told several times over; default: the name"),
        _column("peer", "text", "the component on the other end"),
        _column("operation", "text", "the call that it is about"),
        _column("text", "text", "what the alert says"),
        _column("labels", "labels", "labels: a JSON object, or columns labels.<name>"),
    ),
}
# Facts about rows that the engine has no column for may stand in any table.
FREE = ("labels.", "attributes.")


def known_names(table: str) -> dict[str, tuple[str, str]]:
    """Name in a file -> (column, unit), for every spelling of every column of a table."""
    return {name: (column.name, unit) for column in TABLES[table] for name, unit in column.spellings.items()}


def match_columns(table: str, names: Iterable[str], *, where: str) -> dict[str, tuple[str, str]]:
    """Which column of the table each name in a file is: column -> (name in the file, unit).

    Names that begin with ``labels.`` or ``attributes.`` pass and are not part of the result.

    Raises:
        TelemetryError: a name is unknown or stands twice, or a required column is missing.
    """
    known = known_names(table)
    found: dict[str, tuple[str, str]] = {}
    for name in names:
        if name.startswith(FREE):
            continue
        if name not in known:
            hint = f"Name it {name}_ns, {name}_us, {name}_ms or {name}_s" if name == "duration" else ""
            remedy = hint or f"Known columns: {', '.join(column.name for column in TABLES[table])}; or labels.<name>"
            raise TelemetryError(f"unknown column {name[:80]!r}", where=where, remedy=remedy)
        column, unit = known[name]
        if column in found:
            raise TelemetryError(
                f"the columns {found[column][0]!r} and {name!r} are both the {column}",
                where=where,
                remedy="Keep one of the two",
            )
        found[column] = (name, unit)
    for wanted in TABLES[table]:
        if wanted.required and wanted.name not in found:
            raise TelemetryError(
                f"the column {wanted.name!r} is missing", where=where, remedy=f"Add it: {wanted.meaning}"
            )
    if table == "spans" and ("duration" in found) == ("end" in found):
        raise TelemetryError(
            "spans need either a duration or an end", where=where, remedy="Give duration_ns, duration_ms … or end"
        )
    return found
