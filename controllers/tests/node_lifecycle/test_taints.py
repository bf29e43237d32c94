"""Taints and labels that follow from a node's conditions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from controllers.node_lifecycle.pods import unready
from controllers.node_lifecycle.taints import NOT_READY, UNREACHABLE, eviction_taints, older_labels, schedule_taints

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def node(conditions: dict[str, str], taints: Any = (), **spec: Any) -> dict[str, Any]:
    found = [{"type": kind, "status": status} for kind, status in conditions.items()]
    return {"metadata": {"name": "n"}, "spec": {"taints": list(taints), **spec}, "status": {"conditions": found}}


def keys(taints: list[dict[str, Any]] | None) -> list[str] | None:
    return None if taints is None else [taint["key"] for taint in taints]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({"Ready": "True"}, None),
        ({"Ready": "False"}, [NOT_READY]),
        ({"Ready": "Unknown"}, [UNREACHABLE]),
        ({"MemoryPressure": "True"}, ["node.kubernetes.io/memory-pressure"]),
        ({"NetworkUnavailable": "Unknown"}, None),
    ],
)
def test_conditions_become_taints(conditions: dict[str, str], expected: list[str] | None) -> None:
    assert keys(schedule_taints(node(conditions), NOW)) == expected


def test_taints_of_others_stay() -> None:
    mine = {"key": NOT_READY, "effect": "NoSchedule"}
    other = {"key": "gpu", "effect": "NoSchedule"}
    assert schedule_taints(node({"Ready": "True"}, [mine, other]), NOW) == [other]


def test_cordoned_node_is_tainted() -> None:
    taints = schedule_taints(node({"Ready": "True"}, unschedulable=True), NOW)
    assert keys(taints) == ["node.kubernetes.io/unschedulable"]


def test_eviction_taint_changes_with_the_reason() -> None:
    unreachable = {"key": UNREACHABLE, "effect": "NoExecute"}
    assert keys(eviction_taints(node({}, [unreachable]), "False", NOW)) == [NOT_READY]
    assert keys(eviction_taints(node({}, [unreachable]), "True", NOW)) == []
    assert eviction_taints(node({}, [unreachable]), "Unknown", NOW) is None


def test_older_labels_follow_the_newer() -> None:
    labels = {"kubernetes.io/os": "linux", "beta.kubernetes.io/os": "plan9"}
    assert older_labels({"metadata": {"labels": labels}}) == {"beta.kubernetes.io/os": "linux"}
    assert not older_labels({"metadata": {"labels": {"kubernetes.io/os": "a", "beta.kubernetes.io/os": "a"}}})


def test_only_a_ready_pod_is_marked() -> None:
    pod = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    changed = unready(pod, NOW)
    assert changed is not None
    assert changed["status"]["conditions"][0]["status"] == "False"
    assert unready(changed, NOW) is None
