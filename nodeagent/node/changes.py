"""What of a node's changes is told as an event. Pure.

Follows: pkg/kubelet/nodestatus/setters.go, pkg/kubelet/kubelet_node_status.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_REASONS = {
    "MemoryPressure": {"True": "NodeHasInsufficientMemory", "False": "NodeHasSufficientMemory"},
    "DiskPressure": {"True": "NodeHasDiskPressure", "False": "NodeHasNoDiskPressure"},
    "PIDPressure": {"True": "NodeHasInsufficientPID", "False": "NodeHasSufficientPID"},
    "Ready": {"True": "NodeReady", "False": "NodeNotReady"},
}


def condition_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """The reasons of the events, for two statuses of a node. That a new node is not ready yet is no news."""
    before = {item["type"]: item["status"] for item in old.get("conditions") or ()}
    for item in new.get("conditions") or ():
        kind, status = item["type"], item["status"]
        is_first = kind == "Ready" and kind not in before
        if kind in _REASONS and before.get(kind) != status and not is_first:
            yield _REASONS[kind][status]


def schedulable_change(*, was_unschedulable: bool, node: Mapping[str, Any]) -> str:
    """The reason of the event when somebody has closed a node to new pods, or opened it; '' when nobody has."""
    unschedulable = bool((node.get("spec") or {}).get("unschedulable"))
    if unschedulable == was_unschedulable:
        return ""
    return "NodeNotSchedulable" if unschedulable else "NodeSchedulable"
