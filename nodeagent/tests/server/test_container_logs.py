from __future__ import annotations

from typing import Any

import pytest

from nodeagent.server.answers import Refusal
from nodeagent.server.container_logs import container_id, log_options
from nodeagent.server.log_files import LogOptions


def pod(status: dict[str, Any] | None) -> dict[str, Any]:
    statuses = [{"name": "c", **status}] if status is not None else []
    return {"metadata": {"name": "p"}, "spec": {}, "status": {"containerStatuses": statuses}}


RUNNING = {"containerID": "containerd://new", "state": {"running": {}}}
ENDED_BEFORE = {"lastState": {"terminated": {"containerID": "containerd://old"}}}


@pytest.mark.parametrize(
    ("status", "previous", "id"),
    [
        (RUNNING, False, "containerd://new"),
        (RUNNING | ENDED_BEFORE, True, "containerd://old"),
        ({"state": {"terminated": {"containerID": "containerd://ended"}}}, False, "containerd://ended"),
        ({"state": {"terminated": {}}} | ENDED_BEFORE, False, "containerd://old"),
        ({"state": {"waiting": {"reason": "CrashLoopBackOff"}}} | ENDED_BEFORE, False, "containerd://old"),
    ],
    ids=["running", "previous", "ended", "ended without an instance", "waiting after an end"],
)
def test_which_instance_is_meant(status: dict[str, Any], previous: bool, id: str) -> None:
    assert container_id(pod(status), "c", previous=previous) == id


@pytest.mark.parametrize(
    ("status", "previous", "text"),
    [
        (None, False, 'container "c" in pod "p" is not available'),
        (RUNNING, True, 'previous terminated container "c" in pod "p" not found'),
        ({"state": {"terminated": {}}}, False, 'container "c" in pod "p" is terminated'),
        (
            {"state": {"waiting": {"reason": "ContainerCreating"}}},
            False,
            'container "c" in pod "p" is waiting to start: ContainerCreating',
        ),
        (
            {"state": {"waiting": {"reason": "ImagePullBackOff"}}},
            False,
            'container "c" in pod "p" is waiting to start: trying and failing to pull image',
        ),
        ({}, False, 'container "c" in pod "p" is waiting to start - no logs yet'),
    ],
)
def test_why_there_is_no_log(status: dict[str, Any] | None, previous: bool, text: str) -> None:
    with pytest.raises(Refusal) as refused:
        container_id(pod(status), "c", previous=previous)
    assert (refused.value.code, refused.value.text) == (400, text)


def test_options_are_read_from_the_query() -> None:
    query = {"follow": "true", "timestamps": "1", "tailLines": "5", "limitBytes": "10", "stream": "All"}
    assert log_options(query) == LogOptions(follow=True, timestamps=True, tail_lines=5, limit_bytes=10)
    assert log_options({"follow": "false", "tail": "all"}) == LogOptions()


def test_seconds_count_back_from_now() -> None:
    early, late = log_options({"sinceSeconds": "100"}).since, log_options({"sinceSeconds": "10"}).since
    assert early is not None and late is not None and 89 < (late - early).total_seconds() < 91


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"tailLines": "x"}, 400),
        ({"sinceTime": "yesterday"}, 400),
        ({"tailLines": "-1"}, 422),
        ({"limitBytes": "0"}, 422),
        ({"sinceSeconds": "0"}, 422),
        ({"sinceSeconds": "1", "sinceTime": "2026-01-01T00:00:00Z"}, 422),
        ({"stream": "Both"}, 422),
        ({"stream": "Stdout", "tailLines": "1"}, 422),
    ],
)
def test_options_that_make_no_sense_are_refused(query: dict[str, str], code: int) -> None:
    with pytest.raises(Refusal) as refused:
        log_options(query)
    assert refused.value.code == code
