"""Sets of completion indexes."""

from __future__ import annotations

import pytest

from controllers.job.indexes import Indexes, parse


@pytest.mark.parametrize("text", ["", "0", "0,1", "1,3-5,7", "0-9"])
def test_texts_come_back_as_they_were(text: str) -> None:
    assert str(parse(text, 10)) == text


def test_indexes_beyond_the_completions_are_dropped() -> None:
    assert str(parse("0,2-5,7", 4)) == "0,2,3"


def test_neighbours_join() -> None:
    joined = parse("1,3", 10).union([2, 7])
    assert str(joined) == "1-3,7"
    assert len(joined) == 4
    assert 2 in joined and 7 in joined and 4 not in joined and 0 not in joined


def test_the_first_missing_are_found() -> None:
    assert parse("0,2-3", 10).first_missing(3, 10) == [1, 4, 5]
    assert parse("0,2-3", 5).first_missing(9, 5) == [1, 4]
    assert Indexes().first_missing(2, 5) == [0, 1]
    assert parse("0-4", 5).first_missing(2, 5) == []
