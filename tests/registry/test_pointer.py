"""Which version is in use: promotions, going back, and pointers that are damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rca.errors import ModelError
from rca.registry import load_model, promote, roll_back
from rca.registry.pointer import read_pointer


def test_no_version_is_in_use_before_one_is_promoted(store, tmp_path: Path) -> None:
    store()
    with pytest.raises(ModelError, match="no version is in use") as caught:
        load_model("shop", models=tmp_path)
    assert "promote" in caught.value.remedy
    promote("shop", "0001", models=tmp_path)
    assert load_model("shop", models=tmp_path).version == "0001"


def test_going_back_leads_through_the_versions_that_were_in_use(store, tmp_path: Path) -> None:
    for _ in range(3):
        store()
    for version in ("0001", "0003", "0003", "0002"):
        promote("shop", version, models=tmp_path)
    assert roll_back("shop", models=tmp_path).current == "0003"
    assert roll_back("shop", models=tmp_path).current == "0001"
    with pytest.raises(ModelError, match="in use before"):
        roll_back("shop", models=tmp_path)
    assert load_model("shop", models=tmp_path).version == "0001"
    history = [(each.version, each.action) for each in read_pointer(tmp_path / "shop").history]
    assert history == [
        ("0001", "promote"),
        ("0003", "promote"),
        ("0003", "promote"),
        ("0002", "promote"),
        ("0003", "rollback"),
        ("0001", "rollback"),
    ]


def test_a_damaged_version_is_not_put_into_use(store, tmp_path: Path) -> None:
    store()
    promote("shop", "0001", models=tmp_path)
    weights = store().path / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(ModelError, match="truncated"):
        promote("shop", "0002", models=tmp_path)
    assert load_model("shop", models=tmp_path).version == "0001"


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"current": "../../etc"}', b'{"current": 1}', b"\xff\xfe", b"[" * 9999]
)
def test_a_damaged_pointer_is_an_error_that_a_promotion_mends(store, tmp_path: Path, content: bytes) -> None:
    store()
    (tmp_path / "shop" / "current.json").write_bytes(content)
    with pytest.raises(ModelError) as caught:
        load_model("shop", models=tmp_path)
    assert "promote" in caught.value.remedy
    promote("shop", "0001", models=tmp_path)
    assert load_model("shop", models=tmp_path).version == "0001"


def test_the_pointer_is_replaced_whole(store, tmp_path: Path, monkeypatch) -> None:
    from rca.registry import durable

    store()
    promote("shop", "0001", models=tmp_path)
    before = (tmp_path / "shop" / "current.json").read_bytes()
    monkeypatch.setattr(durable.os, "fsync", lambda _: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    with pytest.raises(ModelError, match="Input/output error"):
        promote("shop", "0001", models=tmp_path)
    assert (tmp_path / "shop" / "current.json").read_bytes() == before
    assert json.loads(before)["current"] == "0001"
    assert not list((tmp_path / "shop").glob("*.draft*"))
