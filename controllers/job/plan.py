"""Which pods of a Job are to be made and removed now. Pure.

Follows: pkg/controller/job/job_controller.go manageJob
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from controllers.job.assess import Assessment
from controllers.job.backoff import remaining_of_index_s
from controllers.job.pods import has_limit_per_index, index_of, is_indexed, is_suspended, new_pod, replaces_only_failed
from controllers.runtime.objects import Object
from controllers.workloads.pods import is_terminating, sort_for_deletion

BURST = 500
"""The most pods made or deleted in one go."""


@dataclass(frozen=True, slots=True)
class PodPlan:
    """Pods to make or to remove, never both; `wait_s` is how long making must wait for the backoff."""

    create: Sequence[Object] = ()
    remove: Sequence[Object] = ()
    wait_s: float = 0.0


def plan_pods(seen: Assessment, now: datetime) -> PodPlan:
    job = seen.job
    if is_suspended(job):
        return PodPlan(remove=_to_remove(seen, seen.active, now)[:BURST])
    wanted = _wanted(seen)
    remove = _to_remove(seen, max(0, seen.active - wanted), now)
    if remove:
        return PodPlan(remove=remove[:BURST])
    terminating = seen.terminating if replaces_only_failed(job) else 0
    missing = min(wanted - terminating - seen.active, BURST)
    if missing <= 0:
        return PodPlan()
    if not has_limit_per_index(job):
        wait_s = seen.backoff.left_s(now)
        if wait_s > 0:
            return PodPlan(wait_s=wait_s)
    if is_indexed(job):
        return _plan_indexes(seen, missing, now)
    return PodPlan(create=[new_pod(job)] * missing)


def _wanted(seen: Assessment) -> int:
    """How many pods should be active."""
    parallelism = int(seen.job["spec"].get("parallelism", 1))
    if seen.completions is None:
        # A work queue: after the first success no new pods, those that run may finish.
        return seen.active if seen.succeeded > 0 else parallelism
    left = seen.completions - seen.succeeded - len(seen.failed_indexes)
    return max(0, min(left, parallelism))


def _to_remove(seen: Assessment, at_least: int, now: datetime) -> list[Object]:
    """The active pods to remove: second pods of an index and those beyond the range always come first."""
    active = seen.active_pods
    if not is_indexed(seen.job):
        return sort_for_deletion(active, now, lambda _pod: 0)[:at_least] if at_least else []
    completions, taken = seen.completions or 0, set[int]()
    remove: list[Object] = []
    left: list[Object] = []
    for pod in reversed(sort_for_deletion(active, now, lambda _pod: 0)):
        index = index_of(pod)
        if not 0 <= index < completions or index in taken:
            remove.append(pod)
        else:
            taken.add(index)
            left.append(pod)
    more = at_least - len(remove)
    return remove + (sort_for_deletion(left, now, lambda _pod: 0)[:more] if more > 0 else [])


def _plan_indexes(seen: Assessment, missing: int, now: datetime) -> PodPlan:
    """Pods for the lowest indexes that have none; with a limit per index each waits by itself."""
    job, completions = seen.job, seen.completions or 0
    taken = seen.succeeded_indexes.union(index_of(pod) for pod in seen.active_pods)
    if replaces_only_failed(job):
        taken = taken.union(index_of(pod) for pod in seen.pods if is_terminating(pod))
    free = taken.union(seen.failed_indexes).first_missing(missing, completions)
    if not has_limit_per_index(job):
        return PodPlan(create=[new_pod(job, index) for index in free])
    waits = {index: _wait_s(seen, index, now) for index in free}
    due = [index for index in free if waits[index] == 0]
    if not due:
        return PodPlan(wait_s=min(waits.values(), default=0.0))
    return PodPlan(create=[new_pod(job, index, seen.delayed.get(index)) for index in due])


def _wait_s(seen: Assessment, index: int, now: datetime) -> float:
    replaced = seen.delayed.get(index)
    return remaining_of_index_s(replaced, now) if replaced is not None else 0.0
