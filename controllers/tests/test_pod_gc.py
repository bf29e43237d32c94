"""Which pods are garbage."""

from __future__ import annotations

from typing import Any

from controllers.pod_gc import OUT_OF_SERVICE, PodGarbageCollector, failed_status, find_garbage
from controllers.runtime.kinds import PODS
from controllers.tests.scripted import Server

Object = dict[str, Any]


def pod(name: str, phase: str = "Running", *, node: str = "", created: str = "1", **metadata: Any) -> Object:
    metadata = {"name": name, "creationTimestamp": created, **metadata}
    return {"metadata": metadata, "spec": {"nodeName": node} if node else {}, "status": {"phase": phase}}


def names(pods: Any) -> list[str]:
    return [one["metadata"]["name"] for one in pods]


def test_oldest_finished_pods_go_evicted_ones_first() -> None:
    evicted = pod("evicted", "Failed", created="9")
    evicted["status"]["reason"] = "Evicted"
    pods = [pod("new", "Succeeded", created="3"), pod("old", "Succeeded"), evicted, pod("running")]
    assert names(find_garbage(pods, {}, 1).finished) == ["evicted", "old"]
    assert names(find_garbage(pods, {}, 0).finished) == []


def test_pods_that_go_without_a_node_or_with_a_lost_one_are_garbage() -> None:
    lost = {"spec": {"taints": [{"key": OUT_OF_SERVICE}]}, "status": {}}
    ready = {"spec": lost["spec"], "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    pods = [pod(name, node=name, deletionTimestamp="t") for name in ("lost", "ready")]
    garbage = find_garbage([*pods, pod("nowhere", deletionTimestamp="t")], {"lost": lost, "ready": ready}, 0)
    assert (names(garbage.out_of_service), names(garbage.unscheduled)) == (["lost"], ["nowhere"])


def test_nodes_that_are_not_there_are_named() -> None:
    assert find_garbage([pod("p", node="a"), pod("q", node="b")], {"a": {}}, 0).missing_nodes == {"b"}


def test_pod_that_has_ended_keeps_its_phase() -> None:
    assert failed_status(pod("p", "Succeeded"), None) is None
    assert failed_status(pod("p", generation=2), {"type": "DisruptionTarget"}) == {
        "phase": "Failed",
        "observedGeneration": 2,
        "conditions": [{"type": "DisruptionTarget", "observedGeneration": 2}],
    }


async def test_pods_of_a_vanished_node_go_after_a_quarantine_that_a_return_ends() -> None:
    server = Server()
    collector = PodGarbageCollector(server.runtime(), 0)
    lost = pod("p", node="gone", namespace="n", uid="u", resourceVersion="1", generation=1)
    collector.store(PODS).put(lost)
    await collector.sweep()
    server.wait(39)
    await collector.sweep()
    assert server.calls == []
    server.objects["/api/v1/nodes/gone"] = {"metadata": {"name": "gone"}}
    server.wait(1)
    await collector.sweep()
    assert server.calls == []
    del server.objects["/api/v1/nodes/gone"]
    await collector.sweep()
    [(patch, path, body), (delete, deleted, options)] = server.calls
    assert (patch, path) == ("PATCH", "/api/v1/namespaces/n/pods/p/status")
    assert body["status"]["phase"] == "Failed"
    condition = body["status"]["conditions"][0]
    assert (condition["reason"], condition["message"]) == ("DeletionByPodGC", "PodGC: node no longer exists")
    assert (delete, deleted, options["gracePeriodSeconds"]) == ("DELETE", "/api/v1/namespaces/n/pods/p", 0)
