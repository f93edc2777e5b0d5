"""What all networks promise: one result whatever the chunks, order and threads, and honest states."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from rca.detectors.batch import Training
from rca.detectors.convolution import ConvolutionDetector, forecast
from rca.detectors.convolution_training import expect as expect_convolution
from rca.detectors.gru import GRUDetector
from rca.detectors.gru import reconstruct as reconstruct_gru
from rca.detectors.gru_training import expect as expect_gru
from rca.detectors.mlp import MLPDetector
from rca.detectors.mlp import reconstruct as reconstruct_mlp
from rca.detectors.mlp_training import expect as expect_mlp
from rca.detectors.network import NetworkDetector
from rca.detectors.protocol import State
from rca.detectors.windows import WINDOW
from rca.errors import DetectorError
from rca.telemetry import MetricFrame
from rca.types import MINUTE, Window

NETWORKS = [MLPDetector, GRUDetector, ConvolutionDetector]
every_network = pytest.mark.parametrize("network", NETWORKS, ids=[kind.kind for kind in NETWORKS])
SHORT = Training(epochs=3)


def fleet(widths: tuple[int, ...], length: int = 420, seed: int = 0) -> MetricFrame:
    """Components of some numbers of metrics that two waves and noise move."""
    rng = np.random.default_rng(seed)
    causes = np.stack([np.sin(np.arange(length) / 9), np.sin(np.arange(length) / 23)])
    rows = [(i, j) for i, width in enumerate(widths) for j in range(width)]
    values = rng.normal(size=(len(rows), 2)) @ causes + 0.2 * rng.normal(size=(len(rows), length))
    return MetricFrame(
        components=tuple(f"c{i:02d}" for i in range(len(widths))),
        metrics=tuple(f"m{j:02d}" for j in range(max(widths))),
        component=np.array([row[0] for row in rows], np.int32),
        metric=np.array([row[1] for row in rows], np.int32),
        peer=np.full(len(rows), -1, np.int32),
        times=MINUTE * np.arange(length, dtype=np.int64),
        values=(10 + values).astype(np.float32),
    )


def with_holes(frame: MetricFrame) -> MetricFrame:
    values = frame.values.copy()
    values[1, 100:130] = np.nan
    values[3, ::5] = np.nan
    values[-1] = np.nan
    return replace(frame, values=values)


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def differing(one: State, other: State) -> list[str]:
    assert one.config == other.config
    assert one.arrays.keys() == other.arrays.keys()
    return [name for name, array in one.arrays.items() if array.tobytes() != other.arrays[name].tobytes()]


@every_network
def test_weights_are_the_same_to_the_bit_at_any_chunk_size_order_and_number_of_threads(
    network: type[NetworkDetector], threads: Callable[[int], None]
) -> None:
    frame = with_holes(fleet((3, 1, 3, 5, 3, 3, 1, 3, 5, 3)))
    threads(1)
    whole = network.fit(frame, training=replace(SHORT, chunk=16)).to_state()
    order = np.random.default_rng(0).permutation(len(frame.values))
    for chunk, count, shown in ((1, 1, frame), (2, 2, frame.select(order)), (4, 2, frame)):
        threads(count)
        assert not differing(whole, network.fit(shown, training=replace(SHORT, chunk=chunk)).to_state())
        assert torch.get_num_threads() == count


@every_network
def test_a_component_is_learnt_the_same_alone_as_among_others(network: type[NetworkDetector]) -> None:
    frame = fleet((3, 3, 3, 3))
    whole = network.fit(frame, training=SHORT)
    alone = network.fit(frame.select(frame.component == 2), training=SHORT)
    for name, array in alone.groups[0].weights.items():
        assert np.array_equal(array[0], whole.groups[0].weights[name][2]), name


@every_network
def test_another_seed_gives_other_weights(network: type[NetworkDetector]) -> None:
    frame = fleet((3, 3))
    assert differing(
        network.fit(frame, training=SHORT).to_state(), network.fit(frame, seed=1, training=SHORT).to_state()
    )


@every_network
def test_parts_in_any_order_join_to_the_whole(network: type[NetworkDetector]) -> None:
    frame = fleet((2, 4, 2, 2, 4))
    parts = list(network.fit_parts(frame, training=replace(SHORT, chunk=2)))
    assert len(parts) == 3
    restored = [network.from_state(part.to_state()) for part in parts[::-1]]
    assert not differing(network.join(restored).to_state(), network.fit(frame, training=SHORT).to_state())
    with pytest.raises(DetectorError, match="same component"):
        network.join([*parts, parts[0]])


@every_network
def test_numpy_scores_what_torch_learnt(network: type[NetworkDetector]) -> None:
    weights = network.fit(fleet((4, 4)), training=SHORT).groups[0].weights
    windows = np.random.default_rng(0).normal(size=(2, 30, 4 * WINDOW)).astype(np.float32)
    parts = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in weights.items()}
    if network is ConvolutionDetector:
        ours = forecast(weights, windows[:, :, :-4])
        theirs = expect_convolution(parts, torch.from_numpy(windows))[:, :, -4:]
    elif network is GRUDetector:
        ours, theirs = reconstruct_gru(weights, windows), expect_gru(parts, torch.from_numpy(windows))
    else:  # codes are held to what health reaches after training only
        free = {**weights, "lowest": weights["lowest"] - 1e6, "highest": weights["highest"] + 1e6}
        ours, theirs = reconstruct_mlp(free, windows), expect_mlp(parts, torch.from_numpy(windows))
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-5)


@every_network
def test_a_relation_that_breaks_is_seen_though_each_metric_stays_in_its_range(network: type[NetworkDetector]) -> None:
    history = fleet((6,), length=1440)
    detector = network.fit(history)
    later = history.values[:, :200].copy()
    later[2] = np.roll(later[2], 40)  # its own values at other times
    window = replace(history, times=history.times[:200], values=later)
    healthy = detector.score_components(replace(window, values=history.values[:, :200])).scores[0]
    broken = detector.score_components(window).scores[0]
    assert np.median(broken[WINDOW:]) > 1.1 * np.median(healthy[WINDOW:])
    assert np.nanmean(np.abs(detector.deviations(window)), axis=1).argmax() == 2


@every_network
def test_the_newest_scores_are_the_last_of_all(network: type[NetworkDetector]) -> None:
    frame = with_holes(fleet((3, 4)))
    detector = network.fit(frame, training=SHORT)
    scores = detector.score_components(frame).scores[:, -1:]
    assert scores.all()
    np.testing.assert_allclose(detector.score_newest(frame).scores, scores, atol=1e-6)


@every_network
def test_excluded_incidents_teach_nothing(network: type[NetworkDetector]) -> None:
    frame = fleet((3,))
    values = frame.values.copy()
    values[:, 200:230] += 50
    excluded = [Window(start=200 * MINUTE, end=230 * MINUTE)]
    broken = network.fit(replace(frame, values=values), excluded=excluded, training=SHORT)
    assert not differing(network.fit(frame, excluded=excluded, training=SHORT).to_state(), broken.to_state())


@every_network
def test_going_on_from_an_earlier_fit_is_at_least_as_good_as_beginning_anew(network: type[NetworkDetector]) -> None:
    from rca.detectors.losses import watch_losses

    frame = fleet((4, 4, 3))
    earlier = network.fit(frame.select(frame.component != 1))
    with watch_losses() as anew:
        network.fit(frame, training=SHORT)
    with watch_losses() as refreshed:
        network.fit(frame, training=SHORT, previous=earlier)
    assert refreshed.total[0] <= anew.total[0] + 1e-6
    assert refreshed.total[-1] <= 1.02 * anew.total[-1]


@every_network
@pytest.mark.parametrize("spoil", ["missing", "shape", "nan", "type", "window", "periods", "limit"])
def test_a_spoilt_state_is_refused_with_a_remedy(network: type[NetworkDetector], spoil: str) -> None:
    state = network.fit(fleet((3,), length=60), training=replace(SHORT, fine_tune=False)).to_state()
    config, arrays = dict(state.config), dict(state.arrays)
    name = next(name for name in arrays if ".weight." in name)
    if spoil == "missing":
        del arrays[name]
    elif spoil == "shape":
        arrays[name] = arrays[name][..., :-1]
    elif spoil == "nan":
        arrays[name] = np.full_like(arrays[name], np.nan)
    elif spoil == "type":
        arrays[name] = arrays[name].astype(np.float64)
    elif spoil == "limit":
        arrays["3.limit"] = -arrays["3.limit"]
    else:
        config[spoil] = 7
    with pytest.raises(DetectorError) as caught:
        network.from_state(State(config=config, arrays=arrays))
    assert caught.value.remedy


def test_a_gpu_that_is_not_there_is_an_error_that_says_what_to_do() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(DetectorError) as caught:
        MLPDetector.fit(fleet((2,)), training=Training(device="cuda"))
    assert caught.value.remedy
    MLPDetector.fit(fleet((2,)), training=Training(device="auto", fine_tune=False))


def test_scoring_loads_no_torch(tmp_path: object) -> None:
    import subprocess

    code = (
        "import sys; import rca.detectors.mlp, rca.detectors.gru, rca.detectors.convolution; "
        "sys.exit('torch' in sys.modules or 'sklearn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
