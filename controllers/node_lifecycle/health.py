"""Judging one node by its heartbeats: what was last seen of it, and what its conditions become when it falls silent.

A heartbeat is any change of the Ready condition's time or a renewed lease, dated by our own clock as we see it.
Follows: pkg/controller/nodelifecycle/node_lifecycle_controller.go tryUpdateNodeHealth
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from controllers.runtime.objects import Object, View, condition_of
from openapi.meta.times import format_time, parse_time

_WATCHED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of a node. `heartbeat` and `renewal` are the times as the node itself wrote them."""

    probed: datetime
    ready: str = ""
    heartbeat: str = ""
    renewal: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One look at a node: its status of Ready before and after, and the conditions to write, if any."""

    health: Health
    observed: str
    current: str
    conditions: Sequence[Object] | None = None


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a node may be silent, in seconds: a known one, and one that has never said anything."""

    grace_s: float
    startup_s: float


def look(node: View, renewal: str, known: Health | None, now: datetime, patience: Patience) -> Finding:
    """Compare the node with what was known of it; `renewal` is its lease's renewTime, '' without a lease."""
    ready = condition_of(node, "Ready")
    observed = "Unknown" if ready is None else str(ready.get("status", ""))
    heartbeat = "" if ready is None else str(ready.get("lastHeartbeatTime") or "")
    health = _seen(node, known, ready is not None, heartbeat, renewal, now)
    health = replace(health, ready="" if ready is None else observed)
    allowed_s = patience.startup_s if ready is None else patience.grace_s
    if now <= health.probed + timedelta(seconds=allowed_s):
        return Finding(health, observed, "" if ready is None else observed)
    conditions = silent_conditions(node, now)
    changed = ready is None or observed != "Unknown"
    return Finding(replace(health, ready="Unknown"), observed, "Unknown", conditions if changed else None)


def _seen(node: View, known: Health | None, has_ready: bool, heartbeat: str, renewal: str, now: datetime) -> Health:
    if known is None:
        probed = now if has_ready else parse_time(node["metadata"]["creationTimestamp"])
        health = Health(probed, heartbeat=heartbeat)
    elif bool(known.ready) != has_ready or known.heartbeat != heartbeat:
        health = replace(known, probed=now, heartbeat=heartbeat)
    else:
        health = known
    if renewal > health.renewal:
        return replace(health, probed=now, renewal=renewal)
    return health


def silent_conditions(node: View, now: datetime) -> Sequence[Object]:
    """The node's conditions with all that a kubelet reports as Unknown."""
    conditions = [dict(found) for found in (node.get("status") or {}).get("conditions") or ()]
    by_type = {condition["type"]: condition for condition in conditions}
    moment = format_time(now)
    for kind in _WATCHED:
        condition = by_type.get(kind)
        if condition is None:
            conditions.append(
                {
                    "type": kind,
                    "status": "Unknown",
                    "reason": "NodeStatusNeverUpdated",
                    "message": "Kubelet never posted node status.",
                    "lastHeartbeatTime": node["metadata"]["creationTimestamp"],
                    "lastTransitionTime": moment,
                }
            )
        elif condition.get("status") != "Unknown":
            condition["status"] = "Unknown"
            condition["reason"] = "NodeStatusUnknown"
            condition["message"] = "Kubelet stopped posting node status."
            condition["lastTransitionTime"] = moment
    return conditions
