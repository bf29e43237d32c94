from __future__ import annotations

import pytest

from nodeagent.pods.restart import Backoff, human_wait


def test_the_wait_doubles_up_to_the_longest() -> None:
    backoff = Backoff(10, 300)
    waits = []
    for attempt in range(8):
        assert backoff.remaining_s("k", attempt, attempt + 1000) == 0
        backoff.next("k", attempt, attempt)
        waits.append(backoff.wait_s("k"))
    assert waits == [10, 20, 40, 80, 160, 300, 300, 300]


def test_the_wait_counts_from_the_end_of_the_last_attempt() -> None:
    backoff = Backoff(10, 300)
    assert backoff.remaining_s("k", 100, 101) == 0
    backoff.next("k", 100, 101)
    assert backoff.remaining_s("k", 105, 108) == 7


def test_a_long_good_run_is_rewarded() -> None:
    backoff = Backoff(10, 300)
    backoff.next("k", 0, 0)
    backoff.next("k", 20, 20)
    assert backoff.remaining_s("k", 1000, 1000) == 0
    backoff.next("k", 1000, 1000)
    assert backoff.wait_s("k") == 10


@pytest.mark.parametrize(("seconds", "text"), [(10, "10s"), (80, "1m20s"), (300, "5m0s")])
def test_waits_are_written_as_go_does(seconds: float, text: str) -> None:
    assert human_wait(seconds) == text
