from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from rca import formats
from rca.errors import RCAError, TelemetryError
from rca.formats import FORMS, read_metrics, read_spans, telemetry_from_json, write_metrics
from rca.telemetry import MetricFrame

READERS = ("metrics", "logs", "spans", "changes", "alerts")
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
HEAD = "time,component,metric,value\n"
GOOD = '"time": ["2026-01-31T12:00:00Z"]'


def series(values: str, times: str = '["2026-01-31T12:00:00Z"]', more: str = "") -> str:
    one = f'{{"component": "a", "metric": "m", "values": {values}{more}}}'
    return f'{{"metrics": {{"times": {times}, "series": [{one}]}}}}'


@pytest.mark.parametrize(
    ("content", "where", "problem"),
    [
        ("", "", "no JSON"),
        ("{", "", "no JSON"),
        ("[]", "", "Expected `object`"),
        ('{"metric": {}}', "", "unknown field `metric`"),
        ('{"metrics": 5}', "metrics", "Expected `object`"),
        (series("[NaN]"), "", "no JSON"),
        (series("[1e999]"), "metrics.series[0].values[0]", "out of range"),
        (series('["x"]'), "metrics.series[0].values[0]", "Expected `float | null`"),
        (series("[1, 2]"), "metrics.series", "series 1 has 2 values for 1 times"),
        (series("[1e39]"), "metrics.series", "beyond 3.4e38"),
        (series("[1]", times='["2026-01-31T12:00:00"]'), "metrics.times", "no time with a zone"),
        (series("[1, 2]", times="[20, 10]"), "metrics", "times do not increase strictly"),
        (series("[1, 2]", times="[10, 10]"), "metrics", "times do not increase strictly"),
        (series("[1]", times="[1e30]"), "metrics.times", "beyond the years"),
        (series("[1]", more=', "unit": "ms"'), "metrics.series[0]", "unknown field `unit`"),
        ('{"metrics": {"series": []}}', "metrics", "exactly one of times"),
        (f'{{"logs": {{{GOOD}}}}}', "logs", "'component' is missing"),
        (
            f'{{"logs": {{{GOOD}, "component": ["a"], "message": ["x", "y"]}}}}',
            "logs",
            "has 1 rows where others have 2",
        ),
        (f'{{"logs": {{{GOOD}, "component": [""], "message": ["x"]}}}}', "logs, column component", "row 1 is empty"),
        (f'{{"logs": {{{GOOD}, "component": ["a"], "message": [7]}}}}', "logs, column message", "holds int64"),
        (
            f'{{"logs": {{{GOOD}, "component": ["a"], "message": ["x"], "host": ["h"]}}}}',
            "logs",
            "unknown column 'host'",
        ),
        (
            f'{{"logs": {{{GOOD}, "component": ["a"], "message": ["x"], "level": ["loud"]}}}}',
            "logs, column level",
            "'loud' is no level",
        ),
        ('{"changes": [{"component": "a", "kind": "k"}]}', "changes", "'time' is missing"),
        ('{"changes": [{"time": 5, "component": "a", "kind": "k", "at": 1}]}', "changes", "unknown column 'at'"),
        ('{"alerts": [{"component": "a", "name": "n", "severity": 2}]}', "alerts, alert 1", "outside [0, 1]"),
        ('{"alerts": [{"component": "a", "name": "n", "direction": "left"}]}', "alerts, alert 1", "'left' is unknown"),
        ('{"alerts": [{"component": "a", "name": "n", "kind": "magic"}]}', "alerts, alert 1", "'magic' is unknown"),
        (
            '{"changes": [{"time": 1, "component": "a", "kind": "latency.up"}]}',
            "changes, column kind, row 1",
            "'latency.up' is unknown",
        ),
        ('{"alerts": [{"component": "a", "name": "n", "labels": {"x": {}}}]}', "alerts[0]", "Expected"),
    ],
)
def test_malformed_json_names_place_problem_and_remedy(content: str, where: str, problem: str) -> None:
    with pytest.raises(TelemetryError) as caught:
        telemetry_from_json(content.encode(), where="body")
    assert caught.value.where is not None
    assert caught.value.where.startswith(f"body.{where}" if where else "body")
    assert problem in caught.value.problem
    assert caught.value.remedy


def test_json_that_nests_without_end_is_an_error() -> None:
    for body in (b"[" * 200_000, b'{"metrics":' + b"[" * 200_000, b'{"metrics":' * 50_000):
        with pytest.raises(TelemetryError):
            telemetry_from_json(body)


def test_json_beyond_the_limit_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(TelemetryError, match="11 bytes of JSON, more than 10"):
        telemetry_from_json(b"x" * 11, max_bytes=10)


def test_a_number_of_thousands_of_digits_is_no_label() -> None:
    body = b'{"alerts": [{"component": "a", "name": "n", "labels": {"x": 1' + b"0" * 4_000 + b"}}]}"
    with pytest.raises(TelemetryError):
        telemetry_from_json(body)


@pytest.mark.parametrize(
    ("content", "where", "problem"),
    [
        ("", "", "no header"),
        ("time,component\n2026-01-31T12:00:00Z,a\n", "", "'metric' is missing"),
        (HEAD + "2026-01-31T12:00:00Z,a,m\n", "", "Expected 4 columns, got 3"),
        (HEAD + "2026-01-31T12:00:00Z,a,m,fast\n", "column value", "'fast'"),
        (HEAD + "2026-01-31T12:00:00Z,a,m,inf\n", "column value", "row 1 is infinite"),
        (HEAD + "2026-01-31T12:00:00Z,a,m,1\n2026-01-31 12:00,a,m,1\n", "column time", "row 2"),
        (HEAD + "2026-01-31T12:00:00Z,a,m,1\nyesterday,a,m,1\n", "column time", "row 2: 'yesterday'"),
        (HEAD + "10,a,m,1\nyesterday,a,m,1\n", "column time", "row 2: 'yesterday'"),
        (HEAD + ",a,m,1\n", "column time", "row 1 has no time"),
        (HEAD + "2026-01-31T12:00:00Z,,m,1\n", "column component", "row 1 is empty"),
        (HEAD + "99999999999999999999,a,m,1\n", "column time", "beyond the years"),
        ("time,time_ms,component,metric,value\n1,1,a,m,1\n", "", "are both the time"),
        ("time,component,metric,value,value\n1,a,m,1,1\n", "", "stands twice"),
        ("time,component,metric,value,unit\n1,a,m,1,ms\n", "", "unknown column 'unit'"),
        ("a_cpu,b_cpu\n1,2\n", "", "no time column"),
        ("time,cpu\n1,2\n", "", "'cpu' names no component and metric"),
        ("time,a/cpu\n1,fast\n", "column a/cpu", "'fast'"),
        ("time,a_x,a/x\n1,2,3\n", "", "the series a/x is given twice"),
    ],
)
def test_malformed_csv_names_file_column_row_and_remedy(content: str, where: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(TelemetryError) as caught:
        read_metrics(path)
    assert caught.value.where == (f"{path}, {where}" if where else str(path))
    assert problem in caught.value.problem
    assert caught.value.remedy


def test_a_file_that_is_not_utf_8_or_not_there_is_an_error_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "logs.csv"
    path.write_bytes("time,component,message\n5,a,größe\n".encode("latin-1"))
    with pytest.raises(TelemetryError, match=r"logs\.csv"):
        formats.read_logs(path)
    for form in FORMS:
        with pytest.raises(TelemetryError, match=rf"none\.{form}"):
            read_metrics(tmp_path / f"none.{form}")
    with pytest.raises(TelemetryError, match=r"End the name in \.parquet, \.arrow, \.csv, \.json"):
        read_metrics(tmp_path / "metrics.xlsx")


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"time": pa.array([1.5]).cast(pa.float32()), "value": pa.array(["fast"])}, "no number"),
        ({"time": pa.array([0]).cast(pa.timestamp("us")), "value": [1.0]}, "no time zone"),
        ({"time": pa.array([2**53]).cast(pa.timestamp("s", "UTC")), "value": [1.0]}, "beyond the years"),
        ({"time": pa.array([2**64 - 1], pa.uint64()), "value": [1.0]}, "beyond the years"),
        ({"time": pa.array([True]), "value": [1.0]}, "no column of times"),
        ({"time": [5], "value": [float("inf")]}, "infinite"),
        ({"time": [5], "value": [[1.0]]}, "no number"),
    ],
)
@pytest.mark.parametrize("form", ["arrow", "parquet"])
def test_columns_of_the_wrong_type_are_refused(
    columns: dict[str, Any], problem: str, form: str, tmp_path: Path
) -> None:
    path = tmp_path / f"metrics.{form}"
    table = pa.table({"component": ["a"], "metric": ["m"], **columns})
    if form == "parquet":
        parquet.write_table(table, path)
    else:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    with pytest.raises(TelemetryError, match=problem) as caught:
        read_metrics(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("values", "times", "problem"),
    [
        (pa.array([[1.0, 2.0]]), b"[5]", "series 1 has 2 values for 1 times"),
        (pa.array([None], pa.list_(pa.float32())), b"[5]", "series 1 has 0 values for 1 times"),
        (pa.array([["x"]]), b"[5]", "holds lists of string"),
        (pa.array([1.0]), b"[5]", "not lists of numbers"),
        (pa.array([[1.0]]), b"[9, 5]", "has 1 values for 2 times"),
        (pa.array([[1.0, 2.0]]), b"[9, 5]", "times do not increase strictly"),
        (pa.array([[float("inf")]]), b"[5]", "infinite"),
        (pa.array([[1.0]]), b"soon", "no JSON list of nanoseconds"),
        (pa.array([[1.0]]), b"[99999999999999999999]", "no JSON list of nanoseconds"),
        (pa.array([[1.0]]), None, "without its times"),
    ],
)
def test_tables_of_series_of_wrong_shape_are_refused(
    values: pa.Array, times: bytes | None, problem: str, tmp_path: Path
) -> None:
    metadata = None if times is None else {b"rca.times_ns": times}
    table = pa.table({"component": ["a"], "metric": ["m"], "values": values}, metadata=metadata)
    parquet.write_table(table, tmp_path / "metrics.parquet")
    with pytest.raises(TelemetryError, match=problem):
        read_metrics(tmp_path / "metrics.parquet")


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("5,-1,a,x,t,1", "row 1 has a negative duration"),
        ("5,,a,x,t,1", "row 1 has no duration"),
        ("5,soon,a,x,t,1", "row 1: 'soon' is no number"),
        ("5,1,a,x,,1", "row 1 is empty"),
        ("5,1,a,x,t,", "row 1 is empty"),
    ],
)
def test_malformed_spans_are_refused(row: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "spans.csv"
    path.write_text(f"start_ns,duration_ns,component,operation,trace,span\n{row}\n", encoding="utf-8")
    with pytest.raises(TelemetryError, match=problem):
        read_spans(path)


def test_a_duration_without_a_unit_is_refused_with_the_names_to_choose_from(tmp_path: Path) -> None:
    path = tmp_path / "spans.csv"
    path.write_text("start_ns,duration,component,operation,trace,span\n5,1,a,x,t,1\n", encoding="utf-8")
    with pytest.raises(TelemetryError, match="Name it duration_ns, duration_us, duration_ms or duration_s"):
        read_spans(path)


def test_a_text_that_is_no_unicode_is_refused_when_written(tmp_path: Path) -> None:
    frame = MetricFrame.from_rows(times=np.array([5]), components=["a\udc80"], metrics=["m"], values=np.array([1.0]))
    for form in FORMS:
        with pytest.raises(TelemetryError, match="not Unicode"):
            write_metrics(frame, tmp_path / f"metrics.{form}")


def valid_files(folder: Path, form: str) -> dict[str, bytes]:
    telemetry = telemetry_from_json(
        b'{"metrics": {"times": [10, 20], "series": [{"component": "a", "metric": "m", "values": [1, 2]}]},'
        b'"logs": {"time": [5], "component": ["a"], "message": ["x"], "level": ["error"]},'
        b'"spans": {"start": [5], "duration_ms": [1], "component": ["a"], "operation": ["x"], "trace": ["t"],'
        b'"span": ["1"], "peer": ["db"]},'
        b'"changes": [{"time": 5, "component": "a", "kind": "change.flag", "files": ["f"], "attributes": {"k": "v"}}],'
        b'"alerts": [{"component": "a", "name": "n", "time": 5, "labels": {"k": "v"}}]}'
    )
    for table in READERS:
        getattr(formats, f"write_{table}")(getattr(telemetry, table), folder / f"{table}.{form}")
    return {table: (folder / f"{table}.{form}").read_bytes() for table in READERS}


def refuse_or_read(read: Callable[[Path], Any], path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        read(path)
    except RCAError as error:
        assert error.where is not None and str(path) in error.where
        assert error.remedy


@pytest.mark.parametrize("form", FORMS)
@QUICK
@given(content=st.binary(max_size=200))
@example(content=b"\xef\xbb\xbf")
@example(content=b"\n\n\n")
@example(content=b"time,component,metric,value\n\x00,\x00,\x00,\x00\n")
@example(content=b'"time\n",a/b\n1,2\n')
def test_arbitrary_bytes_give_a_value_or_an_error_that_names_the_file(
    form: str, content: bytes, tmp_path: Path
) -> None:
    for table in READERS:
        refuse_or_read(getattr(formats, f"read_{table}"), tmp_path / f"{table}.{form}", content)


@pytest.mark.parametrize("form", FORMS)
def test_files_cut_off_anywhere_give_a_value_or_an_error(form: str, tmp_path: Path) -> None:
    for table, content in valid_files(tmp_path, form).items():
        for end in range(0, len(content), max(1, len(content) // 25)):
            refuse_or_read(getattr(formats, f"read_{table}"), tmp_path / f"{table}.{form}", content[:end])


@pytest.mark.parametrize("form", FORMS)
def test_files_with_damaged_bytes_give_a_value_or_an_error(form: str, tmp_path: Path) -> None:
    generator = np.random.default_rng(7)
    for table, content in valid_files(tmp_path, form).items():
        for _ in range(30):
            damaged = bytearray(content)
            for place in generator.integers(0, len(content), 3):
                damaged[place] = generator.integers(0, 256)
            refuse_or_read(getattr(formats, f"read_{table}"), tmp_path / f"{table}.{form}", bytes(damaged))


JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4), st.sampled_from(["a", "5", "up"])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["time", "component", "metric", "value", "series", "times", "name", "kind"]), inner
        ),
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from([*READERS, "x"]), JSON))
def test_any_json_of_roughly_the_right_names_gives_a_value_or_an_error(document: dict[str, Any]) -> None:
    try:
        telemetry_from_json(msgspec.json.encode(document), where="body")
    except RCAError as error:
        assert str(error).startswith("body")
        assert error.remedy


CELLS = st.sampled_from(
    ["", "1", "-1", "1e400", "inf", "nan", "2026-01-31T12:00:00Z", "2026-13-01", "a", '"', "\x00", "'", "é"]
)


@settings(QUICK, max_examples=60)
@given(
    rows=st.lists(st.lists(CELLS, min_size=4, max_size=4), max_size=4),
    head=st.permutations(["time", "component", "metric", "value"]),
)
def test_any_cells_under_a_right_header_give_a_value_or_an_error(
    rows: list[list[str]], head: list[str], tmp_path: Path
) -> None:
    content = "\n".join(",".join(row) for row in [head, *rows])
    refuse_or_read(read_metrics, tmp_path / "metrics.csv", content.encode())


def test_a_change_need_not_say_that_it_is_one() -> None:
    body = b'{"changes": [{"time": "2026-01-31T12:00:00Z", "component": "cart", "kind": "deployment"}]}'
    assert [change.kind for change in telemetry_from_json(body).changes] == ["change.deployment"]
