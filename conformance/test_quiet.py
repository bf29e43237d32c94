"""An idle cluster writes nothing but that it lives; a namespace full of everything ends in seconds."""

from __future__ import annotations

import re
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from conformance.api import Api
from conformance.kubelets import LABEL, make_node
from conformance.processes import eventually
from conformance.wire import Wire

NODES, PODS_PER_NODE = 100, 10
SETTLE_S = 60.0
WINDOW_S = 10.0
WRITES = ("POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION")
QUIET = {("leases", ""), ("nodes", "status")}
"""Leases and heartbeats."""
ASKING = {"tokenreviews", "subjectaccessreviews", "selfsubjectaccessreviews"}
"""What is posted and changes nothing."""
COUNT = re.compile(r"^apiserver_request_total\{(.*)\} ([0-9.e+]+)$", re.M)
LABELS = re.compile(r'(\w+)="([^"]*)"')


@pytest.fixture
def crowd(wire: Wire, api: Api) -> Iterator[None]:
    """A hundred nodes, and a thousand pods that run on them."""
    label = f"quiet-{uuid.uuid4().hex[:6]}"
    names = [f"{label}-{number}" for number in range(NODES)]
    for name in names:
        make_node(wire, name, label)
    replica_set = _replica_set(label)
    api.create("apps/v1/deployments", replica_set)
    api.create("v1/services", {"metadata": {"name": "crowd"}, "spec": {"selector": {"app": "crowd"}, "ports": [_PORT]}})
    try:
        _run_all(api)
        yield
    finally:
        api.delete("apps/v1/deployments", "crowd", propagationPolicy="Background")
        api.request("DELETE", api.path("v1/pods") + "?gracePeriodSeconds=0")
        for name in names:
            wire.request("DELETE", f"/api/v1/nodes/{name}")


_PORT = {"port": 80}


def _replica_set(label: str) -> dict[str, Any]:
    spec = {
        "containers": [{"name": "main", "image": "i"}],
        "nodeSelector": {LABEL: label},
        "automountServiceAccountToken": False,
    }
    template = {"metadata": {"labels": {"app": "crowd"}}, "spec": spec}
    selector = {"matchLabels": {"app": "crowd"}}
    replicas = NODES * PODS_PER_NODE
    return {"metadata": {"name": "crowd"}, "spec": {"replicas": replicas, "selector": selector, "template": template}}


def _run_all(api: Api) -> None:
    """Be the kubelet once: every pod, as soon as it has a node, runs and is ready."""
    running: set[str] = set()
    ready = [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]

    def all_run() -> bool:
        for pod in api.list("v1/pods"):
            name = pod["metadata"]["name"]
            if pod["spec"].get("nodeName") and name not in running:
                ip = f"10.98.{len(running) // 250}.{len(running) % 250 + 1}"
                conditions = [*pod["status"].get("conditions", ()), *ready]
                status = {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "conditions": conditions}
                api.patch("v1/pods", name, {"status": status}, "status")
                running.add(name)
        return api.status("apps/v1/deployments", "crowd").get("availableReplicas") == NODES * PODS_PER_NODE

    eventually(all_run, SETTLE_S)


def _writes(api: Api) -> Counter[str]:
    """How often each thing was written so far, by the API server's own count."""
    text = api.request("GET", "/metrics").body.decode()
    found: Counter[str] = Counter()
    for labels, count in COUNT.findall(text):
        row = dict(LABELS.findall(labels))
        if row["verb"] not in WRITES or (row["resource"], row["subresource"]) in QUIET or row["resource"] in ASKING:
            continue
        found[f"{row['verb']} {row['resource']}/{row['subresource']} {row['code']}"] += int(float(count))
    return found


@pytest.mark.usefixtures("crowd")
def test_an_idle_cluster_writes_nothing_but_that_it_lives(api: Api) -> None:
    before = _writes(api)
    deadline = time.monotonic() + SETTLE_S

    def is_settled() -> bool:
        nonlocal before
        time.sleep(1.5)
        now = _writes(api)
        still = now == before
        before = now
        return still

    while not is_settled():
        assert time.monotonic() < deadline, "it does not settle"
    time.sleep(WINDOW_S)
    assert _writes(api) - before == Counter()


# A namespace with a thousand objects of all kinds


KINDS = (
    *("v1/configmaps", "v1/secrets", "v1/services", "v1/serviceaccounts", "v1/persistentvolumeclaims"),
    *("v1/limitranges", "v1/resourcequotas", "v1/endpoints", "v1/pods", "v1/podtemplates"),
    *("v1/replicationcontrollers", "v1/events", "apps/v1/deployments", "apps/v1/replicasets"),
    *("apps/v1/statefulsets", "apps/v1/daemonsets", "apps/v1/controllerrevisions", "batch/v1/jobs"),
    *("batch/v1/cronjobs", "autoscaling/v2/horizontalpodautoscalers", "policy/v1/poddisruptionbudgets"),
    *("networking.k8s.io/v1/ingresses", "networking.k8s.io/v1/networkpolicies", "coordination.k8s.io/v1/leases"),
    *("discovery.k8s.io/v1/endpointslices", "rbac.authorization.k8s.io/v1/roles"),
    *("rbac.authorization.k8s.io/v1/rolebindings", "storage.k8s.io/v1/csistoragecapacities"),
    *("resource.k8s.io/v1/resourceclaims", "resource.k8s.io/v1/resourceclaimtemplates"),
)
TOTAL = 1_000


def _object(resource: str, name: str, namespace: str) -> dict[str, Any]:
    selector = {"matchLabels": {"app": name}}
    pod = {"containers": [{"name": "c", "image": "i"}], "nodeSelector": {"example.com/none": "such"}}
    template = {"metadata": {"labels": {"app": name}}, "spec": pod}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    job = {"template": {"spec": {**pod, "restartPolicy": "Never"}}, "suspend": True}
    claims = {"devices": {"requests": [{"name": "a", "exactly": {"deviceClassName": "none"}}]}}
    storage = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": ""}
    workload = {"selector": selector, "template": template}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    fields: dict[str, dict[str, Any]] = {
        "services": {"spec": {"ports": [{"port": 80}]}},
        "persistentvolumeclaims": {"spec": storage},
        "limitranges": {"spec": {"limits": []}},
        "resourcequotas": {"spec": {"hard": {"pods": "9999"}}},
        "pods": {"spec": pod},
        "podtemplates": {"template": template},
        "replicationcontrollers": {"spec": {"replicas": 0, "selector": {"app": name}, "template": template}},
        "events": {"involvedObject": {"kind": "Pod", "name": name, "namespace": namespace}},
        "deployments": {"spec": {"replicas": 1, **workload}},
        "replicasets": {"spec": {"replicas": 1, **workload}},
        "statefulsets": {"spec": {"serviceName": name, **workload}},
        "daemonsets": {"spec": workload},
        "controllerrevisions": {"revision": 1, "data": {}},
        "jobs": {"spec": job},
        "cronjobs": {"spec": {"schedule": "@yearly", "jobTemplate": {"spec": job}}},
        "horizontalpodautoscalers": {"spec": {"scaleTargetRef": target, "maxReplicas": 1}},
        "poddisruptionbudgets": {"spec": {"selector": selector}},
        "ingresses": {"spec": {"defaultBackend": {"service": {"name": name, "port": {"number": 80}}}}},
        "networkpolicies": {"spec": {"podSelector": {}}},
        "endpointslices": {"addressType": "IPv4", "endpoints": []},
        "rolebindings": {"roleRef": role},
        "csistoragecapacities": {"storageClassName": "none"},
        "resourceclaims": {"spec": claims},
        "resourceclaimtemplates": {"spec": {"spec": claims}},
    }
    return {"metadata": {"name": name}, **fields.get(resource.rsplit("/", 1)[1], {})}


def _left(wire: Wire, namespace: str) -> dict[str, int]:
    """How many objects of each listable resource the namespace has."""
    groups = [group["versions"] for group in wire.request("GET", "/apis").object["groups"]]
    roots = ["/api/v1", *(f"/apis/{version['groupVersion']}" for versions in groups for version in versions)]
    found = {}
    for root in roots:
        for row in wire.request("GET", root).object["resources"]:
            if row["namespaced"] and "list" in row["verbs"]:
                items = wire.request("GET", f"{root}/namespaces/{namespace}/{row['name']}").object["items"]
                if items:
                    found[row["name"]] = len(items)
    return found


def test_a_namespace_full_of_everything_ends_in_seconds(wire: Wire, api: Api) -> None:
    name = f"full-{uuid.uuid4().hex[:6]}"
    api.create("v1/namespaces", {"metadata": {"name": name}})
    eventually(lambda: api.request("GET", f"/api/v1/namespaces/{name}/serviceaccounts/default").status == 200)
    inside = Api(wire, name)
    try:
        for number in range(TOTAL):
            resource = KINDS[number % len(KINDS)]
            inside.create(resource, _object(resource, f"o{number}", name))
        assert set(_left(wire, name)) >= {resource.rsplit("/", 1)[1] for resource in KINDS}
        began = time.monotonic()
        api.delete("v1/namespaces", name)
        eventually(lambda: api.find("v1/namespaces", name) is None, 60)
        assert time.monotonic() - began < 20, _left(wire, name)
        assert _left(wire, name) == {}
    finally:
        inside.close()
