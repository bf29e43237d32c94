"""The work queue: keys to reconcile, each at most once in the queue and never in two hands at once.

A key added while it is being worked on is handed out again afterwards. Failures delay a key exponentially.
Follows: staging/src/k8s.io/client-go/util/workqueue
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

FIRST_DELAY_S = 0.005
LONGEST_DELAY_S = 1000.0


class WorkQueue(Generic[K]):
    """Used from one event loop. `on_add` is told of each key that becomes ready (a metric's hook)."""

    def __init__(self, on_add: Callable[[K], None] | None = None) -> None:
        self._ready: deque[K] = deque()
        self._dirty: set[K] = set()
        self._held: set[K] = set()
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._failures: dict[K, int] = {}
        self._getters: deque[asyncio.Future[None]] = deque()
        self._on_add = on_add

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, key: K) -> None:
        """Hand the key out as soon as somebody is free."""
        if key in self._dirty:
            return
        self._dirty.add(key)
        if self._on_add is not None:
            self._on_add(key)
        if key not in self._held:
            self._push(key)

    def add_after(self, key: K, delay_s: float) -> None:
        """Add the key in `delay_s` seconds; of several such orders the earliest counts."""
        if delay_s <= 0:
            self.add(key)
            return
        loop = asyncio.get_running_loop()
        when, timer = loop.time() + delay_s, self._timers.get(key)
        if timer is not None:
            if timer.when() <= when:
                return
            timer.cancel()
        self._timers[key] = loop.call_at(when, self._due, key)

    def add_rate_limited(self, key: K, longest_s: float = LONGEST_DELAY_S) -> float:
        """Add the key after a delay that doubles with each failure; the delay in seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay_s = min(FIRST_DELAY_S * 2.0 ** min(failures, 60), longest_s)
        self.add_after(key, delay_s)
        return delay_s

    def failures(self, key: K) -> int:
        return self._failures.get(key, 0)

    def forget(self, key: K) -> None:
        """The key has succeeded: its next failure is its first."""
        self._failures.pop(key, None)

    async def get(self) -> K:
        """The next key, which belongs to the caller until `done`."""
        while not self._ready:
            getter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._getters.append(getter)
            try:
                await getter
            except asyncio.CancelledError:
                if not getter.cancelled() and self._ready:
                    self._wake()
                raise
        key = self._ready.popleft()
        self._dirty.discard(key)
        self._held.add(key)
        return key

    def done(self, key: K) -> None:
        """The caller gives the key back."""
        self._held.discard(key)
        if key in self._dirty:
            self._push(key)

    def close(self) -> None:
        """Cancel what is only planned."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _due(self, key: K) -> None:
        del self._timers[key]
        self.add(key)

    def _push(self, key: K) -> None:
        self._ready.append(key)
        self._wake()

    def _wake(self) -> None:
        while self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                return
