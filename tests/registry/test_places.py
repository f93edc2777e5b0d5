"""Names and places: no name leads out of the folder of models."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rca.errors import ModelError
from rca.registry import load_model, places, promote

BAD = ["", ".", "..", "../shop", "a/b", "/etc", "A", "shop\0", "-x", "x-", "a" * 65, ".hidden", "a..b", "nul\n", "ü"]


@pytest.mark.parametrize("name", BAD)
def test_names_that_are_none_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no name of a model"):
        places.model_folder(name, tmp_path)


@given(st.text(max_size=80))
def test_every_name_that_is_taken_stays_below_the_folder(name: str) -> None:
    root = Path("/models")
    try:
        folder = places.model_folder(name, root)
    except ModelError as bad:
        assert bad.remedy
    else:
        assert folder.resolve().parent == root.resolve()


@given(st.text(max_size=12))
def test_every_version_that_is_taken_stays_below_its_model(version: str) -> None:
    try:
        assert places.version_folder(Path("/models/shop"), version).resolve().parent == Path("/models/shop")
    except ModelError as bad:
        assert bad.remedy


def test_a_link_that_leads_elsewhere_is_refused(store, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    models = tmp_path / "models"
    models.mkdir()
    (models / "shop").symlink_to(outside)
    with pytest.raises(ModelError, match="leads out"):
        load_model("shop", models=models)


def test_the_folder_is_the_given_one_else_that_of_the_environment(monkeypatch, tmp_path: Path) -> None:
    assert places.models_folder(tmp_path) == tmp_path
    monkeypatch.setenv("RCA_HOME", "/srv/rca")
    assert places.models_folder() == Path("/srv/rca/models")
    monkeypatch.delenv("RCA_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", "/home/me/data")
    assert places.models_folder() == Path("/home/me/data/rca/models")


def test_a_model_that_nobody_stored_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    for reference in ("nothing", "nothing@0001", tmp_path / "nothing"):
        with pytest.raises(ModelError) as caught:
            load_model(reference, models=tmp_path)
        assert caught.value.remedy


def test_bundled_models_are_found_where_there_is_no_own_one(store, tmp_path: Path, monkeypatch) -> None:
    store()
    promote("shop", "0001", models=tmp_path)
    monkeypatch.setattr(places, "bundled_models", lambda: tmp_path)
    assert load_model("shop", models=tmp_path / "empty").path == tmp_path / "shop" / "0001"
