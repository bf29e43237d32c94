"""What becomes of Jobs: counts, ends, pods to make, tracking."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controllers.job.assess import Assessment, assess
from controllers.job.backoff import Backoff
from controllers.job.plan import plan_pods
from controllers.job.pods import FINALIZER, INDEX
from controllers.job.policies import judge_failure
from controllers.job.tracking import can_end, drop_counted, track, with_suspension

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
START = "2026-01-01T11:00:00Z"


def job(status: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    defaults = {"parallelism": 1, "completions": 1, "backoffLimit": 6, "template": {"spec": {"restartPolicy": "Never"}}}
    metadata = {"name": "j", "namespace": "n", "uid": "u"}
    return {"metadata": metadata, "spec": {**defaults, **spec}, "status": {"startTime": START, **(status or {})}}


def pod(name: str, phase: str = "Running", index: int | None = None, **fields: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "namespace": "n", "uid": name, "creationTimestamp": START}
    metadata["finalizers"] = [] if fields.get("counted") else [FINALIZER]
    annotations = dict(fields.get("annotations") or {})
    if index is not None:
        annotations[INDEX] = str(index)
    metadata["annotations"] = annotations
    if fields.get("deleting"):
        metadata["deletionTimestamp"] = "2026-01-01T11:59:00Z"
    status: dict[str, Any] = {"phase": phase}
    if "code" in fields:
        status["containerStatuses"] = [{"name": "c", "state": {"terminated": {"exitCode": fields["code"]}}}]
    return {"metadata": metadata, "spec": {}, "status": status}


def seen(owner: dict[str, Any], *pods: dict[str, Any], backoff: Backoff | None = None) -> Assessment:
    return assess(owner, pods, backoff or Backoff(), NOW)


def end(owner: dict[str, Any], *pods: dict[str, Any]) -> str:
    finish = seen(owner, *pods).finish
    return finish.reason if finish is not None else ""


@pytest.mark.parametrize(
    ("owner", "pods", "made"),
    [
        (job(parallelism=3, completions=5), [], 3),
        (job(parallelism=3, completions=5), [pod("a")], 2),
        (job(parallelism=3, completions=2), [pod("a", "Succeeded")], 1),
        (job(parallelism=3, completions=None), [pod("a", "Succeeded"), pod("b")], 0),
        (job(parallelism=2, podReplacementPolicy="Failed", completions=2), [pod("a"), pod("b", deleting=True)], 0),
    ],
)
def test_as_many_pods_as_wanted(owner: Any, pods: Any, made: int) -> None:
    assert len(plan_pods(seen(owner, *pods), NOW).create) == made


def test_a_failure_delays_the_next_pod_ever_longer() -> None:
    failed = pod("a", "Failed")
    failed["metadata"]["creationTimestamp"] = "2026-01-01T11:59:58Z"
    assert plan_pods(seen(job(), failed), NOW).wait_s == 8
    assert plan_pods(seen(job(), failed, backoff=Backoff(2, NOW)), NOW).wait_s == 38
    assert plan_pods(seen(job(), backoff=Backoff(9, NOW - timedelta(minutes=9))), NOW).wait_s == 60


def test_a_suspended_job_loses_its_pods() -> None:
    plan = plan_pods(seen(job(suspend=True, parallelism=2, completions=2), pod("a"), pod("b")), NOW)
    assert len(plan.remove) == 2
    status = with_suspension({"startTime": START}, True, NOW)
    assert status is not None and "startTime" not in status
    assert with_suspension({}, False, NOW) is None


def test_indexes_get_one_pod_each() -> None:
    owner = job(completionMode="Indexed", parallelism=3, completions=4)
    plan = plan_pods(seen(owner, pod("a", index=1), pod("b", "Succeeded", index=0)), NOW)
    assert [one["metadata"]["annotations"][INDEX] for one in plan.create] == ["2", "3"]
    doubled = plan_pods(seen(owner, pod("a", index=1), pod("b", index=1), pod("c", index=9)), NOW)
    assert len(doubled.remove) == 2


@pytest.mark.parametrize(
    ("owner", "pods", "reason"),
    [
        (job(backoffLimit=1), [pod("a", "Failed")], ""),
        (job(backoffLimit=0), [pod("a", "Failed")], "BackoffLimitExceeded"),
        (job({"failed": 1}, backoffLimit=1), [pod("a", "Failed")], "BackoffLimitExceeded"),
        (job({"failed": 1}, backoffLimit=1), [pod("a", "Failed", counted=True)], ""),
        (job(activeDeadlineSeconds=3600), [pod("a")], "DeadlineExceeded"),
        (job(activeDeadlineSeconds=3601), [pod("a")], ""),
        (job(activeDeadlineSeconds=1, suspend=True), [pod("a")], ""),
    ],
)
def test_jobs_fail(owner: Any, pods: Any, reason: str) -> None:
    assert end(owner, *pods) == reason


def test_indexes_fail_by_themselves() -> None:
    owner = job(completionMode="Indexed", completions=3, backoffLimitPerIndex=0, maxFailedIndexes=1, backoffLimit=99)
    one = seen(owner, pod("a", "Failed", index=0))
    assert (str(one.failed_indexes), one.finish) == ("0", None)
    assert end(owner, pod("a", "Failed", index=0), pod("b", "Failed", index=2)) == "MaxFailedIndexesExceeded"


def test_an_index_keeps_its_failed_pod_until_the_next_comes() -> None:
    owner = job(completionMode="Indexed", completions=1, backoffLimitPerIndex=2, backoffLimit=99)
    failed = pod("a", "Failed", index=0)
    waiting = seen(owner, failed)
    assert list(waiting.delayed) == [0]
    assert not track(waiting, owner["status"]).release
    (following,) = plan_pods(waiting, NOW).create
    assert following["metadata"]["annotations"]["batch.kubernetes.io/job-index-failure-count"] == "1"


POLICY = {
    "rules": [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}},
        {"action": "Count", "onExitCodes": {"operator": "NotIn", "values": [42]}},
    ]
}


def test_the_first_rule_that_matches_decides() -> None:
    assert judge_failure(POLICY, pod("a", "Failed", code=42)).message.startswith("Container c for pod n/a failed")
    assert judge_failure(POLICY, pod("a", "Failed", code=1)).action == "Count"
    disrupted = pod("a", "Failed", code=42)
    disrupted["status"]["conditions"] = [{"type": "DisruptionTarget", "status": "True"}]
    assert not judge_failure(POLICY, disrupted).counts
    assert judge_failure(None, disrupted).counts
    assert end(job(podFailurePolicy=POLICY), pod("a", "Failed", code=42)) == "PodFailurePolicy"


@pytest.mark.parametrize(
    ("rule", "met"),
    [
        ({"succeededIndexes": "0"}, False),
        ({"succeededIndexes": "1-2"}, True),
        ({"succeededIndexes": "0-2", "succeededCount": 2}, True),
        ({"succeededCount": 3}, False),
    ],
)
def test_success_policies(rule: dict[str, Any], met: bool) -> None:
    owner = job(completionMode="Indexed", completions=5, successPolicy={"rules": [rule]})
    pods = [pod("a", "Succeeded", index=1), pod("b", "Succeeded", index=2)]
    assert end(owner, *pods) == ("SuccessPolicy" if met else "")


def test_ended_pods_are_noted_released_and_counted_once() -> None:
    owner = job(completions=2)
    first = track(seen(owner, pod("a", "Succeeded"), pod("b", "Failed")), owner["status"])
    assert first.status["uncountedTerminatedPods"] == {"succeeded": ["a"], "failed": ["b"]}
    assert [one["metadata"]["name"] for one in first.release] == ["a", "b"]
    after = drop_counted(first.status, {"b"})
    assert (after["succeeded"], after["uncountedTerminatedPods"]) == (1, {"failed": ["b"]})
    again = seen(job(after, completions=2), pod("a", "Succeeded", counted=True), pod("b", "Failed"))
    assert (again.succeeded, again.failed) == (1, 1)
    assert not can_end(again, after)


def test_pods_left_over_count_as_failed_only_when_the_job_fails() -> None:
    failing = seen(job(activeDeadlineSeconds=1), pod("a"))
    assert track(failing, {}).status["uncountedTerminatedPods"] == {"failed": ["a"]}
    owner = job(completionMode="Indexed", completions=2, successPolicy={"rules": [{"succeededIndexes": "0"}]})
    done = seen(owner, pod("a", "Succeeded", index=0), pod("b", index=1))
    assert track(done, {}).status["uncountedTerminatedPods"] == {}
