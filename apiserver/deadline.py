"""One time limit for many short tasks: a request costs it two dictionary operations, and all share one timer.

`asyncio.timeout` sets and clears a timer of its own each time.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self


class Deadline:
    """`with deadline:` raises TimeoutError, and cancels what the task waits for, when its body takes too long.

    A task may be inside once at a time.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._until: dict[asyncio.Task[object], float] = {}
        """In the order of ends, as all get the same time."""
        self._timer: asyncio.TimerHandle | None = None
        self._expired: set[asyncio.Task[object]] = set()

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None
        end = self._until[task] = loop.time() + self._limit_s
        if self._timer is None:
            self._timer = loop.call_at(end, self._expire, loop)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._until.pop(task, None)
        if not self._expired or task not in self._expired:
            return
        self._expired.discard(task)
        if task.uncancel() <= 0 and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cancel those whose time is up, and wait for the next end."""
        self._timer = None
        now = loop.time()
        for task, end in tuple(self._until.items()):
            if end > now:
                self._timer = loop.call_at(end, self._expire, loop)
                return
            del self._until[task]
            self._expired.add(task)
            task.cancel()
