"""One client's watch: turns what happens to a resource into the frames that this client is to see.

An object that starts or stops to match shows as ADDED or DELETED; the latter carries the last matching state under the
new revision. Frames are encoded once per event and form, and shared by all watchers. Delivery never waits: the queue
is bounded, and a watcher that cannot keep up is ended; its client resumes from the last revision it has seen.
Follows: staging/src/k8s.io/apiserver/pkg/storage/cacher/cache_watcher.go convertToWatchEvent
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from typing import Literal, Protocol

from apiserver.storage.backend import StorageError
from apiserver.storage.entry import Entry

log = logging.getLogger(__name__)

EventType = Literal["ADDED", "MODIFIED", "DELETED"]
Predicate = Callable[[Entry], bool]
Frame = Callable[[str, Entry, int], bytes]
"""Event type, the entry to show and the event's revision to the bytes that are sent."""


class WatchEnded(Exception):
    """The watch is over; `cause` is the storage error behind it, if there is one."""

    def __init__(self, reason: str, cause: Exception | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.cause = cause


class Event:
    """One change of one object. A DELETED event's `entry` is the last state under the deletion's revision.

    `previous` is the state before, None for ADDED.
    """

    __slots__ = ("_frames", "_gone", "_last", "entry", "previous", "revision", "type")

    def __init__(self, type_: EventType, entry: Entry, previous: Entry | None, revision: int) -> None:
        self.type: EventType = type_
        self.entry = entry
        self.previous = previous
        self.revision = revision
        self._gone: Entry | None = None
        self._frames: dict[tuple[str, str], bytes] | None = None
        self._last: tuple[str, str, bytes] | None = None
        """Type, form and frame that were asked for last: mostly the next watcher wants the same."""

    def frame(self, type_: str, form: str, encode: Frame) -> bytes:
        """The bytes of this event shown as `type_`, encoded at the first call for this `form`."""
        last = self._last
        if last is not None and last[0] is type_ and last[1] is form:
            return last[2]
        if self._frames is None:
            self._frames = {}
        found = self._frames.get((type_, form))
        if found is None:
            shown = self.entry if type_ != "DELETED" else self.gone()
            found = self._frames[type_, form] = encode(type_, shown, self.revision)
        self._last = type_, form, found
        return found

    def gone(self) -> Entry:
        """The object as a watcher last sees it when it goes out of its sight."""
        if self.type == "DELETED" or self.previous is None:
            return self.entry
        if self._gone is None:
            self._gone = self.previous.at(self.revision)
        return self._gone

    def drop_frames(self) -> None:
        self._frames = self._last = None


class Source(Protocol):
    """What a watcher needs of the cache that it watches."""

    @property
    def revision(self) -> int: ...

    def discard(self, watcher: Watcher) -> None: ...


Replay = AsyncGenerator[tuple[Sequence[Event], int], None]
_REPLAY_TIMEOUT_S = 30.0


class Watcher:
    """Made by `ResourceCache.watch`. Must be closed."""

    def __init__(
        self,
        source: Source,
        *,
        namespace: str,
        name: str,
        index: tuple[str, str] | None,
        predicate: Predicate | None,
        frame: Frame,
        form: str,
        after: int,
        queue_limit: int,
    ) -> None:
        self.namespace = namespace
        self.name = name
        self.index = index
        self._predicate = predicate
        self._is_selective = predicate is not None or index is not None
        self._source = source
        self._frame = frame
        self._form = form
        self._after = after
        self._seen = after
        self._queue: list[bytes] = []
        self._queue_limit = queue_limit
        self._room = queue_limit
        self._waiter: asyncio.Future[None] | None = None
        self._ended: WatchEnded | None = None
        self._replay: Replay | None = None
        self._replay_until = 0
        self.sink: Callable[[bytes], bool] | None = None
        """Takes a frame at once where its reader only waits for one; False when it cannot now."""

    @property
    def revision(self) -> int:
        """Up to here `next` has handed out everything."""
        if self._replay is None and not self._queue and self._ended is None:
            return max(self._after, self._source.revision)
        return self._seen

    # The cache's side

    def deliver(self, event: Event) -> None:
        """Queue what this watcher sees of `event`. Called in the order of revisions."""
        if event.revision <= self._after or self._ended is not None:
            return
        type_ = self._transition(event) if self._is_selective else event.type
        if type_ is None:
            return
        queue = self._queue
        if len(queue) >= self._room:
            self.end(WatchEnded("the client is too slow"))
            return
        try:
            frame = event.frame(type_, self._form, self._frame)
        except Exception as error:  # One form that cannot be encoded must not stop the feed for all others.
            log.exception("event cannot be encoded", extra={"key": event.entry.key, "revision": event.revision})
            self.end(WatchEnded("an event cannot be encoded", error))
            return
        waiter = self._waiter
        is_waiting = waiter is not None and not waiter.done()
        if is_waiting and not queue and self.sink is not None and self.sink(frame):
            return
        queue.append(frame)
        if waiter is not None and is_waiting:
            waiter.set_result(None)

    def end(self, ended: WatchEnded) -> None:
        """Drop what is queued: the client must not take it for complete."""
        if self._ended is not None:
            return
        self._ended = ended
        self._queue = []
        self._replay = None
        self._source.discard(self)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def preload(self, events: Iterable[Event]) -> None:
        """Queue past events, however many: they do not count as slowness of the client."""
        for event in events:
            self._room = len(self._queue) + self._queue_limit
            self.deliver(event)
        self._room = len(self._queue) + self._queue_limit

    def begin_replay(self, replay: Replay, until: int) -> None:
        """First show the events of `replay` up to revision `until`; what is delivered meanwhile comes after it."""
        self._replay = replay
        self._replay_until = until

    def _transition(self, event: Event) -> EventType | None:
        was = event.previous is not None and self._matches(event.previous)
        if event.type != "DELETED" and self._matches(event.entry):
            return "MODIFIED" if was else "ADDED"
        return "DELETED" if was else None

    def _matches(self, entry: Entry) -> bool:
        if self.index is not None and entry.fields.get(self.index[0], "") != self.index[1]:
            return False
        return self._predicate is None or self._predicate(entry)

    # The client's side

    async def next(self, timeout_s: float | None = None) -> list[bytes]:
        """All frames that wait, or come within `timeout_s`; empty at the time-out. Raises `WatchEnded`."""
        if self._replay is not None:
            return await self._next_replayed(self._replay)
        if not self._queue and self._ended is None and timeout_s != 0:
            await self._wait(timeout_s)
        if self._ended is not None:
            raise self._ended
        frames = self._queue
        self._queue = []
        self._room = self._queue_limit
        self._seen = max(self._after, self._source.revision)
        return frames

    async def _wait(self, timeout_s: float | None) -> None:
        loop = asyncio.get_running_loop()
        waiter = self._waiter = loop.create_future()
        timer = loop.call_later(timeout_s, _finish, waiter) if timeout_s is not None else None
        try:
            await waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    async def _next_replayed(self, replay: Replay) -> list[bytes]:
        """What the store's own history has up to where live delivery began; it is there, so this does not wait long."""
        frames: list[bytes] = []
        try:
            async with asyncio.timeout(_REPLAY_TIMEOUT_S):
                while self._replay is not None and not frames:
                    events, revision = await anext(replay)
                    frames = [frame for event in events if (frame := self._replayed_frame(event)) is not None]
                    if revision >= self._replay_until:
                        self._replay = None
                        await replay.aclose()
                    self._seen = min(revision, self._replay_until)
        except (StorageError, TimeoutError, StopAsyncIteration) as error:
            self.end(WatchEnded("history cannot be read", error))
        if self._ended is not None:
            raise self._ended
        return frames

    def _replayed_frame(self, event: Event) -> bytes | None:
        if not self._after < event.revision <= self._replay_until:
            return None
        type_ = self._transition(event)
        if type_ is None:
            return None
        return self._frame(type_, event.gone() if type_ == "DELETED" else event.entry, event.revision)

    def close(self) -> None:
        self.end(WatchEnded("closed"))


def _finish(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
