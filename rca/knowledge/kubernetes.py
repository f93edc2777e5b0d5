"""What a Kubernetes cluster says of its topology: the objects that ``kubectl get … -A -o json`` lists.

Pods are replicas of components, named as telemetry names them, and run on nodes; Services and Ingresses depend on
what they pass requests to, where that has another name. Who calls whom inside nobody but spans knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from rca.errors import TopologyError
from rca.sources.naming import DEFAULT_NAMING, Naming, Origin, peer_name
from rca.topology import Topology

_REMEDY = "Send what kubectl get nodes,pods,services,ingresses -A -o json prints"
_ZONES = ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone")
_KINDS = frozenset({"database", "cache", "queue"})  # of app.kubernetes.io/component, that are kinds of ours too
_FACTS = ("team", "owner")  # as labels or annotations
_FINISHED = ("Succeeded", "Failed")
Texts = Mapping[str, str]


class _Owner(msgspec.Struct):
    kind: str = ""
    name: str = ""


class _Meta(msgspec.Struct, rename="camel"):
    name: str = ""
    namespace: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[_Owner] | None = None


class _Backend(msgspec.Struct):
    service: _Owner | None = None


class _Path(msgspec.Struct):
    backend: _Backend | None = None


class _Http(msgspec.Struct):
    paths: list[_Path] | None = None


class _Rule(msgspec.Struct):
    http: _Http | None = None


class _Spec(msgspec.Struct, rename="camel"):
    node_name: str | None = None
    selector: dict[str, str] | None = None
    rules: list[_Rule] | None = None
    default_backend: _Backend | None = None


class _Status(msgspec.Struct):
    phase: str | None = None


class _Object(msgspec.Struct):
    kind: str = ""
    metadata: _Meta = msgspec.field(default_factory=_Meta)
    spec: _Spec | None = None
    status: _Status | None = None


def is_kubernetes(document: Any) -> bool:
    """Whether a JSON document is an object of Kubernetes, or a list of them."""
    return isinstance(document, dict) and "apiVersion" in document and isinstance(document.get("kind"), str)


def read_kubernetes(document: Mapping[str, Any], *, where: str, naming: Naming = DEFAULT_NAMING) -> Topology:
    """The topology that objects tell of; kinds other than Node, Pod, Service and Ingress are passed over.

    Raises:
        TopologyError: an object is malformed, or none of these is there.
    """
    items = document["items"] if isinstance(document.get("items"), list) else [document]
    cluster = _Cluster(naming)
    readers = {"Pod": cluster.add_pod, "Node": cluster.add_node, "Service": cluster.add_service}
    readers["Ingress"] = cluster.add_ingress
    for i, item in enumerate(items):
        if not isinstance(item, dict) or item.get("kind") not in readers:
            continue
        try:
            read = msgspec.convert(item, _Object)
        except msgspec.ValidationError as bad:
            raise TopologyError(str(bad), where=f"{where}, items[{i}]", remedy=_REMEDY) from bad
        if not read.metadata.name:
            raise TopologyError("an object without a name", where=f"{where}, items[{i}]", remedy=_REMEDY)
        readers[read.kind](read)
    return cluster.topology(where)


class _Cluster:
    """What the objects have told so far."""

    def __init__(self, naming: Naming) -> None:
        self._naming = naming
        self._facts: dict[str, dict[str, str]] = {}
        self._kinds: dict[str, str] = {}
        self._pods: list[tuple[Origin, str, Texts]] = []  # who, namespace, labels
        self._services: dict[tuple[str, str], Texts] = {}
        self._ingresses: list[tuple[str, str, str]] = []  # namespace, ingress, service

    def add_pod(self, pod: _Object) -> None:
        """A pod that has not finished."""
        if pod.status is not None and pod.status.phase in _FINISHED:
            return
        meta, labels = pod.metadata, pod.metadata.labels or {}
        facts = {**labels, "k8s.pod.name": meta.name, "k8s.namespace.name": meta.namespace}
        for owner in meta.owner_references or ():
            if owner.kind != "ReplicaSet":  # which has a name of its own for every version of the workload
                facts[f"k8s.{owner.kind.lower()}.name"] = owner.name
        if pod.spec is not None and pod.spec.node_name:
            facts["k8s.node.name"] = pod.spec.node_name
        origin = self._naming.origin(facts)
        self._pods.append((origin, meta.namespace, labels))
        self._note(origin.component, meta)
        if (kind := labels.get("app.kubernetes.io/component", "")) in _KINDS:
            self._kinds[origin.component] = kind

    def add_node(self, node: _Object) -> None:
        """A node with its zone."""
        self._kinds[node.metadata.name] = "host"
        self._note(node.metadata.name, node.metadata)
        labels = node.metadata.labels or {}
        if zone := next((labels[name] for name in _ZONES if labels.get(name)), ""):
            self._facts[node.metadata.name]["zone"] = zone

    def add_service(self, service: _Object) -> None:
        """A Service with the labels that it selects."""
        selector = service.spec.selector if service.spec is not None else None
        if selector:
            self._services[service.metadata.namespace, service.metadata.name] = selector

    def add_ingress(self, ingress: _Object) -> None:
        """An Ingress with the Services behind it."""
        spec, meta = ingress.spec or _Spec(), ingress.metadata
        paths = [path for rule in spec.rules or () if rule.http is not None for path in rule.http.paths or ()]
        for backend in (spec.default_backend, *(path.backend for path in paths)):
            if backend is not None and backend.service is not None and backend.service.name:
                self._ingresses.append((meta.namespace, meta.name, backend.service.name))

    def topology(self, where: str) -> Topology:
        """All that was told."""
        if not self._facts and not self._services and not self._ingresses:
            raise TopologyError("no Node, Pod, Service or Ingress is listed", where=where, remedy=_REMEDY)
        edges = {edge for space, name in sorted(self._services) for edge in self._behind(space, name)}
        edges |= {(self._named(s, ingress), self._named(s, service)) for s, ingress, service in self._ingresses}
        pods = [origin for origin, _, _ in self._pods]
        replica_of = {o.replica: o.component for o in pods if o.replica} | {
            o.component: o.service for o in pods if o.service
        }
        return Topology.from_edges(
            sorted(edges),
            components={*self._facts, *replica_of, *(self._named(*service) for service in self._services)},
            kinds=dict(sorted(self._kinds.items())),
            hosts={o.replica or o.component: o.host for o in pods if o.host},
            replica_of=replica_of,
            attributes={name: dict(facts) for name, facts in sorted(self._facts.items()) if facts},
        )

    def _behind(self, space: str, service: str) -> set[tuple[str, str]]:
        """From a Service to the components of the pods that it selects."""
        selector = self._services[space, service].items()
        chosen = {
            o.service or o.component for o, where, labels in self._pods if where == space and selector <= labels.items()
        }
        name = self._named(space, service)
        return {(name, component) for component in chosen if component != name}

    def _named(self, space: str, name: str) -> str:
        return f"{space}/{name}" if self._naming.namespaces and space else peer_name(name)

    def _note(self, component: str, meta: _Meta) -> None:
        told = {**(meta.annotations or {}), **(meta.labels or {})}
        known = self._facts.setdefault(component, {})
        known.update({fact: told[fact] for fact in _FACTS if told.get(fact)})
