"""Spreading pods over domains."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.tests.scheduler.cluster import Cluster, Object, node, pod

SKEWED = "node(s) didn't match pod topology spread constraints"


def zones(*names: str) -> list[Object]:
    return [node(f"n{index}", labels={"zone": name} if name else {}) for index, name in enumerate(names)]


def spreading(name: str, **rule: Any) -> Object:
    constraint = {
        "maxSkew": 1,
        "topologyKey": "zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "a"}},
        **rule,
    }
    return pod(name, labels={"app": "a"}, topologySpreadConstraints=[constraint])


def test_the_emptier_domain_is_left() -> None:
    cluster = Cluster(*zones("z1", "z1", "z2"))
    cluster.run(pod("x", labels={"app": "a"}), "n0")
    assert cluster.feasible(spreading("p")) == {"n2"}


def test_pods_of_other_namespaces_and_leaving_pods_do_not_count() -> None:
    cluster = Cluster(*zones("z1", "z2"))
    leaving = pod("x", labels={"app": "a"})
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    cluster.run(leaving, "n0")
    other = pod("y", labels={"app": "a"})
    other["metadata"]["namespace"] = "other"
    cluster.run(other, "n0")
    assert cluster.feasible(spreading("p")) == {"n0", "n1"}


def test_a_node_without_the_label_never_does() -> None:
    assert Cluster(*zones("")).place(spreading("p")) == f"0/1 nodes are available: 1 {SKEWED} (missing required label)."


def test_too_few_domains_count_as_an_empty_one() -> None:
    cluster = Cluster(*zones("z1", "z2"))
    cluster.run(pod("x", labels={"app": "a"}), "n0")
    cluster.run(pod("y", labels={"app": "a"}), "n1")
    assert cluster.feasible(spreading("p")) == {"n0", "n1"}
    assert cluster.place(spreading("q", minDomains=3)) == f"0/2 nodes are available: 2 {SKEWED}."


@pytest.mark.parametrize(("policy", "feasible"), [("Honor", {"n1"}), ("Ignore", set[str]())])
def test_nodes_out_of_reach_may_be_left_out_of_the_count(policy: str, feasible: set[str]) -> None:
    cluster = Cluster(*zones("z1", "z2", "z3"))
    cluster.run(pod("x", labels={"app": "a"}), "n1")
    waiting = spreading("p", nodeAffinityPolicy=policy)
    waiting["spec"]["nodeSelector"] = {"kubernetes.io/hostname": "n1"}
    assert cluster.feasible(waiting) == feasible


def test_keys_narrow_the_count_to_pods_of_the_same_version() -> None:
    cluster = Cluster(*zones("z1", "z2"))
    cluster.run(pod("x", labels={"app": "a", "version": "1"}), "n0")
    waiting = spreading("p", matchLabelKeys=["version"])
    waiting["metadata"]["labels"]["version"] = "2"
    assert cluster.feasible(waiting) == {"n0", "n1"}


def test_a_wish_only_costs_points() -> None:
    cluster = Cluster(*zones("z1", "z1", "z2"))
    cluster.run(pod("x", labels={"app": "a"}), "n0")
    cluster.run(pod("y"), "n2")
    assert cluster.place(spreading("p", whenUnsatisfiable="ScheduleAnyway")) == "n2"


def test_pods_of_one_controller_spread_without_being_told() -> None:
    cluster = Cluster(*(node(name, pods="300") for name in "ab"))
    selector = {"matchLabels": {"app": "a"}}
    cluster.world.replica_sets.put({"metadata": {"namespace": "default", "name": "r"}, "spec": {"selector": selector}})
    cluster.run(pod("x", labels={"app": "a"}), "a")
    cluster.run(pod("y"), "b")
    owned = pod("p", labels={"app": "a"})
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "r", "controller": True}
    owned["metadata"]["ownerReferences"] = [owner]
    scores = cluster.scores(owned)
    assert scores["b"] - scores["a"] == 2 * (100 - 66)
