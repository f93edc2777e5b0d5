from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rca.cases.labelled import LabelledCase
from rca.errors import ModelError
from rca.learning.confirmed import Confirmed
from rca.learning.learned import ENOUGH, LearnedModel
from rca.learning.lesson import is_new, learn
from rca.learning.storage import WEIGHTS, load_learned, save_learned
from rca.learning.training import train
from rca.learning.versions import find_learned, name_folder, promote, read_card, read_pointer, roll_back
from rca.pipeline import analyze
from rca.registry.places import versions_of

NOW = "2026-03-02T12:00:00Z"


@pytest.fixture(scope="module")
def model(confirmed: list[Confirmed]) -> LearnedModel:
    return train(confirmed).model


@pytest.fixture(scope="module")
def stored(model: LearnedModel, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("weights") / WEIGHTS
    save_learned(model, path)
    return path.read_bytes()


def test_what_is_read_ranks_as_what_was_written(
    model: LearnedModel, confirmed: list[Confirmed], tmp_path: Path
) -> None:
    save_learned(model, tmp_path / WEIGHTS)
    again = load_learned(tmp_path)
    for one in confirmed[:5]:
        assert np.array_equal(
            model.posterior(one.description).probability, again.posterior(one.description).probability
        )


def test_the_same_weights_are_the_same_bytes(model: LearnedModel, stored: bytes, tmp_path: Path) -> None:
    save_learned(model, tmp_path / WEIGHTS)
    assert (tmp_path / WEIGHTS).read_bytes() == stored


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10**9), bit=st.integers(0, 7))
def test_a_flipped_bit_is_refused_or_changes_nothing(
    stored: bytes, model: LearnedModel, tmp_path: Path, place: int, bit: int
) -> None:
    damaged = bytearray(stored)
    damaged[place % len(damaged)] ^= 1 << bit
    (tmp_path / WEIGHTS).write_bytes(bytes(damaged))
    try:
        again = load_learned(tmp_path)
    except ModelError:
        return
    assert np.array_equal(again.weights.common, model.weights.common)
    assert again.temperature == model.temperature


def test_a_pickle_is_refused(stored: bytes, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(stored)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            content = io.BytesIO()
            if name == "common.npy":
                np.lib.format.write_array(content, np.array([{}], dtype=object), allow_pickle=True)
            new.writestr(name, content.getvalue() or old.read(name))
    (tmp_path / WEIGHTS).write_bytes(buffer.getvalue())
    with pytest.raises(ModelError, match="damaged"):
        load_learned(tmp_path)


@pytest.mark.parametrize("content", [None, b"", b"no zip at all"])
def test_without_usable_weights_the_untrained_answer_stands_with_a_warning(
    incidents: list[LabelledCase], tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / WEIGHTS).write_bytes(content)
    case = incidents[0].case
    plain, degraded = analyze(case), analyze(case, learned=tmp_path)
    assert degraded.ranking == plain.ranking and degraded.scores == plain.scores
    assert any("learned weights were not used" in warning for warning in degraded.warnings)


def test_what_was_learnt_is_used_kept_and_taken_back(confirmed: list[Confirmed], tmp_path: Path) -> None:
    folder = name_folder("shop", tmp_path)
    outcome = learn(confirmed, folder, fingerprint="first", time=NOW)
    assert outcome.promoted and outcome.version == "0001"
    assert outcome.figures["learned"]["AC@1"] > outcome.figures["untrained"]["AC@1"]
    assert find_learned(tmp_path).title == "shop 0001"
    assert learn(confirmed[:40], folder, fingerprint="second", time=NOW).version == "0002"
    assert read_pointer(folder).current == "0002"
    assert roll_back(folder, time=NOW).current == "0001"
    assert roll_back(folder, time=NOW).current == ""
    with pytest.raises(ModelError, match="no version is in use"):
        find_learned(folder)
    with pytest.raises(ModelError, match="nothing was in use"):
        roll_back(folder, time=NOW)
    assert promote(folder, "0002", time=NOW).current == "0002"
    assert versions_of(folder) == ("0001", "0002")


def test_nothing_is_new_until_something_is(confirmed: list[Confirmed], tmp_path: Path) -> None:
    folder = name_folder("shop", tmp_path)
    assert is_new(folder, "first")
    learn(confirmed, folder, fingerprint="first", time=NOW)
    assert not is_new(folder, "first")
    assert is_new(folder, "second")


def test_the_card_says_what_moved_and_whom_it_came_from(confirmed: list[Confirmed], tmp_path: Path) -> None:
    folder = name_folder("shop", tmp_path)
    learn(confirmed, folder, fingerprint="first", time=NOW)
    card = read_card(folder, "0001")
    assert card["incidents"] == len(confirmed) and card["time"] == NOW
    assert {"what", "before", "after", "support"} == set(card["moved"][0])


def test_too_few_labels_make_no_version(confirmed: list[Confirmed], tmp_path: Path) -> None:
    folder = name_folder("shop", tmp_path)
    outcome = learn(confirmed[: ENOUGH - 1], folder, fingerprint="first", time=NOW)
    assert not outcome.version and "untrained answer stays" in outcome.reason
    assert versions_of(folder) == ()


def test_weights_that_rank_worse_than_without_are_kept_but_not_used(confirmed: list[Confirmed], tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    wrong = []
    for one in confirmed:  # the untrained answer is right, and what is confirmed else is noise
        first = int(np.argmax(one.description.untrained))
        causes = frozenset([first if rng.random() < 0.7 else int(rng.integers(len(one.description.candidates)))])
        wrong.append(Confirmed(description=one.description, causes=causes, kind=str(rng.integers(9))))
    folder = name_folder("shop", tmp_path)
    outcome = learn(wrong, folder, fingerprint="first", time=NOW)
    learned, untrained = outcome.figures["learned"], outcome.figures["untrained"]
    worse = any(learned[name] < untrained[name] for name in ("AC@1", "MRR"))
    assert outcome.version == "0001" and outcome.promoted is not worse
    assert read_pointer(folder).current == ("" if worse else "0001")


@pytest.mark.parametrize("name", ["", "../elsewhere", "a/b", "UPPER", "x" * 65])
def test_names_that_lead_elsewhere_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no name"):
        name_folder(name, tmp_path)
