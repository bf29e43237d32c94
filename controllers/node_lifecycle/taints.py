"""What a node's taints and labels should be, by its conditions: pure, None where nothing changes.

Follows: pkg/controller/nodelifecycle/node_lifecycle_controller.go, pkg/controller/util/node/controller_utils.go
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from controllers.runtime.objects import Object, View, labels_of
from openapi.meta.times import format_time

NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"
_UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
_BY_CONDITION: Mapping[tuple[str, str], str] = {
    ("Ready", "False"): NOT_READY,
    ("Ready", "Unknown"): UNREACHABLE,
    ("MemoryPressure", "True"): "node.kubernetes.io/memory-pressure",
    ("DiskPressure", "True"): "node.kubernetes.io/disk-pressure",
    ("NetworkUnavailable", "True"): "node.kubernetes.io/network-unavailable",
    ("PIDPressure", "True"): "node.kubernetes.io/pid-pressure",
}
_OURS = frozenset({*_BY_CONDITION.values(), _UNSCHEDULABLE})
_LABELS = (("kubernetes.io/os", "beta.kubernetes.io/os"), ("kubernetes.io/arch", "beta.kubernetes.io/arch"))


def taints_of(node: View) -> Sequence[View]:
    return node["spec"].get("taints") or ()


def has_taint(node: View, key: str, effect: str) -> bool:
    return any(taint["key"] == key and taint["effect"] == effect for taint in taints_of(node))


def schedule_taints(node: View, now: datetime) -> list[Object] | None:
    """All taints of the node, with the NoSchedule ones as its conditions and `spec.unschedulable` say."""
    wanted = []
    for condition in (node.get("status") or {}).get("conditions") or ():
        key = _BY_CONDITION.get((condition["type"], condition.get("status", "")))
        if key is not None and key not in wanted:
            wanted.append(key)
    if node["spec"].get("unschedulable"):
        wanted.append(_UNSCHEDULABLE)
    present = {taint["key"] for taint in taints_of(node) if taint["effect"] == "NoSchedule"} & _OURS
    return _exchanged(node, "NoSchedule", wanted, present - set(wanted), now)


def eviction_taints(node: View, ready: str, now: datetime) -> list[Object] | None:
    """All taints of the node, with the NoExecute one for that status of Ready: none for True."""
    wanted = {"False": [NOT_READY], "Unknown": [UNREACHABLE]}.get(ready, [])
    return _exchanged(node, "NoExecute", wanted, {NOT_READY, UNREACHABLE} - set(wanted), now)


def _exchanged(
    node: View, effect: str, wanted: Sequence[str], unwanted: set[str], now: datetime
) -> list[Object] | None:
    taints = taints_of(node)
    kept = [dict(taint) for taint in taints if taint["effect"] != effect or taint["key"] not in unwanted]
    present = {taint["key"] for taint in kept if taint["effect"] == effect}
    new = [{"key": key, "effect": effect, "timeAdded": format_time(now)} for key in wanted if key not in present]
    return [*kept, *new] if new or len(kept) < len(taints) else None


def older_labels(node: View) -> Mapping[str, str]:
    """The older labels that do not say what the newer ones do."""
    labels = labels_of(node)
    return {old: labels[new] for new, old in _LABELS if new in labels and labels.get(old) != labels[new]}
