"""A node may read what its own pods need, and nothing that is another node's."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.auth.attributes import Attributes
from apiserver.auth.node import NodeAuthorizer
from apiserver.auth.node_graph import NodeGraph
from apiserver.resources.strategy import User

NODE = User("system:node:m", groups=("system:nodes", "system:authenticated"))
OTHER = User("system:node:o", groups=("system:nodes", "system:authenticated"))
UNRELATED = "no relationship found between node 'm' and this object"
RULES = [{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["services"]}]

POD: dict[str, Any] = {
    "metadata": {"namespace": "n", "name": "p"},
    "spec": {
        "nodeName": "m",
        "serviceAccountName": "s",
        "imagePullSecrets": [{"name": "pull"}],
        "containers": [
            {
                "env": [
                    {"name": "A", "valueFrom": {"secretKeyRef": {"name": "env", "key": "k"}}},
                    {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "env", "key": "k"}}},
                ],
                "envFrom": [{"secretRef": {"name": "from"}}, {"configMapRef": {"name": "from"}}],
            }
        ],
        "volumes": [
            {"name": "a", "secret": {"secretName": "vol"}},
            {"name": "b", "configMap": {"name": "vol"}},
            {"name": "c", "projected": {"sources": [{"secret": {"name": "proj"}}, {"configMap": {"name": "proj"}}]}},
            {"name": "d", "csi": {"driver": "x", "nodePublishSecretRef": {"name": "csi"}}},
            {"name": "e", "persistentVolumeClaim": {"claimName": "claim"}},
            {"name": "f", "ephemeral": {}},
        ],
        "resourceClaims": [{"name": "r", "resourceClaimName": "device"}],
    },
}
VOLUME = {
    "metadata": {"name": "pv"},
    "spec": {
        "claimRef": {"namespace": "n", "name": "claim"},
        "csi": {"driver": "x", "nodeStageSecretRef": {"name": "stage", "namespace": "storage"}},
    },
}


@pytest.fixture
def graph() -> NodeGraph:
    made = NodeGraph()
    made.put("pods", POD)
    made.put("persistentvolumes", VOLUME)
    return made


def get(resource: str, name: str, namespace: str = "n", group: str = "") -> tuple[str, str, str, str]:
    return resource, name, namespace, group


READABLE = [
    *(get("secrets", name) for name in ("pull", "env", "from", "vol", "proj", "csi")),
    *(get("configmaps", name) for name in ("env", "from", "vol", "proj")),
    get("persistentvolumeclaims", "claim"),
    get("persistentvolumeclaims", "p-f"),
    get("persistentvolumes", "pv", ""),
    get("secrets", "stage", "storage"),
    get("serviceaccounts", "s"),
    get("pods", "p"),
    get("resourceclaims", "device", group="resource.k8s.io"),
]


@pytest.mark.parametrize(("resource", "name", "namespace", "group"), READABLE)
def test_a_node_reads_what_its_pods_name(
    graph: NodeGraph, resource: str, name: str, namespace: str, group: str
) -> None:
    authorizer = NodeAuthorizer(graph, RULES)
    asked = Attributes(NODE, "get", group, "v1", resource, "", namespace, name)
    assert authorizer.authorize(asked).allowed
    assert not authorizer.authorize(asked._replace(user=OTHER)).allowed
    assert authorizer.authorize(asked._replace(name="else")).reason == UNRELATED
    graph.remove("pods", "n", "p")
    assert authorizer.authorize(asked).reason == UNRELATED


REASONS = [
    ({"verb": "list", "resource": "secrets", "namespace": "n"}, "No Object name found"),
    ({"verb": "list", "resource": "secrets"}, "can only read namespaced object of this type"),
    ({"verb": "create", "resource": "configmaps", "namespace": "n"}, "can only read resources of this type"),
    ({"verb": "get", "resource": "nodes", "name": "o"}, "node 'm' cannot read 'o', only its own Node object"),
    ({"verb": "list", "resource": "nodes"}, "node 'm' cannot read all nodes, only its own Node object"),
    ({"verb": "list", "resource": "pods"}, "can only list/watch pods with spec.nodeName field selector"),
    (
        {"verb": "list", "resource": "pods", "field_selector": "spec.nodeName=o"},
        "can only list/watch pods with spec.nodeName field selector",
    ),
    (
        {"verb": "get", "group": "coordination.k8s.io", "resource": "leases", "namespace": "n", "name": "m"},
        'can only access leases in the "kube-node-lease" system namespace',
    ),
    (
        {"verb": "update", "group": "storage.k8s.io", "resource": "csinodes", "name": "o"},
        "can only access CSINode with the same name as the requesting node",
    ),
    (
        {"verb": "create", "resource": "serviceaccounts", "subresource": "token", "namespace": "n", "name": "else"},
        UNRELATED,
    ),
    ({"verb": "delete", "resource": "services", "namespace": "n"}, ""),
]


@pytest.mark.parametrize(("asked", "reason"), REASONS)
def test_refusals_say_why(graph: NodeGraph, asked: dict[str, Any], reason: str) -> None:
    decision = NodeAuthorizer(graph, RULES).authorize(Attributes(NODE, **asked))
    assert (decision.allowed, decision.reason) == (False, reason)


ALLOWED = [
    {"verb": "get", "resource": "nodes", "name": "m"},
    {"verb": "watch", "resource": "nodes", "name": "m"},
    {"verb": "create", "resource": "nodes"},
    {"verb": "patch", "resource": "nodes", "subresource": "status", "name": "m"},
    {"verb": "list", "resource": "pods", "field_selector": "spec.nodeName=m"},
    {"verb": "update", "resource": "pods", "subresource": "status", "namespace": "n", "name": "p"},
    {"verb": "create", "resource": "serviceaccounts", "subresource": "token", "namespace": "n", "name": "s"},
    {
        "verb": "update",
        "group": "coordination.k8s.io",
        "resource": "leases",
        "namespace": "kube-node-lease",
        "name": "m",
    },
    {"verb": "list", "resource": "services"},
]


@pytest.mark.parametrize("asked", ALLOWED)
def test_nodes_do_their_work(graph: NodeGraph, asked: dict[str, Any]) -> None:
    assert NodeAuthorizer(graph, RULES).authorize(Attributes(NODE, **asked)).allowed


def test_others_and_nameless_nodes_are_not_nodes(graph: NodeGraph) -> None:
    authorizer = NodeAuthorizer(graph, RULES)
    stranger = User("system:node:m", groups=("system:authenticated",))
    assert authorizer.authorize(Attributes(stranger, "list", resource="services")) == (False, "")
    nameless = User("system:node:", groups=("system:nodes",))
    reason = authorizer.authorize(Attributes(nameless, "list", resource="services")).reason
    assert reason == 'unknown node for user "system:node:"'
    assert authorizer.rules(NODE, "n").incomplete and not authorizer.rules(stranger, "n").incomplete


def test_a_mirror_pod_gives_no_right_to_what_it_names(graph: NodeGraph) -> None:
    graph.remove("pods", "n", "p")
    mirror = {**POD, "metadata": {**POD["metadata"], "annotations": {"kubernetes.io/config.mirror": "x"}}}
    graph.put("pods", mirror)
    authorizer = NodeAuthorizer(graph, RULES)
    assert authorizer.authorize(Attributes(NODE, "get", resource="pods", namespace="n", name="p")).allowed
    assert not authorizer.authorize(Attributes(NODE, "get", resource="secrets", namespace="n", name="vol")).allowed


def test_a_released_volume_is_no_longer_readable(graph: NodeGraph) -> None:
    graph.put("persistentvolumes", {"metadata": {"name": "pv"}, "spec": {}})
    authorizer = NodeAuthorizer(graph, RULES)
    assert not authorizer.authorize(Attributes(NODE, "get", resource="persistentvolumes", name="pv")).allowed
