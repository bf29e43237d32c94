"""Making room for more important pods."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.scheduler.framework import PostFilterResult
from controllers.tests.scheduler.cluster import Cluster, Object, node, pod


def running(name: str, cpu: str, priority: int = 0, started: str = "2026-01-01T00:00:00Z", **more: Any) -> Object:
    obj = pod(name, requests={"cpu": cpu}, priority=priority, **more)
    obj["status"]["startTime"] = started
    return obj


def wanting(cpu: str, priority: int = 10, **more: Any) -> Object:
    return pod("p", requests={"cpu": cpu}, priority=priority, **more)


def victims(result: PostFilterResult) -> tuple[str, list[str]]:
    assert result.victims is not None, result.message
    return result.victims.node, [victim.name for victim in result.victims.pods]


def test_as_few_as_possible_go_and_the_least_important() -> None:
    cluster = Cluster(node("a"))
    cluster.run(running("one", "2", priority=1), "a")
    cluster.run(running("two", "2", priority=2), "a")
    assert victims(cluster.preempt(wanting("2"))) == ("a", ["one"])
    assert set(cluster.world.snapshot.pods) == {"uid-one", "uid-two"}


def test_of_equal_pods_the_youngest_goes_and_of_those_that_have_not_started_the_first() -> None:
    cluster = Cluster(node("a"), node("b"))
    for name, started in (("x", "2026-02-01T00:00:00Z"), ("y", "2026-01-01T00:00:00Z")):
        cluster.run(running(name, "2", started=started, priority=1), "a")
    assert victims(cluster.preempt(wanting("2", nodeSelector={"kubernetes.io/hostname": "a"}))) == ("a", ["x"])
    for name in ("v", "w"):
        cluster.run(running(name, "2", started="", priority=1), "b")
    assert victims(cluster.preempt(wanting("2", nodeSelector={"kubernetes.io/hostname": "b"}))) == ("b", ["v"])


def test_the_node_with_the_least_important_victim_is_chosen() -> None:
    cluster = Cluster(node("a"), node("b"))
    cluster.run(running("x", "4", priority=2), "a")
    cluster.run(running("y", "4", priority=1), "b")
    assert victims(cluster.preempt(wanting("4"))) == ("b", ["y"])


def test_then_the_one_with_fewer_victims() -> None:
    cluster = Cluster(node("a"), node("b"))
    cluster.run(running("x", "2"), "a")
    cluster.run(running("y", "2"), "a")
    cluster.run(running("z", "4"), "b")
    assert victims(cluster.preempt(wanting("4"))) == ("b", ["z"])


def test_then_the_one_whose_victim_started_last() -> None:
    cluster = Cluster(node("a"), node("b"))
    cluster.run(running("x", "4", started="2026-01-01T00:00:00Z"), "a")
    cluster.run(running("y", "4", started="2026-02-01T00:00:00Z"), "b")
    assert victims(cluster.preempt(wanting("4"))) == ("b", ["y"])


def test_disruption_budgets_are_spared_where_possible() -> None:
    cluster = Cluster(node("a"), node("b"))
    guarded = running("x", "4")
    guarded["metadata"]["labels"] = {"app": "x"}
    cluster.run(guarded, "a")
    cluster.run(running("y", "4", priority=5), "b")
    budget = {
        "metadata": {"namespace": "default", "name": "b"},
        "spec": {"selector": {"matchLabels": {"app": "x"}}},
        "status": {"disruptionsAllowed": 0},
    }
    cluster.world.budgets.put(budget)
    assert victims(cluster.preempt(wanting("4"))) == ("b", ["y"])


def test_equal_pods_are_no_victims() -> None:
    cluster = Cluster(node("a"), node("b", cpu="1"))
    cluster.run(running("x", "4", priority=10), "a")
    result = cluster.preempt(wanting("4"))
    assert result.nominate == ""
    assert result.message == (
        "preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, "
        "1 Preemption is not helpful for scheduling."
    )


def test_a_node_that_would_still_be_too_full_says_why() -> None:
    cluster = Cluster(node("a"))
    cluster.run(running("x", "2"), "a")
    cluster.run(running("y", "2", priority=10), "a")
    assert cluster.preempt(wanting("4")).message == "preemption: 0/1 nodes are available: 1 Insufficient cpu."


def test_pods_that_must_not_preempt_do_not() -> None:
    cluster = Cluster(node("a"))
    cluster.run(running("x", "4"), "a")
    result = cluster.preempt(wanting("4", preemptionPolicy="Never"))
    assert result.message == "preemption: not eligible due to preemptionPolicy=Never."


def test_nobody_else_goes_while_a_victim_is_still_leaving() -> None:
    cluster = Cluster(node("a"))
    leaving = cluster.run(running("x", "4"), "a")
    cluster.world.evicted.add(leaving.uid)
    waiting = wanting("4")
    waiting["status"]["nominatedNodeName"] = "a"
    assert cluster.preempt(waiting).message == (
        "preemption: not eligible due to a terminating pod on the nominated node."
    )


def test_anti_affinity_is_a_reason_to_go() -> None:
    selector = {"labelSelector": {"matchLabels": {"app": "p"}}, "topologyKey": "kubernetes.io/hostname"}
    rule = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [selector]}}
    cluster = Cluster(node("a"))
    cluster.run(running("shy", "1", affinity=rule), "a")
    cluster.run(running("other", "1"), "a")
    waiting = wanting("1")
    waiting["metadata"]["labels"] = {"app": "p"}
    assert victims(cluster.preempt(waiting)) == ("a", ["shy"])


def test_a_pod_that_fits_nowhere_at_all_may_look_again_though_a_victim_is_leaving() -> None:
    cluster = Cluster(node("a"))
    cluster.world.evicted.add(cluster.run(running("x", "4"), "a").uid)
    waiting = wanting("4", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "none"}}])
    waiting["status"]["nominatedNodeName"] = "a"
    assert cluster.preempt(waiting).message == (
        "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
    )


@pytest.mark.parametrize(("status", "is_leaving"), [("True", True), ("False", False)])
def test_a_victim_is_leaving_only_if_it_was_preempted(status: str, is_leaving: bool) -> None:
    leaving = running("x", "4")
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    condition = {"type": "DisruptionTarget", "status": status, "reason": "PreemptionByScheduler"}
    leaving["status"]["conditions"] = [condition]
    cluster = Cluster(node("a"))
    cluster.run(leaving, "a")
    waiting = wanting("4")
    waiting["status"]["nominatedNodeName"] = "a"
    assert cluster.preempt(waiting).success is not is_leaving
