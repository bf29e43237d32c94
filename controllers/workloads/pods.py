"""Judging pods: which count, which are ready, which may go first.

Follows: pkg/controller/controller_utils.go, pkg/api/v1/pod/util.go
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cmp_to_key
from typing import Any

from controllers.runtime.objects import Object, View, annotations_of, condition_of, is_deleting, uid_of
from openapi.meta.times import parse_time

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASE_RANKS = {"Pending": 0, "Unknown": 1, "Running": 2}
_FINISHED = ("Succeeded", "Failed")


def phase_of(pod: View) -> str:
    return str((pod.get("status") or {}).get("phase", ""))


def is_finished(pod: View) -> bool:
    return phase_of(pod) in _FINISHED


def is_active(pod: View) -> bool:
    """Whether it runs or will run: neither finished nor going away."""
    return not is_finished(pod) and not is_deleting(pod)


def is_terminating(pod: View) -> bool:
    return not is_finished(pod) and is_deleting(pod)


def is_gone(deleted: View) -> bool:
    """Whether the answer to a deletion says that nothing is left to wait for."""
    metadata = deleted.get("metadata") or {}
    is_last_state = metadata.get("deletionGracePeriodSeconds") == 0 and not metadata.get("finalizers")
    return deleted.get("kind") == "Status" or is_last_state


def is_ready(pod: View) -> bool:
    condition = condition_of(pod, "Ready")
    return condition is not None and condition.get("status") == "True"


def ready_since(pod: View) -> datetime | None:
    """When it became ready; None if it is not, or does not say."""
    condition = condition_of(pod, "Ready")
    if condition is None or condition.get("status") != "True" or not condition.get("lastTransitionTime"):
        return None
    return parse_time(condition["lastTransitionTime"])


def is_available(pod: View, min_ready_s: int, now: datetime) -> bool:
    """Whether it has been ready for long enough."""
    if not is_ready(pod):
        return False
    return min_ready_s == 0 or seconds_to_available(pod, min_ready_s, now) == 0


def seconds_to_available(pod: View, min_ready_s: int, now: datetime) -> float | None:
    """How long until a ready pod counts as available; None for one that is not ready or does not say since when."""
    if not is_ready(pod):
        return None
    if min_ready_s == 0:
        return 0.0
    since = ready_since(pod)
    return None if since is None else max(0.0, min_ready_s - (now - since).total_seconds())


def next_available(pods: Iterable[View], min_ready_s: int, now: datetime) -> float | None:
    """In how many seconds the next of the ready pods becomes available; None when none is about to."""
    waits = [wait for pod in pods if (wait := seconds_to_available(pod, min_ready_s, now))]
    return min(waits, default=None)


def restarts(pod: View) -> int:
    """The restarts of its most restarted container."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return max((int(status.get("restartCount") or 0) for status in statuses), default=0)


def sidecar_restarts(pod: View) -> int:
    """The restarts of its most restarted sidecar."""
    sidecars = {c["name"] for c in pod["spec"].get("initContainers") or () if c.get("restartPolicy") == "Always"}
    statuses = (pod.get("status") or {}).get("initContainerStatuses") or ()
    return max((int(s.get("restartCount") or 0) for s in statuses if s.get("name") in sidecars), default=0)


def deletion_cost(pod: View) -> int:
    """What the pod's annotation says it costs to lose it; 0 when that is no number."""
    text = annotations_of(pod).get(DELETION_COST, "")
    digits = text.removeprefix("-")
    return int(text) if digits.isdigit() and (digits == "0" or not digits.startswith("0")) else 0


def sort_for_deletion(pods: Sequence[Object], now: datetime, related: Callable[[View], int]) -> list[Object]:
    """The pods, those that are missed least first. `related` counts the pods of the same kind on a pod's node."""
    ranks: Mapping[str, int] = {uid_of(pod): related(pod) for pod in pods}

    def compare(a: Object, b: Object) -> int:
        key_a, key_b = _early_key(a), _early_key(b)
        if key_a != key_b:
            return -1 if key_a < key_b else 1
        rank_a, rank_b = ranks[uid_of(a)], ranks[uid_of(b)]
        if rank_a != rank_b:
            return -1 if rank_a > rank_b else 1
        return _compare_age(a, b, now)

    return sorted(pods, key=cmp_to_key(compare))


def _early_key(pod: View) -> tuple[bool, int, bool, int]:
    phase = _PHASE_RANKS.get(phase_of(pod), 0)
    return (bool(pod["spec"].get("nodeName")), phase, is_ready(pod), deletion_cost(pod))


def _compare_age(a: Object, b: Object, now: datetime) -> int:
    """Ready for a shorter time first, then more restarts, then the younger."""
    if is_ready(a) and is_ready(b):
        order = _compare_moments(a, b, ready_since(a), ready_since(b), now)
        if order:
            return order
    for count in (restarts, sidecar_restarts):
        if count(a) != count(b):
            return -1 if count(a) > count(b) else 1
    return _compare_moments(a, b, created_at(a), created_at(b), now)


def _compare_moments(a: Object, b: Object, first: datetime | None, second: datetime | None, now: datetime) -> int:
    """The unknown moment first, then the later one; moments about as long ago are told apart by uid."""
    if first == second:
        return 0
    if first is None or second is None:
        return -1 if first is None else 1
    rank_a, rank_b = _age_rank(first, now), _age_rank(second, now)
    if rank_a == rank_b:
        return -1 if uid_of(a) < uid_of(b) else 1
    return -1 if rank_a < rank_b else 1


def _age_rank(moment: datetime, now: datetime) -> int:
    """The power of two (of nanoseconds) of an age: ages of one order count as equal."""
    nanos = (now - moment).total_seconds() * 1e9
    return int(math.log2(nanos)) if nanos > 0 else -1


def created_at(obj: View) -> datetime | None:
    text = obj["metadata"].get("creationTimestamp")
    return parse_time(text) if text else None


def pod_from_template(template: View, owner: View, reference: Object) -> Object:
    """A pod as the template wants it, named after its owner and controlled by it."""
    wanted = template.get("metadata") or {}
    metadata: dict[str, Any] = {"generateName": f"{owner['metadata']['name']}-"}
    metadata["namespace"] = owner["metadata"]["namespace"]
    for field in ("labels", "annotations", "finalizers"):
        if wanted.get(field):
            metadata[field] = wanted[field]
    metadata["ownerReferences"] = [reference]
    return {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": template["spec"]}
