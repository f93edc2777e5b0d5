"""History in files of every form gives the same samples, for all components or some."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rca.errors import RCAError, TelemetryError, TrainingError
from rca.formats import write_metrics
from rca.formats.metrics import frame_to_rows
from rca.telemetry import MetricFrame
from rca.training.chunks import plan_chunks
from rca.training.history import History, join_frames, open_history
from rca.training.staging import parquet_files, part_by_component
from rca.types import Window


def samples(frame: MetricFrame) -> dict[tuple[str, str, str], dict[int, float]]:
    """Every sample by series and time."""
    names = (*frame.components, "")
    out = {}
    for row in range(len(frame.component)):
        known = ~np.isnan(frame.values[row])
        key = (names[frame.component[row]], frame.metrics[frame.metric[row]], names[frame.peer[row]])
        out[key] = dict(zip(frame.times[known].tolist(), frame.values[row][known].tolist(), strict=True))
    return out


def write_wide(frame: MetricFrame, path: Path) -> None:
    columns = {"time_ns": frame.times}
    for row in range(len(frame.component)):
        name = f"{frame.components[frame.component[row]]}/{frame.metrics[frame.metric[row]]}"
        columns[name] = frame.values[row]
    pq.write_table(pa.table(columns), path)


def write_rows(frame: MetricFrame, path: Path) -> None:
    pq.write_table(frame_to_rows(frame), path)


def write_grid(frame: MetricFrame, path: Path) -> None:
    write_metrics(frame, path)


def history_of(path: Path, **options) -> History:
    return open_history(parquet_files(path, path.parent / "staged"), source=str(path), **options)


@pytest.mark.parametrize("write", [write_wide, write_rows, write_grid])
def test_every_form_of_parquet_gives_its_samples(day, write, tmp_path: Path) -> None:
    frame = day()
    write(frame, tmp_path / "day.parquet")
    history = history_of(tmp_path / "day.parquet")
    assert history.components == frame.components
    assert history.cells == frame.values.size
    assert samples(history.read()) == samples(frame)
    some = frame.select(np.isin(frame.component, [2, 7]))
    assert samples(history.of(["service-02", "service-07"]).read()) == samples(some)


@pytest.mark.parametrize("form", ["csv", "json", "arrow"])
def test_other_forms_are_copied_and_give_their_samples(day, form: str, tmp_path: Path) -> None:
    write_metrics(day(), tmp_path / f"day.{form}")
    history = history_of(tmp_path / f"day.{form}")
    assert samples(history.read()) == samples(day())


def test_a_folder_of_days_is_one_history(day, tmp_path: Path) -> None:
    folder = tmp_path / "history"
    folder.mkdir()
    write_wide(day(0), folder / "0.parquet")
    write_rows(day(1, components=12), folder / "1.parquet")
    write_metrics(day(2), folder / "2.csv")
    (folder / "_SUCCESS").touch()
    (folder / "README.md").write_text("days")
    history = history_of(folder)
    assert len(history.components) == 12
    whole = samples(history.read())
    for number, components in ((0, 10), (1, 12), (2, 10)):
        for key, values in samples(day(number, components)).items():
            assert values.items() <= whole[key].items()
    assert len(history.read().times) == 3 * 144


def test_of_two_files_with_one_sample_the_later_counts(day, tmp_path: Path) -> None:
    write_rows(day(), tmp_path / "a.parquet")
    write_rows(day(shift=5), tmp_path / "b.parquet")
    history = open_history([tmp_path / "a.parquet", tmp_path / "b.parquet"], source="")
    assert samples(history.read()) == samples(day(shift=5))


def test_a_window_leaves_out_what_is_outside(day, tmp_path: Path) -> None:
    write_rows(day(), tmp_path / "day.parquet")
    times = day().times
    history = history_of(tmp_path / "day.parquet", window=Window(start=int(times[10]), end=int(times[20])))
    assert history.read().times.tolist() == times[10:20].tolist()


def test_joined_frames_keep_peers_and_gaps(day) -> None:
    first = day(components=2)
    calls = MetricFrame(
        components=("service-00", "zoo"),
        metrics=("latency",),
        component=np.array([0], np.int32),
        metric=np.array([0], np.int32),
        peer=np.array([1], np.int32),
        times=first.times[:2] + 7,
        values=np.array([[1.0, np.nan]], np.float32),
    )
    joined = join_frames([first, calls])
    assert samples(joined) == samples(first) | samples(calls)


@pytest.mark.parametrize("write", [write_rows, write_grid])
def test_files_that_are_not_sorted_by_component_are_parted_and_give_the_same(day, write, tmp_path: Path) -> None:
    frame = day()
    shuffled = frame.select(np.random.default_rng(1).permutation(len(frame.component)))
    write(shuffled, tmp_path / "day.parquet")
    history = history_of(tmp_path / "day.parquet")
    chunks = plan_chunks(history.components, history.cells)
    assert len(chunks) == 4
    parted = part_by_component(history, chunks, tmp_path / "staged")
    assert len(parted.parts) == 4
    for chunk in chunks:
        assert samples(parted.of(chunk).read()) == samples(history.of(chunk).read())
    changed = [Path(part.path).stat().st_mtime_ns for part in parted.parts]
    again = part_by_component(history, chunks, tmp_path / "staged")
    assert [Path(part.path).stat().st_mtime_ns for part in again.parts] == changed


def test_files_that_are_sorted_by_component_are_read_where_they_are(day, tmp_path: Path) -> None:
    frame = day()
    ordered = frame.select(np.argsort(frame.component, kind="stable"))
    pq.write_table(frame_to_rows(ordered), tmp_path / "day.parquet", row_group_size=300)
    history = history_of(tmp_path / "day.parquet")
    chunks = plan_chunks(history.components, history.cells)
    assert part_by_component(history, chunks, tmp_path / "staged").parts == history.parts


def test_chunks_hold_every_component_once_and_follow_from_the_history_alone() -> None:
    names = [f"c{i}" for i in range(1000)]
    chunks = plan_chunks(names, 1000)
    assert [name for chunk in chunks for name in chunk] == names
    assert {len(chunk) for chunk in chunks} <= {2, 3}
    assert plan_chunks([], 0) == []


def test_the_hash_tells_a_changed_file(day, tmp_path: Path) -> None:
    path = tmp_path / "day.parquet"
    write_rows(day(), path)
    before = history_of(path).hash
    assert history_of(path).hash == before
    write_rows(day(shift=1e-3), path)
    assert history_of(path).hash != before


def broken(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: folder / "missing.parquet",
        lambda folder: folder,
        lambda folder: broken(folder / "x.parquet", b"PAR1 no more"),
        lambda folder: broken(folder / "x.parquet", b""),
        lambda folder: broken(folder / "x.txt", b"time"),
        lambda folder: broken(folder / "x.csv", b"time,component\n"),
    ],
)
def test_what_is_no_history_is_an_error_with_a_remedy(make, tmp_path: Path) -> None:
    with pytest.raises(RCAError) as caught:
        history_of(make(tmp_path))
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("columns", "error"),
    [
        ({"metric": ["cpu"], "value": [1.0], "time_ns": [1]}, TrainingError),
        ({"component": [None], "metric": ["cpu"], "value": [1.0], "time_ns": [1]}, TrainingError),
        ({"component": ["a"], "metric": ["cpu"], "value": ["high"], "time_ns": [1]}, TelemetryError),
        ({"component": ["a"], "metric": ["cpu"], "value": [1.0], "time_ns": [1], "strange": [1]}, TelemetryError),
        ({"a/cpu": [1.0], "b/cpu": [2.0]}, RCAError),
    ],
)
def test_malformed_tables_are_errors_that_name_the_file(columns, error, tmp_path: Path) -> None:
    path = tmp_path / "day.parquet"
    pq.write_table(pa.table(columns), path)
    with pytest.raises(error) as caught:
        history_of(path).read()
    assert "day.parquet" in str(caught.value)
    assert caught.value.remedy
