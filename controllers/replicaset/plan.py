"""What a ReplicaSet or ReplicationController is to do, and its status, from plain data.

Follows: pkg/controller/replicaset/{replica_set.go,replica_set_utils.go}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from controllers.runtime.objects import Object, View, condition_of, labels_of
from controllers.workloads.conditions import condition, without
from controllers.workloads.pods import is_active, is_available, is_ready, sort_for_deletion

BURST = 500
"""The most pods made or deleted in one go."""

FAILURE = "ReplicaFailure"


@dataclass(frozen=True, slots=True)
class ScalePlan:
    """How many pods to make, or which to delete."""

    create: int = 0
    delete: Sequence[Object] = ()


def plan_scale(wanted: int, active: Sequence[Object], related: Sequence[View], now: datetime) -> ScalePlan:
    """Compare the active pods with the number wanted. `related` are the pods of sibling sets, to spread deletions."""
    surplus = len(active) - wanted
    if surplus < 0:
        return ScalePlan(create=min(-surplus, BURST))
    if surplus == 0:
        return ScalePlan()
    if surplus >= len(active):
        return ScalePlan(delete=list(active)[:BURST])
    on_node = Counter(pod["spec"].get("nodeName", "") for pod in related if is_active(pod))
    ordered = sort_for_deletion(active, now, lambda pod: on_node[pod["spec"].get("nodeName", "")])
    return ScalePlan(delete=ordered[: min(surplus, BURST)])


def plan_status(
    owner: View, active: Sequence[View], terminating: int | None, failure: str | None, now: datetime
) -> Object:
    """The whole status. `terminating` is None for kinds that do not count it; `failure` is what kept pods from being
    made or deleted.
    """
    spec, old = owner["spec"], owner.get("status") or {}
    labels: Mapping[str, str] = (spec["template"].get("metadata") or {}).get("labels") or {}
    min_ready_s = spec.get("minReadySeconds", 0)
    ready = [pod for pod in active if is_ready(pod)]
    counts = {
        "fullyLabeledReplicas": sum(labels.items() <= labels_of(pod).items() for pod in active),
        "readyReplicas": len(ready),
        "availableReplicas": sum(is_available(pod, min_ready_s, now) for pod in ready),
    }
    status: Object = {"replicas": len(active), **{field: count for field, count in counts.items() if count}}
    if terminating is not None:
        status["terminatingReplicas"] = terminating
    status["observedGeneration"] = owner["metadata"].get("generation", 0)
    conditions = _conditions(owner, old.get("conditions") or [], len(active) - spec.get("replicas", 1), failure, now)
    if conditions:
        status["conditions"] = conditions
    return status


def _conditions(
    owner: View, old: Sequence[Object], surplus: int, failure: str | None, now: datetime
) -> Sequence[Object]:
    known = condition_of(owner, FAILURE)
    if failure is None:
        return old if known is None else without(old, FAILURE)
    if known is not None:
        return old
    reason = "FailedCreate" if surplus < 0 else "FailedDelete" if surplus > 0 else ""
    return [*old, condition(FAILURE, "True", reason, failure, now)]
