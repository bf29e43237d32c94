from __future__ import annotations

from typing import Any

import pytest

from nodeagent.node.changes import condition_changes, schedulable_change


def status(**conditions: str) -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": value} for kind, value in conditions.items()]}


@pytest.mark.parametrize(
    ("old", "new", "reasons"),
    [
        ({}, status(MemoryPressure="False", Ready="False"), ["NodeHasSufficientMemory"]),
        (status(Ready="False"), status(Ready="True"), ["NodeReady"]),
        (status(DiskPressure="False"), status(DiskPressure="True"), ["NodeHasDiskPressure"]),
        (status(PIDPressure="Unknown"), status(PIDPressure="False"), ["NodeHasSufficientPID"]),
        (status(Other="False"), status(Other="True"), []),
    ],
)
def test_what_changes_of_a_node_is_told(old: dict[str, Any], new: dict[str, Any], reasons: list[str]) -> None:
    assert list(condition_changes(old, new)) == reasons


def test_who_closes_a_node_to_pods_is_noticed() -> None:
    closed = {"spec": {"unschedulable": True}}
    assert schedulable_change(was_unschedulable=False, node=closed) == "NodeNotSchedulable"
    assert schedulable_change(was_unschedulable=True, node={}) == "NodeSchedulable"
    assert schedulable_change(was_unschedulable=True, node=closed) == ""
