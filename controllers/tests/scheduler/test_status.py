"""What is written about pods."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from controllers.scheduler.api import condition_patch
from controllers.scheduler.events import EventRecorder, truncated
from controllers.scheduler.intake import node_fields, pod_fields
from controllers.scheduler.pod import Templates
from controllers.tests.scheduler.cluster import node, pod

if TYPE_CHECKING:
    from controllers.runtime.client import Client

WANTED = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "m", "observedGeneration": 1}


def clock() -> datetime:
    return datetime(2026, 1, 2, tzinfo=UTC)


def with_condition(**fields: Any) -> dict[str, Any]:
    obj = pod("p")
    old = {**WANTED, "lastTransitionTime": "2026-01-01T00:00:00Z", **fields}
    obj["status"]["conditions"] = [{"type": "Ready", "status": "False"}, old]
    return obj


def test_a_condition_that_holds_already_is_not_written() -> None:
    assert condition_patch(with_condition(), WANTED, clock) is None


def test_another_message_keeps_the_time_of_the_change() -> None:
    patch = condition_patch(with_condition(message="old"), WANTED, clock)
    assert patch is not None
    (condition,) = patch["status"]["conditions"]
    assert condition == {"lastProbeTime": None, "lastTransitionTime": "2026-01-01T00:00:00Z", **WANTED}
    assert patch["status"]["$setElementOrder/conditions"] == [{"type": "Ready"}, {"type": "PodScheduled"}]


def test_another_status_is_a_change() -> None:
    patch = condition_patch(with_condition(status="True"), WANTED, clock)
    assert patch is not None
    assert patch["status"]["conditions"][0]["lastTransitionTime"] == "2026-01-02T00:00:00Z"


def test_long_notes_are_cut() -> None:
    assert truncated("x" * 1024) == "x" * 1024
    assert truncated("x" * 1025) == "x" * 1020 + " ..."


def test_changes_of_nodes_that_no_rule_reads_are_none() -> None:
    before, after = node("a"), node("a")
    after["status"]["conditions"] = [{"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-01T00:00:00Z"}]
    later = node("a")
    later["status"]["conditions"] = [{"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-01-02T00:00:00Z"}]
    assert node_fields(before, after) == {"conditions"}
    assert node_fields(after, later) == set()
    assert node_fields(after, node("a", cpu="9", labels={"x": "1"})) == {"allocatable", "labels", "conditions"}


def test_changes_of_pods_are_told_by_what_rules_read() -> None:
    templates = Templates()
    first = templates.info(pod("p", requests={"cpu": "2"}, schedulingGates=[{"name": "g"}]))
    second = templates.info(pod("p", labels={"a": "b"}, requests={"cpu": "1"}))
    assert pod_fields(first, second) == {"labels", "requests", "gates"}
    assert pod_fields(second, second) == set()


def test_a_pod_keeps_its_template_until_something_changes() -> None:
    templates = Templates()
    first = pod("p")
    first["metadata"]["generation"] = 1
    known = templates.info(first)
    bound = {**first, "spec": {**first["spec"], "nodeName": "a"}}
    assert templates.info(bound, known).template is known.template
    relabelled = {**bound, "metadata": {**first["metadata"], "labels": {"a": "b"}}}
    assert templates.info(relabelled, known).template is not known.template
    changed = {**bound, "metadata": {**first["metadata"], "generation": 2}, "spec": {**first["spec"], "priority": 1}}
    assert templates.info(changed, known).template.priority == 1


def test_pods_of_one_workload_share_a_template() -> None:
    templates = Templates()
    one, other = pod("p", volumes=[{"name": "kube-api-access-x"}]), pod("q", volumes=[{"name": "kube-api-access-y"}])
    assert templates.info(one).template is templates.info(other).template
    assert templates.info(one).template is not templates.info(pod("r", priority=1)).template


async def test_the_same_about_a_later_version_of_a_pod_is_another_event() -> None:
    written: list[tuple[str, Any]] = []
    enough = asyncio.Event()

    def note(verb: str, body: Any) -> None:
        written.append((verb, body))
        if len(written) == 3:
            enough.set()

    class Server:
        async def create(self, resource: Any, event: Any) -> None:
            note("create", event)

        async def patch(self, resource: Any, namespace: str, name: str, patch: Any, **options: Any) -> None:
            note("patch", patch)

    recorder = EventRecorder(cast("Client", Server()), clock, "host")
    victim = pod("p")
    for version, times in (("1", 3), ("2", 1)):
        victim = {**victim, "metadata": {**victim["metadata"], "resourceVersion": version}}
        for _ in range(times):
            recorder.record(victim, "Normal", "Preempted", "Preempting", "n", "default-scheduler")
    running = asyncio.create_task(recorder.run())
    await enough.wait()
    running.cancel()
    created = [event for verb, event in written if verb == "create"]
    assert [event["regarding"]["resourceVersion"] for event in created] == ["1", "2"]
    assert [patch["series"]["count"] for verb, patch in written if verb == "patch"] == [3]
