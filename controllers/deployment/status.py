"""The status of a Deployment: counts, availability, progress and its deadline.

Follows: pkg/controller/deployment/{sync.go,progress.go}, util/deployment_util.go
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from controllers.deployment.sizes import counted, limits_of, replicas_of, total
from controllers.runtime.objects import Object, View, name_of
from controllers.workloads import conditions
from openapi.meta.times import format_time, parse_time

PROGRESSING, AVAILABLE, FAILURE = "Progressing", "Available", "ReplicaFailure"
COMPLETE, UPDATED, TIMED_OUT = "NewReplicaSetAvailable", "ReplicaSetUpdated", "ProgressDeadlineExceeded"

NO_DEADLINE = 2**31 - 1


def condition(kind: str, status: str, reason: str, message: str, now: datetime) -> Object:
    return {**conditions.condition(kind, status, reason, message, now), "lastUpdateTime": format_time(now)}


def progressing_of(obj_status: View) -> View | None:
    return conditions.find(obj_status.get("conditions") or (), PROGRESSING)


def with_condition(known: Sequence[Object], new: Object) -> list[Object]:
    """The conditions with `new` in them; one with the same status and reason stays as it is."""
    current = conditions.find(known, new["type"])
    if current is not None and current["status"] == new["status"]:
        if current.get("reason", "") == new.get("reason", ""):
            return list(known)
        new = {**new, "lastTransitionTime": current["lastTransitionTime"]}
    return [*conditions.without(known, new["type"]), new]


def has_deadline(deployment: View) -> bool:
    limit = deployment["spec"].get("progressDeadlineSeconds")
    return limit is not None and limit != NO_DEADLINE


def plain_status(deployment: View, newest: View | None, everything: Sequence[View], now: datetime) -> Object:
    """The counts and whether enough pods are available; other conditions as they were."""
    old = deployment.get("status") or {}
    available = sum(counted(one, "availableReplicas") for one in everything)
    counts = {
        "replicas": sum(counted(one, "replicas") for one in everything),
        "updatedReplicas": counted(newest, "replicas") if newest is not None else 0,
        "readyReplicas": sum(counted(one, "readyReplicas") for one in everything),
        "availableReplicas": available,
        "unavailableReplicas": max(0, total(everything) - available),
    }
    status: Object = {"observedGeneration": deployment["metadata"].get("generation", 0)}
    status |= {field: count for field, count in counts.items() if count}
    terminating = _terminating(everything)
    if terminating is not None:
        status["terminatingReplicas"] = terminating
    if "collisionCount" in old:
        status["collisionCount"] = old["collisionCount"]
    if available >= replicas_of(deployment) - limits_of(deployment).unavailable:
        told = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        told = ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    status["conditions"] = with_condition(old.get("conditions") or [], condition(AVAILABLE, *told, now))
    return status


def _terminating(everything: Sequence[View]) -> int | None:
    """None as long as a ReplicaSet has not said it."""
    counts = [(one.get("status") or {}).get("terminatingReplicas") for one in everything]
    return None if None in counts else sum(count for count in counts if count is not None)


def rollout_status(deployment: View, newest: View | None, everything: Sequence[View], now: datetime) -> Object:
    """The status while a rollout is on its way, done or stuck."""
    status = plain_status(deployment, newest, everything, now)
    known: list[Object] = status["conditions"]
    current = progressing_of(deployment.get("status") or {})
    if not has_deadline(deployment):
        known = conditions.without(known, PROGRESSING)
    elif not _was_complete(status, current):
        known = _with_progress(deployment, status, known, current, newest, now)
    failures = _failures(newest, everything)
    status["conditions"] = with_condition(known, failures[0]) if failures else conditions.without(known, FAILURE)
    return status


def _was_complete(status: Mapping[str, int], current: View | None) -> bool:
    same = status.get("replicas", 0) == status.get("updatedReplicas", 0)
    return same and current is not None and current.get("reason") == COMPLETE


def _with_progress(
    deployment: View, status: Object, known: list[Object], current: View | None, newest: View | None, now: datetime
) -> list[Object]:
    what = f'ReplicaSet "{name_of(newest)}"' if newest is not None else f'Deployment "{name_of(deployment)}"'
    if is_complete(deployment, status):
        told = condition(PROGRESSING, "True", COMPLETE, f"{what} has successfully progressed.", now)
        return with_condition(known, told)
    if _has_progressed(deployment.get("status") or {}, status):
        told = condition(PROGRESSING, "True", UPDATED, f"{what} is progressing.", now)
        if current is not None and current["status"] == "True":
            told["lastTransitionTime"] = current["lastTransitionTime"]
        return [*conditions.without(known, PROGRESSING), told]
    if _is_timed_out(deployment, known, now):
        told = condition(PROGRESSING, "False", TIMED_OUT, f"{what} has timed out progressing.", now)
        return with_condition(known, told)
    return known


def is_complete(deployment: View, status: View) -> bool:
    """Whether all pods are of the newest ReplicaSet, and available."""
    wanted = replicas_of(deployment)
    counts = (status.get(field, 0) for field in ("updatedReplicas", "replicas", "availableReplicas"))
    is_observed = bool(status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0))
    return is_observed and all(count == wanted for count in counts)


def _has_progressed(old: View, new: View) -> bool:
    def outdated(status: View) -> int:
        return int(status.get("replicas", 0)) - int(status.get("updatedReplicas", 0))

    grown = any(new.get(f, 0) > old.get(f, 0) for f in ("updatedReplicas", "readyReplicas", "availableReplicas"))
    return grown or outdated(new) < outdated(old)


def _is_timed_out(deployment: View, known: Sequence[View], now: datetime) -> bool:
    current = conditions.find(known, PROGRESSING)
    if current is None or current.get("reason") == COMPLETE:
        return False
    if current.get("reason") == TIMED_OUT:
        return True
    since = parse_time(current["lastUpdateTime"])
    return (now - since).total_seconds() > float(deployment["spec"]["progressDeadlineSeconds"])


def seconds_to_deadline(deployment: View, status: View, now: datetime) -> float | None:
    """When to look again for a rollout that makes no progress; None when there is nothing to wait for."""
    current = progressing_of(deployment.get("status") or {})
    if not has_deadline(deployment) or current is None:
        return None
    if is_complete(deployment, status) or current.get("reason") == TIMED_OUT:
        return None
    passed = (now - parse_time(current["lastUpdateTime"])).total_seconds()
    # A second more, so that the deadline has passed for sure.
    return max(0.0, float(deployment["spec"]["progressDeadlineSeconds"]) - passed) + 1


def _failures(newest: View | None, everything: Sequence[View]) -> list[Object]:
    """The failure conditions of the newest ReplicaSet, or else of any, as conditions of the Deployment."""
    for group in ([newest] if newest is not None else [], everything):
        found = [
            {**one, "lastUpdateTime": one["lastTransitionTime"]}
            for replica_set in group
            for one in (replica_set.get("status") or {}).get("conditions") or ()
            if one["type"] == FAILURE
        ]
        if found:
            return found
    return []
