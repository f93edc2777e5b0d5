"""Topologies from what other tools print: Kubernetes objects, lineage, our own export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rca.errors import TopologyError
from rca.knowledge import Knowledge
from rca.knowledge.inventories import read_inventory
from rca.knowledge.kubernetes import read_kubernetes
from rca.knowledge.lineage import read_dbt, read_openlineage
from rca.knowledge.memory import MemoryStore
from rca.knowledge.picture import picture_of_topology, to_json
from rca.sources.naming import Naming
from rca.topology import Topology


def kubernetes_object(kind: str, name: str, **more: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": more.pop("namespace", "shop"), **more.pop("meta", {})}
    return {"apiVersion": "v1", "kind": kind, "metadata": meta, **more}


def pod(name: str, owner: str, *, node: str = "node-1", phase: str = "Running", **labels: str) -> dict[str, Any]:
    kind, _, of = owner.partition("/")
    meta = {"labels": labels, "ownerReferences": [{"apiVersion": "apps/v1", "kind": kind, "name": of}]}
    return kubernetes_object("Pod", name, meta=meta, spec={"nodeName": node}, status={"phase": phase})


INGRESS = {
    "defaultBackend": {"service": {"name": "cart"}},
    "rules": [
        {"host": "a", "http": {"paths": [{"path": "/", "backend": {"service": {"name": "cart-svc", "port": {}}}}]}},
        {"host": "b"},
    ],
}
CLUSTER = [
    kubernetes_object("Node", "node-1", meta={"labels": {"topology.kubernetes.io/zone": "eu-1a"}}),
    pod("cart-7d9f8b6c5-x2k4q", "ReplicaSet/cart-7d9f8b6c5", app="cart", team="basket"),
    pod("cart-7d9f8b6c5-b9b9b", "ReplicaSet/cart-7d9f8b6c5", node="node-2", app="cart"),
    pod("db-0", "StatefulSet/db", **{"app.kubernetes.io/component": "database"}),
    pod("migrate-x2k4q", "Job/migrate", phase="Succeeded"),
    kubernetes_object("Service", "cart-svc", spec={"selector": {"app": "cart"}}),
    kubernetes_object("Service", "cart", spec={"selector": {"app": "cart"}}),
    kubernetes_object("Service", "elsewhere", spec={"selector": {"app": "cart"}}, namespace="other"),
    kubernetes_object("Service", "external", spec={"type": "ExternalName"}),
    kubernetes_object("Ingress", "front", spec=INGRESS),
    kubernetes_object("ConfigMap", "settings", data={"a": "b"}),
]


def edges(topology: Topology) -> set[tuple[str, str]]:
    names = topology.components
    return {(names[a], names[b]) for a, b in zip(topology.caller, topology.callee, strict=True)}


def test_a_cluster_tells_replicas_hosts_zones_teams_and_what_stands_before_what() -> None:
    found = read_kubernetes({"items": CLUSTER}, where="x")
    assert edges(found) == {("cart-svc", "cart"), ("front", "cart"), ("front", "cart-svc")}
    assert found.replica_of == {
        "cart-7d9f8b6c5-x2k4q": "cart",
        "cart-7d9f8b6c5-b9b9b": "cart",
        "db-0": "db",
    }
    assert found.hosts == {"cart-7d9f8b6c5-x2k4q": "node-1", "cart-7d9f8b6c5-b9b9b": "node-2", "db-0": "node-1"}
    assert found.kinds == {"db": "database", "node-1": "host"}
    assert found.attributes == {"cart": {"team": "basket"}, "node-1": {"zone": "eu-1a"}}
    assert "migrate" not in found.components


def test_namespaces_become_part_of_names_where_telemetry_has_them() -> None:
    found = read_kubernetes({"items": CLUSTER}, where="x", naming=Naming(namespaces=True))
    assert ("shop/cart-svc", "shop/cart") in edges(found)
    assert found.service("db-0") == "shop/db"


@pytest.mark.parametrize(
    "document",
    [
        {"items": []},
        {"items": [kubernetes_object("ConfigMap", "x")]},
        {"items": [kubernetes_object("Pod", "")]},
        {"items": [{"kind": "Pod", "metadata": {"name": 3}}]},
        {"items": [kubernetes_object("Service", "x", spec={"selector": {"app": ["cart"]}})]},
        {"items": [kubernetes_object("Ingress", "x", spec={"rules": 3})]},
    ],
)
def test_malformed_objects_are_refused_with_their_place(document: dict[str, Any]) -> None:
    with pytest.raises(TopologyError) as told:
        read_kubernetes(document, where="x")
    assert told.value.remedy


EVENTS = [
    {
        "eventTime": "2026-01-01T00:00:00Z",
        "eventType": kind,
        "run": {"runId": "3b452093-782c-4ef2-9c0c-aafe2aa6f34d"},
        "job": {"namespace": "airflow", "name": "orders.load"},
        "inputs": [{"namespace": "postgres://db", "name": "public.orders", "facets": {}}],
        "outputs": [{"namespace": "s3://lake", "name": "orders"}],
        "producer": "https://example.org",
    }
    for kind in ("START", "COMPLETE")
]


def test_lineage_events_lead_from_a_dataset_over_its_job_to_what_that_reads() -> None:
    static = {"eventTime": "2026-01-01T00:00:00Z", "dataset": {"namespace": "s3://lake", "name": "spare"}}
    found = read_openlineage([*EVENTS, static], where="x")
    job, read, written = "airflow/orders.load", "postgres://db/public.orders", "s3://lake/orders"
    assert edges(found) == {(job, read), (written, job)}
    assert found.weight.tolist() == [1.0, 1.0]
    assert found.kinds == {job: "job", read: "dataset", written: "dataset", "s3://lake/spare": "dataset"}
    with pytest.raises(TopologyError, match="name"):
        read_openlineage([{"eventTime": "x", "job": {"namespace": "a"}}], where="x")


MANIFEST = {
    "metadata": {"dbt_schema_version": "https://schemas.getdbt.com/dbt/manifest/v12.json"},
    "nodes": {
        "model.shop.orders": {
            "name": "orders",
            "resource_type": "model",
            "depends_on": {"macros": [], "nodes": ["source.shop.raw.orders", "seed.shop.countries"]},
        },
        "seed.shop.countries": {"name": "countries", "resource_type": "seed"},
        "test.shop.not_null": {
            "name": "not_null",
            "resource_type": "test",
            "depends_on": {"nodes": ["model.shop.orders"]},
        },
    },
    "sources": {"source.shop.raw.orders": {"name": "orders", "source_name": "raw", "resource_type": "source"}},
    "exposures": {
        "exposure.shop.forecast": {
            "name": "forecast",
            "resource_type": "exposure",
            "type": "ml",
            "owner": {"name": None, "email": "data@example.org"},
            "depends_on": {"nodes": ["model.shop.orders"]},
        }
    },
}


def test_a_dbt_project_leads_from_exposures_over_models_to_sources() -> None:
    found = read_dbt(MANIFEST, where="x")
    assert edges(found) == {("forecast", "orders"), ("orders", "raw.orders"), ("orders", "countries")}
    assert found.kinds == {"orders": "table", "countries": "table", "raw.orders": "dataset", "forecast": "model"}
    assert found.attributes == {"forecast": {"owner": "data@example.org"}}
    with pytest.raises(TopologyError):
        read_dbt({"nodes": []}, where="x")


def test_what_a_file_is_shows_in_it(tmp_path: Path) -> None:
    known = Knowledge(MemoryStore())
    shop = Topology.from_edges(
        [("web'`", "cart", 3.0)],
        components=["cart-1"],
        kinds={"cart": "service", "cart-1": "service", "web'`": "service"},
        hosts={"cart": "n"},
        replica_of={"cart-1": "cart"},
        attributes={"cart": {"team": "basket", "id": "7"}},
    )
    known.record_topology(shop, source="yaml", at=1)
    files = {
        "a.json": (json.dumps({"apiVersion": "v1", "kind": "List", "items": CLUSTER}), "kubernetes"),
        "pod.json": (json.dumps(CLUSTER[1]), "kubernetes"),
        "b.json": (json.dumps(EVENTS), "lineage"),
        "b.jsonl": ("\n".join(json.dumps(event) for event in EVENTS), "lineage"),
        "c.json": (json.dumps(MANIFEST), "lineage"),
        "d.json": (to_json(picture_of_topology(known.topology_at(1))), "export"),
        "e.json": ('{"edges": [["a", "b"]]}', "yaml"),
        "f.csv": ("caller,callee\na,b\n", "yaml"),
    }
    for name, (text, source) in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        assert read_inventory(tmp_path / name)[1] == source, name
    back = read_inventory(tmp_path / "d.json")[0]
    assert (back.components, edges(back), back.weight.tolist()) == (shop.components, edges(shop), [3.0])
    assert (back.kinds, back.hosts, back.replica_of, back.attributes) == (
        shop.kinds,
        shop.hosts,
        shop.replica_of,
        shop.attributes,
    )


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    text=st.one_of(
        st.sampled_from(
            [
                '{"schema": "rca.graph/1", "form": "causality", "nodes": [], "edges": []}',
                '{"schema": "rca.graph/1", "form": "topology", "nodes": 3, "edges": []}',
                '{"schema": "rca.graph/1", "form": "topology", "nodes": [], "edges": [{"source": "a", "target": "b"}]}',
                '{"apiVersion": 1, "kind": "List"}',
                '[{"eventTime": 1, "job": {}}]',
                '{"metadata": {"dbt_schema_version": 1}, "nodes": {"a": 3}}',
                "[" * 100_000,
            ]
        ),
        st.text(max_size=60),
        st.recursive(
            st.none() | st.text(max_size=5) | st.integers(),
            lambda each: (
                st.lists(each)
                | st.dictionaries(
                    st.sampled_from(["kind", "apiVersion", "items", "metadata", "job", "eventTime", "nodes", "schema"]),
                    each,
                )
            ),
            max_leaves=8,
        ).map(json.dumps),
    ),
    suffix=st.sampled_from([".json", ".jsonl"]),
)
def test_whatever_a_file_holds_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, text: str, suffix: str
) -> None:
    path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    path.write_text(text, encoding="utf-8", errors="replace")
    try:
        found, _ = read_inventory(path)
    except TopologyError:
        return
    assert isinstance(found, Topology)
