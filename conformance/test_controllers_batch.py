"""Jobs and CronJobs: how they count, end, fail, wait, and clean up."""

from __future__ import annotations

import time
from typing import Any

import pytest

from conformance.api import Api, condition, pod_spec
from conformance.kubectl import Kubectl
from conformance.processes import eventually

pytestmark = pytest.mark.usefixtures("kubelets")

JOBS, CRON_JOBS = "batch/v1/jobs", "batch/v1/cronjobs"
TRACKING = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"


def job(name: str, image: str = "exit:0", **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": name}}, "spec": pod_spec(image, restartPolicy="Never")}
    return {"metadata": {"name": name}, "spec": {"template": template, **spec}}


def finish(api: Api, pod: str, phase: str) -> None:
    api.patch("v1/pods", pod, {"status": {"phase": phase}}, "status")


def test_a_job_completes(api: Api, k: Kubectl) -> None:
    api.create(JOBS, job("complete", completions=3, parallelism=2))
    assert (
        k("wait", "job/complete", "--for=condition=Complete", "--timeout=20s") == "job.batch/complete condition met\n"
    )
    done = api.get(JOBS, "complete")
    for kind in ("SuccessCriteriaMet", "Complete"):
        met = condition(done, kind)
        assert met["reason"] == "CompletionsReached"
        assert met["message"] == "Reached expected number of succeeded pods"
    status = done["status"]
    assert status["succeeded"] == 3 and "completionTime" in status and "startTime" in status
    assert status.get("active", 0) == 0 and status["uncountedTerminatedPods"] == {}
    api.await_event("complete", "Completed", "Job completed")
    eventually(lambda: not any(p["metadata"].get("finalizers") for p in api.list("v1/pods", "app=complete")))
    assert k("get", "job", "complete", "--no-headers").split()[1:3] == ["Complete", "3/3"]


def test_pods_of_a_job_carry_its_marks(api: Api) -> None:
    api.create(JOBS, job("marked", "runs", parallelism=2, completions=2))
    pods = eventually(lambda: api.pods("marked") if len(api.pods("marked")) == 2 else [])
    made = api.get(JOBS, "marked")
    for pod in pods:
        assert TRACKING in pod["metadata"]["finalizers"]
        labels = pod["metadata"]["labels"]
        assert labels["batch.kubernetes.io/job-name"] == labels["job-name"] == "marked"
        assert labels["batch.kubernetes.io/controller-uid"] == made["metadata"]["uid"]
    api.await_status(JOBS, "marked", active=2, ready=2, terminating=0)
    api.await_event("marked", "SuccessfulCreate", f"Created pod: {pods[0]['metadata']['name']}")


def test_a_job_fails_after_too_many_retries(api: Api, k: Kubectl) -> None:
    api.create(JOBS, job("failed", "exit:1", backoffLimit=0))
    failed = api.await_condition(JOBS, "failed", "Failed", "True", "BackoffLimitExceeded")
    assert failed["message"] == "Job has reached the specified backoff limit"
    api.await_condition(JOBS, "failed", "FailureTarget", "True", "BackoffLimitExceeded")
    assert api.status(JOBS, "failed")["failed"] == 1
    api.await_event("failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    assert "condition met" in k("wait", "job/failed", "--for=condition=Failed", "--timeout=5s")


def test_a_job_fails_after_its_deadline(api: Api) -> None:
    api.create(JOBS, job("late", "runs", activeDeadlineSeconds=1))
    failed = api.await_condition(JOBS, "late", "Failed", "True", "DeadlineExceeded")
    assert failed["message"] == "Job was active longer than specified deadline"
    eventually(lambda: api.pods("late") == [])
    api.await_status(JOBS, "late", active=None, terminating=0)


def test_every_index_of_an_indexed_job_is_done_once(api: Api) -> None:
    api.create(JOBS, job("indexed", completions=3, parallelism=3, completionMode="Indexed"))
    api.await_condition(JOBS, "indexed", "Complete", "True")
    assert api.status(JOBS, "indexed")["completedIndexes"] == "0-2"
    pods = api.list("v1/pods", "app=indexed")
    assert sorted(p["metadata"]["annotations"][INDEX] for p in pods) == ["0", "1", "2"]
    for pod in pods:
        index = pod["metadata"]["labels"][INDEX]
        assert pod["spec"]["hostname"] == f"indexed-{index}"
        assert pod["metadata"]["name"].startswith(f"indexed-{index}-")
        [variable] = pod["spec"]["containers"][0]["env"]
        assert variable["name"] == "JOB_COMPLETION_INDEX"


def test_each_index_may_have_its_own_limit(api: Api) -> None:
    api.create(
        JOBS, job("each", "runs", completions=2, parallelism=2, completionMode="Indexed", backoffLimitPerIndex=0)
    )
    pods = eventually(lambda: api.pods("each") if len(api.pods("each")) == 2 else [])
    phases = {"0": "Succeeded", "1": "Failed"}
    for pod in pods:
        finish(api, pod["metadata"]["name"], phases[pod["metadata"]["labels"][INDEX]])
    failed = api.await_condition(JOBS, "each", "Failed", "True", "FailedIndexes")
    assert failed["message"] == "Job has failed indexes"
    status = api.status(JOBS, "each")
    assert (status["completedIndexes"], status["failedIndexes"]) == ("0", "1")


def test_success_may_come_early(api: Api) -> None:
    policy = {"rules": [{"succeededIndexes": "0"}]}
    api.create(JOBS, job("early", "runs", completions=2, parallelism=2, completionMode="Indexed", successPolicy=policy))
    pods = eventually(lambda: api.pods("early") if len(api.pods("early")) == 2 else [])
    [leader] = [p for p in pods if p["metadata"]["labels"][INDEX] == "0"]
    finish(api, leader["metadata"]["name"], "Succeeded")
    met = api.await_condition(JOBS, "early", "SuccessCriteriaMet", "True", "SuccessPolicy")
    assert met["message"] == "Matched rules at index 0"
    api.await_condition(JOBS, "early", "Complete", "True", "SuccessPolicy")


def test_a_policy_may_end_a_job_at_once_or_forgive(api: Api) -> None:
    def on(code: int, action: str) -> dict[str, Any]:
        return {"action": action, "onExitCodes": {"operator": "In", "values": [code]}}

    rules = {"rules": [on(42, "FailJob"), on(7, "Ignore")]}
    api.create(JOBS, job("policy", "exit:42", backoffLimit=5, podFailurePolicy=rules))
    failed = api.await_condition(JOBS, "policy", "Failed", "True", "PodFailurePolicy")
    [pod] = api.list("v1/pods", "app=policy")
    name = pod["metadata"]["name"]
    assert failed["message"] == (
        f"Container main for pod {api.namespace}/{name} failed with exit code 42 matching FailJob rule at index 0"
    )
    api.create(JOBS, job("forgiven", "exit:7", backoffLimit=0, podFailurePolicy=rules))
    eventually(lambda: len(api.list("v1/pods", "app=forgiven")) >= 2, 20)
    assert not condition(api.get(JOBS, "forgiven"), "Failed")
    api.delete(JOBS, "forgiven", propagationPolicy="Background")


def test_a_suspended_job_waits(api: Api) -> None:
    api.create(JOBS, job("suspended", "runs", suspend=True))
    suspended = api.await_condition(JOBS, "suspended", "Suspended", "True", "JobSuspended")
    assert suspended["message"] == "Job suspended"
    assert api.pods("suspended") == [] and "startTime" not in api.status(JOBS, "suspended")
    api.patch(JOBS, "suspended", {"spec": {"suspend": False}})
    resumed = api.await_condition(JOBS, "suspended", "Suspended", "False", "JobResumed")
    assert resumed["message"] == "Job resumed"
    api.await_status(JOBS, "suspended", active=1)
    api.patch(JOBS, "suspended", {"spec": {"suspend": True}})
    eventually(lambda: api.pods("suspended") == [])
    api.await_event("suspended", "Suspended", "Job suspended")
    api.await_event("suspended", "Resumed", "Job resumed")


def test_a_job_can_be_scaled(api: Api) -> None:
    api.create(JOBS, job("scaled", "runs", parallelism=1, completions=4))
    api.await_status(JOBS, "scaled", active=1)
    api.patch(JOBS, "scaled", {"spec": {"parallelism": 3}})
    api.await_status(JOBS, "scaled", active=3)
    api.patch(JOBS, "scaled", {"spec": {"parallelism": 0}})
    eventually(lambda: api.pods("scaled") == [])


def test_a_pod_that_is_deleted_counts_as_failed(api: Api) -> None:
    api.create(JOBS, job("replaced", "runs"))
    api.await_status(JOBS, "replaced", ready=1)
    [before] = api.names("replaced")
    api.delete("v1/pods", before)
    api.await_status(JOBS, "replaced", failed=1)


def test_a_finished_job_goes_after_its_time(api: Api) -> None:
    api.create(JOBS, job("passing", ttlSecondsAfterFinished=1))
    eventually(lambda: api.find(JOBS, "passing") is None, 20)
    eventually(lambda: api.list("v1/pods", "app=passing") == [])


def test_a_cron_job_starts_what_it_missed(api: Api, k: Kubectl) -> None:
    api.create(CRON_JOBS, cron_job("missed"))
    long_ago = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 150))
    api.patch(CRON_JOBS, "missed", {"status": {"lastScheduleTime": long_ago}}, "status")
    [made] = eventually(lambda: api.list(JOBS, "cron=missed"))
    name = made["metadata"]["name"]
    [owner] = made["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("CronJob", "missed", True)
    assert "batch.kubernetes.io/cronjob-scheduled-timestamp" in made["metadata"]["annotations"]
    assert name.removeprefix("missed-").isdigit()
    api.await_event("missed", "SuccessfulCreate", f"Created job {name}")
    api.await_event("missed", "SawCompletedJob", f"Saw completed job: {name}, condition: Complete")
    eventually(lambda: "lastSuccessfulTime" in api.status(CRON_JOBS, "missed"))
    assert "active" not in api.status(CRON_JOBS, "missed")
    assert k("create", "job", "by-hand", "--from=cronjob/missed") == "job.batch/by-hand created\n"
    api.await_condition(JOBS, "by-hand", "Complete", "True")


def test_a_suspended_cron_job_starts_nothing(api: Api) -> None:
    api.create(CRON_JOBS, cron_job("asleep", suspend=True))
    long_ago = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 150))
    api.patch(CRON_JOBS, "asleep", {"status": {"lastScheduleTime": long_ago}}, "status")
    time.sleep(1)
    assert api.list(JOBS, "cron=asleep") == []


def cron_job(name: str, **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"cron": name}}, "spec": job(name)["spec"]}
    return {"metadata": {"name": name}, "spec": {"schedule": "* * * * *", "jobTemplate": template, **spec}}
