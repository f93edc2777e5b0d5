"""Labelled sets in their layouts, written small and read back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rca.detection import read_set
from rca.errors import EvaluationError
from rca.types import MINUTE, SECOND, to_nanoseconds

TRAIN, TEST, LABEL = np.arange(12.0).reshape(6, 2), np.arange(8.0).reshape(4, 2) + 0.5, np.array([0, 1, 1, 0])


def write_table(path: Path, values: np.ndarray, form: str = "%.6f") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, values, delimiter=",", fmt=form)


def write_tables(folder: Path, name: str) -> Path:
    write_table(folder / "train" / name, TRAIN)
    write_table(folder / "test" / name, TEST)
    write_table(folder / "test_label" / name, LABEL, "%d")
    return folder


@pytest.mark.parametrize(
    ("dataset", "folder", "name"),
    [("smd", "ServerMachineDataset", "machine-1-1.txt"), ("jumpstarter", "Dataset2", "service0.csv")],
)
def test_tables_without_headings_are_read_from_the_set_or_the_folder_above(
    tmp_path: Path, dataset: str, folder: str, name: str
) -> None:
    write_tables(tmp_path / folder, name)
    for path in (tmp_path, tmp_path / folder):
        (entity,) = read_set(dataset, path)
        assert entity.name == name[:-4]
        np.testing.assert_allclose(entity.train, TRAIN)
        np.testing.assert_allclose(entity.test, TEST)
        assert entity.label.tolist() == [False, True, True, False]
    assert entity.interval == (MINUTE if dataset == "smd" else 5 * MINUTE)


def test_a_heading_is_skipped_and_an_empty_cell_is_a_missing_sample(tmp_path: Path) -> None:
    folder = write_tables(tmp_path / "SMD", "a.txt")
    (folder / "train" / "a.txt").write_text("cpu,memory\n1,\n3,4\n")
    (entity,) = read_set("smd", tmp_path)
    np.testing.assert_array_equal(entity.train, [[1, np.nan], [3, 4]])


def test_archives_of_arrays_serve_every_set_and_say_the_interval(tmp_path: Path) -> None:
    for name in ("b", "a10", "a2"):
        np.savez(tmp_path / f"{name}.npz", train=TRAIN, test=TEST, label=LABEL)
    (tmp_path / "INFO.json").write_text(json.dumps({"interval": "5 min (20 d train)"}))
    for dataset in ("smd", "asd", "jumpstarter", "nab"):
        entities = read_set(dataset, tmp_path)
        assert [entity.name for entity in entities] == ["a2", "a10", "b"]
        assert {entity.interval for entity in entities} == {5 * MINUTE}


def test_the_test_part_follows_the_train_part_in_time(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", train=TRAIN, test=TEST, label=LABEL)
    (entity,) = read_set("asd", tmp_path)
    train, test = entity.frame("train"), entity.frame("test")
    assert test.times[0] - train.times[-1] == entity.interval == 5 * MINUTE
    assert test.values.shape == (2, 4)


def test_without_history_the_first_samples_are_learnt_from(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", test=np.arange(20.0), label=np.arange(20) > 15)
    (entity,) = read_set("nab", tmp_path)
    assert (len(entity.train), len(entity.test), int(entity.label.sum())) == (3, 17, 4)
    assert entity.test[0, 0] == 3


def test_nab_has_one_series_per_file_and_windows_in_one_place(tmp_path: Path) -> None:
    table = tmp_path / "NAB" / "data" / "realX" / "cpu.csv"
    table.parent.mkdir(parents=True)
    rows = [f"2014-04-01 00:{minute:02d}:00,{minute}" for minute in range(0, 60, 2)]
    table.write_text("timestamp,value\n" + "\n".join(rows) + "\n")
    windows = {
        "realX/cpu.csv": [["2014-04-01 00:40:00.000000", "2014-04-01 00:44:00.000000"]],
        "realX/gone.csv": [],
    }
    labels = tmp_path / "NAB" / "labels" / "combined_windows.json"
    labels.parent.mkdir()
    labels.write_text(json.dumps(windows))
    (entity,) = read_set("nab", tmp_path)
    assert entity.name == "realX/cpu"
    assert entity.interval == 2 * MINUTE
    assert entity.test[entity.label, 0].tolist() == [40, 42, 44]


def native(folder: Path, labels: str = "component,start,end\ncart,2026-01-02T00:01:00Z,2026-01-02T00:03:00Z\n") -> Path:
    folder.mkdir()
    for name, day in (("history", 1), ("window", 2)):
        rows = [f"2026-01-0{day}T00:0{minute}:00Z,{minute},{minute},1" for minute in range(5)]
        (folder / f"{name}.csv").write_text("time,cart/cpu,pay/cpu,pay/memory\n" + "\n".join(rows) + "\n")
    (folder / "labels.csv").write_text(labels)
    return folder


def test_our_own_tables_give_one_entity_per_component(tmp_path: Path) -> None:
    native(tmp_path / "week")
    cart, pay = read_set("native", tmp_path)
    assert (cart.name, pay.name) == ("week/cart", "week/pay")
    assert cart.label.tolist() == [False, True, True, False, False]
    assert not pay.label.any()
    assert pay.test.shape == (5, 2)
    assert cart.interval == 60 * SECOND
    assert cart.test_start == to_nanoseconds("2026-01-02T00:00:00Z")


@pytest.mark.parametrize(
    "labels",
    [
        "",
        "cart,1,2\n",
        "component,start,end\ncart,2026-01-02T00:01:00Z\n",
        "component,start,end\ncart,2026-01-02T00:03:00Z,2026-01-02T00:01:00Z\n",
    ],
)
def test_labels_of_our_own_tables_are_read_strictly(tmp_path: Path, labels: str) -> None:
    native(tmp_path / "week", labels)
    with pytest.raises(EvaluationError) as caught:
        read_set("native", tmp_path)
    assert caught.value.remedy


def test_pickles_are_never_read(tmp_path: Path) -> None:
    folder = tmp_path / "processed"
    folder.mkdir()
    (folder / "omi-1_train.pkl").write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(EvaluationError, match="pickle") as caught:
        read_set("asd", tmp_path)
    assert "savez" in str(caught.value.remedy)


def test_an_archive_with_objects_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", train=TRAIN, test=np.array([{}], object), label=LABEL)
    with pytest.raises(EvaluationError, match="plain arrays"):
        read_set("asd", tmp_path)


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ({"train": TRAIN, "test": TEST, "label": LABEL[:2]}, "2 labels for 4 samples"),
        ({"train": TRAIN[:, :1], "test": TEST, "label": LABEL}, "1 metrics to learn from"),
        ({"train": TRAIN, "test": TEST, "label": LABEL + 1}, "neither 0 nor 1"),
        ({"train": TRAIN, "test": TEST * np.inf, "label": LABEL}, "infinite"),
        ({"train": TRAIN, "label": LABEL}, "test and label"),
        ({"train": TRAIN, "test": TEST[:0], "label": LABEL[:0]}, "no samples"),
    ],
)
def test_what_does_not_fit_is_an_error_with_a_remedy(
    tmp_path: Path, parts: dict[str, np.ndarray], problem: str
) -> None:
    np.savez(tmp_path / "a.npz", **parts)
    with pytest.raises(EvaluationError, match=problem) as caught:
        read_set("asd", tmp_path)
    assert caught.value.remedy


def test_a_missing_file_an_empty_folder_two_sets_and_an_unknown_set_are_errors(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="no set smd"):
        read_set("smd", tmp_path)
    with pytest.raises(EvaluationError, match="no labelled set"):
        read_set("swat", tmp_path)
    with pytest.raises(EvaluationError, match="no such folder"):
        read_set("smd", tmp_path / "absent")
    write_tables(tmp_path / "SMD", "a.txt")
    write_tables(tmp_path / "SMD8", "a.txt")
    with pytest.raises(EvaluationError, match="several sets"):
        read_set("smd", tmp_path)
    (tmp_path / "SMD" / "train" / "a.txt").unlink()
    with pytest.raises(EvaluationError, match="missing"):
        read_set("smd", tmp_path / "SMD")
