"""Judging pods: readiness, availability, which goes first."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from controllers.workloads.pods import (
    deletion_cost,
    is_active,
    is_available,
    is_gone,
    is_terminating,
    next_available,
    sort_for_deletion,
)

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def pod(
    name: str, *, phase: str = "Running", ready: str | None = "2026-01-01T10:00:00Z", **fields: Any
) -> dict[str, Any]:
    status: dict[str, Any] = {"phase": phase}
    if ready is not None:
        status["conditions"] = [{"type": "Ready", "status": "True", "lastTransitionTime": ready}]
    if "restarts" in fields:
        status["containerStatuses"] = [{"name": "c", "restartCount": fields["restarts"]}]
    metadata = {"name": name, "uid": name, "creationTimestamp": fields.get("created", "2026-01-01T09:00:00Z")}
    if "cost" in fields:
        metadata["annotations"] = {"controller.kubernetes.io/pod-deletion-cost": fields["cost"]}
    if fields.get("deleting"):
        metadata["deletionTimestamp"] = "2026-01-01T11:00:00Z"
    return {"metadata": metadata, "spec": {"nodeName": fields.get("node", "n")}, "status": status}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(pod("a", node=""), pod("b"), id="unassigned before assigned"),
        pytest.param(pod("a", phase="Pending"), pod("b"), id="pending before running"),
        pytest.param(pod("a", ready=None), pod("b"), id="not ready before ready"),
        pytest.param(pod("a", cost="-5"), pod("b"), id="cheap before dear"),
        pytest.param(pod("a", ready="2026-01-01T11:59:00Z"), pod("b"), id="ready for a short time before long"),
        pytest.param(pod("a", restarts=3), pod("b", restarts=1), id="restarted often before seldom"),
        pytest.param(pod("a", created="2026-01-01T11:59:50Z"), pod("b"), id="young before old"),
    ],
)
def test_pods_go_in_order(first: dict[str, Any], second: dict[str, Any]) -> None:
    for given in ([first, second], [second, first]):
        ordered = sort_for_deletion(given, NOW, lambda _pod: 0)
        assert [one["metadata"]["name"] for one in ordered] == ["a", "b"]


def test_pods_on_crowded_nodes_go_first() -> None:
    crowd = {"x": 3, "y": 1}
    ordered = sort_for_deletion(
        [pod("a", node="y"), pod("b", node="x")], NOW, lambda one: crowd[one["spec"]["nodeName"]]
    )
    assert [one["metadata"]["name"] for one in ordered] == ["b", "a"]


@pytest.mark.parametrize(("text", "cost"), [("10", 10), ("-10", -10), ("010", 0), ("much", 0), ("", 0), ("0", 0)])
def test_a_cost_is_a_plain_number(text: str, cost: int) -> None:
    assert deletion_cost(pod("a", cost=text)) == cost


def test_a_pod_is_available_after_it_was_ready_for_long_enough() -> None:
    fresh = pod("a", ready="2026-01-01T11:59:55Z")
    assert not is_available(fresh, 10, NOW)
    assert is_available(fresh, 5, NOW)
    assert is_available(fresh, 0, NOW)
    assert next_available([fresh, pod("b")], 10, NOW) == 5
    assert next_available([pod("b"), pod("c", ready=None)], 10, NOW) is None


def test_finished_and_deleted_pods_are_not_active() -> None:
    assert is_active(pod("a", phase="Pending"))
    assert not is_active(pod("a", phase="Failed"))
    assert not is_active(pod("a", deleting=True))
    assert is_terminating(pod("a", deleting=True))
    assert not is_terminating(pod("a", phase="Succeeded", deleting=True))


@pytest.mark.parametrize(
    ("deleted", "gone"),
    [
        ({"kind": "Status", "status": "Success"}, True),
        ({"kind": "Pod", "metadata": {"deletionGracePeriodSeconds": 0}}, True),
        ({"kind": "Pod", "metadata": {"deletionGracePeriodSeconds": 30}}, False),
        ({"kind": "Pod", "metadata": {"deletionGracePeriodSeconds": 0, "finalizers": ["f"]}}, False),
    ],
)
def test_what_is_deleted_may_stay_a_while(deleted: dict[str, Any], gone: bool) -> None:
    assert is_gone(deleted) is gone
