"""What is to be done for a StatefulSet now, and its status, from plain data.

The set's pods are taken in order of their ordinals; with the policy OrderedReady the first pod that is not as it should
be ends the round, with Parallel all are dealt with at once.
Follows: pkg/controller/statefulset/stateful_set_control.go updateStatefulSet
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from controllers.runtime.objects import Object, View, is_deleting, name_of, uid_of
from controllers.statefulset.claims import DELETE, are_owners_right, claims_of, is_stale, policy_of
from controllers.statefulset.identity import (
    has_identity,
    has_storage,
    is_in_range,
    new_pod,
    ordinal_of,
    revision_of,
    start_of,
    wanted,
)
from controllers.workloads.history import template_of
from controllers.workloads.pods import is_available, is_finished, is_ready, phase_of

Action = Literal["create", "delete", "claims", "fix", "owners"]
FindClaim = Callable[[str], Object | None]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do for one pod: `claims` makes missing claims, `fix` also corrects the pod and its claims' owners,
    `owners` only the owners.
    """

    action: Action
    pod: Object


@dataclass(frozen=True, slots=True)
class Plan:
    """Phases to be carried out in order; a failure ends the round. `rolled` pods are deleted for the update, last."""

    phases: Sequence[Sequence[Step]]
    rolled: Sequence[Object] = ()


@dataclass(frozen=True, slots=True)
class Situation:
    """A set with everything that counts for its next steps."""

    stateful_set: View
    current: View
    update: View
    pods: Sequence[Object]
    find_claim: FindClaim
    now: datetime
    min_ready_s: int = field(default=0)

    def is_unavailable(self, pod: View) -> bool:
        return is_deleting(pod) or not self.is_running_available(pod)

    def is_running_available(self, pod: View) -> bool:
        return is_available(pod, self.min_ready_s, self.now)


def situation(
    stateful_set: View, current: View, update: View, pods: Sequence[Object], find_claim: FindClaim, now: datetime
) -> Situation:
    min_ready_s = stateful_set["spec"].get("minReadySeconds", 0)
    return Situation(stateful_set, current, update, pods, find_claim, now, min_ready_s)


def plan(seen: Situation) -> Plan:
    stateful_set = seen.stateful_set
    if is_deleting(stateful_set):
        return Plan(())
    is_ordered = stateful_set["spec"].get("podManagementPolicy", "OrderedReady") == "OrderedReady"
    replicas = _replicas(seen)
    condemned = sorted(
        (pod for pod in seen.pods if not is_in_range(stateful_set, pod) and ordinal_of(pod) >= 0),
        key=ordinal_of,
        reverse=True,
    )
    first = _first_unavailable(seen, replicas, condemned)
    living, ended = _living(seen, replicas, is_ordered)
    if ended:
        return Plan((living,))
    owners = [Step("owners", pod) for pod in condemned if not _are_claims_owned(seen, pod)]
    going, ended = _going(seen, condemned, first, is_ordered)
    phases = (living, owners, going)
    if ended or stateful_set["spec"].get("updateStrategy", {}).get("type") == "OnDelete":
        return Plan(phases)
    return Plan(phases, _rolled(seen, replicas))


def _replicas(seen: Situation) -> list[Object]:
    """The pods of all ordinals that should be; drafts where there is none yet."""
    stateful_set = seen.stateful_set
    known = {ordinal_of(pod): pod for pod in seen.pods if is_in_range(stateful_set, pod)}
    start = start_of(stateful_set)
    return [known.get(ordinal) or _draft(seen, ordinal) for ordinal in range(start, start + wanted(stateful_set))]


def _draft(seen: Situation, ordinal: int) -> Object:
    revision = seen.current if _stays_behind(seen.stateful_set, ordinal) else seen.update
    return new_pod(seen.stateful_set, template_of(revision), name_of(revision), ordinal)


def _stays_behind(stateful_set: View, ordinal: int) -> bool:
    """Whether the pod of that ordinal is still made by the current revision."""
    strategy = stateful_set["spec"].get("updateStrategy") or {}
    if strategy.get("type") != "RollingUpdate":
        return False
    rolling = strategy.get("rollingUpdate")
    if rolling is None:
        kept = (stateful_set.get("status") or {}).get("currentReplicas", 0)
    else:
        kept = rolling.get("partition", 0)
    return bool(ordinal < start_of(stateful_set) + kept)


def _first_unavailable(seen: Situation, replicas: Sequence[Object], condemned: Sequence[Object]) -> Object | None:
    everything = (*replicas, *reversed(condemned))
    return next((pod for pod in everything if seen.is_unavailable(pod)), None)


def _is_created(pod: View) -> bool:
    return "uid" in pod["metadata"]


def _living(seen: Situation, replicas: Sequence[Object], is_ordered: bool) -> tuple[list[Step], bool]:
    """Steps for the pods that should be, and whether the round ends with them."""
    steps: list[Step] = []
    for pod in replicas:
        if is_finished(pod):
            steps += [] if is_deleting(pod) else [Step("delete", pod)]
            if is_ordered:
                return steps, True
            continue
        if not _is_created(pod):
            if not _waits_for_claims(seen, pod):
                steps.append(Step("create", pod))
            if is_ordered:
                return steps, True
            continue
        if phase_of(pod) == "Pending" and _lacks_claims(seen, pod):
            steps.append(Step("claims", pod))
        is_fit = not is_deleting(pod) and phase_of(pod) == "Running" and seen.is_running_available(pod)
        if is_ordered and not is_fit:
            return steps, True
        if not _is_right(seen, pod):
            steps.append(Step("fix", pod))
    return steps, False


def _is_right(seen: Situation, pod: Object) -> bool:
    stateful_set = seen.stateful_set
    return has_identity(stateful_set, pod) and has_storage(stateful_set, pod) and _are_claims_owned(seen, pod)


def _waits_for_claims(seen: Situation, draft: Object) -> bool:
    """Whether a claim still belongs to the last pod of this name: it must be gone before a new pod comes."""
    if policy_of(seen.stateful_set)[1] != DELETE:
        return False
    claims = (seen.find_claim(name_of(claim)) for claim in claims_of(seen.stateful_set, draft))
    return any(claim is not None and is_stale(claim, name_of(draft), "") for claim in claims)


def _lacks_claims(seen: Situation, pod: Object) -> bool:
    return any(seen.find_claim(name_of(claim)) is None for claim in claims_of(seen.stateful_set, pod))


def _are_claims_owned(seen: Situation, pod: Object) -> bool:
    known = (seen.find_claim(name_of(claim)) for claim in claims_of(seen.stateful_set, pod))
    return all(claim is None or are_owners_right(claim, seen.stateful_set, pod) for claim in known)


def _going(
    seen: Situation, condemned: Sequence[Object], first: Object | None, is_ordered: bool
) -> tuple[list[Step], bool]:
    """Steps for the pods that should not be, the highest ordinal first, and whether the round ends with them."""
    if not is_ordered:
        return [Step("delete", pod) for pod in condemned if not is_deleting(pod)], False
    if not condemned:
        return [], False
    pod = condemned[0]
    is_fit = phase_of(pod) == "Running" and is_ready(pod) and seen.is_running_available(pod)
    is_first = first is not None and uid_of(first) == uid_of(pod)
    if is_deleting(pod) or not (is_fit or is_first):
        return [], True
    return [Step("delete", pod)], True


def _rolled(seen: Situation, replicas: Sequence[Object]) -> list[Object]:
    """The pod to delete so that it comes back by the update revision: the highest that is not yet, broken or not,
    once all above it are available. (`maxUnavailable` is not served by default, and so not looked at.)
    """
    rolling = (seen.stateful_set["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
    update = name_of(seen.update)
    for pod in reversed(replicas[rolling.get("partition", 0) :]):
        if revision_of(pod) != update and not is_deleting(pod):
            return [pod]
        if seen.is_unavailable(pod):
            return []
    return []


def plan_status(seen: Situation, collisions: int, rolled: int) -> Object:
    """The whole status; `rolled` pods of the current revision are gone since."""
    pods = [pod for pod in seen.pods if phase_of(pod)]
    ready = [pod for pod in pods if phase_of(pod) == "Running" and is_ready(pod)]
    staying = [pod for pod in pods if not is_deleting(pod)]
    stateful_set, update = seen.stateful_set, name_of(seen.update)
    current = name_of(seen.current)
    counts = {
        "readyReplicas": len(ready),
        "currentReplicas": _count(staying, current) - rolled,
        "updatedReplicas": _count(staying, update),
    }
    size = wanted(stateful_set)
    is_rolling = (stateful_set["spec"].get("updateStrategy") or {}).get("type") == "RollingUpdate"
    if is_rolling and counts["updatedReplicas"] == counts["readyReplicas"] == len(pods) == size:
        counts["currentReplicas"], current = counts["updatedReplicas"], update
    status: Object = {
        "observedGeneration": stateful_set["metadata"].get("generation", 0),
        "replicas": len(pods),
        **{name: count for name, count in counts.items() if count},
        "currentRevision": current,
        "updateRevision": update,
        "collisionCount": collisions,
        "availableReplicas": sum(seen.is_running_available(pod) for pod in ready),
    }
    conditions = (stateful_set.get("status") or {}).get("conditions")
    return {**status, "conditions": conditions} if conditions else status


def _count(pods: Iterable[View], revision: str) -> int:
    return sum(revision_of(pod) == revision for pod in pods)
