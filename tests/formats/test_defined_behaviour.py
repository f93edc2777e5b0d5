"""What telemetry that is not ideal means: late, twice, uneven, missing, in other units and other layouts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from rca.errors import TelemetryError
from rca.formats import read_alerts, read_changes, read_logs, read_metrics, read_spans, telemetry_from_json
from rca.formats.tables import TABLES, known_names
from rca.telemetry import ERROR, FATAL, SPAN_CLIENT, SPAN_SERVER, WARN

NOON = 1_769_860_800  # 2026-01-31T12:00:00Z in seconds


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_late_samples_are_sorted_in_and_the_last_of_two_at_one_time_wins(tmp_path: Path) -> None:
    rows = ["time_s,component,metric,value", "20,cart,cpu,2", "10,cart,cpu,1", "20,cart,cpu,3", "10,cart,cpu,"]
    frame = read_metrics(write(tmp_path / "metrics.csv", *rows))
    assert frame.times.tolist() == [10 * 10**9, 20 * 10**9]
    np.testing.assert_array_equal(frame.values, [[np.nan, 3.0]])


def test_uneven_sampling_gives_every_time_and_nan_where_a_series_has_no_sample(tmp_path: Path) -> None:
    rows = ["time_s,component,metric,value", "0,a,cpu,1", "10,b,cpu,2", "15,a,cpu,3"]
    frame = read_metrics(write(tmp_path / "metrics.csv", *rows))
    np.testing.assert_array_equal(frame.values, [[1, np.nan, 3], [np.nan, 2, np.nan]])


@pytest.mark.parametrize("missing", ["", "NaN", "null", "NA"])
def test_what_spreadsheets_write_for_missing_is_nan_and_never_zero(missing: str, tmp_path: Path) -> None:
    rows = ["time_s,component,metric,value", "0,a,cpu,1", f"10,a,cpu,{missing}"]
    np.testing.assert_array_equal(read_metrics(write(tmp_path / "metrics.csv", *rows)).values, [[1, np.nan]])


def test_constant_series_and_series_without_a_single_sample_stay(tmp_path: Path) -> None:
    rows = ["time_s,component,metric,value", "0,a,cpu,1", "10,a,cpu,1", "0,b,cpu,", "10,b,cpu,"]
    frame = read_metrics(write(tmp_path / "metrics.csv", *rows))
    np.testing.assert_array_equal(frame.values, [[1, 1], [np.nan, np.nan]])


@pytest.mark.parametrize(
    "time",
    [
        "2026-01-31T12:00:00Z",
        "2026-01-31 14:00:00+02:00",
        "2026-01-31T12:00:00.000000000Z",
        f"{NOON}",
        f"{NOON}.0",
        f"{NOON}000",
        f"{NOON}000000",
        f"{NOON}000000000",
    ],
)
def test_a_time_is_told_by_its_form_and_a_number_by_its_size(time: str, tmp_path: Path) -> None:
    frame = read_metrics(write(tmp_path / "metrics.csv", "time,component,metric,value", f"{time},a,cpu,1"))
    assert frame.times.tolist() == [NOON * 10**9]


def test_a_unit_in_the_name_is_never_guessed_at(tmp_path: Path) -> None:
    for unit, scale in (("s", 10**9), ("ms", 10**6), ("us", 10**3), ("ns", 1)):
        rows = [f"time_{unit},component,metric,value", "5,a,cpu,1"]
        assert read_metrics(write(tmp_path / "metrics.csv", *rows)).times.tolist() == [5 * scale]


def test_fractions_of_seconds_keep_their_microseconds(tmp_path: Path) -> None:
    path = write(tmp_path / "metrics.csv", "time,component,metric,value", f"{NOON}.123456,a,cpu,1")
    assert read_metrics(path).times.tolist() == [NOON * 10**9 + 123_456_000]


def test_a_wide_table_parts_its_columns_at_a_slash_a_known_component_or_the_first_underscore(tmp_path: Path) -> None:
    path = write(tmp_path / "metrics.csv", "time,shop/cart/cpu,cart_db_latency_p99,web_errors", f"{NOON},1,2,3")
    frame = read_metrics(path, components=["cart_db", "cart"])
    series = [(frame.components[c], frame.metrics[m]) for c, m in zip(frame.component, frame.metric, strict=True)]
    assert series == [("shop/cart", "cpu"), ("cart_db", "latency_p99"), ("web", "errors")]
    assert frame.values[:, 0].tolist() == [1, 2, 3]


def test_wide_rows_may_come_late_and_twice_too(tmp_path: Path) -> None:
    path = write(tmp_path / "metrics.csv", "timestamp,a_cpu", "20,1", "10,2", "20,3")
    frame = read_metrics(path)
    np.testing.assert_array_equal(frame.values, [[2, 3]])


def test_peers_part_series_of_one_component_and_metric(tmp_path: Path) -> None:
    rows = ["time_s,component,metric,value,peer", "0,a,latency,1,b", "0,a,latency,2,c", "0,a,latency,3,"]
    frame = read_metrics(write(tmp_path / "metrics.csv", *rows))
    peers = [frame.components[p] if p >= 0 else "" for p in frame.peer]
    assert dict(zip(peers, frame.values[:, 0].tolist(), strict=True)) == {"b": 1, "c": 2, "": 3}


def test_logs_are_put_in_order_and_equal_lines_stay_two_lines(tmp_path: Path) -> None:
    rows = ["time_s,component,message,level", "2,a,x,ERROR", "1,b,y,warning", "2,a,x,6", "2,a,z,"]
    batch = read_logs(write(tmp_path / "logs.csv", *rows))
    assert batch.message.tolist() == ["y", "x", "x", "z"]
    assert batch.level.tolist() == [WARN, ERROR, FATAL, 0]


def test_a_span_that_was_delivered_twice_is_one_and_the_last_delivery_wins(tmp_path: Path) -> None:
    head = "start_us,duration_ms,component,operation,trace,span,kind"
    path = write(
        tmp_path / "spans.csv", head, "7,1,a,x,t,1,server", "5,1.5,a,y,t,1,SPAN_KIND_SERVER", "6,1,b,z,t,1,client"
    )
    batch = read_spans(path)
    assert batch.start.tolist() == [5_000, 6_000]
    assert batch.duration.tolist() == [1_500_000, 1_000_000]
    assert batch.kind.tolist() == [SPAN_SERVER, SPAN_CLIENT]


def test_a_span_may_say_when_it_ended_instead_of_how_long_it_took(tmp_path: Path) -> None:
    path = write(tmp_path / "spans.csv", "start_ns,end_ns,component,operation,trace,span", "5,9,a,x,t,1")
    assert read_spans(path).duration.tolist() == [4]


def test_labels_come_as_an_object_and_as_columns_of_their_own(tmp_path: Path) -> None:
    path = write(
        tmp_path / "alerts.csv", "component,name,labels.zone,labels", 'a,Slow,eu,"{""team"": ""shop"", ""n"": 3}"'
    )
    assert dict(read_alerts(path)[0].labels) == {"zone": "eu", "team": "shop", "n": "3"}


def test_files_of_a_change_come_as_a_list_or_parted_by_semicolons(tmp_path: Path) -> None:
    path = write(tmp_path / "changes.csv", "time,component,kind,files", f"{NOON},a,change.deployment,x.py; y.py")
    change = read_changes(path)[0]
    assert change.files == ("x.py", "y.py")
    assert change.id == "change.deployment:a:1"


def test_metrics_in_json_come_as_long_columns_too() -> None:
    telemetry = telemetry_from_json(
        b'{"metrics": {"time": ["2026-01-31T12:00:00Z"], "component": ["a"], "metric": ["cpu"], "value": [1]}}'
    )
    assert telemetry.metrics.values.tolist() == [[1.0]]


def test_long_rows_written_by_pandas_to_parquet_are_read(tmp_path: Path) -> None:
    import pandas as pd

    table = pd.DataFrame(
        {
            "time": pd.to_datetime(["2026-01-31T12:00:00Z", "2026-01-31T12:01:00Z"]),
            "component": pd.Categorical(["a", "a"]),
            "metric": ["cpu", "cpu"],
            "value": [1, None],
        }
    )
    table.to_parquet(tmp_path / "metrics.parquet")
    frame = read_metrics(tmp_path / "metrics.parquet")
    np.testing.assert_array_equal(frame.values, [[1.0, np.nan]])
    assert frame.times[0] == NOON * 10**9


def test_times_that_line_up_nowhere_are_refused_before_they_fill_the_memory(tmp_path: Path) -> None:
    rows = 16_000
    names = pa.array([f"c{i}" for i in range(rows)])
    table = pa.table({"time_ns": range(rows), "component": names, "metric": ["cpu"] * rows, "value": [1.0] * rows})
    parquet.write_table(table, tmp_path / "metrics.parquet")
    with pytest.raises(TelemetryError, match="Round the times to the sampling interval"):
        read_metrics(tmp_path / "metrics.parquet")


def test_every_column_of_every_table_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "telemetry.md").read_text(encoding="utf-8")
    for table, columns in TABLES.items():
        section = text.split(f"### {table}\n")[1].split("\n### ")[0]
        for column in columns:
            assert f"| `{column.name}`" in section or f"| `{column.name}_" in section, f"{table}.{column.name}"
            assert column.meaning in section, f"{table}.{column.name}"
    assert "time_ms" in known_names("metrics")
