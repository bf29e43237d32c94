"""Volumes: where they can be reached, which are chosen, what is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from controllers.scheduler.framework import Cycle, PreBind, Reserve, SchedulingError
from controllers.scheduler.plugins.storage import BIND_COMPLETED
from controllers.tests.scheduler.cluster import Cluster, Object, node, pod

HOST = "kubernetes.io/hostname"


def claim(name: str, size: str = "1Gi", volume: str = "", modes: tuple[str, ...] = ("ReadWriteOnce",)) -> Object:
    spec: Object = {"accessModes": list(modes), "resources": {"requests": {"storage": size}}, "storageClassName": "s"}
    metadata: Object = {"namespace": "default", "name": name, "uid": f"uid-{name}", "resourceVersion": "1"}
    if volume:
        spec["volumeName"] = volume
        metadata["annotations"] = {BIND_COMPLETED: "yes"}
    return {"metadata": metadata, "spec": spec, "status": {}}


def volume(name: str, size: str = "1Gi", host: str = "") -> Object:
    spec: Object = {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "storageClassName": "s"}
    if host:
        term = {"matchExpressions": [{"key": HOST, "operator": "In", "values": [host]}]}
        spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": [term]}}
    return {"metadata": {"name": name, "resourceVersion": "1"}, "spec": spec, "status": {"phase": "Available"}}


def using(*claims: str) -> Object:
    return pod("p", volumes=[{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in claims])


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster(node("a"), node("b"))
    waiting = {"metadata": {"name": "s"}, "provisioner": "kubernetes.io/no-provisioner"}
    made.world.storage_classes.put({**waiting, "volumeBindingMode": "WaitForFirstConsumer"})
    return made


def reserve(cluster: Cluster, obj: Object, on: str) -> Cycle:
    from controllers.scheduler.cycle import feasible_rows

    cycle = cluster.cycle(obj)
    feasible_rows(cycle)
    cycle.pod.node = on
    cluster.world.snapshot.add_pod(cycle.pod)
    for plugin in cluster.profile.of(Reserve):  # type: ignore[type-abstract]
        assert plugin.reserve(cycle, on) is None
    return cycle


class Recorder:
    """Takes what is written, and plays the controller that binds claims."""

    def __init__(self, cluster: Cluster, *, binds: bool = True) -> None:
        self.written: list[Mapping[str, Any]] = []
        self._cluster, self._binds = cluster, binds

    async def bind(self, pod: Any, node: str) -> None:
        raise AssertionError("not asked for")

    async def update(self, collection: str, obj: Mapping[str, Any], subresource: str = "") -> Mapping[str, Any]:
        self.written.append(obj)
        return obj

    async def release(self, claim: Any, pod: Any) -> None: ...

    def tell(self, pod: Any, reason: str, note: str) -> None: ...

    async def fetch(self, collection: str, namespace: str, name: str) -> Mapping[str, Any]:
        raise AssertionError("not asked for")

    async def until(self, holds: Callable[[], bool], timeout_s: float) -> bool:
        if self._binds:
            for each in self.written:
                reference = each["spec"]["claimRef"]
                self._cluster.world.claims.put(claim(reference["name"], volume=each["metadata"]["name"]))
        return holds()


def test_a_claim_must_exist(cluster: Cluster) -> None:
    assert cluster.place(using("d")) == '0/2 nodes are available: persistentvolumeclaim "d" not found.'
    waiting = 'waiting for ephemeral volume controller to create the persistentvolumeclaim "p-v"'
    own = pod("p", volumes=[{"name": "v", "ephemeral": {"volumeClaimTemplate": {}}}])
    assert cluster.place(own) == f"0/2 nodes are available: {waiting}."


def test_a_bound_volume_limits_the_nodes(cluster: Cluster) -> None:
    cluster.world.claims.put(claim("d", volume="v"))
    cluster.world.volumes.put(volume("v", host="b"))
    assert cluster.feasible(using("d")) == {"b"}


def test_an_unbound_claim_that_does_not_wait_holds_the_pod_up(cluster: Cluster) -> None:
    cluster.world.storage_classes.put({"metadata": {"name": "s"}, "provisioner": "x", "volumeBindingMode": "Immediate"})
    cluster.world.claims.put(claim("d"))
    assert cluster.place(using("d")) == ("0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims.")


def test_a_waiting_claim_gets_the_smallest_volume_of_the_node(cluster: Cluster) -> None:
    cluster.world.claims.put(claim("d"))
    for each in (volume("large", "9Gi", "a"), volume("small", "2Gi", "a"), volume("tiny", "1Mi", "b")):
        cluster.world.volumes.put(each)
    assert cluster.feasible(using("d")) == {"a"}
    reserve(cluster, using("d"), "a")
    chosen = cluster.world.volumes.get("", "small")
    assert chosen is not None and chosen["spec"]["claimRef"]["name"] == "d"


def test_two_claims_do_not_share_a_volume(cluster: Cluster) -> None:
    cluster.world.claims.put(claim("d"))
    cluster.world.claims.put(claim("e"))
    cluster.world.volumes.put(volume("v", host="a"))
    assert cluster.feasible(using("d", "e")) == set()
    cluster.world.volumes.put(volume("w", host="a"))
    assert cluster.feasible(using("d", "e")) == {"a"}


def test_a_reserved_volume_is_free_again_when_the_pod_does_not_run(cluster: Cluster) -> None:
    cluster.world.claims.put(claim("d"))
    cluster.world.claims.put(claim("e"))
    cluster.world.volumes.put(volume("v", host="a"))
    cycle = reserve(cluster, using("d"), "a")
    cluster.world.snapshot.remove_pod(cycle.pod.uid)
    assert cluster.feasible(using("e")) == set()
    for plugin in cluster.profile.of(Reserve):  # type: ignore[type-abstract]
        plugin.unreserve(cycle, "a")
    assert cluster.feasible(using("e")) == {"a"}


async def test_the_volume_is_promised_before_the_pod_is_bound(cluster: Cluster) -> None:
    cluster.world.claims.put(claim("d"))
    cluster.world.volumes.put(volume("v", host="a"))
    cycle, recorder = reserve(cluster, using("d"), "a"), Recorder(cluster)
    acting = [plugin for plugin in cluster.profile.of(PreBind) if plugin.will_act(cycle)]  # type: ignore[type-abstract]
    for plugin in acting:
        await plugin.pre_bind(cycle, "a", recorder)
    (written,) = recorder.written
    assert written["metadata"]["annotations"] == {"pv.kubernetes.io/bound-by-controller": "yes"}
    assert written["spec"]["claimRef"] == {
        "kind": "PersistentVolumeClaim",
        "apiVersion": "v1",
        "namespace": "default",
        "name": "d",
        "uid": "uid-d",
        "resourceVersion": "1",
    }


async def test_a_claim_that_is_never_bound_fails_the_attempt(cluster: Cluster) -> None:
    cluster.world.claims.put(claim("d"))
    cluster.world.volumes.put(volume("v", host="a"))
    cycle = reserve(cluster, using("d"), "a")
    plugin = next(p for p in cluster.profile.of(PreBind) if p.name == "VolumeBinding")  # type: ignore[type-abstract]
    with pytest.raises(SchedulingError, match="binding volumes"):
        await plugin.pre_bind(cycle, "a", Recorder(cluster, binds=False))


async def test_nobody_waits_for_the_volume_of_a_pod_that_is_gone(cluster: Cluster) -> None:
    cluster.world.claims.put(claim("d"))
    cluster.world.volumes.put(volume("v", host="a"))
    cycle = reserve(cluster, using("d"), "a")
    cluster.world.snapshot.remove_pod(cycle.pod.uid)
    plugin = next(p for p in cluster.profile.of(PreBind) if p.name == "VolumeBinding")  # type: ignore[type-abstract]
    with pytest.raises(SchedulingError, match="does not exist any more"):
        await plugin.pre_bind(cycle, "a", Recorder(cluster, binds=False))


def test_a_class_makes_volumes_where_its_topology_allows(cluster: Cluster) -> None:
    terms = [{"matchLabelExpressions": [{"key": HOST, "values": ["b"]}]}]
    provisioning = {"metadata": {"name": "s"}, "provisioner": "x", "volumeBindingMode": "WaitForFirstConsumer"}
    cluster.world.storage_classes.put({**provisioning, "allowedTopologies": terms})
    cluster.world.claims.put(claim("d"))
    assert cluster.feasible(using("d")) == {"b"}
    reserve(cluster, using("d"), "b")
    assumed = cluster.world.claims.get("default", "d")
    assert assumed is not None
    assert assumed["metadata"]["annotations"] == {"volume.kubernetes.io/selected-node": "b"}


def test_a_driver_with_too_little_room_on_a_node_rules_it_out(cluster: Cluster) -> None:
    world = cluster.world
    world.storage_classes.put(
        {"metadata": {"name": "s"}, "provisioner": "x", "volumeBindingMode": "WaitForFirstConsumer"}
    )
    world.csi_drivers.put({"metadata": {"name": "x"}, "spec": {"storageCapacity": True}})
    for host, capacity in (("a", "500Mi"), ("b", "5Gi")):
        topology = {"matchLabels": {HOST: host}}
        metadata = {"namespace": "default", "name": host}
        world.csi_capacities.put(
            {"metadata": metadata, "storageClassName": "s", "nodeTopology": topology, "capacity": capacity}
        )
    world.claims.put(claim("d"))
    assert cluster.feasible(using("d")) == {"b"}
    world.claims.put(claim("e", size="9Gi"))
    assert cluster.place(using("e")) == "0/2 nodes are available: 2 node(s) did not have enough free storage."


def test_a_claim_for_one_pod_is_used_by_one_pod(cluster: Cluster) -> None:
    cluster.world.claims.put(claim("d", volume="v", modes=("ReadWriteOncePod",)))
    cluster.world.volumes.put(volume("v"))
    user = using("d")
    user["metadata"]["uid"] = "uid-other"
    cluster.run(user, "a")
    assert "ReadWriteOncePod access mode already in-use" in cluster.place(using("d"))


def test_a_driver_attaches_only_so_many_volumes(cluster: Cluster) -> None:
    for name in ("v", "w"):
        made = volume(name)
        made["spec"]["csi"] = {"driver": "x", "volumeHandle": name}
        cluster.world.volumes.put(made)
    cluster.world.claims.put(claim("d", volume="v"))
    cluster.world.claims.put(claim("e", volume="w"))
    for host in ("a", "b"):
        drivers = [{"name": "x", "nodeID": host, "allocatable": {"count": 1}}]
        cluster.world.csi_nodes.put({"metadata": {"name": host}, "spec": {"drivers": drivers}})
    user = using("d")
    user["metadata"]["uid"] = "uid-other"
    cluster.run(user, "a")
    assert cluster.feasible(using("e")) == {"b"}
    assert cluster.feasible(using("d")) == {"a", "b"}


@pytest.mark.parametrize(
    ("mine", "theirs", "fits"),
    [
        ({"gcePersistentDisk": {"pdName": "x"}}, {"gcePersistentDisk": {"pdName": "x"}}, False),
        (
            {"gcePersistentDisk": {"pdName": "x", "readOnly": True}},
            {"gcePersistentDisk": {"pdName": "x", "readOnly": True}},
            True,
        ),
        (
            {"awsElasticBlockStore": {"volumeID": "x"}},
            {"awsElasticBlockStore": {"volumeID": "x", "readOnly": True}},
            False,
        ),
        ({"iscsi": {"iqn": "x"}}, {"iscsi": {"iqn": "y"}}, True),
    ],
)
def test_one_disk_for_one_pod_of_a_node(mine: Object, theirs: Object, fits: bool) -> None:
    cluster = Cluster(node("a"))
    cluster.run(pod("x", volumes=[{"name": "v", **theirs}]), "a")
    assert cluster.feasible(pod("p", volumes=[{"name": "v", **mine}])) == ({"a"} if fits else set())


def test_a_volume_of_a_zone_is_used_from_there() -> None:
    cluster = Cluster(*(node(name, labels={"topology.kubernetes.io/zone": name}) for name in "ab"), node("c"))
    placed = volume("v")
    placed["metadata"]["labels"] = {"topology.kubernetes.io/zone": "b__z"}
    cluster.world.volumes.put(placed)
    cluster.world.claims.put(claim("d", volume="v"))
    assert cluster.feasible(using("d")) == {"b", "c"}
