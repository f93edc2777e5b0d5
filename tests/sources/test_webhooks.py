"""Alerts and changes of other systems: what each of their bodies means."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rca.errors import SourceError
from rca.kinds import load_kinds
from rca.sources.alertmanager import decode_alertmanager
from rca.sources.argocd import decode_argocd
from rca.sources.cloudevents import decode_cloudevents, parse_cloudevents
from rca.sources.errors import SignatureError, UnsupportedError
from rca.sources.generic_json import decode_generic
from rca.sources.github import decode_github
from rca.sources.grafana import decode_grafana
from rca.sources.kubernetes import _CHANGES, _FAILURES, decode_kubernetes
from rca.sources.naming import Naming
from rca.sources.pagerduty import decode_pagerduty
from rca.sources.received import Received
from rca.sources.registry import PUSH_SOURCES
from rca.sources.signatures import sign
from rca.types import to_nanoseconds

AT = "2026-01-31T12:00:00Z"
NOW = to_nanoseconds("2026-02-01T00:00:00Z")
SECRET = b"secret"


def encoded(document: Any) -> bytes:
    return json.dumps(document).encode()


def alert(**facts: Any) -> dict[str, Any]:
    labels = {"alertname": "HighLatency", "service": "cart", **facts.pop("labels", {})}
    return {"status": "firing", "labels": labels, "startsAt": AT, "endsAt": "0001-01-01T00:00:00Z", **facts}


def hook(*alerts: dict[str, Any], **facts: Any) -> bytes:
    return encoded({"version": "4", "groupKey": "{}:{}", "alerts": list(alerts), "truncatedAlerts": 0, **facts})


# Alertmanager and Grafana


def test_the_same_group_sent_again_has_the_same_ids_and_a_later_firing_another() -> None:
    first, again = (decode_alertmanager(hook(alert(fingerprint="f"))).alerts[0] for _ in range(2))
    later = decode_alertmanager(hook(alert(fingerprint="f", startsAt="2026-01-31T13:00:00Z"))).alerts[0]
    assert first.id == again.id
    assert (first.id == later.id, first.key == later.key) == (False, True)


def test_a_group_may_mix_firing_and_resolved_alerts_and_leave_some_out() -> None:
    resolved = alert(status="resolved", endsAt="2026-01-31T12:05:00Z", labels={"service": "pay"})
    received = decode_alertmanager(hook(alert(), resolved, truncatedAlerts=7))
    assert [(one.status, one.alert.component) for one in received.alerts] == [("firing", "cart"), ("resolved", "pay")]
    assert received.warnings == ("7 alerts of the group were not sent (max_alerts)",)


def test_an_alert_that_cannot_be_read_is_rejected_and_the_others_are_taken() -> None:
    received = decode_alertmanager(hook(alert(), alert(startsAt="yesterday"), {"labels": {}}))
    assert (len(received.alerts), received.rejected) == (1, 2)
    assert "'yesterday'" in received.problem
    with pytest.raises(SourceError, match="yesterday"):
        decode_alertmanager(hook(alert(startsAt="yesterday")))


def test_unknown_keys_of_newer_versions_are_ignored_and_other_versions_are_refused() -> None:
    assert decode_alertmanager(hook(alert(routeLabels={"a": "b"}), notification_reason="new")).accepted == 1
    with pytest.raises(UnsupportedError):
        decode_alertmanager(hook(alert(), version="5"))


@pytest.mark.parametrize(
    ("labels", "component"),
    [
        ({"service": "cart", "job": "kube-state-metrics"}, "cart"),
        ({"service": "", "pod": "cart-7d9f8b6c5-x2k4q", "job": "kubelet"}, "cart"),
        ({"service": "kube-state-metrics", "deployment": "cart"}, "cart"),
        ({"service": "", "job": "cart"}, "cart"),
        ({"service": "", "instance": "10.0.0.7:9100"}, "10.0.0.7"),
        ({"service": "cart", "service_name": "frontend"}, "frontend"),
    ],
)
def test_an_alert_is_about_the_component_that_its_labels_name(labels: dict[str, str], component: str) -> None:
    assert decode_alertmanager(hook(alert(labels=labels))).alerts[0].alert.component == component


def test_components_can_be_named_by_other_labels_and_within_namespaces() -> None:
    told = hook(alert(labels={"workload_name": "basket", "namespace": "shop"}))
    assert decode_alertmanager(told, naming=Naming(labels=("workload_name",))).alerts[0].alert.component == "basket"
    assert decode_alertmanager(told, naming=Naming(namespaces=True)).alerts[0].alert.component == "shop/cart"


@pytest.mark.parametrize(("kind", "read"), [("latency.up", "latency.up"), ("nonsense", "alert.firing")])
def test_a_label_may_name_the_kind_of_the_catalogue(kind: str, read: str) -> None:
    assert decode_alertmanager(hook(alert(labels={"rca_kind": kind}))).alerts[0].alert.kind == read


def test_only_firing_and_what_was_resolved_reach_the_engine_once() -> None:
    firing = decode_alertmanager(hook(alert(fingerprint="f")))
    ended = decode_alertmanager(hook(alert(fingerprint="f", status="resolved", endsAt="2026-01-31T12:05:00Z")))
    for parts in ([firing, firing, ended], [ended, firing]):
        alerts = Received.merge(parts).telemetry().alerts
        assert [one.end for one in alerts] == [to_nanoseconds("2026-01-31T12:05:00Z")]


def test_grafana_tells_the_same_with_its_links_and_may_sign() -> None:
    body = hook(
        alert(dashboardURL="https://g.example/d/1", panelURL="", valueString="[ value=3 ]"),
        version="1",
        state="alerting",
    )
    notice = decode_grafana(body).alerts[0]
    assert notice.links == {"dashboard": "https://g.example/d/1"}
    assert notice.alert.text == "[ value=3 ]"
    assert notice.key != decode_alertmanager(hook(alert())).alerts[0].key
    signed = {"X-Grafana-Alerting-Signature": sign(SECRET, body)}
    assert decode_grafana(body, headers=signed, secrets=[SECRET]).alerts == (notice,)
    with pytest.raises(SignatureError):
        decode_grafana(body, secrets=[SECRET])


# PagerDuty and GitHub


def pagerduty(kind: str, **data: Any) -> Received:
    facts = {"id": "P1", "title": "cart is slow", "created_at": AT, "service": {"id": "S", "summary": "cart"}, **data}
    body = encoded({"event": {"id": "e", "event_type": kind, "occurred_at": "2026-01-31T12:30:00Z", "data": facts}})
    return decode_pagerduty(body, headers={"X-PagerDuty-Signature": f"v1={sign(SECRET, body)}"}, secrets=[SECRET])


@pytest.mark.parametrize(
    ("kind", "status", "start"),
    [
        ("incident.triggered", "firing", "12:00"),
        ("incident.reopened", "firing", "12:30"),
        ("incident.resolved", "resolved", "12:00"),
        ("incident.acknowledged", None, ""),
        ("pagey.ping", None, ""),
        ("service.updated", None, ""),
    ],
)
def test_an_incident_begins_and_ends_and_everything_else_is_ignored(kind: str, status: str | None, start: str) -> None:
    received = pagerduty(kind)
    assert [(one.status, one.alert.time) for one in received.alerts] == (
        [] if status is None else [(status, to_nanoseconds(f"2026-01-31T{start}:00Z"))]
    )
    assert received.ignored == (status is None)


@pytest.mark.parametrize(
    ("state", "task", "kind"),
    [
        ("success", "deploy", "change.deployment"),
        ("failure", "deploy", "change.deployment"),
        ("success", "rollback", "change.rollback"),
        ("inactive", "deploy", "change.rollback"),
        ("pending", "deploy", None),
        ("in_progress", "deploy", None),
    ],
)
def test_a_deployment_counts_when_it_is_over(state: str, task: str, kind: str | None) -> None:
    document = {
        "deployment_status": {"state": state, "id": 5, "created_at": AT},
        "deployment": {"id": 4, "sha": "abc", "ref": "v1.4.2", "task": task, "payload": {"service": "cart"}},
        "repository": {"full_name": "acme/shop"},
    }
    body = encoded(document)
    headers = {"X-GitHub-Event": "deployment_status", "X-Hub-Signature-256": f"sha256={sign(SECRET, body)}"}
    changes = decode_github(body, headers=headers, secrets=[SECRET]).changes
    assert [(one.component, one.kind, one.attributes["version"]) for one in changes] == (
        [] if kind is None else [("cart", kind, "v1.4.2")]
    )


def test_other_events_of_github_are_ignored() -> None:
    body = b'{"zen": "Keep it logically awesome."}'
    headers = {"X-GitHub-Event": "ping", "X-Hub-Signature-256": f"sha256={sign(SECRET, body)}"}
    assert decode_github(body, headers=headers, secrets=[SECRET]).ignored == 1


# Argo CD, CloudEvents and CDEvents


def test_a_sync_of_argo_is_a_deployment_once_it_is_over() -> None:
    told = {"app": "cart", "namespace": "shop", "revision": "abcdef0123456789", "phase": "Succeeded", "finishedAt": AT}
    change = decode_argocd(encoded(told)).changes[0]
    assert (change.component, change.kind, change.time) == ("cart", "change.deployment", to_nanoseconds(AT))
    assert change.name == "cart synced abcdef012345"
    assert decode_argocd(encoded(told)).changes[0].id == change.id
    assert decode_argocd(encoded({**told, "revision": "fedcba"})).changes[0].id != change.id
    assert decode_argocd(encoded({**told, "phase": "Running"})).ignored == 1
    assert decode_argocd(encoded({"app": "cart"}), now=lambda: NOW).changes[0].time == NOW


def cloudevent(kind: str, **facts: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": "a1", "source": "/argo/prod", "type": kind, "time": AT, **facts}


CDEVENT = {
    "context": {"version": "0.3.0", "id": "a1", "source": "/argo/prod", "timestamp": "2026-01-31T11:59:00Z"},
    "subject": {
        "id": "/service/cart",
        "content": {"environment": {"id": "prod"}, "artifactId": "pkg:oci/cart@1.4.2?tag=latest"},
    },
}


@pytest.mark.parametrize(
    ("kind", "read"),
    [
        ("dev.cdevents.service.deployed.0.3.0", "change.deployment"),
        ("dev.cdevents.service.upgraded.0.3.0", "change.deployment"),
        ("dev.cdevents.service.rolledback.0.1.1-draft", "change.rollback"),
        ("dev.cdevents.environment.modified.0.3.0", "change.infrastructure"),
        ("dev.cdevents.pipelinerun.started.0.3.0", None),
        ("dev.cdevents.incident.detected.0.3.0", None),
        ("com.example.something", None),
    ],
)
def test_cdevents_that_change_what_runs_are_changes(kind: str, read: str | None) -> None:
    body = encoded(cloudevent(kind, data=CDEVENT))
    received = decode_cloudevents(body, headers={"Content-Type": "application/cloudevents+json; charset=utf-8"})
    assert [one.kind for one in received.changes] == ([] if read is None else [read])
    assert received.ignored == (read is None)
    for change in received.changes:
        assert (change.component, change.time) == ("cart", to_nanoseconds("2026-01-31T11:59:00Z"))
        assert (change.attributes["version"], change.attributes["environment"]) == ("1.4.2", "prod")


def test_an_event_is_the_same_structured_binary_and_in_a_batch() -> None:
    event = cloudevent("dev.cdevents.service.deployed.0.3.0", data=CDEVENT)
    structured = decode_cloudevents(encoded(event), headers={"Content-Type": "application/cloudevents+json"})
    fields = {f"Ce-{name}": value for name, value in event.items() if name != "data"}
    binary = decode_cloudevents(encoded(CDEVENT), headers={"Content-Type": "application/json", **fields})
    batch = decode_cloudevents(encoded([event, event]), headers={"Content-Type": "application/cloudevents-batch+json"})
    assert structured.changes == binary.changes == batch.changes


def test_changes_and_alerts_of_our_own_come_as_cloudevents_too() -> None:
    headers = {"Content-Type": "application/cloudevents+json"}
    change = cloudevent("rca.change", data={"component": "cart", "kind": "flag", "name": "new checkout on"})
    told = decode_cloudevents(encoded(change), headers=headers).changes[0]
    assert (told.kind, told.time) == ("change.flag", to_nanoseconds(AT))
    page = cloudevent("rca.alert", data={"component": "cart", "name": "Slow"})
    assert decode_cloudevents(encoded(page), headers=headers).alerts[0].alert.time == to_nanoseconds(AT)


@pytest.mark.parametrize("missing", ["id", "source", "type", "specversion"])
def test_an_event_without_what_makes_it_one_is_refused(missing: str) -> None:
    event = {name: value for name, value in cloudevent("t").items() if name != missing}
    with pytest.raises(SourceError, match=f"no {missing}"):
        parse_cloudevents(encoded(event), headers={"Content-Type": "application/cloudevents+json"})


def test_data_may_be_base64() -> None:
    event = cloudevent("t", data_base64="eyJhIjogMX0=")
    assert parse_cloudevents(encoded(event), headers={"Content-Type": "application/cloudevents+json"})[0].data == {
        "a": 1
    }


# Kubernetes


def kubernetes_event(**facts: Any) -> dict[str, Any]:
    pod = {"kind": "Pod", "namespace": "shop", "name": "payment-7d9f8b6c5-x2k4q"}
    times = {"firstTimestamp": "2026-01-01T00:00:00+00:00", "lastTimestamp": "2026-01-01T00:01:00+00:00"}
    meta = {"name": "payment.17a", "namespace": "shop", "uid": "u"}
    return {
        "count": 3,
        "involvedObject": pod,
        "metadata": meta,
        "reason": "OOMKilling",
        "type": "Warning",
        **times,
        **facts,
    }


@pytest.mark.parametrize(
    ("reason", "message", "kind"),
    [
        ("OOMKilling", "Memory cgroup out of memory", "pod.oom"),
        ("BackOff", "Back-off restarting failed container", "pod.restart"),
        ("BackOff", 'Back-off pulling image "cart:9"', "pod.image_error"),
        ("Failed", "Failed to pull image", "pod.image_error"),
        ("Unhealthy", "Readiness probe failed", "health.failed"),
        ("Evicted", "The node was low on resource", "pod.evicted"),
        ("SomethingNew", "", "alert.firing"),
    ],
)
def test_warnings_are_alerts_of_their_kind(reason: str, message: str, kind: str) -> None:
    received = decode_kubernetes(encoded(kubernetes_event(reason=reason, message=message)))
    notice = received.alerts[0]
    assert (notice.alert.component, notice.alert.kind) == ("payment", kind)
    assert notice.alert.time == to_nanoseconds("2026-01-01T00:00:00Z")
    assert notice.alert.end == to_nanoseconds("2026-01-01T00:01:00Z")
    assert received.topology.replica_of == {"payment-7d9f8b6c5-x2k4q": "payment"}


def test_both_interfaces_lists_and_watches_tell_the_same() -> None:
    core = kubernetes_event()
    renamed = {
        "regarding": core["involvedObject"],
        "metadata": core["metadata"],
        "reason": core["reason"],
        "type": core["type"],
        "note": core.get("message"),
        "deprecatedCount": 3,
        "deprecatedFirstTimestamp": core["firstTimestamp"],
        "deprecatedLastTimestamp": core["lastTimestamp"],
        "firstTimestamp": None,
        "eventTime": None,
    }
    forms = [core, renamed, {"kind": "List", "items": [core]}, [core, core], {"type": "ADDED", "object": core}]
    told = [decode_kubernetes(encoded(form)).alerts for form in forms]
    assert all(alerts == told[0] for alerts in told)
    assert len(told[0]) == 1


def test_an_event_that_happened_again_is_another_notice_of_the_same_alert() -> None:
    first = decode_kubernetes(encoded(kubernetes_event())).alerts[0]
    again = decode_kubernetes(encoded(kubernetes_event(count=4, lastTimestamp="2026-01-01T00:02:00Z"))).alerts[0]
    assert (first.id == again.id, first.key == again.key) == (False, True)


def test_scalings_are_changes_and_what_is_normal_is_ignored() -> None:
    deployment = {"kind": "Deployment", "name": "payment", "namespace": "shop"}
    scaled = kubernetes_event(
        reason="ScalingReplicaSet",
        type="Normal",
        involvedObject=deployment,
        message="Scaled up replica set payment-7d9 to 3",
    )
    assert [(one.component, one.kind) for one in decode_kubernetes(encoded(scaled)).changes] == [
        ("payment", "change.scaling")
    ]
    assert decode_kubernetes(encoded(kubernetes_event(reason="Pulled", type="Normal"))).ignored == 1


def test_what_happens_to_a_node_is_about_the_host() -> None:
    node = kubernetes_event(reason="NodeNotReady", involvedObject={"kind": "Node", "name": "node-1"})
    told = decode_kubernetes(encoded(node)).alerts[0].alert
    assert (told.component, told.kind) == ("node-1", "host.down")


def test_every_kind_that_kubernetes_reasons_become_is_in_the_catalogue() -> None:
    assert {kind for kind, _ in _FAILURES.values()} | set(_CHANGES.values()) <= set(load_kinds())


# Our own form


def test_changes_need_a_kind_and_get_what_else_they_lack() -> None:
    told = {"component": "cart", "kind": "deployment", "name": "cart 1.4.2"}
    received = decode_generic(encoded(told), now=lambda: NOW)
    change = received.changes[0]
    assert (change.kind, change.time) == ("change.deployment", NOW)
    assert decode_generic(encoded([told, told]), now=lambda: NOW).changes == (change,)


def test_changes_and_alerts_come_in_one_body() -> None:
    body = {
        "changes": [{"component": "cart", "kind": "config", "time": AT, "id": "c1", "attributes": {"author": "ada"}}],
        "alerts": [
            {"component": "cart", "name": "Slow", "time": AT, "severity": 0.9},
            {"component": "cart", "name": "Slow", "time": AT, "end": "2026-01-31T12:05:00Z", "status": "resolved"},
        ],
    }
    received = decode_generic(encoded(body))
    assert [one.id for one in received.changes] == ["c1"]
    firing, resolved = received.alerts
    assert (firing.key == resolved.key, firing.id == resolved.id) == (True, False)
    assert len(received.telemetry().alerts) == 1


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"component": "cart"}, "no kind"),
        ({"component": "cart", "kind": "magic"}, "'magic' is unknown"),
        ({"component": "cart", "kind": "latency.up"}, "'latency.up' is unknown"),
        ({"component": "cart", "kind": "config", "colour": "red"}, "unknown column 'colour'"),
        ({"component": "cart", "kind": "config", "time": "12:00"}, "no time"),
        ({"component": "cart", "kind": "config", "id": 7}, "no text"),
        ({"component": "cart", "name": "Slow", "status": "bad"}, "'bad'"),
        ({"component": "cart", "name": "Slow", "severity": 7}, "outside"),
        (5, "no object"),
        ([1], "no object"),
    ],
)
def test_what_is_wrong_with_a_change_is_said(document: Any, problem: str) -> None:
    with pytest.raises(SourceError) as refused:
        decode_generic(encoded(document))
    assert problem in str(refused.value)


def test_each_sender_is_answered_so_that_it_comes_again() -> None:
    # Alertmanager drops a notification after 429, OTLP exporters give up after 500.
    assert PUSH_SOURCES["alertmanager"].overloaded == 503
    assert all(source.overloaded in (429, 503) for source in PUSH_SOURCES.values())
    assert all(200 <= source.accepted < 300 for source in PUSH_SOURCES.values())
    assert len({source.path for source in PUSH_SOURCES.values()}) == len(PUSH_SOURCES)
