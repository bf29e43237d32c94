"""The pace of eviction by the state of zones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from controllers.node_lifecycle.zones import Pace, Zones, rate_of, state_of

START = datetime(2026, 1, 1, tzinfo=UTC)
PACE = Pace(per_s=0.1, unhealthy_per_s=0.01, unhealthy_share=0.55, large_zone=50)


@pytest.mark.parametrize(
    ("ready", "bad", "state"),
    [(3, 0, "Normal"), (1, 2, "Normal"), (0, 2, "FullDisruption"), (2, 3, "PartialDisruption"), (5, 3, "Normal")],
)
def test_state_of_a_zone(ready: int, bad: int, state: str) -> None:
    assert state_of([True] * ready + [False] * bad, PACE) == state


def test_partly_broken_zone_is_evicted_slowly_if_large_and_not_at_all_if_small() -> None:
    assert rate_of("PartialDisruption", 51, PACE) == 0.01
    assert rate_of("PartialDisruption", 50, PACE) == 0.0


def test_one_node_in_ten_seconds() -> None:
    zones = Zones(PACE)
    zones.update({"a": [True, False]}, START)
    taken = [second for second in range(0, 31, 5) if zones.may_taint("a", START + timedelta(seconds=second))]
    assert taken == [0, 10, 20, 30]


def test_nothing_is_evicted_while_everything_is_down() -> None:
    zones = Zones(PACE)
    assert zones.update({"a": [True], "b": [False]}, START) == ""
    assert zones.update({"a": [False], "b": [False]}, START) == "stopped"
    assert not zones.may_taint("a", START)
    assert zones.update({"a": [False], "b": [False]}, START) == ""
    assert zones.update({"a": [True], "b": [False]}, START) == "resumed"
    assert zones.may_taint("b", START)
