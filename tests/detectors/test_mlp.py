"""The window autoencoder: its start at principal components, what it learns from, and how it scores."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rca.detectors.batch import Batch, Training
from rca.detectors.descent import Plan, descend, differentiate
from rca.detectors.layout import Layout
from rca.detectors.mlp import layer_sizes, reconstruct, weight_shapes
from rca.detectors.mlp_training import EXPLAINED, expect, train
from rca.detectors.principal import leading_directions
from rca.detectors.training_windows import TrainingWindows
from rca.detectors.windows import WINDOW, split_ends, window_ends, window_view
from rca.types import MINUTE

WARM, LENGTH = Training(fine_tune=False), 1440


def batch(samples: np.ndarray, seed: int = 0) -> Batch:
    times = MINUTE * np.arange(samples.shape[1], dtype=np.int64)
    learn, held = split_ends(window_ends(times, np.ones(len(times), bool)), len(times))
    names = tuple(f"c{i}" for i in range(len(samples)))
    return Batch(names=names, samples=samples.astype(np.float32), learn=learn[::2], held=held, seed=seed)


def moved_by_waves(components: int = 2, metrics: int = 4, noise: float = 0.3, bent: bool = False) -> np.ndarray:
    rng = np.random.default_rng(0)
    causes = np.stack([np.sin(np.arange(LENGTH) / 31), np.sin(np.arange(LENGTH) / 47)], axis=1)
    samples = causes @ rng.normal(size=(components, 2, metrics))
    if bent:
        samples[..., ::2] = np.abs(samples[..., ::2])
    samples += noise * rng.normal(size=samples.shape)
    return (samples - samples.mean(axis=1, keepdims=True)) / samples.std(axis=1, keepdims=True)


def errors(weights: dict, samples: np.ndarray, ends: np.ndarray) -> np.ndarray:
    windows = window_view(samples.astype(np.float32))[:, ends]
    return np.square(reconstruct(weights, windows) - windows).mean(axis=2)


def test_before_fine_tuning_it_reconstructs_like_principal_components() -> None:
    samples = moved_by_waves()
    data = batch(samples)
    weights = train(data, WARM, None)
    windows = window_view(data.samples)[:, data.learn]
    for i in range(len(samples)):
        power, directions = np.linalg.eigh(windows[i].T.astype(np.float64) @ windows[i])
        share = np.cumsum(power[::-1]) / power.sum()
        kept = directions[:, ::-1][:, : min(int(np.searchsorted(share, EXPLAINED)) + 1, layer_sizes(4)[2])]
        exact = np.square(windows[i] - windows[i] @ kept @ kept.T).mean()
        # Windows on the edge of the healthy range are held to it.
        assert errors(weights, samples, data.learn)[i].mean() == pytest.approx(exact, rel=0.03)


def test_directions_are_orthonormal_and_explain_what_exact_ones_do() -> None:
    windows = torch.from_numpy(window_view(moved_by_waves().astype(np.float32))[:, 50:200].copy())
    found, share = leading_directions(windows, torch.ones(2, 150), 8)
    np.testing.assert_allclose(torch.bmm(found.transpose(1, 2), found), np.eye(8)[None].repeat(2, 0), atol=1e-3)
    for i in range(2):
        power = torch.linalg.eigvalsh(windows[i].double().T @ windows[i].double()).flip(0)
        assert float(share[i].sum()) == pytest.approx(float(power[:8].sum() / power.sum()), abs=0.005)


def test_fine_tuning_helps_where_metrics_are_bent_and_never_hurts_held_out_windows() -> None:
    for bent in (False, True):
        samples = moved_by_waves(4, noise=0.1, bent=bent)
        data = batch(samples)
        plans = (WARM, Training(epochs=20))
        warm, tuned = (errors(train(data, plan, None), samples, data.held).mean(axis=1) for plan in plans)
        assert (tuned <= 1.01 * warm).all()
        if bent:
            assert tuned.min() < 0.85 * warm.min()


def test_windows_that_are_not_healthy_are_trimmed_and_bend_nothing() -> None:
    clean = moved_by_waves(2, metrics=6)
    spoilt = clean.copy()
    pattern = np.random.default_rng(1).choice([-9.0, 9.0], size=6)
    for start in (100, 420, 900, 1300):  # incidents that nobody wrote down, always of one kind
        spoilt[:, start : start + 6] = pattern
    anew = clean.copy()
    anew[:, 700:706] = pattern
    ends = np.arange(705, 712)

    def seen(history: np.ndarray, trimmed: bool) -> np.ndarray:
        with pytest.MonkeyPatch.context() as patch:
            if not trimmed:
                patch.setattr("rca.detectors.training_windows.FAR", 1e9)
            data = batch(history)
            weights = train(data, Training(), None)
        return errors(weights, anew, ends).mean(axis=1) / np.median(errors(weights, clean, data.held), axis=1)

    assert (seen(spoilt, trimmed=True) > 1.5 * seen(spoilt, trimmed=False)).all()


def test_a_level_that_health_never_had_is_not_reconstructed() -> None:
    samples = moved_by_waves(1, noise=0.1)
    data = batch(samples)
    weights = train(data, WARM, None)
    far = window_view((3 * samples).astype(np.float32))[:, data.held]
    free = {**weights, "lowest": weights["lowest"] - 1e6, "highest": weights["highest"] + 1e6}
    held, followed = (np.square(reconstruct(each, far) - far).mean() for each in (weights, free))
    assert held > 3 * followed


def test_missing_samples_are_left_out_of_what_is_learnt() -> None:
    samples = moved_by_waves(2, metrics=6)
    holed = samples.copy()
    holed[:, np.random.default_rng(2).random(LENGTH) < 0.1] = np.nan
    holed[:, 200:300, 3] = np.nan
    data, whole = batch(holed), batch(samples)
    with_holes, without = (errors(train(each, Training(), None), samples, whole.held) for each in (data, whole))
    assert with_holes.mean() < 1.2 * without.mean()


@pytest.mark.parametrize("silent", [np.nan, 0.0])
def test_a_component_that_never_says_anything_disturbs_nobody(silent: float) -> None:
    samples = moved_by_waves(3)
    samples[1] = silent
    together, alone = train(batch(samples), Training(), None), train(batch(samples[:1]), Training(), None)
    for name, array in together.items():
        assert np.isfinite(array).all()
        assert np.array_equal(array[0], alone[name][0])


def test_sizes_of_the_layers_follow_the_number_of_metrics() -> None:
    assert [layer_sizes(width) for width in (2, 10, 20, 40)] == [
        (2 * WINDOW, 8, 4),
        (120, 16, 8),
        (240, 32, 16),
        (480, 64, 32),
    ]


def test_what_is_trimmed_during_descent_is_not_trimmed_for_others() -> None:
    data = batch(np.exp(moved_by_waves(3)))
    layout = Layout.of({name: shape for name, shape in weight_shapes(4).items() if name[0] in "wb"})
    learn, held = (TrainingWindows.of(data.samples, ends, torch.device("cpu")) for ends in (data.learn, data.held))
    before = learn.weight.clone()
    with torch.no_grad():
        start = torch.full((3, layout.size), 0.1)
        descend(start, layout, (learn, held), expect, differentiate(expect), Plan(epochs=3, rate=4e-3, patience=9))
    assert torch.equal(learn.weight, before)
