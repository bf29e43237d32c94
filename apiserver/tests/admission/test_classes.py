"""Default classes, runtime classes and the growth of claims."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from apiserver.admission.runtime_class import merged_tolerations
from openapi.meta.status import StatusError

Object = dict[str, Any]
Make = Callable[..., Object]


def claim(**spec: Any) -> Object:
    return {"metadata": {"name": "a", "namespace": "ns"}, "spec": spec}


def growing(size: str, phase: str = "Bound") -> Object:
    resources = {"requests": {"storage": size}}
    return {**claim(storageClassName="s", resources=resources), "status": {"phase": phase}}


async def storage_class(cluster: Any, name: str, created: str = "2026-01-01T00:00:00Z", **fields: Any) -> None:
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"}
    meta = {"name": name, "annotations": annotations, "creationTimestamp": created}
    await cluster.put("storageclasses", {"metadata": meta, "provisioner": "p", **fields}, "storage.k8s.io")


async def test_a_claim_without_a_class_gets_the_newest_default(cluster: Any) -> None:
    await cluster.namespace()
    assert "storageClassName" not in (await cluster.create("persistentvolumeclaims", claim()))["spec"]
    await storage_class(cluster, "old")
    await storage_class(cluster, "z", "2026-02-01T00:00:00Z")
    await storage_class(cluster, "b", "2026-02-01T00:00:00Z")
    assert (await cluster.create("persistentvolumeclaims", claim()))["spec"]["storageClassName"] == "b"
    assert (await cluster.create("persistentvolumeclaims", claim(storageClassName="")))["spec"][
        "storageClassName"
    ] == ""


async def test_an_ingress_without_a_class_gets_the_default(cluster: Any) -> None:
    await cluster.namespace()
    meta = {"name": "web", "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}}
    await cluster.put("ingressclasses", {"metadata": meta}, "networking.k8s.io")
    made = await cluster.create("ingresses", claim(), group="networking.k8s.io")
    assert made["spec"]["ingressClassName"] == "web"
    old = {"metadata": {**claim()["metadata"], "annotations": {"kubernetes.io/ingress.class": "x"}}, "spec": {}}
    assert (await cluster.create("ingresses", old, group="networking.k8s.io"))["spec"] == {}


async def test_volumes_and_claims_are_protected_while_in_use(cluster: Any) -> None:
    await cluster.namespace()
    assert (await cluster.create("persistentvolumeclaims", claim()))["metadata"]["finalizers"] == [
        "kubernetes.io/pvc-protection"
    ]
    volume = {"metadata": {"name": "v", "finalizers": ["kubernetes.io/pv-protection"]}}
    made = await cluster.create("persistentvolumes", volume)
    assert made["metadata"]["finalizers"] == ["kubernetes.io/pv-protection"]


async def test_bound_claims_grow_if_their_class_allows(cluster: Any) -> None:
    await cluster.namespace()
    await storage_class(cluster, "s", allowVolumeExpansion=True)
    await cluster.update("persistentvolumeclaims", growing("2Gi"), growing("1Gi"))
    with pytest.raises(StatusError, match="Only bound persistent volume claims can be expanded"):
        await cluster.update("persistentvolumeclaims", growing("2Gi"), growing("1Gi", "Pending"))


async def test_claims_do_not_grow_without_a_class_that_allows(cluster: Any) -> None:
    await cluster.namespace()
    await storage_class(cluster, "s")
    with pytest.raises(StatusError, match="only dynamically provisioned pvc can be resized"):
        await cluster.update("persistentvolumeclaims", growing("2Gi"), growing("1Gi"))
    await cluster.update("persistentvolumeclaims", growing("1Gi"), growing("2Gi"))


async def runtime_class(cluster: Any) -> None:
    await cluster.namespace()
    scheduling = {"nodeSelector": {"a": "b"}, "tolerations": [{"key": "k", "operator": "Exists"}]}
    obj = {"metadata": {"name": "r"}, "overhead": {"podFixed": {"cpu": "250m"}}, "scheduling": scheduling}
    await cluster.put("runtimeclasses", obj, "node.k8s.io")


async def test_a_runtime_class_gives_overhead_and_constraints(cluster: Any, make_pod: Make) -> None:
    await runtime_class(cluster)
    spec = (await cluster.create("pods", make_pod(runtimeClassName="r", nodeSelector={"x": "y"})))["spec"]
    assert spec["overhead"] == {"cpu": "250m"}
    assert spec["nodeSelector"] == {"x": "y", "a": "b"}
    assert spec["tolerations"][-1] == {"key": "k", "operator": "Exists"}


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (
            {"runtimeClassName": "r", "nodeSelector": {"a": "z"}},
            "conflict: runtimeClass.scheduling.nodeSelector[a] = b; pod.spec.nodeSelector[a] = z",
        ),
        (
            {"runtimeClassName": "r", "overhead": {"cpu": "1"}},
            "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
        ),
        (
            {"overhead": {"cpu": "1"}},
            "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead",
        ),
        ({"runtimeClassName": "x"}, 'pod rejected: RuntimeClass "x" not found'),
    ],
)
async def test_a_pod_may_not_contradict_its_runtime_class(cluster: Any, make_pod: Make, spec: Object, why: str) -> None:
    await runtime_class(cluster)
    with pytest.raises(StatusError) as caught:
        await cluster.create("pods", make_pod(**spec))
    assert caught.value.message == f'pods "a" is forbidden: {why}'


def test_tolerations_that_others_cover_are_left_out() -> None:
    every = {"operator": "Exists"}
    one = {"key": "k", "operator": "Exists"}
    valued = {"key": "k", "operator": "Equal", "value": "v"}
    short = {"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}
    assert merged_tolerations([valued, one], [one]) == [one]
    assert merged_tolerations([one, short], [every]) == [every]
    assert merged_tolerations([short], [{**short, "tolerationSeconds": 3}]) == [short]
