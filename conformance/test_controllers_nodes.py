"""Nodes that fail, are cordoned, drained and taken away, and where the scheduler puts pods."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from conformance.api import Api, condition, pod, pod_spec, workload
from conformance.kubectl import Kubectl
from conformance.kubelets import Kubelets, make_node
from conformance.processes import eventually
from conformance.wire import Wire

pytestmark = pytest.mark.usefixtures("kubelets")

NODES, PODS = "v1/nodes", "v1/pods"
DISK, UNSCHEDULABLE = "node.kubernetes.io/disk-pressure", "node.kubernetes.io/unschedulable"


@pytest.fixture
def spare(wire: Wire, kubelets: Kubelets) -> Iterator[str]:
    """A node of the test's own, which nothing else uses."""
    name = f"spare-{uuid.uuid4().hex[:6]}"
    make_node(wire, name, name)
    kubelets.nodes = (*kubelets.nodes, name)
    yield name
    wire.request("DELETE", f"/api/v1/nodes/{name}")


def on(node: str, name: str, image: str = "runs", **spec: Any) -> dict[str, Any]:
    return pod(name, image, nodeSelector={"kubernetes.io/hostname": node}, **spec)


def taints(api: Api, node: str) -> set[tuple[str, str]]:
    return {(t["key"], t["effect"]) for t in api.get(NODES, node)["spec"].get("taints", ())}


def say(api: Api, node: str, kind: str, status: str) -> None:
    """The kubelet's word on a condition."""
    others = [c for c in api.get(NODES, node)["status"]["conditions"] if c["type"] != kind]
    mine = {"type": kind, "status": status, "reason": "Said", "lastHeartbeatTime": "2026-01-01T00:00:00Z"}
    api.patch(NODES, node, {"status": {"conditions": [*others, mine]}}, "status")


def await_running(api: Api, *names: str) -> None:
    for name in names:
        eventually(lambda name=name: api.get(PODS, name)["status"]["phase"] == "Running")


# The life of nodes


def test_a_new_node_is_ready_once_its_kubelet_says_so(api: Api, spare: str) -> None:
    eventually(lambda: taints(api, spare) == set())
    eventually(lambda: api.get(NODES, spare)["metadata"]["labels"].get("beta.kubernetes.io/os") == "linux")


def test_pressure_on_a_node_is_a_taint(api: Api, spare: str) -> None:
    eventually(lambda: taints(api, spare) == set())
    say(api, spare, "DiskPressure", "True")
    eventually(lambda: taints(api, spare) == {(DISK, "NoSchedule")})
    say(api, spare, "DiskPressure", "False")
    eventually(lambda: taints(api, spare) == set())


def test_pods_leave_a_tainted_node_unless_they_bear_it(api: Api, k: Kubectl, spare: str) -> None:
    def bears(seconds: int | None) -> list[dict[str, Any]]:
        toleration = {"key": "sick", "operator": "Exists", "effect": "NoExecute"}
        return [toleration if seconds is None else {**toleration, "tolerationSeconds": seconds}]

    api.create(PODS, on(spare, "leaves"))
    api.create(PODS, on(spare, "bears", tolerations=bears(None)))
    api.create(PODS, on(spare, "bears-a-while", tolerations=bears(1)))
    await_running(api, "leaves", "bears", "bears-a-while")
    k("taint", "node", spare, "sick=yes:NoExecute")
    eventually(lambda: api.find(PODS, "leaves") is None)
    assert api.find(PODS, "bears-a-while") is not None
    api.await_event("leaves", "TaintManagerEviction", f"Marking for deletion Pod {api.namespace}/leaves")
    eventually(lambda: api.find(PODS, "bears-a-while") is None)
    assert api.get(PODS, "bears")["status"]["phase"] == "Running"
    api.delete(PODS, "bears", gracePeriodSeconds=0)


def test_an_evicted_pod_says_why(api: Api, k: Kubectl, spare: str) -> None:
    api.create(PODS, on(spare, "disrupted", "slow", terminationGracePeriodSeconds=30))
    await_running(api, "disrupted")
    k("taint", "node", spare, "sick=yes:NoExecute")
    eventually(lambda: "deletionTimestamp" in api.get(PODS, "disrupted")["metadata"])
    why = condition(api.get(PODS, "disrupted"), "DisruptionTarget")
    assert (why["status"], why["reason"]) == ("True", "DeletionByTaintManager")
    assert why["message"] == "Taint manager: deleting due to NoExecute taint"
    api.delete(PODS, "disrupted", gracePeriodSeconds=0)


# Cordon and drain


def test_a_cordoned_node_takes_no_pods(api: Api, k: Kubectl, spare: str) -> None:
    eventually(lambda: taints(api, spare) == set())
    assert k("cordon", spare) == f"node/{spare} cordoned\n"
    eventually(lambda: (UNSCHEDULABLE, "NoSchedule") in taints(api, spare))
    assert k("get", "node", spare, "--no-headers").split()[1] == "Ready,SchedulingDisabled"
    api.create(PODS, on(spare, "turned-away"))
    waits = api.await_condition(PODS, "turned-away", "PodScheduled", "False", "Unschedulable")
    assert "1 node(s) were unschedulable" in waits["message"]
    assert k("uncordon", spare) == f"node/{spare} uncordoned\n"
    await_running(api, "turned-away")


def test_a_drain_empties_a_node_but_for_daemons(api: Api, k: Kubectl, spare: str) -> None:
    where = {"nodeSelector": {"kubernetes.io/hostname": spare}}
    made = workload("drained", 2)
    made["spec"]["template"]["spec"].update(where)
    api.create("apps/v1/replicasets", made)
    daemon = workload("daemon", 0)
    del daemon["spec"]["replicas"]
    daemon["spec"]["template"]["spec"].update(where)
    api.create("apps/v1/daemonsets", daemon)
    api.await_status("apps/v1/replicasets", "drained", readyReplicas=2)
    api.await_status("apps/v1/daemonsets", "daemon", numberReady=1)
    before = set(api.names("drained"))
    refused = k.refused("drain", spare, "--timeout=20s")
    assert "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore)" in refused
    said = k("drain", spare, "--ignore-daemonsets", "--timeout=20s")
    assert said.splitlines()[-1] == f"node/{spare} drained"
    assert not before & set(api.names("drained"))
    assert len(api.names("daemon")) == 1
    api.delete("apps/v1/daemonsets", "daemon", propagationPolicy="Foreground")
    api.delete("apps/v1/replicasets", "drained", propagationPolicy="Background")


def test_a_drain_needs_force_for_pods_that_nobody_replaces(api: Api, k: Kubectl, spare: str) -> None:
    api.create(PODS, on(spare, "alone"))
    await_running(api, "alone")
    assert "cannot delete Pods that declare no controller (use --force to override)" in k.refused("drain", spare)
    k("drain", spare, "--force", "--timeout=20s")
    assert api.find(PODS, "alone") is None


# The scheduler


def test_a_pod_is_told_where_it_goes(api: Api, spare: str) -> None:
    api.create(PODS, on(spare, "placed"))
    await_running(api, "placed")
    assert condition(api.get(PODS, "placed"), "PodScheduled")["status"] == "True"
    api.await_event("placed", "Scheduled", f"Successfully assigned {api.namespace}/placed to {spare}")


def test_a_pod_is_told_why_it_waits(api: Api, spare: str) -> None:
    eventually(lambda: taints(api, spare) == set())
    greedy = on(spare, "greedy")
    greedy["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1000"}}
    api.create(PODS, greedy)
    waits = api.await_condition(PODS, "greedy", "PodScheduled", "False", "Unschedulable")
    words = waits["message"]
    assert re.match(r"0/\d+ nodes are available: ", words)
    assert "1 Insufficient cpu" in words and "node(s) didn't match Pod's node affinity/selector" in words
    api.await_event("greedy", "FailedScheduling", words)
    api.delete(PODS, "greedy")


def test_a_waiting_pod_goes_where_a_node_turns_up(api: Api, wire: Wire, kubelets: Kubelets) -> None:
    name = f"late-{uuid.uuid4().hex[:6]}"
    api.create(PODS, on(name, "patient"))
    api.await_condition(PODS, "patient", "PodScheduled", "False", "Unschedulable")
    make_node(wire, name, name)
    kubelets.nodes = (*kubelets.nodes, name)
    await_running(api, "patient")
    api.delete(PODS, "patient")
    api.delete(NODES, name)


def test_a_taint_repels_pods_that_do_not_bear_it(api: Api, k: Kubectl, spare: str) -> None:
    k("taint", "node", spare, "only=mine:NoSchedule")
    api.create(PODS, on(spare, "repelled"))
    waits = api.await_condition(PODS, "repelled", "PodScheduled", "False", "Unschedulable")
    assert "1 node(s) had untolerated taint(s)" in waits["message"]
    tolerations = [{"key": "only", "value": "mine", "effect": "NoSchedule"}]
    api.create(PODS, on(spare, "borne", tolerations=tolerations))
    await_running(api, "borne")


def test_gated_pods_are_left_alone_until_the_gate_opens(api: Api, spare: str) -> None:
    api.create(PODS, on(spare, "gated", schedulingGates=[{"name": "example.com/wait"}]))
    api.await_condition(PODS, "gated", "PodScheduled", "False", "SchedulingGated")
    api.patch(PODS, "gated", {"spec": {"schedulingGates": []}})
    await_running(api, "gated")


def test_pods_keep_away_from_each_other_and_spread(api: Api, kubelets: Kubelets) -> None:
    alike = {"labelSelector": {"matchLabels": {"app": "apart"}}, "topologyKey": "kubernetes.io/hostname"}
    apart = workload("apart", 4)
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [alike]}}
    apart["spec"]["template"]["spec"]["affinity"] = affinity
    api.create("apps/v1/replicasets", apart)
    api.await_status("apps/v1/replicasets", "apart", readyReplicas=3)
    assert {p["spec"]["nodeName"] for p in api.pods("apart") if "nodeName" in p["spec"]} == set(kubelets.nodes[:3])
    [left] = [p["metadata"]["name"] for p in api.pods("apart") if "nodeName" not in p["spec"]]
    waits = api.await_condition(PODS, left, "PodScheduled", "False", "Unschedulable")
    assert "3 node(s) didn't match pod anti-affinity rules" in waits["message"]
    api.delete("apps/v1/replicasets", "apart", propagationPolicy="Background")


def test_a_pod_of_higher_priority_takes_the_place_of_a_lower_one(api: Api, spare: str) -> None:
    name = f"urgent-{uuid.uuid4().hex[:6]}"
    api.create("scheduling.k8s.io/v1/priorityclasses", {"metadata": {"name": name}, "value": 1000})
    try:
        for victim, priority in (("lower", ""), ("higher", name)):
            made = on(spare, victim, priorityClassName=priority) if priority else on(spare, victim)
            made["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "40"}}
            api.create(PODS, made)
            await_running(api, victim)
        assert api.find(PODS, "lower") is None
        reasons = {reason: text for reason, text in api.events("lower")}
        uid = api.get(PODS, "higher")["metadata"]["uid"]
        assert reasons["Preempted"] == f"Preempted by pod {uid} on node {spare}"
    finally:
        api.delete("scheduling.k8s.io/v1/priorityclasses", name)


def test_a_pod_may_ask_for_another_scheduler(api: Api, spare: str) -> None:
    api.create(PODS, on(spare, "elsewhere", schedulerName="somebody-else"))
    api.create(PODS, on(spare, "here"))
    await_running(api, "here")
    assert "nodeName" not in api.get(PODS, "elsewhere")["spec"]
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "elsewhere"}}
    binding["target"] = {"apiVersion": "v1", "kind": "Node", "name": spare}
    answer = api.request("POST", api.path(PODS, "elsewhere", "binding"), binding)
    assert answer.status == 201, json.dumps(answer.object)
    await_running(api, "elsewhere")


def test_pods_of_one_application_may_be_kept_together(api: Api) -> None:
    leader = pod("leader", labels={"app": "leader"})
    api.create(PODS, leader)
    await_running(api, "leader")
    alike = {"labelSelector": {"matchLabels": {"app": "leader"}}, "topologyKey": "kubernetes.io/hostname"}
    affinity = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [alike]}}
    spec = pod_spec(affinity=affinity)
    api.create(PODS, {"metadata": {"name": "follower"}, "spec": spec})
    await_running(api, "follower")
    assert api.get(PODS, "follower")["spec"]["nodeName"] == api.get(PODS, "leader")["spec"]["nodeName"]
