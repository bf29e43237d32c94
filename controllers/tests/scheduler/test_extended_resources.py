"""Extended resources that devices stand for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from controllers.scheduler.cycle import feasible_rows
from controllers.scheduler.framework import Diagnosis, PreBind, Reserve
from controllers.scheduler.plugins.extended_resources import wish_for
from controllers.tests.scheduler.cluster import Cluster, Object, node, pod

GPU = "example.com/gpu"


@pytest.fixture
def cluster() -> Cluster:
    """Node a has two of the resource itself, b has two devices, c nothing."""
    made = Cluster(node("a", **{GPU: "2"}), node("b"), node("c"))
    made.world.device_classes.put({"metadata": {"name": "gpu"}, "spec": {"extendedResourceName": GPU}})
    pool = {"name": "b", "generation": 1, "resourceSliceCount": 1}
    devices = [{"name": "x"}, {"name": "y"}]
    spec = {"driver": "gpu.example.com", "nodeName": "b", "pool": pool, "devices": devices}
    made.world.resource_slices.put({"metadata": {"name": "s"}, "spec": spec})
    return made


def asking(number: int = 1) -> Object:
    return pod("p", requests={GPU: str(number)})


def test_nodes_have_the_resource_or_devices_for_it(cluster: Cluster) -> None:
    assert cluster.feasible(asking(2)) == {"a", "b"}
    assert cluster.place(asking(3)) == (
        "0/3 nodes are available: 1 Insufficient example.com/gpu, 2 cannot allocate all claims."
    )


def test_without_a_class_only_the_nodes_count(cluster: Cluster) -> None:
    cluster.world.device_classes.drop({"metadata": {"name": "gpu"}})
    cluster.world.snapshot.start_over()
    assert cluster.feasible(asking()) == {"a"}


def test_every_class_has_a_resource_of_its_own(cluster: Cluster) -> None:
    assert cluster.feasible(pod("p", requests={"deviceclass.resource.kubernetes.io/gpu": "1"})) == {"b"}


def test_init_containers_use_what_the_others_have() -> None:
    cluster = Cluster()
    cluster.world.device_classes.put({"metadata": {"name": "gpu"}, "spec": {"extendedResourceName": GPU}})

    def container(name: str, number: int) -> Object:
        return {"name": name, "resources": {"requests": {"cpu": "1", GPU: str(number)}}}

    obj = pod("p", initContainers=[container("init", 3)])
    obj["spec"]["containers"] = [container("main", 2)]
    template = cluster.templates.info(obj).template
    wish = wish_for(frozenset((GPU,)), template, cluster.world)
    assert [(request["name"], request["exactly"]["count"]) for request in wish.requests] == [
        ("container-0-request-1", 1),
        ("container-1-request-1", 2),
    ]
    assert [(m["containerName"], m["requestName"]) for m in wish.mappings] == [
        ("main", "container-1-request-1"),
        ("init", "container-1-request-1"),
        ("init", "container-0-request-1"),
    ]


class Api:
    """Takes what is written."""

    def __init__(self) -> None:
        self.created: Mapping[str, Any] = {}
        self.claim: Mapping[str, Any] = {}
        self.status: Mapping[str, Any] = {}

    async def bind(self, pod: Any, node: str) -> None: ...

    async def create(self, collection: str, obj: Mapping[str, Any]) -> Mapping[str, Any]:
        self.created = obj
        return {**obj, "metadata": {**obj["metadata"], "name": "made", "uid": "uid-made"}}

    async def update(self, collection: str, obj: Mapping[str, Any], subresource: str = "") -> Mapping[str, Any]:
        self.claim = obj
        return obj

    async def set_status(self, pod: Any, status: Mapping[str, Any]) -> None:
        self.status = status

    async def remove(self, collection: str, obj: Mapping[str, Any]) -> None: ...

    async def release(self, claim: Any, pod: Any) -> None: ...

    def tell(self, pod: Any, reason: str, note: str) -> None: ...

    async def fetch(self, collection: str, namespace: str, name: str) -> Mapping[str, Any]:
        return self.claim

    async def until(self, holds: Callable[[], bool], timeout_s: float) -> bool:
        return holds()


async def test_a_claim_is_made_for_the_pod_before_it_is_bound(cluster: Cluster) -> None:
    cycle = cluster.cycle(asking())
    assert not isinstance(feasible_rows(cycle), Diagnosis)
    cycle.pod.node = "b"
    cluster.world.snapshot.add_pod(cycle.pod)
    for plugin in cluster.profile.of(Reserve):  # type: ignore[type-abstract]
        assert plugin.reserve(cycle, "b") is None
    other = pod("q", requests={GPU: "2"}, nodeSelector={"kubernetes.io/hostname": "b"})
    assert cluster.feasible(other) == set()
    api = Api()
    for acting in cluster.profile.of(PreBind):  # type: ignore[type-abstract]
        if acting.will_act(cycle):
            await acting.pre_bind(cycle, "b", api)
    assert api.created["metadata"]["generateName"] == "p-extended-resources-"
    assert api.created["metadata"]["annotations"] == {"resource.kubernetes.io/extended-resource-claim": "true"}
    assert [result["device"] for result in api.claim["status"]["allocation"]["devices"]["results"]] == ["x"]
    assert api.claim["status"]["reservedFor"] == [{"resource": "pods", "name": "p", "uid": "uid-p"}]
    mapping = {"containerName": "c", "resourceName": GPU, "requestName": "container-0-request-0"}
    wanted = {"requestMappings": (mapping,), "resourceClaimName": "made"}
    assert api.status == {"extendedResourceClaimStatus": wanted}
    assert cluster.feasible(other) == set()
