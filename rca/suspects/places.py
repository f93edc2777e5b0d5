"""Where a change takes effect: which component it touches, how that reaches the failing one, and since when."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rca.extract.context import Context
from rca.suspects.evidence_text import Observed
from rca.suspects.vocabulary import rarity, tokens
from rca.types import Change

# How readily a change of a component reaches the failing one, by their relation.
SELF, CALLEE, SECOND_CALLEE, CALLER, UNKNOWN, UNCONNECTED = 1.0, 0.6, 0.45, 0.4, 0.35, 0.2
# Code that several components share may run anywhere; each word of its path that the evidence holds adds.
SHARED, SHARED_WORD, MOST_SHARED_WORDS = 0.4, 0.15, 2
# Owning by path is less certain than a deployment, and code that nobody is known to have deployed still less.
BY_PATH, NOT_DEPLOYED = 0.85, 0.7
OWN_PATH_ELSEWHERE = 0.7

_SHARED_PATH = re.compile(
    r"(^|/)(pkg|libs?|packages?|shared|common|core|platform|infra\w*|internal|config|configs|deploy\w*|k8s|charts?|helm"
    r"|terraform|ansible|envoy|istio|mesh|gateway|migrations?|db|schemas?|protos?|api|vendor|third_party|base|utils?|sdk"
    r"|client|middleware)(/|$)|(^|/)(go\.mod|go\.sum|pom\.xml|package\.json|Dockerfile|requirements.*)",
    re.IGNORECASE,
)
_ROLE = re.compile(r"(service|svc|server|agent|api|worker|app|\d+)$")
_INSTANCE = re.compile(r"[-_.]?\d{1,3}|-(?=[a-z0-9]*\d)[a-z0-9]{6,10}(-[a-z0-9]{5})?")
_LETTERS = re.compile(r"[^a-z]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How readily a change reaches the failing component, in (0, 1], since when (ns), and where it was put."""

    degree: float
    since: int
    component: str


class Places:
    """Finds the place of changes with respect to one failing component."""

    def __init__(self, context: Context, observed: Observed, deployments: Sequence[Change], onset: int) -> None:
        self._topology = context.topology
        self._observed = observed
        self._deployments = deployments
        self._onset = onset
        first = observed.first
        self._callees = frozenset(self._topology.callees(first))
        self._second = frozenset(name for callee in self._callees for name in self._topology.callees(callee))
        self._callers = frozenset(self._topology.callers(first))
        self._known = frozenset(observed.components)
        named = {change.component for change in deployments if change.component}
        self._stems = {name: _core(name) for name in sorted(self._known | named)}

    def relation(self, component: str) -> float:
        """How readily a change of ``component`` reaches the failing one."""
        first, topology = self._observed.first, self._topology
        if component == first or topology.service(component) == topology.service(first):
            return SELF
        if _is_instance(first, component) or _is_instance(component, first):
            return SELF
        if component in self._callees or topology.hosts.get(first) == component:
            return CALLEE
        if component in self._second:
            return SECOND_CALLEE
        if component in self._callers:
            return CALLER
        return UNCONNECTED if component in self._known and (self._callees or self._callers) else UNKNOWN

    def find(self, change: Change, shipped: Sequence[Change]) -> Place:
        """The place of a change; ``shipped`` are the deployments that are known to have brought it."""
        if change.kind != "change.commit":
            return Place(degree=self.relation(change.component), since=change.time, component=change.component)
        owners = self.owners(change.files)
        shared = not owners or any(_SHARED_PATH.search(path) for path in change.files)
        by_path = max((self.relation(owner) for owner in owners), default=0.0) * BY_PATH
        if shared:
            by_path = max(by_path, SHARED + SHARED_WORD * min(MOST_SHARED_WORDS, self._path_words(change.files)))
        if not shipped:
            return self._undeployed(change, owners, by_path)
        best: tuple[float, int, str] | None = None
        for deployment in shipped:
            degree = self.relation(deployment.component)
            if shared and not owners:
                degree = max(degree, by_path)
            if self._observed.first in owners:
                degree = max(degree, OWN_PATH_ELSEWHERE)
            candidate = (degree, -deployment.time, deployment.component)
            best = candidate if best is None else max(best, candidate)
        assert best is not None  # noqa: S101  (shipped is not empty)
        return Place(degree=best[0], since=-best[1], component=best[2])

    def owners(self, paths: Iterable[str]) -> tuple[str, ...]:
        """Components whose name, without what all services are called, is a folder or a word of a path."""
        found = set()
        for path in paths:
            folders = {_LETTERS.sub("", part.lower()) for part in path.split("/")}
            words = set(re.findall("[a-z]+", path.lower()))
            cores = {_core(folder) for folder in folders if folder}
            for name, core in self._stems.items():
                whole = _LETTERS.sub("", name.lower())
                if len(core) > 2 and (core in folders | words | cores or whole in folders):
                    found.add(name)
        return tuple(sorted(found))

    def _undeployed(self, change: Change, owners: tuple[str, ...], by_path: float) -> Place:
        """A commit that ships with a later deployment of the failing component, or may not have shipped."""
        first = self._observed.first
        later = [
            deployment.time
            for deployment in self._deployments
            if deployment.component == first and change.time <= deployment.time <= self._onset
        ]
        degree = by_path if later or not self._deployments else by_path * NOT_DEPLOYED
        where = first if later else owners[0] if owners else change.component
        return Place(degree=degree, since=min(later) if later else change.time, component=where)

    def _path_words(self, paths: Sequence[str]) -> int:
        """Unusual words of the paths (a library, a table) that the evidence holds."""
        words = {token for path in paths for token in tokens(path)} - self._observed.names
        return sum(1 for token in words if token in self._observed.words and rarity(token) > 0.5)


def _is_instance(name: str, service: str) -> bool:
    """Whether a name is its service's with a number or an orchestrator's suffix: cart-2, cart-7d9f8b6c5-x2k4q."""
    return name.startswith(service) and bool(_INSTANCE.fullmatch(name, len(service)))


def _core(name: str) -> str:
    """A component's name without what every service is called."""
    letters = _LETTERS.sub("", name.lower())
    return _ROLE.sub("", letters) or name.lower()
