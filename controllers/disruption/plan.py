"""The status of a PodDisruptionBudget. Pure.

Follows: pkg/controller/disruption/disruption.go, staging/src/k8s.io/component-helpers/apps/poddisruptionbudget
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from controllers.runtime.objects import Object, View, condition_of, is_deleting, name_of
from openapi.meta.intstr import scaled_value
from openapi.meta.times import format_time, parse_time

DELETION_TIMEOUT = timedelta(minutes=2)
"""So long an evicted pod may take to be deleted; after that it counts again."""
STALE_AFTER = timedelta(minutes=2)
CONDITION = "DisruptionAllowed"
TARGET = "DisruptionTarget"


@dataclass(frozen=True, slots=True)
class Disrupted:
    """Evicted pods that are still to be deleted, those that never were, and when to look again."""

    pods: Mapping[str, str]
    overdue: Sequence[View]
    recheck_s: float | None


def wants_scale(budget: View) -> bool:
    """Whether the budget depends on how many pods their controllers want, not on how many there are."""
    spec = budget["spec"]
    return spec.get("maxUnavailable") is not None or isinstance(spec.get("minAvailable"), str)


def desired_healthy(budget: View, expected: int) -> int:
    spec = budget["spec"]
    if spec.get("maxUnavailable") is not None:
        return max(expected - scaled_value(spec["maxUnavailable"], expected, True), 0)
    if spec.get("minAvailable") is not None:
        return scaled_value(spec["minAvailable"], expected, True)
    return 0


def disrupted_pods(budget: View, pods: Iterable[View], now: datetime) -> Disrupted:
    known = (budget.get("status") or {}).get("disruptedPods") or {}
    kept: dict[str, str] = {}
    overdue: list[View] = []
    recheck_s: float | None = None
    for pod in pods:
        since = known.get(name_of(pod))
        if since is None or is_deleting(pod):
            continue
        left_s = (parse_time(since) + DELETION_TIMEOUT - now).total_seconds()
        if left_s < 0:
            overdue.append(pod)
            continue
        kept[name_of(pod)] = since
        recheck_s = left_s if recheck_s is None else min(recheck_s, left_s)
    return Disrupted(kept, overdue, recheck_s)


def count_healthy(pods: Iterable[View], disrupted: Mapping[str, str]) -> int:
    """The ready pods that are not about to go."""
    healthy = 0
    for pod in pods:
        condition = condition_of(pod, "Ready")
        is_ready = condition is not None and condition["status"] == "True"
        healthy += is_ready and not is_deleting(pod) and name_of(pod) not in disrupted
    return healthy


def plan_status(
    budget: View, *, healthy: int, desired: int, expected: int, disrupted: Mapping[str, str], now: datetime
) -> Object | None:
    """The new status; None if it is what it was."""
    old = budget.get("status") or {}
    allowed = max(healthy - desired, 0) if expected > 0 else 0
    generation = budget["metadata"].get("generation", 0)
    status: Object = {
        "observedGeneration": generation,
        "disruptionsAllowed": allowed,
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "expectedPods": expected,
    }
    if disrupted:
        status["disruptedPods"] = dict(disrupted)
    condition = {
        "type": CONDITION,
        "status": "True" if allowed else "False",
        "observedGeneration": generation,
        "reason": "SufficientPods" if allowed else "InsufficientPods",
        "message": "",
    }
    status["conditions"] = _with_condition(old.get("conditions") or (), condition, now)
    same = all(old.get(name, {} if name == "disruptedPods" else None) == value for name, value in status.items())
    return None if same and bool(old.get("disruptedPods")) == bool(disrupted) else status


def failed_status(budget: View, message: str, now: datetime) -> Object:
    """Nothing is allowed while the status cannot be computed."""
    old = budget.get("status") or {}
    condition = {
        "type": CONDITION,
        "status": "False",
        "observedGeneration": old.get("observedGeneration", 0),
        "reason": "SyncFailed",
        "message": message,
    }
    conditions = _with_condition(old.get("conditions") or (), condition, now)
    return {**old, "disruptionsAllowed": 0, "conditions": conditions}


def _with_condition(conditions: Sequence[View], new: Object, now: datetime) -> list[Object]:
    """The conditions with one of them replaced; its time moves only with its status."""
    kept = [dict(one) for one in conditions if one["type"] != new["type"]]
    old = next((one for one in conditions if one["type"] == new["type"]), None)
    since = old["lastTransitionTime"] if old is not None and old["status"] == new["status"] else format_time(now)
    return [*kept, {**new, "lastTransitionTime": since}]


def stale_in_s(pod: View, now: datetime) -> float | None:
    """When the pod's mark as a target of disruption has been there for too long; None if it has none to remove."""
    condition = condition_of(pod, TARGET)
    if condition is None or condition["status"] != "True" or condition.get("reason") == "TerminationByKubelet":
        return None
    if is_deleting(pod) or (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return None
    since = condition.get("lastTransitionTime")
    return max((parse_time(since) + STALE_AFTER - now).total_seconds(), 0.0) if since else 0.0


def selector_text(selector: View | None) -> str:
    """A label selector as Go prints it, which is how events show it."""
    if selector is None:
        return "nil"
    labels = "".join(f"{key}: {value}," for key, value in sorted((selector.get("matchLabels") or {}).items()))
    rows = "".join(
        f"LabelSelectorRequirement{{Key:{one['key']},Operator:{one['operator']},"
        f"Values:[{' '.join(one.get('values') or ())}],}},"
        for one in selector.get("matchExpressions") or ()
    )
    matches = f"map[string]string{{{labels}}}"
    return f"&LabelSelector{{MatchLabels:{matches},MatchExpressions:[]LabelSelectorRequirement{{{rows}}},}}"
