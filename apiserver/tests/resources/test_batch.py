"""Jobs and cron jobs: generated selectors, status transitions, schedules."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from apiserver.resources.batch.cron_job import CronJobStrategy
from apiserver.resources.batch.indexes import IndexesError, count_indexes, first_overlap
from apiserver.resources.batch.job import JobStrategy
from apiserver.resources.batch.job_status import JobStatus
from apiserver.resources.strategy import Strategy, User, WriteContext
from openapi.catalog import GroupVersionKind
from openapi.schema.decode import decode
from openapi.schema.defaults import apply_defaults
from openapi.schema.load import schema_for

Object = dict[str, Any]

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONTEXT = WriteContext(User("tester"), NOW, "default")
POD = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}


def new(kind: str, spec: Object) -> Object:
    gvk = GroupVersionKind("batch", "v1", kind)
    meta = {"name": "j", "namespace": "default", "uid": "u"}
    obj: Object = {"apiVersion": "batch/v1", "kind": kind, "metadata": meta, "spec": copy.deepcopy(spec)}
    decode(obj, schema_for(gvk), gvk)
    apply_defaults(obj, gvk)
    return obj


def new_job(**spec: Any) -> Object:
    job = new("Job", {"template": {"spec": POD}} | spec)
    JobStrategy().prepare(job, None, CONTEXT)
    job["metadata"]["resourceVersion"] = "1"
    return job


def new_cron_job(**spec: Any) -> Object:
    return new("CronJob", {"schedule": "@daily", "jobTemplate": {"spec": {"template": {"spec": POD}}}} | spec)


def problems(strategy: Strategy, obj: Object, old: Object | None = None) -> list[str]:
    return [str(error) for error in strategy.validate(obj, old, CONTEXT)]


def test_a_job_selects_its_pods_by_its_uid() -> None:
    job = new_job()
    assert job["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}}
    assert job["spec"]["template"]["metadata"]["labels"] == {
        "batch.kubernetes.io/controller-uid": "u",
        "batch.kubernetes.io/job-name": "j",
        "controller-uid": "u",
        "job-name": "j",
    }
    assert job["metadata"]["labels"] == job["spec"]["template"]["metadata"]["labels"]
    assert problems(JobStrategy(), job) == []


def test_a_manual_selector_is_left_alone() -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": POD}
    job = new_job(manualSelector=True, selector={"matchLabels": {"a": "b"}}, template=template)
    assert job["spec"]["template"]["metadata"]["labels"] == {"a": "b"}
    assert problems(JobStrategy(), job) == []


def test_other_values_under_generated_labels_are_refused() -> None:
    job = new_job(template={"metadata": {"labels": {"job-name": "x"}}, "spec": POD})
    paths = [error.path for error in JobStrategy().validate(job, None, CONTEXT)]
    assert paths == ["spec.template.metadata.labels[job-name]"]


def test_the_template_of_a_job_may_change_only_while_it_is_suspended() -> None:
    running, suspended = new_job(), new_job(suspend=True)
    for old, paths in ((running, ["spec.template"]), (suspended, [])):
        job = copy.deepcopy(old)
        job["spec"]["template"]["spec"]["nodeSelector"] = {"a": "b"}
        job["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1"}}
        assert [error.path for error in JobStrategy().validate(job, old, CONTEXT)] == paths


def test_an_elastic_job_changes_completions_together_with_parallelism() -> None:
    old = new_job(completionMode="Indexed", completions=3, parallelism=3)
    job = copy.deepcopy(old)
    job["spec"] |= {"completions": 5}
    text = "spec.completions: Invalid value: 5: can only be modified in tandem with spec.parallelism"
    assert problems(JobStrategy(), job, old) == [text]
    job["spec"] |= {"parallelism": 5}
    assert problems(JobStrategy(), job, old) == []


def test_a_final_condition_cannot_be_taken_back() -> None:
    old = new_job()
    old["status"] = {
        "startTime": "2026-01-01T00:00:00Z",
        "conditions": [{"type": "FailureTarget", "status": "True"}, {"type": "Failed", "status": "True"}],
    }
    job = copy.deepcopy(old)
    job["status"]["conditions"] = [{"type": "FailureTarget", "status": "True"}]
    assert problems(JobStatus(), job, old) == [
        "status.conditions: Invalid value: cannot disable the terminal Failed=True condition"
    ]


@pytest.mark.parametrize(
    ("state", "cell"),
    [({}, "Running"), ({"conditions": [{"type": "Suspended", "status": "True"}]}, "Suspended")],
)
def test_the_state_of_a_job_in_its_row(state: Object, cell: str) -> None:
    job = new_job()
    job["status"] = state
    assert JobStrategy().cells(job, NOW)[1] == cell


def test_indexes_are_counted() -> None:
    assert count_indexes("0-2,5", 10) == 4
    with pytest.raises(IndexesError, match='too large index: "10"'):
        count_indexes("10", 10)
    with pytest.raises(IndexesError, match="non-increasing order, previous: 3, current: 2"):
        count_indexes("3,2", 10)


def test_an_overlap_of_indexes_is_found() -> None:
    assert first_overlap("0-3,7", "3,7-9", 10) == 3
    assert first_overlap("0-2", "3", 10) is None


def test_a_zone_in_a_schedule_is_kept_only_where_it_was() -> None:
    old = new_cron_job(schedule="TZ=UTC * * * * *")
    old["metadata"]["resourceVersion"] = "1"
    text = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
    assert problems(CronJobStrategy(), old) == [f'spec.schedule: Invalid value: "TZ=UTC * * * * *": {text}']
    assert problems(CronJobStrategy(), copy.deepcopy(old), old) == []


@pytest.mark.parametrize("zone", ["", "Local", "Mars/Olympus", "../etc", "-x"])
def test_unknown_zones_are_refused(zone: str) -> None:
    assert len(problems(CronJobStrategy(), new_cron_job(timeZone=zone))) == 1


def test_the_name_of_a_cron_job_leaves_room_for_the_time() -> None:
    job = new_cron_job()
    job["metadata"]["name"] = "a" * 53
    texts = problems(CronJobStrategy(), job)
    assert [text.rpartition(": ")[2] for text in texts] == ["must be no more than 52 characters"]
