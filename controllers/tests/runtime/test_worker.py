"""The worker loop and the way from changes to keys, over an API that only lists and watches."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from controllers.runtime import consistency
from controllers.runtime.accounts import own_name
from controllers.runtime.client import Client
from controllers.runtime.controller import Controller, For, Owns, Requeue, Runtime
from controllers.runtime.errors import Conflict, Expired, NotFound, Unavailable
from controllers.runtime.events import EventSink
from controllers.runtime.informer import Informers
from controllers.runtime.kinds import JOBS, PODS, REPLICA_SETS
from controllers.runtime.metrics import Metrics
from controllers.runtime.objects import Key
from controllers.runtime.worker import Worker
from openapi.meta.times import now


class Feed:
    """A transport of scripted lists and watches: `lists` by path, `events` sent to the watch of a path."""

    server = "test"

    def __init__(self) -> None:
        self.lists: dict[str, dict[str, Any]] = {}
        self.watches: dict[str, asyncio.Queue[bytes | Exception]] = {}
        self.refused: set[str] = set()

    async def send(self, method: str, path: str, headers: Any, body: Any, timeout_s: float) -> bytes:
        if path in self.refused:
            raise NotFound(404, "NotFound", "the server could not find the requested resource")
        return orjson.dumps(self.lists.get(path, {"metadata": {"resourceVersion": "1"}, "items": []}))

    send_now = send

    @asynccontextmanager
    async def stream(self, path: str, headers: Any, timeout_s: float) -> AsyncIterator[AsyncIterator[bytes]]:
        parts = urlsplit(path)
        assert parse_qs(parts.query)["watch"] == ["1"]
        yield self._pieces(self.queue(parts.path))

    def queue(self, path: str) -> asyncio.Queue[bytes | Exception]:
        return self.watches.setdefault(path, asyncio.Queue())

    async def _pieces(self, queue: asyncio.Queue[bytes | Exception]) -> AsyncIterator[bytes]:
        while True:
            piece = await queue.get()
            if isinstance(piece, Exception):
                raise piece
            yield piece

    def tell(self, path: str, kind: str, obj: dict[str, Any]) -> None:
        self.queue(path).put_nowait(orjson.dumps({"type": kind, "object": obj}) + b"\n")


SETS, POD_PATH = "/apis/apps/v1/replicasets", "/api/v1/pods"


def replica_set(revision: int, uid: str = "u") -> dict[str, Any]:
    metadata = {"namespace": "n", "name": "x", "uid": uid, "resourceVersion": str(revision)}
    return {"kind": "ReplicaSet", "apiVersion": "apps/v1", "metadata": metadata}


def pod(revision: int, owner: str = "u") -> dict[str, Any]:
    reference = {"kind": "ReplicaSet", "apiVersion": "apps/v1", "name": "x", "uid": owner, "controller": True}
    metadata = {"namespace": "n", "name": "p", "uid": "p", "resourceVersion": str(revision)}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": {**metadata, "ownerReferences": [reference]}}


class Probe(Controller):
    name = "probe"
    watches = (For(REPLICA_SETS), Owns(PODS))
    workers = 1

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self.seen: asyncio.Queue[Key] = asyncio.Queue()
        self.script: list[Requeue | Exception | Callable[[], None]] = []

    async def reconcile(self, key: Key) -> Requeue | None:
        self.seen.put_nowait(key)
        step = self.script.pop(0) if self.script else None
        if isinstance(step, Exception):
            raise step
        if callable(step):
            step()
            return None
        return step


class Done(Exception):
    """The scenario is over; ends the tasks of the informers."""


async def run_probe(scenario: Callable[[Feed, Probe], Awaitable[None]]) -> None:
    feed = Feed()
    client = Client(feed, "test")  # type: ignore[arg-type]
    informers, events = Informers(client), EventSink(client, now)
    runtime = Runtime(client, own_name(client), informers, events, Metrics(), now)
    probe = Probe(runtime)
    try:
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            runtime.informers.start(group)
            await runtime.informers.synced()
            worker = Worker(probe)
            worker.start(group)
            await scenario(feed, probe)
            await worker.stop(1.0)
            raise Done
    except* Done as done:
        assert len(done.exceptions) == 1


async def test_a_pod_enqueues_its_owner_and_not_a_namesake() -> None:
    async def scenario(feed: Feed, probe: Probe) -> None:
        feed.tell(SETS, "ADDED", replica_set(2))
        assert await probe.seen.get() == Key("n", "x")
        feed.tell(POD_PATH, "ADDED", pod(3, owner="another"))
        feed.tell(POD_PATH, "MODIFIED", pod(4, owner="u"))
        assert await probe.seen.get() == Key("n", "x")
        await asyncio.sleep(0)
        assert probe.seen.empty()

    await run_probe(scenario)


async def test_a_failed_key_comes_again() -> None:
    async def scenario(feed: Feed, probe: Probe) -> None:
        probe.script = [Conflict(409, "Conflict", "changed"), ValueError("a bug"), Requeue(0.001)]
        feed.tell(SETS, "ADDED", replica_set(2))
        assert [await probe.seen.get() for _ in range(4)] == [Key("n", "x")] * 4

    await run_probe(scenario)


async def test_a_key_waits_until_its_own_write_is_seen() -> None:
    async def scenario(feed: Feed, probe: Probe) -> None:
        probe.script = [lambda: consistency.wrote(PODS, 7)]
        feed.tell(SETS, "ADDED", replica_set(2))
        await probe.seen.get()
        feed.tell(SETS, "MODIFIED", replica_set(3))
        await probe.informer(REPLICA_SETS).until(lambda: probe.informer(REPLICA_SETS).revision == 3)
        for _ in range(20):
            await asyncio.sleep(0)
        assert probe.seen.empty()
        feed.tell(POD_PATH, "ADDED", pod(7, owner="another"))
        assert await probe.seen.get() == Key("n", "x")

    await run_probe(scenario)


async def test_an_expired_watch_is_closed_by_a_list_whose_differences_arrive() -> None:
    async def scenario(feed: Feed, probe: Probe) -> None:
        feed.tell(SETS, "ADDED", replica_set(2))
        await probe.seen.get()
        feed.lists[SETS] = {"metadata": {"resourceVersion": "9"}, "items": []}
        feed.queue(SETS).put_nowait(Expired(410, "Expired", "too old"))
        assert await probe.seen.get() == Key("n", "x")
        assert probe.store(REPLICA_SETS).get("n", "x") is None
        assert probe.informer(REPLICA_SETS).revision == 9

    await run_probe(scenario)


async def test_an_event_may_come_in_pieces() -> None:
    async def scenario(feed: Feed, probe: Probe) -> None:
        line = orjson.dumps({"type": "ADDED", "object": replica_set(2)}) + b"\n"
        for start in range(0, len(line), 10):
            feed.queue(SETS).put_nowait(line[start : start + 10])
        assert await probe.seen.get() == Key("n", "x")

    await run_probe(scenario)


async def test_another_store_behind_the_same_address_is_listed_anew() -> None:
    async def scenario(feed: Feed, probe: Probe) -> None:
        feed.tell(SETS, "ADDED", replica_set(200))
        await probe.seen.get()
        feed.lists["/api/v1/namespaces/kube-system"] = {"metadata": {"name": "kube-system", "uid": "new"}}
        feed.lists[SETS] = {"metadata": {"resourceVersion": "3"}, "items": [replica_set(200, uid="another")]}
        probe.informer(REPLICA_SETS)._identity._asked_at = -math.inf
        feed.queue(SETS).put_nowait(Unavailable("connection lost"))
        assert await probe.seen.get() == Key("n", "x")
        assert probe.informer(REPLICA_SETS).revision == 3

    await run_probe(scenario)


async def test_a_resource_that_is_not_served_does_not_hold_up_the_others() -> None:
    async def scenario(feed: Feed, probe: Probe) -> None:
        feed.refused.add("/apis/batch/v1/jobs")
        informer = probe.informer(JOBS)
        await informer.synced.wait()
        assert len(informer.store) == 0

    await run_probe(scenario)
