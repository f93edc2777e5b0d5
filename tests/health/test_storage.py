"""Profiles as files: what comes back, and what any damage to the file does."""

from __future__ import annotations

import json
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rca.errors import ProfileError
from rca.health.build import build_profile
from rca.health.profile import HealthProfile
from rca.health.storage import PARTS, load_profile, save_profile
from rca.pipeline import analyze
from rca.report.document import to_json


def arrays_of(profile: HealthProfile) -> dict[str, np.ndarray]:
    parts = {name: getattr(profile, name) for name in PARTS}
    return {f"{name}.{key}": value for name, part in parts.items() if part for key, value in part.to_arrays().items()}


def test_what_was_saved_comes_back(shop, tmp_path: Path) -> None:
    profile = replace(build_profile(shop.telemetry()), small=True)
    save_profile(profile, tmp_path / "deep" / "shop.npz")
    again = load_profile(tmp_path / "deep" / "shop.npz")
    assert (again.windows, again.small) == (profile.windows, True)
    before, after = arrays_of(profile), arrays_of(again)
    assert list(before) == list(after)
    for name, column in before.items():
        np.testing.assert_array_equal(after[name], column, err_msg=name)
        assert not column.size or after[name].dtype == column.dtype


def test_a_loaded_profile_gives_the_same_report(shop, tmp_path: Path) -> None:
    profile = build_profile(shop.telemetry().slice(shop.health))
    save_profile(profile, tmp_path / "shop.npz")
    broken = replace(shop, fault="missing").case()
    reports = [analyze(replace(broken, health=health)) for health in (profile, load_profile(tmp_path / "shop.npz"))]
    assert to_json(reports[0]) == to_json(reports[1])


def test_the_same_profile_is_the_same_bytes_and_replaces_the_file_whole(shop, tmp_path: Path) -> None:
    profile = build_profile(shop.telemetry())
    paths = [tmp_path / name for name in ("one.npz", "two.npz")]
    paths[1].write_text("something else")
    for path in paths:
        save_profile(profile, path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.npz", "two.npz"]


def test_a_folder_that_cannot_be_written_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ProfileError) as caught:
        save_profile(HealthProfile(), tmp_path / "file" / "shop.npz")
    assert caught.value.remedy


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="does not exist"):
        load_profile(tmp_path / "none.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06", b"no profile at all", pickle.dumps({"version": 1})])
def test_other_files_are_no_profiles(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other.npz"
    path.write_bytes(content)
    with pytest.raises(ProfileError) as caught:
        load_profile(path)
    assert caught.value.remedy
    assert str(path) in str(caught.value)


def test_a_folder_and_a_bare_array_are_no_profiles(tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", np.arange(3))
    for path in (tmp_path, tmp_path / "array.npy"):
        with pytest.raises(ProfileError):
            load_profile(path)


def write_head(path: Path, head: object) -> Path:
    with path.open("wb") as file:
        np.savez(file, profile=np.frombuffer(json.dumps(head).encode(), np.uint8))
    return path


GOOD = {"version": 1, "small": False, "windows": [], "parts": []}


@pytest.mark.parametrize(
    "head",
    [
        GOOD | {"version": 2},
        GOOD | {"version": None},
        GOOD | {"parts": ["requests"]},
        GOOD | {"parts": ["secrets"]},
        GOOD | {"parts": 5},
        GOOD | {"windows": [[5, 1]]},
        GOOD | {"windows": [["a", "b"]]},
        GOOD | {"windows": [[1]]},
        {},
        [],
        None,
        "text",
    ],
)
def test_heads_of_other_versions_or_shapes_are_refused(head: object, tmp_path: Path) -> None:
    assert load_profile(write_head(tmp_path / "good.npz", GOOD)) == HealthProfile()
    with pytest.raises(ProfileError):
        load_profile(write_head(tmp_path / "bad.npz", head))


def test_pickled_objects_are_never_read(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return (Path.touch, (tmp_path / "sprung",))

    path = tmp_path / "trap.npz"
    with path.open("wb") as file:
        np.savez(file, profile=np.array([Trap()], dtype=object), allow_pickle=True)
    with pytest.raises(ProfileError):
        load_profile(path)
    assert not (tmp_path / "sprung").exists()


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> bytearray:
    """A profile of one metric, as bytes."""
    from rca.health.metrics import MetricHealth
    from rca.telemetry import MetricFrame

    frame = MetricFrame.from_rows(
        times=np.arange(20), components=["a"] * 20, metrics=["cpu"] * 20, values=np.sin(np.arange(20))
    )
    path = tmp_path_factory.mktemp("stored") / "a.npz"
    save_profile(HealthProfile(metrics=MetricHealth.build(frame)), path)
    return bytearray(path.read_bytes())


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_a_profile_error_or_changes_nothing(
    stored: bytearray, tmp_path: Path, place: float, bit: int
) -> None:
    damaged = bytearray(stored)
    damaged[int(place * len(damaged))] ^= 1 << bit
    check(damaged, stored, tmp_path)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_that_was_cut_off_is_a_profile_error(stored: bytearray, tmp_path: Path, share: float) -> None:
    (tmp_path / "cut.npz").write_bytes(stored[: int(share * len(stored))])
    with pytest.raises(ProfileError):
        load_profile(tmp_path / "cut.npz")


def check(damaged: bytearray, whole: bytearray, folder: Path) -> None:
    (folder / "whole.npz").write_bytes(whole)
    (folder / "damaged.npz").write_bytes(damaged)
    try:
        found = load_profile(folder / "damaged.npz")
    except ProfileError:
        return
    expected = arrays_of(load_profile(folder / "whole.npz"))
    assert {name: value.tolist() for name, value in arrays_of(found).items()} == {
        name: value.tolist() for name, value in expected.items()
    }


def test_a_compression_that_nobody_knows_is_a_profile_error(stored: bytearray, tmp_path: Path) -> None:
    path = tmp_path / "strange.npz"
    path.write_bytes(stored)
    with zipfile.ZipFile(path) as archive:
        begin = archive.infolist()[0].header_offset
    for place in (8, 6):  # method and flags of the first local header
        for value in (0x63, 0x01):
            damaged = bytearray(stored)
            damaged[begin + place] = value
            check(damaged, stored, tmp_path)
