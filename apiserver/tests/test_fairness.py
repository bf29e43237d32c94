from __future__ import annotations

import asyncio

import pytest

from apiserver.fairness import Fairness
from openapi.meta.status import StatusError


async def test_a_free_seat_is_taken_at_once_and_the_next_one_waits() -> None:
    pool = Fairness(seats=1, queue=1)
    await pool.take()
    waiting = asyncio.ensure_future(pool.take())
    await asyncio.sleep(0)
    assert not waiting.done()
    pool.give_back()
    await waiting


async def test_beyond_the_queue_clients_are_told_to_come_again() -> None:
    pool = Fairness(seats=1, queue=1)
    await pool.take()
    waiting = asyncio.ensure_future(pool.take())
    await asyncio.sleep(0)
    with pytest.raises(StatusError) as refused:
        await pool.take()
    assert refused.value.code == 429
    assert ("retry-after", "1") in refused.value.headers
    pool.give_back()
    await waiting


async def test_who_gives_up_waiting_leaves_the_seat_to_others() -> None:
    pool = Fairness(seats=1, queue=2)
    await pool.take()
    first = asyncio.ensure_future(pool.take())
    second = asyncio.ensure_future(pool.take())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    pool.give_back()
    await second
