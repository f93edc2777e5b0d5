"""What a training came to: its chunks as one detector, and the figures for its report."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rca.detectors.catalogue import restore
from rca.detectors.joined import join
from rca.detectors.protocol import Detector, State
from rca.errors import TrainingError
from rca.registry.description import Training
from rca.registry.storing import LoadedModel, StoredModel
from rca.series import SeriesNames
from rca.telemetry import Floats
from rca.training.checkpoints import Checkpoints, Fitted
from rca.training.drift import DRIFTED
from rca.training.history import History
from rca.types import Window

if TYPE_CHECKING:
    from rca.training.run import Order


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftedSeries:
    """How one series drifted; see ``rca.training.drift``."""

    component: str
    metric: str
    peer: str
    index: float
    shift: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingResult:
    """A stored version and what is to be said about it.

    Attributes:
        components, above_by_component, reach_by_component: of each component the share of its newest
            healthy samples that pass the limit, and what all but a thousandth of them stay below.
        above: the same share over all components.
        losses: mean error of held-out windows by pass over the history; empty where there are no passes.
        drift: series by how much they drifted, worst first; compared: how many were.
        drift_from: the version that they were compared with, "" for none.
        new_series, lost_series: those that this version knows and the former did not, and the reverse.
        messages: what whoever started the training should know.
    """

    stored: StoredModel
    components: tuple[str, ...]
    above_by_component: Floats
    reach_by_component: Floats
    above: float
    losses: tuple[float, ...]
    series: int
    samples: int
    window: Window
    drift: tuple[DriftedSeries, ...] = ()
    compared: int = 0
    drift_from: str = ""
    new_series: int = 0
    lost_series: int = 0
    seconds: float = 0.0
    messages: tuple[str, ...] = field(default=())

    @property
    def drifted(self) -> int:
        """How many series drifted."""
        return sum(each.index > DRIFTED for each in self.drift)


@dataclass(slots=True)
class _Collected:
    """The chunks, one after the other."""

    parts: list[Detector] = field(default_factory=list)
    components: list[list[str]] = field(default_factory=list)
    keys: list[tuple[str, str, str]] = field(default_factory=list)
    statistics: list[dict[str, npt.NDArray[Any]]] = field(default_factory=list)
    judged: list[tuple[list[str], dict[str, npt.NDArray[Any]]]] = field(default_factory=list)
    drift: list[dict[str, npt.NDArray[Any]]] = field(default_factory=list)
    losses: list[tuple[list[float], int]] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    times: list[tuple[int, int, int]] = field(default_factory=list)
    samples: int = 0

    def add(self, fitted: Fitted) -> None:
        facts = fitted.facts
        if not facts["components"]:
            return
        self.parts.append(restore(State(config=facts["detector"], arrays=fitted.part("detector"))))
        self.components.append(list(facts["components"]))
        codes = fitted.part("series")
        self.keys += SeriesNames(
            components=tuple(facts["series"]["components"]),
            metrics=tuple(facts["series"]["metrics"]),
            component=codes["component"],
            metric=codes["metric"],
            peer=codes["peer"],
        ).keys
        self.statistics.append(fitted.part("statistics"))
        self.judged.append((list(facts["judged"]), fitted.part("judged")))
        self.drift.append(fitted.part("drift"))
        self.losses.append((list(facts["losses"]["total"]), int(facts["losses"]["components"])))
        self.hashes.append(str(facts["hash"]))
        start, end, step = facts["times"]
        self.times.append((start, end, step))
        self.samples += int(facts["samples"])


def assemble(
    checkpoints: Checkpoints, order: Order, history: History, former: LoadedModel | None
) -> tuple[Detector, Training, TrainingResult]:
    """One detector of all chunks, how it came about, and the figures of the fit.

    Raises:
        TrainingError: there are no samples at all.
        ModelError: a checkpoint is damaged.
    """
    all_of = _Collected()
    for number in range(checkpoints.chunks):
        all_of.add(checkpoints.read(number))
    if not all_of.parts:
        raise TrainingError(
            "there are no samples in this time", where=history.source, remedy="Widen --from and --to, or check the data"
        )
    series = _names(all_of.keys)
    window = Window(start=min(t[0] for t in all_of.times), end=max(t[1] for t in all_of.times))
    names = tuple(name for part, _ in all_of.judged for name in part)
    above, reach = (np.concatenate([arrays[key] for _, arrays in all_of.judged]) for key in ("above", "reach"))
    drift = _drift(all_of)
    result = TrainingResult(
        stored=StoredModel(name=order.name, version="", path=checkpoints.folder),
        components=names,
        above_by_component=above,
        reach_by_component=reach,
        above=float(above.mean()) if len(above) else 0.0,
        losses=_losses(all_of.losses),
        series=len(all_of.keys),
        samples=all_of.samples,
        window=window,
        drift=drift,
        compared=len(drift),
        drift_from=former.version if former and drift else "",
        new_series=len(set(all_of.keys) - set(former.series.keys)) if former else 0,
        lost_series=len(set(former.series.keys) - set(all_of.keys)) if former else 0,
    )
    training = Training(
        series=series,
        data_hash=hashlib.sha256("".join(all_of.hashes).encode()).hexdigest(),
        source=history.source,
        window=window,
        step=int(np.median([step for _, _, step in all_of.times])),
        samples=all_of.samples,
        seed=int(order.seed or 0),
        excluded=order.excluded,
        metrics=_figures(result),
        statistics=_concatenate(all_of.statistics),
        parent=former.version if former and order.refresh else "",
    )
    return join(all_of.parts, all_of.components), training, result


def _figures(result: TrainingResult) -> dict[str, float]:
    figures = {"share of healthy samples above the limit": result.above, "components": float(len(result.components))}
    if result.losses:
        figures |= {"held-out error before": result.losses[0], "held-out error after": result.losses[-1]}
    if result.compared:
        figures |= {"series compared with the former version": float(result.compared)}
        figures |= {"series that drifted": float(result.drifted)}
    return figures


def _names(keys: Sequence[tuple[str, str, str]]) -> SeriesNames:
    components = sorted({name for component, _, peer in keys for name in (component, peer) if name})
    metrics = sorted({metric for _, metric, _ in keys})
    of_component = {name: i for i, name in enumerate(components)} | {"": -1}
    of_metric = {name: i for i, name in enumerate(metrics)}
    return SeriesNames(
        components=tuple(components),
        metrics=tuple(metrics),
        component=np.array([of_component[component] for component, _, _ in keys], np.int32),
        metric=np.array([of_metric[metric] for _, metric, _ in keys], np.int32),
        peer=np.array([of_component[peer] for _, _, peer in keys], np.int32),
    )


def _concatenate(parts: Sequence[Mapping[str, npt.NDArray[Any]]]) -> dict[str, npt.NDArray[Any]]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _losses(parts: Sequence[tuple[list[float], int]]) -> tuple[float, ...]:
    """Mean over components; one that was trained for fewer passes keeps its last error."""
    parts = [(total, count) for total, count in parts if total]
    longest = max((len(total) for total, _ in parts), default=0)
    components = sum(count for _, count in parts)
    sums = [sum(total[min(i, len(total) - 1)] for total, _ in parts) for i in range(longest)]
    return tuple(each / max(components, 1) for each in sums)


def _drift(all_of: _Collected) -> tuple[DriftedSeries, ...]:
    """Series by how much they drifted, worst first."""
    if not any(all_of.drift):
        return ()
    index, shift = (np.concatenate([part[name] for part in all_of.drift]) for name in ("index", "shift"))
    known = np.flatnonzero(~np.isnan(index))
    order = known[np.lexsort((known, -index[known]))]
    return tuple(
        DriftedSeries(
            component=all_of.keys[i][0],
            metric=all_of.keys[i][1],
            peer=all_of.keys[i][2],
            index=float(index[i]),
            shift=float(shift[i]),
        )
        for i in order.tolist()
    )
