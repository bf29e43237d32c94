"""The one door to stored objects: writes go to the backend, one feed from it fills the caches of all resources.

A write returns once it is durable; the caches learn of it from the feed only, in the order of revisions. Objects of
resources that nobody has registered yet are held as raw bytes, so a resource can come and go at run time without a gap.
When the backend cannot be reached the feed resumes where it stopped; when its history has been compacted meanwhile, the
caches are rebuilt and their watches end.
"""

from __future__ import annotations

import asyncio
import logging
import time
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from apiserver.storage.backend import Backend, Change, Compacted, KeyValue, RevisionConflict, StorageError
from apiserver.storage.cache import History, Progress, ResourceCache
from apiserver.storage.entry import Entry, Extract, Seed
from apiserver.storage.watcher import WatchEnded
from openapi.catalog import Resource

log = logging.getLogger(__name__)

Object = dict[str, Any]
Observe = Callable[[str, str, float], None]
"""Operation, storage prefix of the resource and seconds that it took."""

_ROOT = "/registry/"
_PAGE = 1_000
_HISTORY_EVENTS = 10_000
_HISTORY_BYTES = 32 << 20
_MAX_SEEDS = 1_024
_FRESH_TIMEOUT_S = 3.0
_RETRY_S = (0.05, 0.1, 0.2, 0.5, 1.0)


def _ignore(operation: str, prefix: str, seconds: float) -> None:
    """Nobody measures."""


class Store:
    """Register resources, `start`, use, `close`. All methods raise the backend's `StorageError`s."""

    def __init__(
        self,
        backend: Backend,
        *,
        observe: Observe = _ignore,
        history_events: int = _HISTORY_EVENTS,
        history_bytes: int = _HISTORY_BYTES,
    ) -> None:
        self.backend = backend
        self.events_received = 0
        self.events_dispatched = 0
        self.feed_failures = 0
        self._observe = observe
        self._progress = Progress()
        self._history = History(history_events, history_bytes)
        self._caches: dict[str, ResourceCache] = {}
        self._unclaimed: dict[str, KeyValue] = {}
        self._seeds: dict[str, Seed] = {}
        self._freshness: asyncio.Task[int] | None = None
        self._next_freshness: asyncio.Task[int] | None = None
        self._feed: asyncio.Task[None] | None = None
        self._failures_in_a_row = 0
        self._compact_next = 0

    # Resources

    def register(self, resource: Resource, extract: Extract) -> ResourceCache:
        """The cache of `resource`, complete at once; versions that share a storage prefix share it."""
        cache = self._caches.get(resource.prefix)
        if cache is None:
            prefix = resource.key_prefix()
            cache = ResourceCache(
                prefix, extract, progress=self._progress, history=self._history, changes=self._changes
            )
            claimed = sorted(key for key in self._unclaimed if key.startswith(prefix))
            cache.load([_read(cache, self._unclaimed.pop(key)) for key in claimed], self._progress.revision)
            self._caches[resource.prefix] = cache
        return cache

    def unregister(self, resource: Resource) -> None:
        """Ends the watches of `resource`; its objects stay in the store."""
        cache = self._caches.pop(resource.prefix, None)
        if cache is None:
            return
        cache.end_watches(WatchEnded("the resource is no longer served"))
        for entry in cache.entries():
            self._unclaimed[entry.key] = KeyValue(entry.key, entry.stored(), entry.revision, entry.create_revision)

    def cache(self, resource: Resource) -> ResourceCache:
        return self._caches[resource.prefix]

    @property
    def revision(self) -> int:
        """Up to here the caches are complete."""
        return self._progress.revision

    @property
    def is_following(self) -> bool:
        """The feed runs: reads are as fresh as they ask to be."""
        return self._feed is not None and not self._feed.done() and self._failures_in_a_row == 0

    # Life

    async def start(self) -> None:
        """Fill the caches and follow the backend. Raises `UndecodableValue` for data that cannot be served."""
        revision, items = await self._read_all()
        for cache, entries in self._sort_out(items):
            cache.load(entries, revision)
        self._progress.advance(revision)
        self._feed = asyncio.create_task(self._follow(), name="store feed")

    async def close(self) -> None:
        """Ends all watches; the backend is closed too."""
        if self._feed is not None:
            self._feed.cancel()
            await asyncio.gather(self._feed, return_exceptions=True)
        for cache in self._caches.values():
            cache.end_watches(WatchEnded("the server is stopping"))
        await self.backend.close()

    async def compact(self) -> None:
        """Forget history up to where the store was at the last call: call it as often as history is to be kept."""
        upto, self._compact_next = self._compact_next, await self.backend.current_revision()
        if upto:
            await self.backend.compact(upto)
            self._history.compacted = upto

    async def forget_history(self) -> None:
        """Keep nothing of what was before now: neither versions to list nor events to watch."""
        revision = await self.backend.current_revision()
        await self._progress.wait(revision, _FRESH_TIMEOUT_S)
        await self.backend.compact(revision)
        self._history.clear()
        for cache in self._caches.values():
            cache.forget_events()

    # Reads

    async def fresh(self, resource: Resource, timeout_s: float = _FRESH_TIMEOUT_S) -> ResourceCache:
        """The cache of `resource`, with all that was written before this call.

        Raises `FutureRevision` when that has not arrived within `timeout_s`.
        """
        cache = self._caches[resource.prefix]
        if self.backend.embedded:
            revision = await self.backend.current_revision()
        else:
            revision = await self._current_revision()
        if revision > self._progress.revision:
            await self._progress.wait(revision, timeout_s)
        return cache

    async def get(self, resource: Resource, namespace: str, name: str) -> Entry | None:
        """The object as the backend has it now, whatever the cache knows."""
        started = time.perf_counter()
        found = await self.backend.get(resource.key(namespace, name))
        self._observe("get", resource.prefix, time.perf_counter() - started)
        return None if found is None else _read(self._caches[resource.prefix], found)

    async def page(
        self, resource: Resource, revision: int, namespace: str = "", *, after: str = "", limit: int = 0
    ) -> tuple[Sequence[Entry], int]:
        """Entries with a storage key behind `after` as they were at `revision`, and how many more there are.

        Raises `Compacted`, `FutureRevision`.
        """
        cache = self._caches[resource.prefix]
        recent = cache.entries_at(revision, namespace)
        if recent is not None:
            start = bisect_right(recent, after, key=_key)
            stop = start + limit if limit else len(recent)
            return recent[start:stop], max(len(recent) - stop, 0)
        started = time.perf_counter()
        found = await self.backend.range(resource.key_prefix(namespace), after=after, limit=limit, revision=revision)
        self._observe("list", resource.prefix, time.perf_counter() - started)
        return [_read(cache, item) for item in found.items], found.remaining

    # Writes

    async def create(
        self, resource: Resource, namespace: str, name: str, obj: Object, ttl_s: int = 0, *, is_complete: bool = False
    ) -> Entry:
        """Raises `KeyExists`. `obj` is only read; `is_complete` is for its entry."""
        key, cache = resource.key(namespace, name), self._caches[resource.prefix]
        seed = self._plant(cache, key, obj, is_complete=is_complete)
        started = time.perf_counter()
        try:
            revision = await self.backend.create(key, seed.value, ttl_s=ttl_s)
        except StorageError:
            self._seeds.pop(key, None)
            raise
        self._observe("create", resource.prefix, time.perf_counter() - started)
        return _grown(cache, key, seed, revision, revision)

    async def update(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        obj: Object,
        expected: int,
        ttl_s: int = 0,
        *,
        is_complete: bool = False,
    ) -> Entry:
        """`expected` is the revision that `obj` was made from. Raises `RevisionConflict`. `obj` is only read.

        An update that changes no byte writes nothing.
        """
        key, cache = resource.key(namespace, name), self._caches[resource.prefix]
        known = cache.find(key)
        seed = self._plant(cache, key, obj, is_complete=is_complete)
        if known is not None and known.revision == expected and not ttl_s and known.holds(seed):
            self._seeds.pop(key, None)
            return await self.confirm(resource, namespace, name, expected)
        started = time.perf_counter()
        try:
            revision = await self.backend.update(key, seed.value, expected=expected, ttl_s=ttl_s)
        except StorageError:
            self._seeds.pop(key, None)
            raise
        self._observe("update", resource.prefix, time.perf_counter() - started)
        return _grown(cache, key, seed, revision, 0 if known is None else known.create_revision)

    async def confirm(self, resource: Resource, namespace: str, name: str, expected: int) -> Entry:
        """The object, which still is at revision `expected`: an update without a change. Raises `RevisionConflict`."""
        current = await self.backend.get(resource.key(namespace, name))
        if current is None or current.revision != expected:
            raise RevisionConflict(current)
        return self.entry(resource, current)

    async def delete(self, resource: Resource, namespace: str, name: str, expected: int) -> int:
        """The revision of the deletion. Raises `RevisionConflict`."""
        started = time.perf_counter()
        revision = await self.backend.delete(resource.key(namespace, name), expected=expected)
        self._observe("delete", resource.prefix, time.perf_counter() - started)
        return revision

    def entry(self, resource: Resource, value: KeyValue) -> Entry:
        """What a `RevisionConflict` carries, as an entry."""
        return _read(self._caches[resource.prefix], value)

    def _plant(self, cache: ResourceCache, key: str, obj: Object, *, is_complete: bool) -> Seed:
        """What is to be written, left for the feed too."""
        seed = cache.reader.plant(key, obj, is_complete=is_complete)
        if len(self._seeds) >= _MAX_SEEDS:
            self._seeds.clear()
        self._seeds[key] = seed
        return seed

    # Freshness

    async def _current_revision(self) -> int:
        """The backend's revision, asked for after this call: all that call in the meantime share one request."""
        if self._freshness is None:
            self._freshness = asyncio.create_task(self._ask_revision())
            return await asyncio.shield(self._freshness)
        if self._next_freshness is None:
            self._next_freshness = asyncio.create_task(self._ask_revision_after(self._freshness))
        return await asyncio.shield(self._next_freshness)

    async def _ask_revision(self) -> int:
        try:
            return await self.backend.current_revision()
        finally:
            self._freshness = self._next_freshness
            self._next_freshness = None

    async def _ask_revision_after(self, first: asyncio.Task[int]) -> int:
        await asyncio.wait([first])
        return await self._ask_revision()

    # The feed

    def _changes(self, prefix: str, after: int) -> AsyncIterator[tuple[Sequence[Change], int]]:
        return self.backend.watch(prefix, after=after)

    async def _read_all(self) -> tuple[int, list[KeyValue]]:
        page = await self.backend.range(_ROOT, limit=_PAGE)
        items = list(page.items)
        while page.remaining:
            page = await self.backend.range(_ROOT, after=items[-1].key, limit=_PAGE, revision=page.revision)
            items += page.items
        return page.revision, items

    def _sort_out(self, items: Sequence[KeyValue]) -> list[tuple[ResourceCache, list[Entry]]]:
        """Entries of every cache in key order; the rest goes to the unclaimed."""
        found: dict[str, tuple[ResourceCache, list[Entry]]] = {
            prefix: (cache, []) for prefix, cache in self._caches.items()
        }
        self._unclaimed.clear()
        for item in items:
            cache = self._cache_of(item.key)
            if cache is None:
                self._unclaimed[item.key] = item
            else:
                found[cache.prefix[len(_ROOT) : -1]][1].append(_read(cache, item))
        return list(found.values())

    def _cache_of(self, key: str) -> ResourceCache | None:
        """Prefixes have one part ("pods") or two ("services/specs", "example.com/widgets")."""
        first = key.find("/", len(_ROOT))
        cache = self._caches.get(key[len(_ROOT) : first])
        if cache is None:
            cache = self._caches.get(key[len(_ROOT) : key.find("/", first + 1)])
        return cache

    async def _follow(self) -> None:
        while True:
            try:
                async for changes, revision in self.backend.watch(_ROOT, after=self._progress.revision):
                    self._failures_in_a_row = 0
                    self._take(changes, revision)
            except Compacted as error:
                log.warning("history is gone, rebuilding", extra={"revision": self._progress.revision})
                await self._rebuild(error)
            except StorageError as error:
                self.feed_failures += 1
                log.warning("store feed failed", extra={"error": str(error)})
            await asyncio.sleep(_RETRY_S[min(self._failures_in_a_row, len(_RETRY_S) - 1)])
            self._failures_in_a_row += 1

    def _take(self, changes: Sequence[Change], revision: int) -> None:
        """All of one batch, then the revision: several changes may share one."""
        for change in changes:
            self.events_received += 1
            cache = self._cache_of(change.key)
            if cache is None:
                self._hold(change)
                continue
            seed = self._seeds.pop(change.key, None)
            try:
                if cache.apply(change, seed) is not None:
                    self.events_dispatched += 1
            except Exception:  # The feed must go on for all the others, and may not take the same batch twice.
                log.exception("change cannot be shown", extra={"key": change.key, "revision": change.revision})
        self._progress.advance(revision)

    def _hold(self, change: Change) -> None:
        if change.value is None:
            self._unclaimed.pop(change.key, None)
        else:
            item = KeyValue(change.key, change.value, change.revision, change.create_revision)
            self._unclaimed[change.key] = item

    async def _rebuild(self, cause: Compacted) -> None:
        try:
            revision, items = await self._read_all()
        except StorageError as error:
            log.warning("store cannot be read", extra={"error": str(error)})
            return
        self._history.clear()
        for cache, entries in self._sort_out(items):
            cache.rebuild(entries, revision, cause)
        self._progress.advance(revision)


def _grown(cache: ResourceCache, key: str, seed: Seed, revision: int, create_revision: int) -> Entry:
    """The entry of what was written: the feed's own where that has come so far, as it mostly has."""
    found = cache.find(key)
    if found is not None and found.revision == revision:
        return found
    return cache.reader.grow(key, seed, revision, create_revision)


def _read(cache: ResourceCache, item: KeyValue) -> Entry:
    return cache.reader.read(item.key, item.value, item.revision, item.create_revision)


def _key(entry: Entry) -> str:
    return entry.key
