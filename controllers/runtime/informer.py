"""Informers: one list and one watch per resource keep a store that any number of controllers read and listen to.

Guarantees: a handler sees every change in order, exactly once, after the store has it; a gap (410, lost connection) is
closed by a new list whose differences arrive as ordinary changes; `revision` never promises more than the store holds.
There is no resync: nothing is delivered that did not change. managedFields are dropped, nobody here reads them.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import orjson

from controllers.runtime.client import Client
from controllers.runtime.errors import ApiError, Expired, Forbidden, NotFound, Unavailable, from_status
from controllers.runtime.kinds import NAMESPACES
from controllers.runtime.objects import Key, Object, revision_of, uid_of
from controllers.runtime.store import Store
from openapi.catalog import GroupVersionResource, Resource

log = logging.getLogger(__name__)

WATCH_S = (300, 600)
"""A watch is asked to end after a random time in this range, so that many do not reconnect at once."""

RETRY_S = (0.1, 3.0)
"""First and longest pause before another attempt while the server is away."""

IDENTITY_S = 1.0


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to one object. `old` is what the store held before; `obj` of a DELETED one is its last state."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    obj: Object
    old: Object | None = None


Handler = Callable[[Change], None]


class StoreIdentity:
    """Tells the server's store from another by the uid of a namespace that every cluster has.

    Many ask at once, when the server is back: an answer holds for a moment.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = asyncio.Lock()
        self._uid = ""
        self._asked_at = -math.inf

    async def uid(self) -> str:
        """'' for those who may not see it. Raises ApiError."""
        async with self._lock:
            if time.monotonic() - self._asked_at > IDENTITY_S:
                try:
                    self._uid = uid_of(await self._client.get(NAMESPACES, "", "kube-system"))
                except (Forbidden, NotFound):
                    self._uid = ""
                self._asked_at = time.monotonic()
            return self._uid


class Informer:
    """Keeps `store` like the server's collection of `resource`, from `run` on."""

    def __init__(
        self,
        client: Client,
        resource: Resource,
        *,
        metadata_only: bool = False,
        namespace: str = "",
        fields: str = "",
        identity: StoreIdentity | None = None,
    ) -> None:
        """Of all namespaces, unless one is given."""
        self.resource = resource
        self._identity = identity or StoreIdentity(client)
        self._store_uid = ""
        self.store = Store()
        self.revision = 0
        self.synced = asyncio.Event()
        self._client = client
        self._metadata_only = metadata_only
        self._namespace = namespace
        self._fields = fields
        self._handlers: list[Handler] = []
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    def add_handler(self, handler: Handler) -> None:
        """Call `handler` for every change from now on, and now for each object already known."""
        for obj in self.store.all():
            handler(Change("ADDED", obj))
        self._handlers.append(handler)

    def remove_handler(self, handler: Handler) -> None:
        self._handlers.remove(handler)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until `holds()`, which is asked after each batch of changes."""
        if holds():
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (holds, future)
        self._waiting.append(entry)
        try:
            await future
        finally:
            if entry in self._waiting:
                self._waiting.remove(entry)

    async def run(self) -> None:
        """List, then watch, for ever; after whatever ends a watch there is a pause, longer while nothing lasts."""
        clock, pause_s = asyncio.get_running_loop().time, RETRY_S[0]
        is_listed = is_lost = False
        while True:
            started = clock()
            try:
                if not is_listed or (is_lost and await self._is_store_another()):
                    await self._list()
                is_listed, is_lost = True, False
                await self._watch()
            except Expired:
                log.info("watch expired", extra={"gvr": self.resource.gvr, "revision": self.revision})
                is_listed = False
            except NotFound:
                # Not served here, or not yet: to those who wait for the first list it is empty.
                is_listed = False
                self.clear()
                self.synced.set()
            except (ApiError, orjson.JSONDecodeError) as error:
                # What the server refuses a list puts right.
                is_lost = isinstance(error, Unavailable)
                is_listed = is_listed and is_lost
                level = logging.INFO if is_lost else logging.WARNING
                log.log(level, "watch failed: %s", error, extra={"gvr": self.resource.gvr})
            if clock() - started > 2 * RETRY_S[1]:
                pause_s = RETRY_S[0]
            await asyncio.sleep(pause_s * random.uniform(0.8, 1.2))
            pause_s = min(pause_s * 2, RETRY_S[1])

    async def _is_store_another(self) -> bool:
        """Whether the server that is back has begun with a new store: our revisions mean nothing there."""
        before, self._store_uid = self._store_uid, await self._identity.uid()
        return before != self._store_uid

    def clear(self) -> None:
        """Report all objects as deleted: the resource is gone."""
        self._deliver(self._remove(self.store.keys()))

    def _remove(self, keys: Iterable[Key]) -> list[Change]:
        removed = [old for key in keys if (old := self.store.remove(key)) is not None]
        return [Change("DELETED", old, old) for old in removed]

    async def _list(self) -> None:
        self._store_uid = await self._identity.uid()
        answer = await self._client.list(
            self.resource, self._namespace, fields=self._fields, metadata_only=self._metadata_only
        )
        kind, api_version = self.resource.kind, self.resource.api_version
        changes, present = [], set()
        for item in answer.get("items") or ():
            obj = {"kind": kind, "apiVersion": api_version, **item}
            metadata = obj["metadata"]
            metadata.pop("managedFields", None)
            key = Key(metadata.get("namespace", ""), metadata["name"])
            present.add(key)
            change = self._differing(key, obj)
            if change is not None:
                changes.append(change)
        gone = [key for key in self.store.keys() if key not in present]  # noqa: SIM118  a store is no mapping
        changes += self._remove(gone)
        self.revision = int(answer["metadata"].get("resourceVersion") or 0)
        self._deliver(changes)
        self.synced.set()

    def _differing(self, key: Key, obj: Object) -> Change | None:
        """The change that a listed object is, or None if the store has it already."""
        old = self.store.get(*key)
        if old is not None and revision_of(old) == revision_of(obj) and uid_of(old) == uid_of(obj):
            return None
        self.store.put(obj)
        return Change("ADDED", obj) if old is None else Change("MODIFIED", obj, old)

    async def _watch(self) -> None:
        """Follow one watch to its end."""
        watch = self._client.watch(
            self.resource,
            str(self.revision),
            namespace=self._namespace,
            fields=self._fields,
            timeout_s=random.randint(*WATCH_S),
            metadata_only=self._metadata_only,
        )
        async with watch as pieces:
            async for lines in _lines(pieces):
                self._deliver([change for line in lines if (change := self._take(line)) is not None])

    def _take(self, line: bytes) -> Change | None:
        """Bring one event into the store."""
        event = orjson.loads(line)
        kind, obj = event["type"], event["object"]
        if kind == "ERROR":
            raise from_status(obj)
        metadata = obj["metadata"]
        self.revision = max(self.revision, int(metadata["resourceVersion"]))
        if kind == "BOOKMARK":
            return None
        metadata.pop("managedFields", None)
        if kind == "DELETED":
            old = self.store.remove(Key(metadata.get("namespace", ""), metadata["name"]))
            return Change("DELETED", obj, old)
        old = self.store.put(obj)
        return Change("ADDED", obj) if old is None else Change("MODIFIED", obj, old)

    def _deliver(self, changes: list[Change]) -> None:
        for change in changes:
            for handler in self._handlers:
                try:
                    handler(change)
                except Exception:
                    log.exception("handler failed", extra={"gvr": self.resource.gvr})
        for entry in [entry for entry in self._waiting if entry[0]()]:
            self._waiting.remove(entry)
            if not entry[1].done():
                entry[1].set_result(None)


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[list[bytes]]:
    """The whole lines in each piece of a stream; a line may span pieces."""
    rest: list[bytes] = []
    async for piece in pieces:
        head, newline, tail = piece.rpartition(b"\n")
        if not newline:
            rest.append(tail)
            continue
        whole = b"".join([*rest, head]) if rest else head
        rest = [tail] if tail else []
        yield [line for line in whole.split(b"\n") if line]


class Informers:
    """The informers of a process: one per resource, started at first use and shared by all who ask."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._identity = StoreIdentity(client)
        self._informers: dict[tuple[GroupVersionResource, bool], Informer] = {}
        self._tasks: dict[tuple[GroupVersionResource, bool], asyncio.Task[None]] = {}
        self._filtered: dict[tuple[GroupVersionResource, str], Informer] = {}
        self._group: asyncio.TaskGroup | None = None

    def get(self, resource: Resource, *, metadata_only: bool = False) -> Informer:
        """The informer of `resource`. One that knows whole objects also serves those who need metadata only."""
        whole = self._informers.get((resource.gvr, False))
        if whole is not None:
            return whole
        identity = (resource.gvr, metadata_only)
        informer = self._informers.get(identity)
        if informer is None:
            informer = Informer(self._client, resource, metadata_only=metadata_only, identity=self._identity)
            self._informers[identity] = informer
            self._start(identity)
        return informer

    def filtered(self, resource: Resource, fields: str) -> Informer:
        """The informer of the objects that a field selector chooses. Ask for it before the start."""
        identity = (resource.gvr, fields)
        if identity not in self._filtered:
            self._filtered[identity] = Informer(self._client, resource, fields=fields)
        return self._filtered[identity]

    def find(self, gvr: GroupVersionResource) -> Informer | None:
        """A running informer of that resource, if there is one."""
        return self._informers.get((gvr, False)) or self._informers.get((gvr, True))

    def drop(self, resource: Resource) -> None:
        """Stop watching a resource that is served no more; its last objects are reported as deleted."""
        for identity in ((resource.gvr, False), (resource.gvr, True)):
            task, informer = self._tasks.pop(identity, None), self._informers.pop(identity, None)
            if task is not None:
                task.cancel()
            if informer is not None:
                informer.clear()

    def start(self, group: asyncio.TaskGroup) -> None:
        """Run all informers, and those asked for later, as tasks of `group`."""
        self._group = group
        for identity in self._informers:
            self._start(identity)
        for informer in self._filtered.values():
            group.create_task(informer.run(), name=f"informer {informer.resource.resource}")

    async def synced(self) -> None:
        """Wait until every informer has its first list."""
        informers = [*self._informers.values(), *self._filtered.values()]
        await asyncio.gather(*(informer.synced.wait() for informer in informers))

    def _start(self, identity: tuple[GroupVersionResource, bool]) -> None:
        if self._group is not None and identity not in self._tasks:
            name = f"informer {identity[0].resource}"
            self._tasks[identity] = self._group.create_task(self._informers[identity].run(), name=name)
