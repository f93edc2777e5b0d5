"""Who a piece of telemetry is about: resource attributes and labels become component, replica and host.

A component is the service, not its pod: pods are renamed by every deployment, so nothing could be
known about their health. Which pod or instance spoke is kept beside it as the replica.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

UNKNOWN = "unknown"

# In the order in which they are believed. Workloads come before the scrape's job and service: metrics about pods
# (cAdvisor, kube-state-metrics) carry those of the exporter.
_SERVICE = ("service.name", "service_name", "app.kubernetes.io/name", "app_kubernetes_io_name", "app", "k8s-app")
_WORKLOADS = ("deployment", "statefulset", "daemonset", "cronjob", "job")
_WORKLOAD = (
    *(f"k8s.{kind}.name" for kind in _WORKLOADS),
    *(f"k8s_{kind}_name" for kind in _WORKLOADS),
    *("workload", "deployment", "statefulset", "daemonset", "job_name"),
)
_POD = ("k8s.pod.name", "k8s_pod_name", "pod", "pod_name")
_LOOSE = ("service", "component", "container", "k8s.container.name", "container.name", "container_name", "faas.name")
_SCRAPE = ("job", "exported_job")
_REPLICA = (*_POD, "service.instance.id", "service_instance_id", "instance", "container.id")
_HOST = ("k8s.node.name", "k8s_node_name", "node", "nodename", "host.name", "host_name", "host", "hostname")
_NAMESPACE = ("service.namespace", "service_namespace", "k8s.namespace.name", "k8s_namespace_name", "namespace")
IDENTITY = frozenset((*_SERVICE, *_WORKLOAD, *_POD, *_LOOSE, *_SCRAPE, *_REPLICA, *_HOST, *_NAMESPACE))

# Who exports the metrics of a machine is not who they are about.
_HOST_EXPORTERS = frozenset(
    (
        *("node", "node-exporter", "node_exporter", "nodeexporter", "prometheus-node-exporter"),
        *("windows", "windows-exporter", "windows_exporter"),
    )
)
_HOST_METRIC = re.compile(r"(node|windows|system|host)[_.]")
# The names that Kubernetes gives to pods: of a ReplicaSet (its hash and five characters), a DaemonSet or Job
# (five characters; at least one digit, or a word would be cut), a StatefulSet (a number). Vowels are not used.
_HASH = "[bcdfghjklmnpqrstvwxz2456789]"
_SUFFIX = re.compile(rf"(-{_HASH}{{6,10}}-{_HASH}{{5}}|-(?=[a-z]*\d){_HASH}{{5}}|-\d{{1,5}})$")
_CLUSTER_DNS = re.compile(
    r"^([a-z0-9-]+)(\.[a-z0-9-]+){1,2}(\.svc(\.[a-z0-9.-]+)?)$|^([a-z0-9-]+)\.[a-z0-9-]+\.svc$", re.I
)
_PORT = re.compile(r"^(\[[0-9a-fA-F:]+\]|[^:/\s]+):\d{1,5}$")
_ADDRESS = re.compile(r"^(\d{1,3}(\.\d{1,3}){3}|\[?[0-9a-fA-F]*:[0-9a-fA-F:]+\]?|localhost)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Component, the replica of it that spoke, the host it runs on; "" where nobody said.

    ``service`` is what the component itself is a replica of, where replicas are components.
    """

    component: str
    replica: str = ""
    host: str = ""
    service: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """How components are named.

    Attributes:
        labels: labels or attributes that name the component, tried before the usual ones.
        namespaces: whether the namespace is part of the name (``shop/cart``): where two services share one name.
        replicas: whether each replica is a component of its own, for systems whose replicas keep their names.
    """

    labels: tuple[str, ...] = ()
    namespaces: bool = False
    replicas: bool = False

    def origin(self, facts: Mapping[str, str], metric: str = "") -> Origin:
        """Who ``facts`` (resource attributes, or labels of a series or an alert) are about."""
        host = strip_port(_first(facts, _HOST))
        replica = _first(facts, _REPLICA)
        machine = host or strip_port(facts.get("instance", "") or replica)
        name = _first(facts, self.labels)
        if not name and is_host_metric(metric) and not _first(facts, ("service.name", "service_name", *_POD)):
            name = machine  # measured below all services
        name = name or self._service(facts)
        if name in _HOST_EXPORTERS and machine:
            name = machine
        if not name or name == machine:
            return Origin(component=name or machine or UNKNOWN)
        if self.namespaces and (space := _first(facts, _NAMESPACE)):
            name = f"{space}/{name}"
        if self.replicas and replica:
            return Origin(component=replica, host=host, service=name)
        return Origin(component=name, replica="" if replica == name else replica, host="" if host == name else host)

    def _service(self, facts: Mapping[str, str]) -> str:
        name = _first(facts, _SERVICE)
        if name and not name.startswith("unknown_service"):  # what SDKs send where nobody has named the service
            return name
        if workload := _first(facts, _WORKLOAD):
            return workload
        if pod := _first(facts, _POD):
            return workload_of(pod)
        return _first(facts, _LOOSE) or name or _first(facts, _SCRAPE)


DEFAULT_NAMING = Naming()


@lru_cache(maxsize=16_384)
def is_host_metric(metric: str) -> bool:
    """Whether a metric's name says that it was measured on the machine below the services."""
    return bool(_HOST_METRIC.match(metric))


def workload_of(pod: str) -> str:
    """The workload that a pod's name comes from: ``cart-7d9f8b6c5-x2k4q`` is of ``cart``, ``db-0`` of ``db``."""
    return _SUFFIX.sub("", pod) or pod


def strip_port(address: str) -> str:
    """An address without its port."""
    found = _PORT.match(address)
    return found[1] if found else address


def peer_name(address: str) -> str:
    """What is called, from the address it is called by: no port, no domain of the cluster."""
    name = strip_port(address.strip())
    found = _CLUSTER_DNS.match(name)
    return (found[1] or found[5]) if found else name


def is_bare_address(name: str) -> bool:
    """Whether a name is an IP address or the machine itself: it tells nobody who is called."""
    return bool(_ADDRESS.match(name))


def _first(facts: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((value for name in names if (value := facts.get(name, ""))), "")
