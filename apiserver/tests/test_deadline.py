from __future__ import annotations

import asyncio

import pytest

from apiserver.deadline import Deadline


async def test_who_is_in_time_notices_nothing() -> None:
    deadline = Deadline(0.01)
    with deadline:
        pass
    with pytest.raises(ValueError), deadline:
        raise ValueError
    await asyncio.sleep(0.02)


async def test_each_gets_the_whole_time_and_a_timeout_at_its_end() -> None:
    deadline, ends = Deadline(0.05), []
    loop = asyncio.get_running_loop()

    async def wait_forever(later_s: float) -> None:
        await asyncio.sleep(later_s)
        begun = loop.time()
        with pytest.raises(TimeoutError), deadline:
            await asyncio.Event().wait()
        ends.append(loop.time() - begun)

    await asyncio.gather(*(wait_forever(n / 100) for n in range(3)))
    assert len(ends) == 3
    assert all(spent > 0.04 for spent in ends)


async def test_a_cancellation_from_outside_stays_one() -> None:
    deadline = Deadline(60)

    async def wait_forever() -> None:
        with deadline:
            await asyncio.Event().wait()

    task = asyncio.create_task(wait_forever())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
