"""Slow start: make one, and if that works two, four, eight, ... at once.

A wrong template or a full quota fails the first time instead of five hundred times.
Follows: pkg/controller/controller_utils.go slowStartBatch
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from controllers.runtime.errors import ApiError

FIRST_BATCH = 1


async def slow_start(count: int, make: Callable[[int], Awaitable[None]], first: int = FIRST_BATCH) -> ApiError | None:
    """Call `make(0)` to `make(count - 1)` in growing batches; stops after the batch with the first refusal."""
    done, size = 0, min(count, first)
    while size > 0:
        results = await asyncio.gather(*(make(done + index) for index in range(size)), return_exceptions=True)
        done += size
        for result in results:
            if isinstance(result, ApiError):
                return result
            if isinstance(result, BaseException):
                raise result
        size = min(2 * size, count - done)
    return None
