"""Slow start: batches grow as long as all goes well."""

from __future__ import annotations

from controllers.runtime.errors import Forbidden
from controllers.workloads.batches import slow_start


async def test_all_are_made_once() -> None:
    made: list[int] = []

    async def make(index: int) -> None:
        made.append(index)

    assert await slow_start(10, make) is None
    assert sorted(made) == list(range(10))


async def test_a_refusal_ends_it_after_its_batch() -> None:
    made: list[int] = []

    async def make(index: int) -> None:
        made.append(index)
        if index == 2:
            raise Forbidden(403, "Forbidden", "exceeded quota")

    failure = await slow_start(100, make)
    assert failure is not None and failure.message == "exceeded quota"
    assert sorted(made) == [0, 1, 2]


async def test_nothing_to_make_makes_nothing() -> None:
    async def make(index: int) -> None:
        raise AssertionError(index)

    assert await slow_start(0, make) is None
