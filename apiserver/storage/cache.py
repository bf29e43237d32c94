"""The watch cache of one resource: its entries in key order, its recent events, and its watchers.

Filled only by the store's ordered feed, so what it shows at `revision` is exactly the store's state at that revision.
Lists given out are snapshots that later changes do not touch. Watchers are found by namespace, name and one indexed
field, so an event costs only those it may concern.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from bisect import bisect_left
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import count, takewhile

from apiserver.storage.backend import Change, FutureRevision
from apiserver.storage.entry import Entry, EntryReader, Extract, Seed
from apiserver.storage.watcher import Event, EventType, Frame, Predicate, Replay, WatchEnded, Watcher

log = logging.getLogger(__name__)

__all__ = ["Event", "History", "Progress", "ResourceCache"]

Changes = Callable[[str, int], AsyncIterator[tuple[Sequence[Change], int]]]
"""The backend's `watch(prefix, after)`."""
_NAME = "metadata.name"
_HOT_EVENTS = 256
"""Encoded frames are kept for this many events of a resource: watchers take them at once or hardly ever."""


class Progress:
    """How far the feed has come: the revision that all caches are at."""

    def __init__(self) -> None:
        self.revision = 0
        self._waiters: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = count()

    def advance(self, revision: int) -> None:
        self.revision = max(revision, self.revision)
        while self._waiters and self._waiters[0][0] <= self.revision:
            future = heapq.heappop(self._waiters)[2]
            if not future.done():
                future.set_result(None)

    async def wait(self, revision: int, timeout_s: float) -> None:
        """Raises `FutureRevision` at the time-out."""
        if revision <= self.revision:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiters, (revision, next(self._order), future))
        try:
            async with asyncio.timeout(timeout_s):
                await future
        except TimeoutError:
            raise FutureRevision from None


class History:
    """Bounds what the recent events of all caches hold in memory, by number and by bytes; the oldest go first."""

    def __init__(self, limit: int, limit_bytes: int) -> None:
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._order: deque[tuple[ResourceCache, int]] = deque()
        self._size_bytes = 0
        self.compacted = 0
        """States before this revision are gone from the store and shown no more; watches may still go on from them."""

    def add(self, cache: ResourceCache, size_bytes: int) -> None:
        self._order.append((cache, size_bytes))
        self._size_bytes += size_bytes
        while len(self._order) > self._limit or self._size_bytes > self._limit_bytes:
            oldest, freed_bytes = self._order.popleft()
            self._size_bytes -= freed_bytes
            oldest.forget_oldest()

    def clear(self) -> None:
        self._order.clear()
        self._size_bytes = 0


class ResourceCache:
    """All objects below one storage prefix. Made by the `Store`, which alone changes it."""

    def __init__(
        self, prefix: str, extract: Extract, *, progress: Progress, history: History, changes: Changes
    ) -> None:
        self.prefix = prefix
        self.reader = EntryReader(prefix, extract)
        self._progress = progress
        self._history = history
        self._changes = changes
        self._entries: dict[str, Entry] = {}
        self._keys: list[str] = []
        self._sorted: list[Entry] = []
        self._lists: dict[str, list[Entry]] = {}
        self._events: deque[Event] = deque()
        self._events_after = progress.revision
        self._watchers: dict[tuple[str, str, str], dict[Watcher, None]] = {}
        self._indexed: dict[str, int] = {}
        self._listeners: list[Callable[[Event], None]] = []

    # Reads

    @property
    def revision(self) -> int:
        return self._progress.revision

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, namespace: str, name: str) -> Entry | None:
        return self._entries.get(f"{self.prefix}{namespace}/{name}" if namespace else self.prefix + name)

    def find(self, key: str) -> Entry | None:
        """The entry at a storage key."""
        return self._entries.get(key)

    def entries(self, namespace: str = "") -> Sequence[Entry]:
        """All entries, or one namespace's, in key order: a snapshot, not to be changed."""
        found = self._lists.get(namespace)
        if found is None:
            if namespace:
                low = bisect_left(self._keys, f"{self.prefix}{namespace}/")
                high = bisect_left(self._keys, f"{self.prefix}{namespace}0", low)  # "0" is next to "/".
                found = self._sorted[low:high]
            else:
                found = self._sorted.copy()
            self._lists[namespace] = found
        return found

    def entries_at(self, revision: int, namespace: str = "") -> Sequence[Entry] | None:
        """The entries as they were at `revision`; None when recent history does not reach back to it, or must not."""
        if revision == self.revision:
            return self.entries(namespace)
        if revision < max(self._events_after, self._history.compacted) or revision > self.revision:
            return None
        now = self.entries(namespace)
        before: dict[str, Entry | None] = {}
        for event in reversed(self._events):
            if event.revision <= revision:
                break
            if not namespace or event.entry.namespace == namespace:
                before[event.entry.key] = event.previous
        if not before:
            return now
        kept = [entry for entry in now if entry.key not in before]
        kept += [entry for entry in before.values() if entry is not None]
        kept.sort(key=_key)
        return kept

    async def wait(self, revision: int, timeout_s: float) -> None:
        """Until the cache has reached `revision`. Raises `FutureRevision` at the time-out."""
        if revision > self._progress.revision:
            await self._progress.wait(revision, timeout_s)

    # Watches

    def watch(
        self,
        namespace: str = "",
        name: str = "",
        *,
        frame: Frame,
        form: str,
        predicate: Predicate | None = None,
        index: tuple[str, str] | None = None,
        after: int | None = None,
        queue_limit: int = 1000,
    ) -> Watcher:
        """A watch of all changes after revision `after` (None: from now on).

        `predicate` and `index` (a selectable field and its value) say what matches; watchers of one `form` must give
        equivalent `frame`s. A revision that is no longer kept ends the watch with `Compacted` as the cause.
        """
        now = self.revision
        watcher = Watcher(
            self,
            namespace=namespace,
            name=name,
            index=index,
            predicate=predicate,
            frame=frame,
            form=form,
            after=now if after is None else after,
            queue_limit=queue_limit,
        )
        if after is not None and after < now:
            if after >= self._events_after:
                watcher.preload(event for event in self._events_since(after) if _concerns(event, namespace, name))
            else:
                watcher.begin_replay(self._replay(namespace, name, after), now)
        self._watchers.setdefault(_bucket(watcher), {})[watcher] = None
        if index is not None and not name:
            self._indexed[index[0]] = self._indexed.get(index[0], 0) + 1
        return watcher

    def discard(self, watcher: Watcher) -> None:
        """A watcher that has ended; once more does no harm."""
        bucket = _bucket(watcher)
        watchers = self._watchers.get(bucket)
        if watchers is None or watchers.pop(watcher, self) is self:
            return
        if not watchers:
            del self._watchers[bucket]
        if watcher.index is not None and not watcher.name:
            field = watcher.index[0]
            self._indexed[field] -= 1
            if not self._indexed[field]:
                del self._indexed[field]

    def listen(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Call `listener` with every event, in order, from now on; returns what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @property
    def watchers(self) -> int:
        return sum(len(watchers) for watchers in self._watchers.values())

    def _events_since(self, after: int) -> list[Event]:
        found = list(takewhile(lambda event: event.revision > after, reversed(self._events)))
        found.reverse()
        return found

    async def _replay(self, namespace: str, name: str, after: int) -> Replay:
        """Events out of the backend's history: what the events kept here no longer cover."""
        prefix = f"{self.prefix}{namespace}/" if namespace else self.prefix
        async for changes, revision in self._changes(prefix, after):
            events = [self._event(change, self._read_previous(change)) for change in changes]
            yield [event for event in events if _concerns(event, namespace, name)], revision

    # The feed's side

    def load(self, entries: Sequence[Entry], revision: int) -> None:
        """Begin with `entries`, in key order; nothing is known of what was before `revision`."""
        self._entries = {entry.key: entry for entry in entries}
        self._keys = list(self._entries)
        self._sorted = list(entries)
        self._lists.clear()
        self._events.clear()
        self._events_after = revision

    def apply(self, change: Change, seed: Seed | None = None) -> Event | None:
        """Take in one change and deliver it; `seed` is what a writer has left for this key, if it is the same value."""
        previous = self._entries.get(change.key)
        if change.value is None and previous is None:
            return None
        event = self._event(change, previous, seed)
        self._place(change.key, None if change.value is None else event.entry)
        self._remember(event)
        self._dispatch(event)
        return event

    def rebuild(self, entries: Sequence[Entry], revision: int, cause: Exception) -> None:
        """After a gap in the feed: end all watches, then tell the listeners what has changed in between."""
        for watcher in [w for watchers in self._watchers.values() for w in watchers]:
            watcher.end(WatchEnded("history has a gap", cause))
        old = self._entries
        self.load(entries, revision)
        for key, previous in old.items():
            if key not in self._entries:
                self._tell(Event("DELETED", previous.at(revision), previous, revision))
        for entry in entries:
            before = old.get(entry.key)
            if before is None:
                self._tell(Event("ADDED", entry, None, entry.revision))
            elif before.revision != entry.revision:
                self._tell(Event("MODIFIED", entry, before, entry.revision))

    def end_watches(self, ended: WatchEnded) -> None:
        for watcher in [w for watchers in self._watchers.values() for w in watchers]:
            watcher.end(ended)

    def forget_events(self) -> None:
        self._events.clear()
        self._events_after = self.revision

    def forget_oldest(self) -> None:
        if self._events:
            self._events_after = self._events.popleft().revision

    def _event(self, change: Change, previous: Entry | None, seed: Seed | None = None) -> Event:
        if change.value is None:
            assert previous is not None
            return Event("DELETED", previous.at(change.revision), previous, change.revision)
        if seed is not None and seed.value == change.value:
            entry = self.reader.grow(change.key, seed, change.revision, change.create_revision)
        else:
            entry = self.reader.read(change.key, change.value, change.revision, change.create_revision)
        type_: EventType = "ADDED" if previous is None else "MODIFIED"
        return Event(type_, entry, previous, change.revision)

    def _read_previous(self, change: Change) -> Entry | None:
        if change.previous is None:
            return None
        return self.reader.read(change.key, change.previous, change.previous_revision, change.create_revision)

    def _place(self, key: str, entry: Entry | None) -> None:
        position = bisect_left(self._keys, key)
        if entry is None:
            del self._entries[key], self._keys[position], self._sorted[position]
        elif key in self._entries:
            self._entries[key] = self._sorted[position] = entry
        else:
            self._entries[key] = entry
            self._keys.insert(position, key)
            self._sorted.insert(position, entry)
        self._lists.clear()

    def _remember(self, event: Event) -> None:
        self._events.append(event)
        if len(self._events) > _HOT_EVENTS:
            self._events[-_HOT_EVENTS].drop_frames()
        self._history.add(self, len(event.entry.tail))

    def _dispatch(self, event: Event) -> None:
        if self._watchers:
            entry = event.entry
            marks = [("", ""), (_NAME, entry.name)]
            for field in self._indexed:
                value = entry.fields.get(field, "")
                marks.append((field, value))
                if event.previous is not None and (was := event.previous.fields.get(field, "")) != value:
                    marks.append((field, was))
            for namespace in ("", entry.namespace) if entry.namespace else ("",):
                for mark in marks:
                    watchers = self._watchers.get((namespace, *mark))
                    if watchers is not None:
                        for watcher in tuple(watchers):
                            watcher.deliver(event)
        self._tell(event)

    def _tell(self, event: Event) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(event)
            except Exception:
                log.exception("listener failed", extra={"key": event.entry.key, "revision": event.revision})


def _bucket(watcher: Watcher) -> tuple[str, str, str]:
    """A watcher is kept under its name, or else under the value of its indexed field, or under neither."""
    if watcher.name:
        return (watcher.namespace, _NAME, watcher.name)
    return (watcher.namespace, *(watcher.index or ("", "")))


def _concerns(event: Event, namespace: str, name: str) -> bool:
    entry = event.entry
    return (not namespace or entry.namespace == namespace) and (not name or entry.name == name)


def _key(entry: Entry) -> str:
    return entry.key
