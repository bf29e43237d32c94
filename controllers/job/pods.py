"""The pods of a Job: how they are made, which count as failed, when they ended.

Follows: pkg/controller/job/{indexed_job_utils.go,tracking_utils.go,backoff_utils.go}
"""

from __future__ import annotations

from datetime import datetime, timedelta

from controllers.job.policies import judge_failure
from controllers.runtime.kinds import JOBS
from controllers.runtime.objects import (
    Object,
    View,
    annotations_of,
    condition_of,
    controller_reference,
    is_deleting,
    name_of,
)
from controllers.workloads.pods import phase_of, pod_from_template
from openapi.meta.times import parse_time

FINALIZER = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"
FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED_FAILURES = "batch.kubernetes.io/job-index-ignored-failure-count"
INDEX_VARIABLE = "JOB_COMPLETION_INDEX"

NO_INDEX = -1
LONGEST_PREFIX = 58
"""So that a name with its generated suffix is still a host name."""


def is_indexed(job: View) -> bool:
    return bool(job["spec"].get("completionMode") == "Indexed")


def is_suspended(job: View) -> bool:
    return bool(job["spec"].get("suspend"))


def has_limit_per_index(job: View) -> bool:
    return job["spec"].get("backoffLimitPerIndex") is not None


def replaces_only_failed(job: View) -> bool:
    """Whether a pod that terminates is replaced only once it has ended."""
    return job["spec"].get("podReplacementPolicy") == "Failed" or job["spec"].get("podFailurePolicy") is not None


def is_tracked(pod: View) -> bool:
    """Whether the pod is not counted yet."""
    return FINALIZER in (pod["metadata"].get("finalizers") or ())


def has_failed(job: View, pod: View) -> bool:
    """Whether the pod counts as failed; one that is deleted without having ended does too, unless only ended ones
    are replaced.
    """
    phase = phase_of(pod)
    if phase == "Failed":
        return True
    return not replaces_only_failed(job) and is_deleting(pod) and phase != "Succeeded"


def index_of(pod: View) -> int:
    text = annotations_of(pod).get(INDEX, "")
    return int(text) if text.isdigit() else NO_INDEX


def _number(pod: View, annotation: str) -> int:
    text = annotations_of(pod).get(annotation, "")
    return int(text) if text.isdigit() else 0


def failures_of_index(pod: View) -> int:
    """How often the pod's index had failed before it, by the failures that count."""
    return _number(pod, FAILURES)


def all_failures_of_index(pod: View) -> int:
    return _number(pod, FAILURES) + _number(pod, IGNORED_FAILURES)


def new_pod(job: View, index: int = NO_INDEX, replaced: View | None = None) -> Object:
    """A pod of the Job, with an index or without. `replaced` is the failed pod of the index whose count goes on."""
    pod = pod_from_template(job["spec"]["template"], job, controller_reference(JOBS, job))
    metadata, spec = pod["metadata"], dict(pod["spec"])
    finalizers = [*(metadata.get("finalizers") or ())]
    metadata["finalizers"] = finalizers if FINALIZER in finalizers else [*finalizers, FINALIZER]
    if index == NO_INDEX:
        return pod
    text = str(index)
    annotations = {**(metadata.get("annotations") or {}), INDEX: text}
    metadata["labels"] = {**(metadata.get("labels") or {}), INDEX: text}
    if has_limit_per_index(job):
        annotations |= _failure_counts(job, replaced)
    metadata["annotations"] = annotations
    tail = f"-{index}-"
    metadata["generateName"] = f"{name_of(job)[: LONGEST_PREFIX - len(tail)]}{tail}"
    spec["hostname"] = f"{name_of(job)}-{index}"
    for field in ("initContainers", "containers"):
        if spec.get(field):
            spec[field] = [_with_index_variable(container) for container in spec[field]]
    pod["spec"] = spec
    return pod


def _failure_counts(job: View, replaced: View | None) -> dict[str, str]:
    if replaced is None:
        return {FAILURES: "0"}
    counted, ignored = _number(replaced, FAILURES), _number(replaced, IGNORED_FAILURES)
    if judge_failure(job["spec"].get("podFailurePolicy"), replaced).counts:
        counted += 1
    else:
        ignored += 1
    return {FAILURES: str(counted), **({IGNORED_FAILURES: str(ignored)} if ignored else {})}


def _with_index_variable(container: Object) -> Object:
    variables = container.get("env") or []
    if any(variable["name"] == INDEX_VARIABLE for variable in variables):
        return container
    source = {"fieldRef": {"fieldPath": f"metadata.labels['{INDEX}']"}}
    return {**container, "env": [*variables, {"name": INDEX_VARIABLE, "valueFrom": source}]}


def ended_at(pod: View) -> datetime:
    """When the pod ended: its last container's end, else when it ceased to be ready, was deleted, or was made."""
    status = pod.get("status") or {}
    ends: list[datetime] = []
    for container in status.get("containerStatuses") or ():
        finished = ((container.get("state") or {}).get("terminated") or {}).get("finishedAt")
        if finished is None:
            ends = []
            break
        ends.append(parse_time(finished))
    if ends:
        return max(ends)
    ready = condition_of(pod, "Ready")
    if ready is not None and ready["status"] == "False" and ready.get("lastTransitionTime"):
        return parse_time(ready["lastTransitionTime"])
    metadata = pod["metadata"]
    if is_deleting(pod):
        grace = timedelta(seconds=metadata.get("deletionGracePeriodSeconds") or 0)
        return parse_time(metadata["deletionTimestamp"]) - grace
    return parse_time(metadata["creationTimestamp"])
