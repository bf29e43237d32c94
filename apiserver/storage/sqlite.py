"""The embedded store: an ordered log of revisions in SQLite.

The event loop decides every write against an index of the keys in memory and gives it its revision; a writer thread
makes whole groups of them durable, one transaction each. A write is answered, seen by reads and fed to watches only
after its commit, all in the order of revisions. Superseded rows stay readable until `compact`. Without a path the same
log lives in memory and nothing is written to disk.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path

from apiserver.storage.backend import (
    Change,
    Compacted,
    FutureRevision,
    KeyExists,
    KeyValue,
    Range,
    RevisionConflict,
    StorageError,
    Unavailable,
)
from apiserver.storage.sqlite_log import Log, Row

log = logging.getLogger(__name__)

_MAX_BACKLOG = 10_000
"""A watch that is further behind than this many changes reads them from the log again."""
_REPLAY_REVISIONS = 250
_SWEEP_REVISIONS = 2_000
"""Revisions looked at in one go, so that neither a long replay nor a compaction holds up everyone else."""
_EXPIRY_SCAN_S = 1.0


class SqliteBackend:
    """The store at `path`, or in memory without one. Raises `DataInUse`. Bound to the loop that first uses it."""

    embedded = True

    def __init__(self, path: Path | None, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._log = Log(path)
        self._index: dict[str, tuple[int, int]] = {}
        self._expiring: list[tuple[float, int, str]] = []
        self._load()
        self._compacted = self._log.bound("compacted")
        self._compaction = asyncio.Lock()
        self._group = _Group()
        self._in_flight: _Group | None = None
        self._scheduled = False
        self._feeds: set[_Feed] = set()
        self._expiry: asyncio.TimerHandle | None = None
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._writer: _ThreadWriter | _InlineWriter = _InlineWriter() if path is None else _ThreadWriter()

    def _load(self) -> None:
        """Take the state from the log: at the start, and when a group of writes has failed."""
        self._committed = self._revision = self._log.last_revision()
        self._index.clear()
        self._expiring.clear()
        for key, revision, create_revision, expires in self._log.live_keys():
            self._index[key] = (revision, create_revision)
            if expires:
                self._expiring.append((expires, revision, key))
        heapq.heapify(self._expiring)

    # Reads

    async def get(self, key: str, *, revision: int = 0) -> KeyValue | None:
        self._check_open()
        return self._log.get(key, self._readable(revision))

    async def range(self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0) -> Range:
        self._check_open()
        at = self._readable(revision)
        low = after + "\0" if after >= prefix else prefix
        items = self._log.range(low, _end(prefix), at, limit)
        remaining = 0
        if limit and len(items) == limit:
            remaining = self._log.count(items[-1].key + "\0", _end(prefix), at)
        return Range(items, at, remaining)

    async def current_revision(self) -> int:
        self._check_open()
        return self._committed

    async def size_bytes(self) -> int:
        self._check_open()
        return self._log.size_bytes()

    def _readable(self, revision: int) -> int:
        if not revision:
            return self._committed
        if revision > self._committed:
            raise FutureRevision
        if revision < self._compacted:
            raise Compacted(self._compacted)
        return revision

    # Writes

    async def create(self, key: str, value: bytes, *, ttl_s: int = 0) -> int:
        self._check_open()
        present = self._index.get(key)
        if present is not None:
            await self._settled(present[0])
            raise KeyExists
        return await self._append(key, value, 0, 0, ttl_s)

    async def update(self, key: str, value: bytes, *, expected: int, ttl_s: int = 0) -> int:
        self._check_open()
        present = self._index.get(key)
        if present is None or present[0] != expected:
            raise await self._conflict(key)
        return await self._append(key, value, expected, present[1], ttl_s)

    async def delete(self, key: str, *, expected: int) -> int:
        self._check_open()
        present = self._index.get(key)
        if present is None or present[0] != expected:
            raise await self._conflict(key)
        return await self._append(key, None, expected, present[1], 0)

    def _append(
        self, key: str, value: bytes | None, previous: int, create_revision: int, ttl_s: int
    ) -> asyncio.Future[int]:
        """Give the change its revision and put it into the next group to be committed."""
        loop = self._running_loop()
        before = self._value(previous) if previous and self._feeds else None
        self._revision = revision = self._revision + 1
        expires = 0.0
        if ttl_s:
            expires = self._clock() + ttl_s
            heapq.heappush(self._expiring, (expires, revision, key))
        if value is None:
            del self._index[key]
        else:
            create_revision = create_revision or revision
            self._index[key] = (revision, create_revision)
        future: asyncio.Future[int] = loop.create_future()
        group = self._group
        group.rows.append(Row(revision, key, value, value is None, create_revision, previous, expires))
        group.changes.append(Change(key, value, before, revision, create_revision, previous))
        group.futures.append(future)
        self._schedule(loop)
        return future

    def _value(self, revision: int) -> bytes | None:
        """What was written at `revision`, be it committed or not."""
        if revision <= self._committed:
            return self._log.value(revision)
        rows = self._group.rows
        if (not rows or revision < rows[0].revision) and self._in_flight is not None:
            rows = self._in_flight.rows
        return rows[revision - rows[0].revision].value

    async def _conflict(self, key: str) -> RevisionConflict:
        await self._settled(self._revision)
        return RevisionConflict(self._log.get(key, self._committed))

    async def _settled(self, revision: int) -> None:
        """Wait until `revision` is durable: no refusal may rest on a write that could still be lost."""
        if revision <= self._committed:
            return
        loop = self._running_loop()
        barrier: asyncio.Future[int] = loop.create_future()
        self._group.barriers.append(barrier)
        self._schedule(loop)
        await barrier

    # Commits

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        """One group is on its way at a time; the next one gathers meanwhile, at least for one turn of the loop."""
        if self._in_flight is None and not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        self._scheduled = False
        group, self._group = self._group, _Group()
        self._in_flight = group
        self._writer.submit(partial(self._log.append, group.rows), partial(self._finish, group))

    def _finish(self, group: _Group, error: Exception | None) -> None:
        """Called on the loop when `group` has been committed, or could not be."""
        self._in_flight = None
        if error is not None:
            self._fail(group, error)
            return
        if group.rows:
            self._committed = group.rows[-1].revision
            for feed in self._feeds:
                feed.push(group.changes, self._committed)
        for change, future in zip(group.changes, group.futures, strict=True):
            if not future.done():
                future.set_result(change.revision)
        for barrier in group.barriers:
            if not barrier.done():
                barrier.set_result(0)
        if not self._group.is_empty():
            self._hand_over()

    def _fail(self, group: _Group, error: Exception) -> None:
        """Later writes may build on the lost ones, so all that wait fail, and the log says what is there."""
        log.error("commit failed", extra={"writes": len(group.rows), "error": str(error)})
        waiting, self._group = self._group, _Group()
        for lost in (group, waiting):
            for future in (*lost.futures, *lost.barriers):
                if not future.done():
                    future.set_exception(Unavailable(f"cannot write: {error}"))
        try:
            self._load()
        except sqlite3.Error as unreadable:
            log.error("store cannot be read", extra={"error": str(unreadable)})
            self._revision = self._committed
        for feed in self._feeds:
            feed.fall_behind()

    # Watches

    async def watch(self, prefix: str, *, after: int) -> AsyncIterator[tuple[Sequence[Change], int]]:
        high = _end(prefix)
        position = after
        while True:
            while position < self._committed:
                self._check_open()
                if position < self._compacted:
                    raise Compacted(self._compacted)
                upto = min(position + _REPLAY_REVISIONS, self._committed)
                changes = self._log.changes(prefix, high, position, upto)
                position = upto
                yield changes, position
                await asyncio.sleep(0)
            self._check_open()
            feed = _Feed(prefix, position, self._running_loop())
            self._feeds.add(feed)
            try:
                while not feed.is_behind:
                    live, position = await feed.next()
                    yield live, position
            finally:
                self._feeds.discard(feed)

    # Upkeep

    async def compact(self, revision: int) -> None:
        self._check_open()
        if revision > self._committed:
            raise FutureRevision
        async with self._compaction:
            if revision > self._compacted:
                self._compacted = revision
                await self._run(partial(self._log.set_bound, "compacted", revision))
            swept = self._log.bound("swept")
            while swept < self._compacted:
                upto = min(swept + _SWEEP_REVISIONS, self._compacted)
                await self._run(partial(self._log.sweep, swept, upto))
                swept = upto

    async def _run(self, job: Callable[[], None]) -> None:
        """Do `job` where writes are done."""
        future: asyncio.Future[None] = self._running_loop().create_future()

        def done(error: Exception | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(Unavailable(f"cannot write: {error}"))

        self._writer.submit(job, done)
        await future

    def _expire(self) -> None:
        """Delete what has outlived its TTL; later writes of a key have made its older deadlines void."""
        now = self._clock()
        while self._expiring and self._expiring[0][0] <= now:
            _, revision, key = heapq.heappop(self._expiring)
            present = self._index.get(key)
            if present is not None and present[0] == revision:
                future = self._append(key, None, revision, present[1], 0)
                future.add_done_callback(_retrieve)
        self._start_expiry()

    def _start_expiry(self) -> None:
        assert self._loop is not None
        self._expiry = self._loop.call_later(_EXPIRY_SCAN_S, self._expire)

    async def close(self) -> None:
        if self._closed:
            return
        try:
            await self._settled(self._revision)
        except StorageError:
            log.warning("writes lost at close")
        self._closed = True
        if self._expiry is not None:
            self._expiry.cancel()
        for feed in self._feeds:
            feed.close()
        self._writer.stop()
        self._log.close()

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the store is closed")
        if self._loop is None:
            self._running_loop()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._writer.start(self._loop)
            self._start_expiry()
        return self._loop


class _Group:
    """Writes that become durable together. `barriers` only wait for what came before them."""

    __slots__ = ("barriers", "changes", "futures", "rows")

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.changes: list[Change] = []
        self.futures: list[asyncio.Future[int]] = []
        self.barriers: list[asyncio.Future[int]] = []

    def is_empty(self) -> bool:
        return not self.rows and not self.barriers


class _Feed:
    """The live end of one watch."""

    def __init__(self, prefix: str, position: int, loop: asyncio.AbstractEventLoop) -> None:
        self._prefix = prefix
        self._start = position
        self._position = position
        self._loop = loop
        self._backlog: list[Change] = []
        self._waiter: asyncio.Future[None] | None = None
        self._is_closed = False
        self.is_behind = False

    def push(self, changes: Sequence[Change], revision: int) -> None:
        if self.is_behind or revision <= self._start:
            return
        self._backlog += [c for c in changes if c.key.startswith(self._prefix) and c.revision > self._start]
        self._position = revision
        if len(self._backlog) > _MAX_BACKLOG:
            self.fall_behind()
        self._wake()

    def fall_behind(self) -> None:
        """Forget what has not been fetched: the watch goes on from the log."""
        self._backlog = []
        self.is_behind = True
        self._wake()

    def close(self) -> None:
        self._is_closed = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def next(self) -> tuple[Sequence[Change], int]:
        """What came since the last call; nothing new, and the old position, when the feed has fallen behind."""
        while self._position == self._start and not self.is_behind:
            if self._is_closed:
                raise Unavailable("the store is closed")
            self._waiter = self._loop.create_future()
            await self._waiter
        if self.is_behind:
            return (), self._start
        changes: Sequence[Change] = self._backlog
        self._backlog = []
        self._start = self._position
        return changes, self._start


class _InlineWriter:
    """For a log in memory: nothing there waits for a disk."""

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def submit(self, job: Callable[[], None], done: Callable[[Exception | None], None]) -> None:
        try:
            job()
        except Exception as error:
            done(error)
        else:
            done(None)

    def stop(self) -> None:
        """Nothing runs between two calls."""


class _ThreadWriter:
    """One thread that does jobs in order and reports each to the loop."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[Callable[[], None], Callable[[Exception | None], None]] | None]
        self._jobs = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread = threading.Thread(target=self._work, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[], None], done: Callable[[Exception | None], None]) -> None:
        self._jobs.put((job, done))

    def stop(self) -> None:
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()

    def _work(self) -> None:
        while (item := self._jobs.get()) is not None:
            job, done = item
            failure: Exception | None = None
            try:
                job()
            except Exception as error:  # Whatever it is, the thread must live and somebody waits for the answer.
                failure = error
            try:
                self._loop.call_soon_threadsafe(done, failure)
            except RuntimeError:
                return  # The loop has been closed under us: nobody waits for an answer any more.


def _retrieve(future: asyncio.Future[int]) -> None:
    """An expiry that fails is tried again after the reload; its error interests nobody."""
    if not future.cancelled():
        future.exception()


def _end(prefix: str) -> str:
    """The first key behind all that begin with `prefix`."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
