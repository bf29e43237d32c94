"""How long nodes may keep secrets, by the size of the cluster."""

from __future__ import annotations

import pytest

from controllers.node_ttl import step_for


@pytest.mark.parametrize(
    ("size", "step", "expected"),
    [(1, 0, 0), (100, 0, 0), (101, 0, 1), (95, 1, 1), (89, 1, 0), (5000, 0, 4), (0, 5, 0), (20_000, 0, 5)],
)
def test_step_follows_the_size_and_lags_behind_a_little(size: int, step: int, expected: int) -> None:
    assert step_for(size, step) == expected
