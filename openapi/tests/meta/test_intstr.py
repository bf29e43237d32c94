"""Numbers or percentages."""

from __future__ import annotations

import pytest

from openapi.meta.intstr import IntOrStringError, is_percent, scaled_value


@pytest.mark.parametrize(
    ("value", "round_up", "scaled"),
    [(3, True, 3), ("25%", True, 3), ("25%", False, 2), ("100%", True, 10), ("0%", True, 0)],
)
def test_percentages_are_scaled_and_rounded_as_asked(value: int | str, round_up: bool, scaled: int) -> None:
    assert scaled_value(value, 10, round_up) == scaled


def test_a_word_is_neither() -> None:
    assert is_percent("5%") and not is_percent("5") and not is_percent(5)
    with pytest.raises(IntOrStringError, match="string is not a percentage"):
        scaled_value("five", 10, True)
