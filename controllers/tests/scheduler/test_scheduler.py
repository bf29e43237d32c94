"""The scheduler at work, against an API server that only takes notes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest
from prometheus_client import CollectorRegistry

from controllers.runtime.errors import ApiError, Conflict, NotFound, Unavailable
from controllers.runtime.informer import Change
from controllers.scheduler.config import SchedulerConfiguration
from controllers.scheduler.framework import Reserve
from controllers.scheduler.metrics import SchedulerMetrics
from controllers.scheduler.scheduler import Scheduler
from controllers.tests.scheduler.cluster import Object, node, pod
from openapi.meta.times import now

if TYPE_CHECKING:
    from controllers.runtime.client import Client
    from controllers.runtime.informer import Informers


class Server:
    """Notes every call as (verb, plural or subresource, name); what `refuse` gives for one is raised."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str]] = []
        self.events: list[Object] = []
        self.patches: list[Object] = []
        self.stored: dict[str, Object] = {}
        self.refuse: Callable[[tuple[str, str, str]], Exception | None] = lambda call: None
        self.noted = asyncio.Event()

    def _note(self, *call: str) -> None:
        found = cast("tuple[str, str, str]", call)
        self.calls.append(found)
        self.noted.set()
        error = self.refuse(found)
        if error is not None:
            raise error

    async def create(
        self, resource: Any, obj: Any, *, namespace: str = "", name: str = "", subresource: str = ""
    ) -> Any:
        if resource.resource == "events":
            self.events.append(obj)
        self._note("create", subresource or resource.resource, name or obj["metadata"]["name"])
        return obj

    async def patch(self, resource: Any, namespace: str, name: str, patch: Any, **options: Any) -> Any:
        self.patches.append(patch)
        self._note("patch", options.get("subresource") or resource.resource, name)
        return patch

    async def get(self, resource: Any, namespace: str, name: str) -> Any:
        self._note("get", resource.resource, name)
        return self.stored[name]

    async def delete(self, resource: Any, namespace: str, name: str, **options: Any) -> Any:
        self._note("delete", resource.resource, name)

    async def until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self.noted.clear()
            await self.noted.wait()

    def notes(self) -> list[str]:
        return [event["note"] for event in self.events]


class NoInformers:
    """Nothing comes by itself: the tests tell what changes."""

    def get(self, resource: Any) -> Any:
        return self

    def add_handler(self, handler: Any) -> None: ...


class Work:
    def __init__(self) -> None:
        self.server = Server()
        configuration = SchedulerConfiguration(initial_backoff_s=0.01, max_backoff_s=0.01)
        metrics = SchedulerMetrics(CollectorRegistry())
        client, informers = cast("Client", self.server), cast("Informers", NoInformers())
        self.scheduler = Scheduler(client, informers, configuration, metrics, now, "host")

    def node(self, obj: Object) -> None:
        self.scheduler.intake.on_node(Change("ADDED", obj))

    def pod(self, obj: Object, kind: Any = "ADDED") -> None:
        self.scheduler.intake.on_pod(Change(kind, obj))

    @property
    def on_nodes(self) -> dict[str, str]:
        return {pod.name: pod.node for pod in self.scheduler.world.snapshot.pods.values()}


@asynccontextmanager
async def at_work() -> AsyncIterator[Work]:
    work = Work()
    running = asyncio.create_task(work.scheduler.run())
    try:
        async with asyncio.timeout(10):
            yield work
    finally:
        running.cancel()


def placed(name: str, on: str, **more: Any) -> Object:
    obj = pod(name, **more)
    obj["spec"]["nodeName"] = on
    return obj


async def test_a_pod_is_bound_and_told_of() -> None:
    async with at_work() as work:
        work.node(node("a"))
        work.pod(pod("p"))
        await work.server.until(lambda: bool(work.server.events))
    assert work.server.calls[0] == ("create", "binding", "p")
    assert work.server.notes() == ["Successfully assigned default/p to a"]


@pytest.mark.parametrize(
    "error",
    [Conflict(409, "Conflict", "pod p is already assigned to node b"), Unavailable("POST: gone")],
    ids=["taken", "no answer"],
)
async def test_a_pod_that_could_not_be_bound_is_tried_again(error: ApiError) -> None:
    async with at_work() as work:
        work.server.refuse = lambda call: error if work.server.calls.count(call) == 1 and call[1] == "binding" else None
        work.node(node("a"))
        work.pod(pod("p"))
        await work.server.until(lambda: len(work.server.events) == 2)
    assert work.server.notes() == [
        f'running Bind plugin "DefaultBinder": {error}',
        "Successfully assigned default/p to a",
    ]
    condition = work.server.patches[0]["status"]["conditions"][0]
    assert (condition["reason"], condition["status"]) == ("SchedulerError", "False")


@pytest.mark.parametrize("is_bound", [True, False])
async def test_nothing_bad_is_written_about_a_pod_that_was_bound_after_all(is_bound: bool) -> None:
    async with at_work() as work:
        failing = iter([Unavailable("POST: gone"), Conflict(409, "Conflict", "it has changed")])

        def refuse(call: tuple[str, str, str]) -> Exception | None:
            return next(failing, None) if call[1] in ("binding", "status") else None

        work.server.refuse = refuse
        work.server.stored["p"] = placed("p", "a" if is_bound else "")
        work.node(node("a"))
        work.pod(pod("p"))
        await work.server.until(lambda: ("get", "pods", "p") in work.server.calls and len(work.server.events) == 2)
    versions = ["resourceVersion" in patch["metadata"] for patch in work.server.patches]
    assert len(versions) == (1 if is_bound else 2)


async def test_a_pod_that_another_scheduler_has_bound_is_left_to_it() -> None:
    async with at_work() as work:

        def refuse(call: tuple[str, str, str]) -> Exception | None:
            if call[1] != "binding":
                return None
            work.pod(placed("p", "b"), "MODIFIED")
            return Conflict(409, "Conflict", "taken")

        work.server.refuse = refuse
        work.node(node("a"))
        work.pod(pod("p"))
        await work.server.until(lambda: bool(work.server.events))
        work.node(node("b"))
        assert work.on_nodes == {"p": "b"}
        assert len(work.scheduler.queue) == 0


async def test_a_pod_that_goes_on_its_way_does_not_take_the_room() -> None:
    leaving = pod("p", requests={"cpu": "4"})
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    async with at_work() as work:

        def refuse(call: tuple[str, str, str]) -> Exception | None:
            if call != ("create", "binding", "p"):
                return None
            work.pod(leaving, "MODIFIED")
            assert work.on_nodes == {}
            work.pod(leaving, "DELETED")
            return NotFound(404, "NotFound", 'pods "p" not found')

        work.server.refuse = refuse
        work.node(node("a"))
        work.pod(pod("p", requests={"cpu": "4"}))
        work.pod(pod("q", requests={"cpu": "4"}))
        await work.server.until(lambda: "Successfully assigned default/q to a" in work.server.notes())
    assert 'running Bind plugin "DefaultBinder": pods "p" not found' in work.server.notes()


async def test_a_pod_that_is_being_deleted_is_not_scheduled() -> None:
    leaving = pod("p")
    leaving["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["example.com/f"]}
    async with at_work() as work:
        work.node(node("a"))
        work.pod(leaving)
        await work.server.until(lambda: bool(work.server.events))
    assert work.server.notes() == ["skip schedule deleting pod: default/p"]
    assert all(call[1] != "binding" for call in work.server.calls)


async def test_a_plugin_that_breaks_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    async with at_work() as work:
        plugin = work.scheduler.profiles["default-scheduler"].of(Reserve)[0]  # type: ignore[type-abstract]
        broken = iter([RuntimeError("broken")])

        def reserve(cycle: Any, node: str) -> None:
            for error in broken:
                raise error

        monkeypatch.setattr(plugin, "reserve", reserve)
        work.node(node("a"))
        work.pod(pod("p"))
        await work.server.until(lambda: len(work.server.events) == 2)
    assert work.server.notes() == ["broken", "Successfully assigned default/p to a"]


async def test_victims_are_deleted_unless_they_are_leaving_and_one_after_the_others() -> None:
    async with at_work() as work:
        work.node(node("a"))
        going = placed("v0", "a", requests={"cpu": "1"})
        going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        for victim in (going, *(placed(f"v{n}", "a", requests={"cpu": "1"}) for n in (1, 2, 3))):
            work.pod(victim)
        work.pod(pod("p", requests={"cpu": "4"}, priority=9))
        await work.server.until(lambda: [call[0] for call in work.server.calls].count("delete") == 3)
        deleted = [call[2] for call in work.server.calls if call[0] == "delete"]
        assert sorted(deleted) == ["v1", "v2", "v3"]
        mine = [patch["status"] for patch in work.server.patches if patch["metadata"]["uid"] == "uid-p"]
        assert [status.get("nominatedNodeName") for status in mine] == ["a"]
