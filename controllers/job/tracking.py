"""Counting ended pods exactly once: first their uids go into the status, then their finalizers, then they are counted.

Whatever fails in between is made up for in the next round, as each step can be told from the objects.
Follows: pkg/controller/job/job_controller.go trackJobStatusAndRemoveFinalizers
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from controllers.job.assess import SUSPENDED, Assessment, Finish, condition
from controllers.job.pods import has_failed, has_limit_per_index, index_of, is_indexed, is_tracked
from controllers.job.policies import judge_failure
from controllers.runtime.objects import Object, View, is_deleting, uid_of
from controllers.workloads.conditions import find, without
from controllers.workloads.pods import phase_of

MAX_UNCOUNTED = 500
"""How many uids the status may hold at once."""


@dataclass(frozen=True, slots=True)
class Tracking:
    """The status with the newly ended pods in it, the pods that may go then, and whether these are all."""

    status: Object
    release: Sequence[Object]
    is_all: bool


def drop_counted(status: Object, tracked: Collection[str]) -> Object:
    """Count the uncounted pods that have lost their finalizers (their uid is not in `tracked`)."""
    uncounted = status.get("uncountedTerminatedPods") or {}
    result, left = dict(status), {}
    for field in ("succeeded", "failed"):
        known = uncounted.get(field) or ()
        waiting = [uid for uid in known if uid in tracked]
        if len(waiting) < len(known):
            result[field] = status.get(field, 0) + len(known) - len(waiting)
        if waiting:
            left[field] = waiting
    result["uncountedTerminatedPods"] = left
    return result


def track(seen: Assessment, status: Object) -> Tracking:
    """Note the pods that have ended. `status` is the one to go on from, and is not changed."""
    tracked = {uid_of(pod) for pod in seen.pods if is_tracked(pod)}
    status = drop_counted(status, tracked)
    uncounted = status["uncountedTerminatedPods"]
    succeeded, failed = list(uncounted.get("succeeded") or ()), list(uncounted.get("failed") or ())
    release: list[Object] = []
    new_indexes: set[int] = set()
    # A Job that fails takes the pods down with it; those that one with success leaves over count as nothing.
    is_lost = seen.finish is not None and not seen.finish.is_success
    is_all = True
    for pod in seen.pods:
        if not is_tracked(pod) or not _may_go(seen, pod):
            continue
        release.append(pod)
        uid = uid_of(pod)
        if phase_of(pod) == "Succeeded" and uid not in failed:
            if is_indexed(seen.job):
                if 0 <= index_of(pod) < (seen.completions or 0) and index_of(pod) not in seen.succeeded_before:
                    new_indexes.add(index_of(pod))
            elif uid not in succeeded:
                succeeded.append(uid)
        elif (has_failed(seen.job, pod) or is_lost) and _counts_as_failure(seen, pod, failed):
            failed.append(uid)
        if len(new_indexes) + len(succeeded) + len(failed) >= MAX_UNCOUNTED:
            is_all = False
            break
    status["uncountedTerminatedPods"] = _lists(succeeded, failed)
    _note_indexes(seen, status, new_indexes)
    return Tracking(status, release, is_all)


def _lists(succeeded: Sequence[str], failed: Sequence[str]) -> Object:
    return {name: list(uids) for name, uids in (("succeeded", succeeded), ("failed", failed)) if uids}


def _may_go(seen: Assessment, pod: Object) -> bool:
    """Whether the pod needs its finalizer no more once it is noted."""
    if is_deleting(seen.job) or seen.finish is not None or phase_of(pod) == "Succeeded":
        return True
    if not has_failed(seen.job, pod):
        return False
    kept = seen.delayed.get(index_of(pod))
    return kept is None or uid_of(kept) != uid_of(pod)


def _counts_as_failure(seen: Assessment, pod: Object, failed: Sequence[str]) -> bool:
    if uid_of(pod) in failed:
        return False
    if is_indexed(seen.job) and not 0 <= index_of(pod) < (seen.completions or 0):
        return False
    return judge_failure(seen.job["spec"].get("podFailurePolicy"), pod).counts


def _note_indexes(seen: Assessment, status: Object, new: Collection[int]) -> None:
    if not is_indexed(seen.job):
        return
    succeeded = seen.succeeded_before.union(new)
    if succeeded:
        status["completedIndexes"] = str(succeeded)
        status["succeeded"] = len(succeeded)
    else:
        status.pop("completedIndexes", None)
        status.pop("succeeded", None)
    if has_limit_per_index(seen.job):
        status["failedIndexes"] = str(seen.failed_indexes)


def with_counts(seen: Assessment, status: View) -> Object:
    """With the numbers of pods as they are now."""
    result = {**status, "ready": seen.ready, "terminating": seen.terminating}
    result.pop("active", None)
    if seen.active:
        result["active"] = seen.active
    return result


def with_interim(status: View, finish: Finish, now: datetime) -> Object:
    """With the condition that tells how the Job will end."""
    known = status.get("conditions") or []
    if find(known, finish.interim) is not None:
        return dict(status)
    return {**status, "conditions": [*known, condition(finish.interim, "True", finish.reason, finish.message, now)]}


def with_final(status: View, finish: Finish, now: datetime) -> Object:
    """With the condition that ends the Job."""
    final = condition(finish.final, "True", finish.reason, finish.message, now)
    result = {**status, "conditions": [*without(status.get("conditions") or [], finish.final), final]}
    if finish.is_success:
        result["completionTime"] = final["lastTransitionTime"]
    return result


def with_suspension(status: View, suspended: bool, now: datetime) -> Object | None:
    """With the condition that tells whether the Job is suspended; None where nothing changes."""
    known = status.get("conditions") or []
    current = find(known, SUSPENDED)
    wanted = ("True", "JobSuspended", "Job suspended") if suspended else ("False", "JobResumed", "Job resumed")
    if current is None and not suspended:
        return None
    if current is not None and (current["status"], current.get("reason"), current.get("message")) == wanted:
        return None
    result = {**status, "conditions": [*without(known, SUSPENDED), condition(SUSPENDED, *wanted, now)]}
    if suspended:
        result.pop("startTime", None)
    else:
        result["startTime"] = result["conditions"][-1]["lastTransitionTime"]
    return result


def can_end(seen: Assessment, status: View) -> bool:
    """Whether all pods have ended and are counted, so that the final condition may come."""
    return not status.get("uncountedTerminatedPods") and seen.terminating == 0
