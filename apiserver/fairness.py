"""Seats for requests: so many are answered at once, so many more may wait, the rest are told to come again.

Long-running requests (watches, streams) take no seat. A free seat costs nothing but a counter.
"""

from __future__ import annotations

import asyncio
from collections import deque

from openapi.meta import status

SEATS = 600
"""As many as kube-apiserver's 400 reading and 200 writing requests."""
QUEUE = 8192
WAIT_S = 60.0
RETRY_AFTER_S = 1


class Fairness:
    """One pool of seats."""

    def __init__(self, seats: int = SEATS, queue: int = QUEUE) -> None:
        self._free = seats
        self._queue = queue
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self) -> None:
        """Wait for a seat. Raises 429 when too many wait already, or for too long."""
        if self._free > 0:
            self._free -= 1
            return
        if len(self._waiting) >= self._queue:
            raise _busy()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            async with asyncio.timeout(WAIT_S):
                await future
        except TimeoutError:
            raise _busy() from None
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.give_back()
            raise

    def give_back(self) -> None:
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                return
        self._free += 1


def _busy() -> status.StatusError:
    return status.too_many_requests("too many requests, please try again later", RETRY_AFTER_S)
