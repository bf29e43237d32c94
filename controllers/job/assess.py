"""What a Job has come to: its pods counted, and whether it is finished and why. Pure.

Follows: pkg/controller/job/job_controller.go syncJob
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from controllers.job import indexes
from controllers.job.backoff import Backoff
from controllers.job.indexes import Indexes
from controllers.job.pods import (
    NO_INDEX,
    all_failures_of_index,
    failures_of_index,
    has_failed,
    has_limit_per_index,
    index_of,
    is_indexed,
    is_suspended,
    is_tracked,
)
from controllers.job.policies import judge_failure, success_message
from controllers.runtime.objects import Object, View, condition_of, uid_of
from controllers.workloads.pods import is_active, is_ready, is_terminating, phase_of
from openapi.meta.times import format_time, parse_time

COMPLETE, FAILED, SUSPENDED = "Complete", "Failed", "Suspended"
SUCCESS_MET, FAILURE_TARGET = "SuccessCriteriaMet", "FailureTarget"


@dataclass(frozen=True, slots=True)
class Finish:
    """How a Job ends. `interim` is the condition that says so before all pods are gone and counted."""

    is_success: bool
    reason: str
    message: str

    @property
    def interim(self) -> str:
        return SUCCESS_MET if self.is_success else FAILURE_TARGET

    @property
    def final(self) -> str:
        return COMPLETE if self.is_success else FAILED


@dataclass(slots=True)
class Assessment:
    """The counts of one reconcile. `active`, `ready` and `terminating` move along as pods are made and deleted."""

    job: View
    pods: Sequence[Object]
    active_pods: list[Object]
    active: int
    ready: int
    terminating: int
    succeeded: int
    failed: int
    backoff: Backoff
    finish: Finish | None = None
    succeeded_before: Indexes = field(default_factory=Indexes)
    succeeded_indexes: Indexes = field(default_factory=Indexes)
    failed_indexes: Indexes = field(default_factory=Indexes)
    delayed: Mapping[int, Object] = field(default_factory=dict)

    @property
    def completions(self) -> int | None:
        value = self.job["spec"].get("completions")
        return None if value is None else int(value)


def finished_condition(job: View) -> str | None:
    """The final condition, if the Job has one."""
    for kind in (COMPLETE, FAILED):
        condition = condition_of(job, kind)
        if condition is not None and condition["status"] == "True":
            return kind
    return None


def condition(kind: str, status: str, reason: str, message: str, now: datetime) -> Object:
    moment = format_time(now)
    return {
        "type": kind,
        "status": status,
        "lastProbeTime": moment,
        "lastTransitionTime": moment,
        "reason": reason,
        "message": message,
    }


def assess(job: View, pods: Sequence[Object], backoff: Backoff, now: datetime) -> Assessment:
    """`pods` are all pods of the Job, `backoff` what was known before this round."""
    status = job.get("status") or {}
    uncounted = status.get("uncountedTerminatedPods") or {}
    in_success, in_failure = set(uncounted.get("succeeded") or ()), set(uncounted.get("failed") or ())
    new_succeeded = _newly_ended(job, pods, in_success, lambda pod: phase_of(pod) == "Succeeded")
    new_failed = _newly_ended(job, pods, in_failure, lambda pod: has_failed(job, pod))
    policy = job["spec"].get("podFailurePolicy")
    counting = [pod for pod in new_failed if judge_failure(policy, pod).counts]
    active = [pod for pod in pods if is_active(pod)]
    seen = Assessment(
        job=job,
        pods=pods,
        active_pods=active,
        active=len(active),
        ready=sum(map(is_ready, active)),
        terminating=sum(map(is_terminating, pods)),
        succeeded=status.get("succeeded", 0) + len(new_succeeded) + len(in_success),
        failed=status.get("failed", 0) + len(counting) + len(in_failure),
        backoff=backoff.after(new_succeeded, counting),
    )
    seen.finish = _finish_so_far(seen, now)
    if is_indexed(job):
        _assess_indexes(seen)
    return seen


def _newly_ended(job: View, pods: Sequence[Object], known: set[str], ended: Callable[[Object], bool]) -> list[Object]:
    """The pods that have ended and are in no count yet."""
    completions = job["spec"].get("completions") or 0
    found = []
    for pod in pods:
        if not is_tracked(pod) or uid_of(pod) in known or not ended(pod):
            continue
        if is_indexed(job) and not 0 <= index_of(pod) < completions:
            continue
        found.append(pod)
    return found


def _finish_so_far(seen: Assessment, now: datetime) -> Finish | None:
    """The end that is decided already, or that failures and the deadline decide now."""
    job, spec = seen.job, seen.job["spec"]
    for kind in (SUCCESS_MET, FAILURE_TARGET):
        known = condition_of(job, kind)
        if known is not None and known["status"] == "True":
            return Finish(kind == SUCCESS_MET, known.get("reason", ""), known.get("message", ""))
    policy = spec.get("podFailurePolicy")
    if policy is not None:
        for pod in seen.pods:
            message = judge_failure(policy, pod).message if has_failed(job, pod) else ""
            if message:
                return Finish(False, "PodFailurePolicy", message)
    if seen.failed > spec.get("backoffLimit", 6) or _restarted_too_often(job, seen.pods):
        return Finish(False, "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    left_s = seconds_to_deadline(job, now)
    if left_s is not None and left_s <= 0:
        return Finish(False, "DeadlineExceeded", "Job was active longer than specified deadline")
    return None


def _restarted_too_often(job: View, pods: Sequence[View]) -> bool:
    spec = job["spec"]
    if spec["template"]["spec"].get("restartPolicy") != "OnFailure":
        return False
    restarts = 0
    for pod in pods:
        if phase_of(pod) in ("Running", "Pending"):
            status = pod.get("status") or {}
            containers = (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
            restarts += sum(container.get("restartCount") or 0 for container in containers)
    limit: int = spec.get("backoffLimit", 6)
    return restarts > 0 if limit == 0 else restarts >= limit


def seconds_to_deadline(job: View, now: datetime) -> float | None:
    """None for a Job without a deadline, not started or suspended."""
    limit, started = job["spec"].get("activeDeadlineSeconds"), (job.get("status") or {}).get("startTime")
    if limit is None or started is None or is_suspended(job):
        return None
    return float(limit) - (now - parse_time(started)).total_seconds()


def _assess_indexes(seen: Assessment) -> None:
    job, completions = seen.job, seen.completions or 0
    status = job.get("status") or {}
    seen.succeeded_before = indexes.parse(status.get("completedIndexes", ""), completions)
    seen.succeeded_indexes = seen.succeeded_before.union(
        index_of(pod)
        for pod in seen.pods
        if phase_of(pod) == "Succeeded" and 0 <= index_of(pod) < completions and is_tracked(pod)
    )
    seen.succeeded = len(seen.succeeded_indexes)
    if has_limit_per_index(job):
        before = indexes.parse(status.get("failedIndexes", ""), completions)
        failed = (index_of(pod) for pod in seen.pods if is_tracked(pod) and _fails_index(job, pod))
        seen.failed_indexes = before.union(index for index in failed if 0 <= index < completions)
        if seen.finish is None:
            seen.finish = _finish_by_failed_indexes(seen, completions)
        seen.delayed = _delayed(seen, completions)
    if seen.finish is None:
        message = success_message(job["spec"].get("successPolicy"), completions, seen.succeeded_indexes)
        if message is not None:
            seen.finish = Finish(True, "SuccessPolicy", message)


def _fails_index(job: View, pod: View) -> bool:
    """Whether the pod's failure is one too many for its index."""
    if not has_failed(job, pod):
        return False
    verdict = judge_failure(job["spec"].get("podFailurePolicy"), pod)
    if verdict.action == "FailIndex":
        return True
    return verdict.counts and failures_of_index(pod) >= int(job["spec"]["backoffLimitPerIndex"])


def _finish_by_failed_indexes(seen: Assessment, completions: int) -> Finish | None:
    failed, limit = len(seen.failed_indexes), seen.job["spec"].get("maxFailedIndexes")
    if limit is not None and failed > limit:
        message = "Job has exceeded the specified maximal number of failed indexes"
        return Finish(False, "MaxFailedIndexesExceeded", message)
    if failed and failed + len(seen.succeeded_indexes) >= completions:
        return Finish(False, "FailedIndexes", "Job has failed indexes")
    return None


def _delayed(seen: Assessment, completions: int) -> dict[int, Object]:
    """The last failed pod of each index that waits for a new one: it is kept until then, as it carries the count."""
    running = {index_of(pod) for pod in seen.active_pods}
    kept: dict[int, Object] = {}
    for pod in seen.pods:
        index = index_of(pod)
        if index == NO_INDEX or index >= completions or index in running or not is_tracked(pod):
            continue
        if not has_failed(seen.job, pod) or index in seen.failed_indexes or index in seen.succeeded_indexes:
            continue
        last = kept.get(index)
        if last is None or all_failures_of_index(last) <= all_failures_of_index(pod):
            kept[index] = pod
    return kept
