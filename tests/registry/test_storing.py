"""Stored models: what comes back, and what any damage to the files does."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from rca.detectors.protocol import State
from rca.detectors.robust import RobustDetector
from rca.errors import ModelError
from rca.registry import Training, load_model, promote, save_model
from rca.registry.storing import statistics_of

FILES = ("manifest.json", "model.json", "weights.safetensors", "card.md")


def renew_manifest(path: Path) -> None:
    """Makes the manifest agree with whatever the files are now: what is left are the checks behind it."""
    manifest = json.loads((path / "manifest.json").read_text())
    for file, entry in manifest["files"].items():
        content = (path / file).read_bytes()
        entry |= {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    (path / "manifest.json").write_text(json.dumps(manifest))


def test_what_was_saved_comes_back(store, history, tmp_path: Path) -> None:
    stored = store(seed=7, metrics={"figure": 0.25})
    model = load_model("shop@0001", models=tmp_path)
    assert (model.name, model.version, model.reference, model.path) == ("shop", "0001", "shop@0001", stored.path)
    np.testing.assert_array_equal(model.detector.score(history), RobustDetector.fit(history).score(history))
    assert model.series.keys == RobustDetector.fit(history).series.keys
    described = model.described
    assert (described.seed, described.metrics, described.detector) == (7, {"figure": 0.25}, "robust")
    assert described.data.samples == 200
    assert described.window().start == int(history.times[0])


def test_the_same_detector_gives_the_same_weights_and_each_save_a_version_of_its_own(store) -> None:
    first, second = store(), store()
    assert (first.version, second.version) == ("0001", "0002")
    assert (first.path / "weights.safetensors").read_bytes() == (second.path / "weights.safetensors").read_bytes()


def test_a_version_has_the_files_that_its_manifest_lists_and_no_other(store) -> None:
    path = store().path
    assert sorted(file.name for file in path.iterdir()) == sorted(FILES)
    assert sorted(json.loads((path / "manifest.json").read_text())["files"]) == sorted(set(FILES) - {"manifest.json"})
    assert "3 components" in (path / "card.md").read_text()


def test_nothing_else_is_left_beside_the_versions(store, tmp_path: Path) -> None:
    store()
    (tmp_path / "shop" / ".draft-left").mkdir()  # by a process that was killed, as is the next
    (tmp_path / "shop" / ".current.json.x.draft").touch()
    store()
    assert sorted(path.name for path in (tmp_path / "shop").iterdir()) == [".lock", "0001", "0002"]


def test_a_model_can_be_loaded_by_the_path_of_its_folder_or_of_a_version(store, tmp_path: Path) -> None:
    stored = store()
    promote("shop", "0001", models=tmp_path)
    assert load_model(stored.path).version == "0001"
    assert load_model(str(tmp_path / "shop")).version == "0001"


def test_statistics_are_kept_beside_the_weights(history, tmp_path: Path) -> None:
    facts = Training.of(history, statistics={"count": np.arange(6)})
    stored = save_model(RobustDetector.fit(history), "shop", facts, models=tmp_path)
    series, statistics = statistics_of(stored.path)
    np.testing.assert_array_equal(statistics["count"], np.arange(6))
    assert len(series) == 6


def test_texts_survive_as_arrays(tmp_path: Path, history) -> None:
    from rca.registry.weights import dump_arrays, facts_of, load_arrays

    arrays = {
        "names": np.array([["cart", "größe"], ["", "支付"]]),
        "flags": np.array([True, False]),
        "none": np.zeros(0),
    }
    again = load_arrays(dump_arrays(arrays), facts_of(arrays), where="here")
    for name, array in arrays.items():
        np.testing.assert_array_equal(again[name], array)
        assert again[name].dtype == array.dtype


def test_writers_at_once_get_versions_of_their_own(store, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        versions = sorted(stored.version for stored in pool.map(lambda _: store(), range(16)))
    assert versions == [f"{i:04d}" for i in range(1, 17)]
    for version in versions:
        assert load_model(f"shop@{version}", models=tmp_path).version == version


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(store, file: str, share: float, tmp_path: Path) -> None:
    path = store().path / file
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    if file == "card.md":
        from rca.registry.inventory import verify_all

        assert "card.md" in verify_all([], tmp_path)[0].problem
        return
    with pytest.raises(ModelError) as caught:
        load_model("shop@0001", models=tmp_path)
    assert caught.value.remedy
    assert file in str(caught.value)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_flipped_bit_is_refused(data, store, tmp_path: Path) -> None:
    path = tmp_path / "shop" / "0001"
    if not path.is_dir():
        store()
    file = path / data.draw(st.sampled_from(["model.json", "weights.safetensors"]))
    content = bytearray(file.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    whole = file.read_bytes()
    file.write_bytes(content)
    try:
        with pytest.raises(ModelError, match="hash"):
            load_model("shop@0001", models=tmp_path)
    finally:
        file.write_bytes(whole)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_flipped_bit_behind_a_renewed_manifest_gives_a_model_or_an_error_of_ours(data, store, tmp_path: Path) -> None:
    path = tmp_path / "shop" / "0001"
    if not path.is_dir():
        store()
    file = path / data.draw(st.sampled_from(["model.json", "weights.safetensors"]))
    whole = file.read_bytes()
    content = bytearray(whole)
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    file.write_bytes(content)
    renew_manifest(path)
    try:
        load_model("shop@0001", models=tmp_path)
    except ModelError as bad:
        assert bad.remedy
    finally:
        file.write_bytes(whole)
        renew_manifest(path)


@dataclass
class Trap:
    """Leaves a file behind when it is unpickled."""

    target: Path

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("renewed", [False, True])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_is_refused_and_never_run(store, tmp_path: Path, protocol: int, renewed: bool) -> None:
    path = store().path
    (path / "weights.safetensors").write_bytes(pickle.dumps(Trap(tmp_path / "sprung"), protocol=protocol))
    if renewed:
        renew_manifest(path)
    with pytest.raises(ModelError) as caught:
        load_model("shop@0001", models=tmp_path)
    assert not (tmp_path / "sprung").exists()
    assert ("pickle" in caught.value.problem) == renewed


def change_weights(path: Path, change) -> None:
    """Rewrites the weights with a manifest that agrees."""
    arrays = {name: array.copy() for name, array in load((path / "weights.safetensors").read_bytes()).items()}
    (path / "weights.safetensors").write_bytes(save(change(arrays)))
    renew_manifest(path)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda a: a | {"median": np.where(np.arange(6) == 2, np.float32(np.nan), a["median"])}, "no numbers"),
        (lambda a: a | {"scale": np.where(np.arange(6) == 2, np.float32(np.inf), a["scale"])}, "no numbers"),
        (lambda a: a | {"median": np.nan_to_num(a["median"])}, "no numbers"),
        (lambda a: a | {"median": a["median"][:-1]}, "shape"),
        (lambda a: a | {"median": a["median"][None]}, "shape"),
        (lambda a: a | {"median": a["median"].astype(np.float64)}, "<f8"),
        (lambda a: {name: array for name, array in a.items() if name != "upper"}, "'upper' is missing"),
        (lambda a: a | {"more": a["median"]}, "unknown"),
        (lambda a: {}, "missing"),
    ],
)
def test_weights_that_are_not_those_described_are_refused(store, tmp_path: Path, change, problem: str) -> None:
    change_weights(store().path, change)
    with pytest.raises(ModelError, match=problem) as caught:
        load_model("shop@0001", models=tmp_path)
    assert "rollback" in caught.value.remedy


@pytest.mark.parametrize(
    "head",
    [b"\xff" * 8 + b"{}", (1 << 40).to_bytes(8, "little") + b"{}", (2).to_bytes(8, "little") + b"[]", b"{}", b""],
)
def test_a_head_beyond_its_bounds_is_refused(store, tmp_path: Path, head: bytes) -> None:
    path = store().path
    (path / "weights.safetensors").write_bytes(head)
    renew_manifest(path)
    with pytest.raises(ModelError, match="truncated, or not safetensors"):
        load_model("shop@0001", models=tmp_path)


def test_a_description_that_does_not_fit_is_refused(store, tmp_path: Path) -> None:
    path = store().path / "model.json"
    described = json.loads(path.read_text())
    for change in (
        {"format": 2},
        {"version": "0009"},
        {"config": {}},
        {"config": {"detector": "sorcery"}},
        {"features": described["features"] | {"series": [[0, 99, -1]]}},
        {"unheard": 1},
    ):
        path.write_text(json.dumps(described | change))
        renew_manifest(path.parent)
        with pytest.raises(ModelError) as caught:
            load_model("shop@0001", models=tmp_path)
        assert caught.value.remedy, change


def test_a_manifest_that_lists_other_files_is_refused(store, tmp_path: Path) -> None:
    path = store().path
    manifest = json.loads((path / "manifest.json").read_text())
    for files in (manifest["files"] | {"../../secret": manifest["files"]["card.md"]}, {}):
        (path / "manifest.json").write_text(json.dumps(manifest | {"files": files}))
        with pytest.raises(ModelError, match="manifest"):
            load_model("shop@0001", models=tmp_path)


def test_a_file_that_is_a_link_is_not_followed(store, tmp_path: Path) -> None:
    path = store().path
    (path / "weights.safetensors").rename(tmp_path / "elsewhere")
    (path / "weights.safetensors").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match="link"):
        load_model("shop@0001", models=tmp_path)


def test_a_detector_with_weights_that_are_no_numbers_is_not_stored(history, tmp_path: Path) -> None:
    @dataclass
    class Diverged:
        def to_state(self) -> State:
            state = RobustDetector.fit(history).to_state()
            return State(config=state.config, arrays={**state.arrays, "median": np.full(6, np.inf, np.float32)})

    with pytest.raises(ModelError, match="infinite"):
        save_model(Diverged(), "shop", Training.of(history), models=tmp_path)  # type: ignore[arg-type]
    assert not (tmp_path / "shop" / "0001").exists()


def test_a_failed_write_leaves_nothing(store, monkeypatch, tmp_path: Path) -> None:
    from rca.registry import storing

    def full(path: Path, content: bytes) -> None:
        if path.name == "weights.safetensors":
            raise OSError(28, "No space left on device")
        path.write_bytes(content)

    store()
    monkeypatch.setattr(storing, "write_file", full)
    with pytest.raises(ModelError, match="No space left") as caught:
        store()
    assert caught.value.remedy
    assert sorted(path.name for path in (tmp_path / "shop").iterdir()) == [".lock", "0001"]
