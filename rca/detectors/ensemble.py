"""The ensemble: several detectors, each in units of what its own held-out healthy errors reach.

That unit is the weight: a member whose errors are heavy-tailed on health that it has not learnt from
needs a larger error to say the same, for each component by itself and without any label. The mean of
members in such units keeps what they agree on (Aggarwal & Sathe, 2015), and is calibrated once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from rca.detectors.batch import Training
from rca.detectors.calibration import event_limit
from rca.detectors.catalogue import find_detector
from rca.detectors.history import cut_out
from rca.detectors.limits import score_of
from rca.detectors.network import NetworkDetector
from rca.detectors.protocol import ComponentScores, State
from rca.detectors.state import REMEDY, same_detector, take_array, take_names
from rca.detectors.windows import healthy_times, split_ends, window_ends
from rca.errors import DetectorError
from rca.series import Rows
from rca.telemetry import Floats, MetricFrame
from rca.types import Window

NAME = "ensemble"
# One in closed form and one that learns; more members cost more than they add.
MEMBERS = ("gaussian", "mlp")
# In members' limits. Members seldom reach theirs together in health, but where health changes they do.
LEAST_LIMIT = 1.0


@dataclass(frozen=True, kw_only=True)
class EnsembleDetector:
    """Detectors that are asked together; see ``Detector``.

    Attributes:
        members: fitted to the same history.
        components: that they know, sorted.
        limit: what the mean of the members reaches in health, in members' limits: float32, shape
            (components,); NaN where nothing is known.
    """

    members: tuple[NetworkDetector, ...]
    components: tuple[str, ...]
    limit: Floats

    kinds: ClassVar[tuple[str, ...]] = MEMBERS

    @classmethod
    def fit(
        cls,
        history: MetricFrame,
        *,
        seed: int = 0,
        excluded: Sequence[Window] = (),
        training: Training | None = None,
        previous: Self | None = None,
    ) -> Self:
        """Fit every member, then the limit of their mean on what they have not learnt from; see ``Detector``."""
        before: dict[str, Any] = {} if previous is None else {each.kind: each for each in previous.members}
        members = tuple(
            _class_of(kind).fit(history, seed=seed, excluded=excluded, training=training, previous=before.get(kind))
            for kind in cls.kinds
        )
        components = tuple(sorted({name for group in members[0].groups for name in group.group.names}))
        held = split_ends(window_ends(history.times, healthy_times(history.times, excluded)), len(history.times))[1]
        unknown = cls(members=members, components=components, limit=np.ones(len(components), np.float32))
        errors = unknown._errors(cut_out(history, excluded), held)
        place = {name: row for row, name in enumerate(history.components)}
        rows = [place[name] for name in components]
        limit = np.fmax(event_limit(errors[rows], history.step), np.float32(LEAST_LIMIT))
        return cls(members=members, components=components, limit=limit)

    @classmethod
    def join(cls, parts: Iterable[Self]) -> Self:
        """One ensemble of several that know different components; see ``NetworkDetector.join``."""
        parts = list(parts)
        if not parts or len({tuple(each.kind for each in part.members) for part in parts}) > 1:
            raise DetectorError("no parts of the same members to join", remedy="Give each component's part once")
        members = tuple(type(same[0]).join(same) for same in zip(*(part.members for part in parts), strict=True))
        limits = {name: value for part in parts for name, value in zip(part.components, part.limit, strict=True)}
        components = tuple(sorted(limits))
        return cls(
            members=members,
            components=components,
            limit=np.array([limits[name] for name in components], np.float32),
        )

    def score(self, window: MetricFrame) -> Floats:
        """See ``Detector``."""
        return score_of(self.deviations(window), np.float32(1))

    def deviations(self, window: MetricFrame) -> Floats:
        """The mean of the members' deviations; see ``Detector``."""
        return self._mean(lambda member: member.deviations(window))

    def drifts(self, window: MetricFrame) -> Floats:
        """See ``NetworkDetector``."""
        return self._mean(lambda member: member.drifts(window))

    def expected(self, window: MetricFrame) -> Floats:
        """See ``NetworkDetector``."""
        return self._mean(lambda member: member.expected(window))

    def _mean(self, ask: Callable[[NetworkDetector], Floats]) -> Floats:
        return _mean_of([ask(member) for member in self.members])

    def score_components(self, window: MetricFrame) -> ComponentScores:
        """See ``Detector``."""
        return self._score(window, np.arange(len(window.times)))

    def score_newest(self, window: MetricFrame) -> ComponentScores:
        """The last column of ``score_components``; see ``NetworkDetector``."""
        return self._score(window, np.arange(len(window.times))[-1:])

    def _score(self, window: MetricFrame, ends: Rows) -> ComponentScores:
        limits = dict(zip(self.components, self.limit.tolist(), strict=True))
        limit = np.array([limits.get(name, np.nan) for name in window.components], np.float32)
        errors = self._errors(window, ends)
        return ComponentScores(components=window.components, scores=score_of(errors, limit[:, None]))

    def _errors(self, window: MetricFrame, ends: Rows) -> Floats:
        """Mean error of the members in their limits: shape (components of the window, N), NaN where unknown."""
        return _mean_of([member.component_errors(window, ends) for member in self.members])

    def to_state(self) -> State:
        """See ``Detector``; the arrays of a member are called ``<member>/<name>``."""
        states = {member.kind: member.to_state() for member in self.members}
        arrays = {f"{kind}/{name}": array for kind, state in states.items() for name, array in state.arrays.items()}
        config = {
            "detector": NAME,
            "members": [dict(state.config) for state in states.values()],
            "components": list(self.components),
        }
        return State(config=config, arrays={**arrays, "limit": self.limit})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """See ``Detector``."""
        configs = same_detector(state, NAME).get("members")
        if not isinstance(configs, list) or not configs or not all(isinstance(each, dict) for each in configs):
            raise DetectorError("expected a list of members", where=NAME, remedy=REMEDY)
        members = []
        for config in configs:
            kind = str(config.get("detector"))
            own = {
                name.removeprefix(f"{kind}/"): array
                for name, array in state.arrays.items()
                if name.startswith(f"{kind}/")
            }
            members.append(_class_of(kind).from_state(State(config=config, arrays=own)))
        components = take_names(state, "components")
        limit = take_array(state, "limit", (len(components),), missing=True)
        known = tuple(sorted({name for group in members[0].groups for name in group.group.names}))
        if known != components or bool((limit <= 0).any()):
            raise DetectorError("limits do not fit the components", where=NAME, remedy=REMEDY)
        return cls(members=tuple(members), components=components, limit=limit)


def _class_of(kind: str) -> type[NetworkDetector]:
    found = find_detector(kind)
    if not issubclass(found, NetworkDetector):
        raise DetectorError("this detector cannot be a member", where=kind, remedy=REMEDY)
    return found


def _mean_of(parts: Sequence[npt.NDArray[Any]]) -> Floats:
    """Mean over those that know something, NaN where none does."""
    total = np.zeros(parts[0].shape, np.float64)
    count = np.zeros(parts[0].shape, np.int64)
    for part in parts:
        known = ~np.isnan(part)
        total[known] += part[known]
        count += known
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
