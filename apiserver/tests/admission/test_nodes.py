"""Nodes as users, as hosts of pods, and what they are given when they are new."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from apiserver.resources.strategy import User
from openapi.meta.status import StatusError

Object = dict[str, Any]
Make = Callable[..., Object]
NODE = User("system:node:n", groups=("system:nodes",))


async def refusal(asked: Any) -> str:
    with pytest.raises(StatusError) as caught:
        await asked
    return caught.value.message


def node(name: str = "n", spec: Object | None = None, **labels: str) -> Object:
    return {"metadata": {"name": name, "labels": labels}, "spec": spec or {}}


def mirror(make_pod: Make, uid: str, **spec: Any) -> Object:
    pod = make_pod(nodeName="n", **spec)
    owner = {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": uid, "controller": True}
    pod["metadata"] |= {"annotations": {"kubernetes.io/config.mirror": "h"}, "ownerReferences": [owner]}
    return pod


async def test_a_new_node_is_tainted_as_not_ready(cluster: Any) -> None:
    taint = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
    assert (await cluster.create("nodes", node()))["spec"]["taints"] == [taint]
    assert (await cluster.create("nodes", node(spec={"taints": [taint]})))["spec"]["taints"] == [taint]


async def test_pods_carry_the_zone_of_their_node(cluster: Any) -> None:
    await cluster.put("nodes", {"metadata": {"name": "n", "labels": {"topology.kubernetes.io/zone": "z", "a": "b"}}})
    await cluster.namespace()
    binding = {"metadata": {"name": "a", "namespace": "ns"}, "target": {"kind": "Node", "name": "n"}}
    made = await cluster.create("pods", binding, subresource="binding")
    assert made["metadata"]["labels"] == {"topology.kubernetes.io/zone": "z"}


async def test_a_resized_pod_must_fit_its_node(cluster: Any, make_pod: Make) -> None:
    await cluster.namespace()
    meta = {"name": "n", "labels": {"kubernetes.io/os": "linux"}}
    await cluster.put("nodes", {"metadata": meta, "status": {"allocatable": {"cpu": "1", "memory": "1Gi"}}})

    def sized(generation: int, cpu: str, on: str = "n") -> Object:
        resources = {"requests": {"cpu": cpu, "memory": "2Gi"}}
        pod = make_pod(nodeName=on, containers=[{"name": "c", "resources": resources}])
        pod["metadata"]["generation"] = generation
        return pod

    assert await refusal(cluster.update("pods", sized(2, "2"), sized(1, "1"), subresource="resize")) == (
        'pods "a" is forbidden: Node didn\'t have enough allocatable resources: cpu, requested: 2000, allocatable: '
        "1000; memory, requested: 2147483648, allocatable: 1073741824"
    )
    gone = await refusal(cluster.update("pods", sized(2, "2", "x"), sized(1, "1", "x"), subresource="resize"))
    assert gone == 'pods "a" is forbidden: node "x" not found'


def resources(cpu: str) -> Object:
    return {"requests": {"cpu": cpu}}


@pytest.mark.parametrize(
    ("change", "feature"),
    [
        (lambda cpu: {"containers": [{"name": "c", "resources": resources(cpu)}]}, ""),
        (lambda cpu: {"containers": [{"name": "c", "image": cpu}]}, ""),
        (lambda cpu: {"resources": resources(cpu)}, "InPlacePodLevelResourcesVerticalScaling"),
        (lambda cpu: {"initContainers": [{"name": "i", "resources": resources(cpu)}]},
         "InPlacePodResizeNonSidecarInitContainers"),
        (lambda cpu: {"initContainers": [{"name": "i", "restartPolicy": "Always",
                                                       "resources": resources(cpu)}]}, ""),
    ],
)  # fmt: skip
async def test_a_bound_pod_changes_as_its_node_can_follow(
    cluster: Any, make_pod: Make, change: Callable[[str], Object], feature: str
) -> None:
    await cluster.namespace()
    features = [feature] if feature else []
    for name, declared in (("old", []), ("new", features)):
        status = {"allocatable": {"cpu": "9", "memory": "1Gi"}, "declaredFeatures": declared}
        await cluster.put(
            "nodes", {"metadata": {"name": name, "labels": {"kubernetes.io/os": "linux"}}, "status": status}
        )

    async def update(on: str) -> None:
        old, new = (make_pod(nodeName=on, **change(cpu)) for cpu in ("1", "2"))
        for generation, each in ((1, old), (2, new)):
            each["metadata"]["generation"] = generation
        await cluster.update("pods", new, old, subresource="resize")

    await update("new")
    if feature:
        why = f'pod update requires features {feature} which are not available on node "old"'
        assert await refusal(update("old")) == f'pods "a" is forbidden: {why}'
    else:
        await update("old")


async def test_a_node_changes_only_itself(cluster: Any) -> None:
    await cluster.update("nodes", node(), node(), user=NODE)
    assert await refusal(cluster.update("nodes", node("m"), node("m"), user=NODE)) == (
        'nodes "m" is forbidden: node "n" is not allowed to modify node "m"'
    )
    tainted = node(spec={"taints": [{"key": "k"}]})
    assert "is not allowed to modify taints" in await refusal(cluster.update("nodes", tainted, node(), user=NODE))


@pytest.mark.parametrize(
    ("label", "allowed"),
    [
        ("kubernetes.io/hostname", True),
        ("node.kubernetes.io/x", True),
        ("example.com/x", True),
        ("kubernetes.io/x", False),
        ("node-restriction.kubernetes.io/x", False),
        ("x.node-restriction.kubernetes.io/x", False),
    ],
)
async def test_a_node_sets_only_labels_of_nodes(cluster: Any, label: str, allowed: bool) -> None:
    new = {"metadata": {"name": "n", "labels": {label: "v"}}}
    if allowed:
        await cluster.create("nodes", new, user=NODE)
    else:
        said = await refusal(cluster.create("nodes", new, user=NODE))
        assert said.endswith(f'node "n" is not allowed to set the following labels: {label}')


async def test_a_node_makes_only_mirror_pods_of_its_own(cluster: Any, make_pod: Make) -> None:
    await cluster.namespace()
    entry = await cluster.put("nodes", node())
    uid = entry.object()["metadata"]["uid"]
    await cluster.create("pods", mirror(make_pod, uid), user=NODE)
    assert "UID mismatch" in await refusal(cluster.create("pods", mirror(make_pod, "other"), user=NODE))
    claims = [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]
    said = await refusal(cluster.create("pods", mirror(make_pod, uid, volumes=claims), user=NODE))
    assert said.endswith('node "n" can not create pods that reference persistentvolumeclaims')
    assert "can only create mirror pods" in await refusal(
        cluster.create("pods", make_pod(nodeName="n", serviceAccountName="default"), user=NODE)
    )


async def test_a_node_deletes_and_reports_only_pods_bound_to_it(cluster: Any, make_pod: Make) -> None:
    await cluster.namespace()
    for name, host in (("mine", "n"), ("other", "m")):
        await cluster.put("pods", make_pod(name, nodeName=host))
    mine = await cluster.get("pods", "ns", "mine")
    other = await cluster.get("pods", "ns", "other")
    await cluster.delete("pods", mine, user=NODE)
    await cluster.update("pods", mine, mine, subresource="status", user=NODE)
    only = "pods with spec.nodeName set to itself"
    assert only in await refusal(cluster.delete("pods", other, user=NODE))
    assert "can only update pod status for" in await refusal(
        cluster.update("pods", other, other, subresource="status", user=NODE)
    )


async def test_a_node_asks_only_for_tokens_of_its_pods(cluster: Any, make_pod: Make) -> None:
    await cluster.namespace()
    entry = await cluster.put("pods", make_pod("p", nodeName="n"))
    uid = entry.object()["metadata"]["uid"]

    def request(**ref: str) -> Object:
        return {"metadata": {"name": "default", "namespace": "ns"}, "spec": {"boundObjectRef": ref}}

    good = request(apiVersion="v1", kind="Pod", name="p", uid=uid)
    await cluster.create("serviceaccounts", good, subresource="token", user=NODE)
    unbound = await refusal(cluster.create("serviceaccounts", request(), subresource="token", user=NODE))
    assert unbound.endswith("node requested token not bound to a pod")


async def test_a_node_without_a_name_may_do_nothing(cluster: Any) -> None:
    nobody = User("system:node:", groups=("system:nodes",))
    said = await refusal(cluster.update("nodes", node(), node(), user=nobody))
    assert said.endswith('could not determine node from user "system:node:"')
