"""Which nodes get a daemon, and how an update walks over them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from controllers.daemonset.plan import Changes, Situation, after, plan_nodes, plan_status, plan_update, situation
from controllers.daemonset.pods import node_of, pod_for_node, tolerations_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def node(name: str, *taints: tuple[str, str]) -> dict[str, Any]:
    listed = [{"key": key, "effect": effect} for key, effect in taints]
    return {"metadata": {"name": name, "labels": {"n": name}}, "spec": {"taints": listed}}


def daemon_set(**strategy: Any) -> dict[str, Any]:
    update = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1, **strategy}}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": []}}
    metadata = {"name": "d", "namespace": "n", "uid": "u", "generation": 2}
    return {"metadata": metadata, "spec": {"template": template, "updateStrategy": update}}


def pod(name: str, on: str, *, digest: str = "new", ready: bool = True, phase: str = "Running") -> dict[str, Any]:
    metadata = {"name": name, "uid": name, "labels": {"controller-revision-hash": digest}, "creationTimestamp": name}
    condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": "2025-01-01T00:00:00Z"}
    status = {"phase": phase, "conditions": [condition]}
    return {"metadata": metadata, "spec": {"nodeName": on}, "status": status}


def seen(owner: Any, nodes: list[Any], *pods: Any) -> Situation:
    return situation(owner, nodes, pods, "new", NOW)


def names(changes: Changes) -> tuple[list[str], list[str]]:
    return changes.create, [one["metadata"]["name"] for one in changes.delete]


def test_each_fitting_node_gets_one() -> None:
    nodes = [node("x"), node("y"), node("z", ("k", "NoSchedule"))]
    assert names(plan_nodes(seen(daemon_set(), nodes, pod("1", "x"), pod("2", "x")))) == (["y"], ["2"])


def test_a_pod_stays_where_it_may_not_be_made_but_not_where_it_may_not_run() -> None:
    nodes = [node("x", ("k", "NoSchedule")), node("y", ("k", "NoExecute"))]
    assert names(plan_nodes(seen(daemon_set(), nodes, pod("1", "x"), pod("2", "y")))) == ([], ["2"])


def test_pods_for_nodes_that_are_gone_go_unless_they_run() -> None:
    waiting = pod_for_node(daemon_set(), "gone", "new")
    waiting["metadata"] |= {"name": "w", "uid": "w"}
    assert node_of(waiting) == "gone"
    assert names(plan_nodes(seen(daemon_set(), [], waiting, pod("1", "gone")))) == ([], ["w"])


def test_ended_pods_are_told_apart() -> None:
    changes = plan_nodes(
        seen(daemon_set(), [node("x"), node("y")], pod("1", "x", phase="Failed"), pod("2", "y", phase="Succeeded"))
    )
    assert [one["metadata"]["name"] for one in changes.failed] == ["1"]
    assert [one["metadata"]["name"] for one in changes.succeeded] == ["2"]


def test_an_update_takes_as_many_as_may_be_missing() -> None:
    nodes = [node("x"), node("y")]
    old = [pod("1", "x", digest="old"), pod("2", "y", digest="old")]
    assert names(plan_update(seen(daemon_set(), nodes, *old))) == ([], ["1"])
    assert names(plan_update(seen(daemon_set(), nodes, old[0], pod("2", "y", ready=False)))) == ([], [])
    broken = pod("2", "y", digest="old", ready=False)
    assert names(plan_update(seen(daemon_set(), nodes, old[0], broken))) == ([], ["2", "1"])


def test_a_surge_makes_the_new_one_first() -> None:
    owner, nodes = daemon_set(maxSurge=1, maxUnavailable=0), [node("x"), node("y")]
    old = [pod("1", "x", digest="old"), pod("2", "y", digest="old")]
    assert names(plan_update(seen(owner, nodes, *old))) == (["x"], [])
    assert names(plan_update(seen(owner, nodes, *old, pod("3", "x", ready=False)))) == ([], [])
    assert names(plan_update(seen(owner, nodes, *old, pod("3", "x")))) == (["y"], ["1"])


def test_daemons_tolerate_what_ails_nodes_and_keep_their_own() -> None:
    own = {"key": "mine", "operator": "Exists"}
    assert tolerations_of({"tolerations": [own]})[0] == own
    assert len(tolerations_of({"hostNetwork": True})) == len(tolerations_of({})) + 1


def test_the_status_counts_nodes() -> None:
    nodes = [node("x"), node("y"), node("z", ("k", "NoExecute"))]
    status = plan_status(seen(daemon_set(), nodes, pod("1", "x"), pod("2", "z", digest="old")), 0)
    assert status == {
        "currentNumberScheduled": 1,
        "numberMisscheduled": 1,
        "desiredNumberScheduled": 2,
        "numberReady": 1,
        "observedGeneration": 2,
        "updatedNumberScheduled": 1,
        "numberAvailable": 1,
        "numberUnavailable": 1,
    }


def test_the_status_counts_what_the_round_itself_has_made_and_removed() -> None:
    nodes = [node("x"), node("y"), node("z", ("k", "NoExecute"))]
    before = seen(daemon_set(), nodes, pod("1", "x"), pod("2", "z"))
    later = after(before, [pod("3", "y", ready=False, phase="Pending")], {"2"})
    counts = ("desiredNumberScheduled", "currentNumberScheduled", "numberMisscheduled", "numberReady")
    assert [plan_status(before, 0)[name] for name in counts] == [2, 1, 1, 1]
    assert [plan_status(later, 0)[name] for name in counts] == [2, 2, 0, 1]
