"""The report of a training: self-contained, the same each time, and nothing in it is taken for markup."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rca.detectors.losses import watch_losses, watched
from rca.formats import write_metrics
from rca.training import Order, TrainingResult, train
from rca.training.page import render_page, write_page


@pytest.fixture
def result(day, tmp_path: Path) -> TrainingResult:
    data = tmp_path / "history"
    data.mkdir()
    write_metrics(day(), data / "0.parquet")
    train(data, Order(name="shop", detector="robust"), models=tmp_path / "models")
    write_metrics(day(1, shift=4), data / "1.parquet")
    return train(data, Order(name="shop", refresh=True), models=tmp_path / "models")


def test_the_page_shows_loss_calibration_thresholds_and_drift(result) -> None:
    page = render_page(replace(result, losses=(0.9, 0.5, 0.4)))
    for heading in ("Loss", "Calibration", "Threshold by component", "Drift of the training data"):
        assert f"<h2>{heading}</h2>" in page
    assert page.count("<svg") == 3
    assert "20 of 20 series differ" in page
    assert "service-00" in page
    assert "shop@0002" in page


def test_the_page_needs_nothing_else_and_is_the_same_each_time(result, tmp_path: Path) -> None:
    write_page(result, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert page == render_page(result)
    for outside in ("<script", "src=", 'href="http', "@import"):
        assert outside not in page


def test_names_are_not_markup(result) -> None:
    evil = replace(result.drift[0], component="<script>alert(1)</script>")
    page = render_page(replace(result, drift=(evil,), messages=("<b>",)))
    assert "<script>" not in page
    assert "<b>" not in page


def test_losses_are_means_over_components_of_the_best_error_so_far() -> None:
    assert watched() is None
    with watch_losses() as losses:
        assert watched() is losses
        losses.begin([1.0, 3.0, float("nan")])
        losses.add([0, 1], [0.5, 2.0])
        losses.add([1], [1.0])
        losses.begin([2.0])
        losses.add([0], [1.0])
    assert losses.components == 3
    assert losses.total == [6.0, 3.5, 2.5]
    assert watched() is None


def test_what_is_trained_in_passes_tells_its_losses(day, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    write_metrics(day(), tmp_path / "day.parquet")
    found = train(tmp_path / "day.parquet", Order(name="shop", detector="mlp"), models=tmp_path / "models")
    assert len(found.losses) > 1
    assert all(after <= before for before, after in zip(found.losses, found.losses[1:], strict=False))
