from __future__ import annotations

import string
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rca import formats
from rca.formats import FORMS, telemetry_from_json, telemetry_to_json
from rca.kinds import load_kinds
from rca.telemetry import LogBatch, MetricFrame, SpanBatch, Telemetry, encode, texts
from rca.types import Alert, Change

# Times between 1700 and 2260, and around the epoch, where a number of ns looks like one of seconds.
TIMES = st.one_of(st.integers(-8_500_000_000_000_000_000, 9_150_000_000_000_000_000), st.integers(-5, 5_000))
ANY_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)
NAMES = st.one_of(
    st.sampled_from(["cart", "a,b", 'q"uote', "line\nbreak", "null", "NaN", "5", " x "]), ANY_TEXT.filter(bool)
)
LABELS = st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=3)
QUICK = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def frames(draw: st.DrawFn, smallest: int = 0) -> MetricFrame:
    times = sorted(draw(st.sets(TIMES, min_size=smallest, max_size=5)))
    labels = draw(
        st.lists(st.tuples(NAMES, NAMES, st.one_of(st.just(""), NAMES)), unique=True, min_size=smallest, max_size=4)
    )
    sample = st.one_of(st.just(float("nan")), st.floats(width=32, allow_nan=False, allow_infinity=False))
    size = len(labels) * len(times)
    values = np.array(draw(st.lists(sample, min_size=size, max_size=size)), np.float32).reshape(len(labels), len(times))
    names = sorted({name for component, _, peer in labels for name in (component, peer)} | {"", "unused"})
    code = {name: i for i, name in enumerate(names)} | {"": -1}
    metrics, metric = encode([metric for _, metric, _ in labels])
    return MetricFrame(
        components=tuple(names),
        metrics=metrics,
        component=np.array([code[component] for component, _, _ in labels], np.int32),
        metric=metric,
        peer=np.array([code[peer] for _, _, peer in labels], np.int32),
        times=np.array(times, np.int64),
        values=values,
    )


@st.composite
def logs(draw: st.DrawFn) -> LogBatch:
    lines = draw(st.lists(st.tuples(TIMES, NAMES, st.integers(0, 6), ANY_TEXT, ANY_TEXT, ANY_TEXT), max_size=5))
    lines.sort(key=lambda line: line[0])
    columns = list(zip(*lines, strict=True)) if lines else [()] * 6
    components, component = encode(texts(columns[1]))
    return LogBatch(
        components=components,
        times=np.array(columns[0], np.int64),
        component=component,
        level=np.array(columns[2], np.int8),
        message=texts(columns[3]),
        trace=texts(columns[4]),
        span=texts(columns[5]),
    )


@st.composite
def spans(draw: st.DrawFn) -> SpanBatch:
    cells = st.tuples(TIMES, st.integers(0, 10**10), NAMES, ANY_TEXT, NAMES, st.integers(0, 5), st.integers(0, 2))
    rows = draw(st.lists(st.tuples(cells, st.lists(ANY_TEXT, min_size=5, max_size=5)), max_size=5))
    rows.sort(key=lambda row: row[0][0])
    main = list(zip(*(row[0] for row in rows), strict=True)) if rows else [()] * 7
    more = list(zip(*(row[1] for row in rows), strict=True)) if rows else [()] * 5
    return SpanBatch.build(
        start=np.array(main[0], np.int64),
        duration=np.array(main[1], np.int64),
        component=texts(main[2]),
        operation=texts(main[3]),
        trace=texts(main[4]),
        span=texts([f"s{i}" for i in range(len(rows))]),
        parent=texts(more[0]),
        kind=np.array(main[5], np.int8),
        status=np.array(main[6], np.int8),
        peer=texts(more[1]),
        link_trace=texts(more[2]),
        link_span=texts(more[3]),
        text=texts(more[4]),
    )


KINDS = sorted(load_kinds())
CHANGES = st.lists(
    st.builds(
        Change,
        id=NAMES,
        component=ANY_TEXT,
        kind=st.sampled_from([kind for kind in KINDS if load_kinds()[kind].role == "activity"]),
        name=ANY_TEXT,
        time=TIMES,
        files=st.lists(ANY_TEXT, max_size=3).map(tuple),
        diff=ANY_TEXT,
        attributes=LABELS,
    ),
    max_size=4,
    unique_by=lambda change: change.id,
).map(lambda changes: tuple(sorted(changes, key=lambda change: change.time)))
ALERTS = st.lists(
    st.builds(
        Alert,
        component=NAMES,
        name=NAMES,
        kind=st.sampled_from(KINDS),
        time=st.one_of(st.none(), TIMES),
        severity=st.floats(0.0, 1.0),
        direction=st.sampled_from(["up", "down", "none"]),
        group=ANY_TEXT,
        peer=ANY_TEXT,
        operation=ANY_TEXT,
        text=ANY_TEXT,
        labels=LABELS,
    ),
    max_size=4,
).map(tuple)


def plain(value: Any) -> Any:
    """Names instead of codes, so that unused names and their order do not count."""
    if isinstance(value, MetricFrame):
        name = [*value.components, ""]
        labels = [
            (name[c], value.metrics[m], name[p])
            for c, m, p in zip(value.component, value.metric, value.peer, strict=True)
        ]
        rows = {label: [repr(v) for v in row.tolist()] for label, row in zip(labels, value.values, strict=True)}
        return rows, value.times.tolist()
    if isinstance(value, LogBatch):
        columns = (value.times, value.level, value.message, value.trace, value.span)
        return [value.components[c] for c in value.component], [column.tolist() for column in columns]
    if isinstance(value, SpanBatch):
        name = [*value.components, ""]
        columns = [
            getattr(value, field) for field in value.__dataclass_fields__ if field not in ("components", "operations")
        ]
        return (
            [
                (name[c], value.operations[o], name[p])
                for c, o, p in zip(value.component, value.operation, value.peer, strict=True)
            ],
            [column.tolist() for column in columns if column.dtype != np.int32],
        )
    return value


def round_trip(table: str, value: Any, form: str, folder: Path) -> Any:
    path = folder / f"{table}.{form}"
    getattr(formats, f"write_{table}")(value, path)
    return getattr(formats, f"read_{table}")(path)


@pytest.mark.parametrize("form", ["parquet", "arrow", "json"])
@QUICK
@given(frame=frames())
def test_any_frame_is_read_back_as_it_was_written(form: str, frame: MetricFrame, tmp_path: Path) -> None:
    assert plain(round_trip("metrics", frame, form, tmp_path)) == plain(frame)


@QUICK
@given(frame=frames(smallest=1))
def test_any_frame_of_some_samples_is_read_back_from_csv(frame: MetricFrame, tmp_path: Path) -> None:
    assert plain(round_trip("metrics", frame, "csv", tmp_path)) == plain(frame)


@pytest.mark.parametrize("form", FORMS)
@QUICK
@given(batch=logs())
def test_any_log_lines_are_read_back_as_they_were_written(form: str, batch: LogBatch, tmp_path: Path) -> None:
    assert plain(round_trip("logs", batch, form, tmp_path)) == plain(batch)


@pytest.mark.parametrize("form", FORMS)
@QUICK
@given(batch=spans())
def test_any_spans_are_read_back_as_they_were_written(form: str, batch: SpanBatch, tmp_path: Path) -> None:
    assert plain(round_trip("spans", batch, form, tmp_path)) == plain(batch)


@pytest.mark.parametrize("form", FORMS)
@QUICK
@given(changes=CHANGES)
def test_any_changes_are_read_back_as_they_were_written(form: str, changes: tuple[Change, ...], tmp_path: Path) -> None:
    assert round_trip("changes", changes, form, tmp_path) == changes


@pytest.mark.parametrize("form", FORMS)
@QUICK
@given(alerts=ALERTS)
def test_any_alerts_are_read_back_as_they_were_written(form: str, alerts: tuple[Alert, ...], tmp_path: Path) -> None:
    assert round_trip("alerts", alerts, form, tmp_path) == alerts


@QUICK
@given(st.builds(Telemetry, metrics=frames(), logs=logs(), spans=spans(), changes=CHANGES, alerts=ALERTS))
def test_any_telemetry_is_read_back_from_one_json_document(telemetry: Telemetry) -> None:
    read = telemetry_from_json(telemetry_to_json(telemetry))
    for table in ("metrics", "logs", "spans", "changes", "alerts"):
        assert plain(getattr(read, table)) == plain(getattr(telemetry, table))


@pytest.mark.parametrize("form", FORMS)
def test_empty_tables_are_read_back_empty(form: str, tmp_path: Path) -> None:
    empty = Telemetry()
    for table in ("metrics", "logs", "spans"):
        value = getattr(empty, table)
        assert plain(round_trip(table, value, form, tmp_path)) == plain(value)
    for table in ("changes", "alerts"):
        assert round_trip(table, (), form, tmp_path) == ()


@pytest.mark.parametrize("form", FORMS)
def test_the_same_telemetry_gives_the_same_bytes(form: str, tmp_path: Path) -> None:
    frame = MetricFrame.from_rows(
        times=np.arange(20), components=list(string.ascii_letters[:20]), metrics=["cpu"] * 20, values=np.arange(20.0)
    )
    for name in ("one", "two"):
        formats.write_metrics(frame, tmp_path / f"{name}.{form}")
    assert (tmp_path / f"one.{form}").read_bytes() == (tmp_path / f"two.{form}").read_bytes()
