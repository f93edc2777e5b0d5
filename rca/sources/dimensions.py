"""What the labels of a series say: which are the request's, whom it calls, and whether it failed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from rca.sources.naming import IDENTITY, is_bare_address, peer_name

# Labels by which requests differ, of OpenTelemetry's conventions, Prometheus client libraries, Istio and service
# graphs: series that differ in them are added up. All others (state, mode, device, pool …) stay apart.
_REQUEST = re.compile(
    r"^(http|url|rpc|grpc|graphql|messaging|db|network|net|server|client|user_agent|error|exception|code|otel|telemetry"
    r"|thread|cloud|host|process|os|container|k8s|service|deployment|source|destination|connection|aws|gcp|azure"
    r"|request|response|reporter|upstream|downstream|span)([._].*)?$"
    r"|^(method|status|statuscode|route|path|uri|endpoint|handler|operation|verb|outcome|result|success|type|le"
    r"|quantile|__name__|scheme|resource|cluster|environment|env|region|zone|version|revision|team|owner|severity"
    r"|peer|target|prometheus|prometheus_replica|__replica__|alertname|alertstate|exported_.*|job|image|id|name|uid)$"
)
_STATUS = frozenset(
    (
        *("http.response.status_code", "http.status_code", "status_code", "code", "status", "http_status", "http_code"),
        *("statuscode", "response_code", "http_response_status_code", "http_status_code"),
    )
)
_GRPC = frozenset(
    ("rpc.grpc.status_code", "grpc_code", "grpc_status", "rpc_grpc_status_code", "rpc.response.status_code")
)
# gRPC's codes of failures of the server or the way to it; the others are the client's, or mean success.
_GRPC_FAILED = re.compile(
    r"^(unknown|deadline_?exceeded|resource_?exhausted|internal|unavailable|data_?loss|unimplemented|2|4|8|12|13|14|15)$",
    re.IGNORECASE,
)
_OUTCOME = frozenset(("outcome", "result", "success", "status", "otel.status_code", "status.code", "otel_status_code"))
_FAILED = re.compile(
    r"^(error|err|fail(ed|ure)?|false|server_error|exception|timeout|status_code_error)$", re.IGNORECASE
)
_PEERS = (
    *(
        "peer.service",
        "peer_service",
        "destination_service_name",
        "destination_workload",
        "destination_canonical_service",
    ),
    *("messaging.destination.name", "messaging_destination_name", "server.address", "server_address", "net.peer.name"),
    *("net_peer_name", "db.namespace", "db_namespace", "db.system.name", "db.system", "db_system", "upstream", "peer"),
)
_CLIENT = re.compile(r"(^|[._])(client|producer|outgoing|egress|upstream)([._]|$)")
_SERVICE_GRAPH = re.compile(r"^traces[._]service[._]graph[._]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimensions:
    """What labels say beyond whose they are: ``labels`` that stay apart as ``name=value,…``, peer, failure."""

    labels: str
    peer: str
    failed: bool


def read_dimensions(metric: str, labels: Mapping[str, str]) -> Dimensions:
    """The dimensions of a series with these labels."""
    kept = [f"{name}={labels[name][:120]}" for name in sorted(labels) if labels[name] and not is_request_label(name)]
    return Dimensions(labels=",".join(kept), peer=_peer(metric, labels), failed=_failed(labels))


@lru_cache(maxsize=16_384)
def is_request_label(name: str) -> bool:
    """Whether a label tells requests (or senders) apart, not parts of the component."""
    return name in IDENTITY or bool(_REQUEST.match(name))


def graph_edge(metric: str, labels: Mapping[str, str]) -> tuple[str, str] | None:
    """Caller and callee of a metric about calls between two components (service graphs, a mesh); else None."""
    if _SERVICE_GRAPH.match(metric):
        caller, callee = labels.get("client", ""), labels.get("server", "")
    elif metric.startswith("istio_"):
        caller = labels.get("source_canonical_service") or labels.get("source_workload", "")
        callee = labels.get("destination_canonical_service") or labels.get("destination_workload", "")
    else:
        return None
    return (caller, callee) if caller and callee and "unknown" not in (caller, callee) and caller != callee else None


def _peer(metric: str, labels: Mapping[str, str]) -> str:
    if not _is_client(metric):
        return ""
    found = [peer_name(labels[name]) for name in _PEERS if labels.get(name)]
    return next((name for name in found if not is_bare_address(name)), found[0] if found else "")


@lru_cache(maxsize=16_384)
def _is_client(metric: str) -> bool:
    return bool(_CLIENT.search(metric))


def _failed(labels: Mapping[str, str]) -> bool:
    if labels.get("error.type") or labels.get("error_type"):
        return True
    for name, value in labels.items():
        if name in _STATUS and len(value) == 3 and value[0] == "5" and (value.isdigit() or value.endswith("xx")):
            return True
        if name in _GRPC and _GRPC_FAILED.match(value):
            return True
        if name in _OUTCOME and _FAILED.match(value):
            return name != "success" or value.lower() == "false"
        if name == "error" and value.lower() == "true":
            return True
    return False
