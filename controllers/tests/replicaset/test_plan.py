"""What a ReplicaSet does next, and what it says of itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from controllers.replicaset.plan import BURST, plan_scale, plan_status

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def pod(name: str, ready: bool = False, node: str = "n", **labels: str) -> dict[str, Any]:
    status: dict[str, Any] = {"phase": "Running"}
    if ready:
        condition = {"type": "Ready", "status": "True", "lastTransitionTime": "2025-01-01T00:00:00Z"}
        status["conditions"] = [condition]
    metadata = {"name": name, "uid": name, "labels": labels, "creationTimestamp": "2025-01-01T00:00:00Z"}
    return {"metadata": metadata, "spec": {"nodeName": node}, "status": status}


def owner(replicas: int, **status: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"a": "b", "c": "d"}}}
    return {"metadata": {"generation": 4}, "spec": {"replicas": replicas, "template": template}, "status": status}


def test_missing_pods_are_made_but_not_too_many_at_once() -> None:
    assert plan_scale(3, [pod("a")], (), NOW).create == 2
    assert plan_scale(5000, [], (), NOW).create == BURST


def test_surplus_pods_go_the_unready_first() -> None:
    plan = plan_scale(1, [pod("a", ready=True), pod("b")], (), NOW)
    assert [one["metadata"]["name"] for one in plan.delete] == ["b"]


def test_surplus_pods_go_from_nodes_where_siblings_are() -> None:
    pods = [pod("a", ready=True, node="x"), pod("b", ready=True, node="y")]
    plan = plan_scale(1, pods, [*pods, pod("sibling", node="y")], NOW)
    assert [one["metadata"]["name"] for one in plan.delete] == ["b"]


def test_the_status_counts_pods_and_leaves_zeros_out() -> None:
    pods = [pod("a", ready=True, a="b", c="d"), pod("b", a="b")]
    assert plan_status(owner(2), pods, 0, None, NOW) == {
        "replicas": 2,
        "fullyLabeledReplicas": 1,
        "readyReplicas": 1,
        "availableReplicas": 1,
        "terminatingReplicas": 0,
        "observedGeneration": 4,
    }


def test_a_failure_shows_once_and_goes_with_its_cause() -> None:
    failed = plan_status(owner(2), [], None, "exceeded quota", NOW)
    (condition,) = failed["conditions"]
    assert (condition["type"], condition["reason"]) == ("ReplicaFailure", "FailedCreate")
    again = plan_status(owner(2, conditions=failed["conditions"]), [], None, "exceeded quota by another name", NOW)
    assert again["conditions"] == [condition]
    assert "conditions" not in plan_status(owner(2, conditions=failed["conditions"]), [], None, None, NOW)
