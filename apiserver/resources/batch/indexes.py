"""Sets of completion indexes as jobs write them: `0-3,5,7-9`.

Follows: pkg/apis/batch/validation/validation.go validateIndexesFormat
"""

from __future__ import annotations

from openapi.meta.field import quote


class IndexesError(ValueError):
    """The text is no increasing list of indexes below the completions."""


def count_indexes(text: str, completions: int) -> int:
    """How many indexes there are. Raises IndexesError."""
    total, last = 0, -1
    for part in text.split(",") if text else ():
        first, end = parse_interval(part, completions)
        if last >= first:
            raise IndexesError(f"non-increasing order, previous: {last}, current: {first}")
        total += end - first + 1
        last = end
    return total


def parse_interval(text: str, completions: int) -> tuple[int, int]:
    """First and last index of `3` or `3-5`. Raises IndexesError."""
    parts = text.split("-")
    if len(parts) > 2:
        rule = "violates the requirement that an index interval can have at most two parts separated by '-'"
        raise IndexesError(f"the fragment {quote(text)} {rule}")
    first = _index(parts[0], completions)
    if len(parts) == 1:
        return first, first
    end = _index(parts[1], completions)
    if first >= end:
        raise IndexesError(f"non-increasing order, previous: {first}, current: {end}")
    return first, end


def _index(text: str, completions: int) -> int:
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not (digits.isascii() and digits.isdigit()):
        raise IndexesError(f"cannot convert string to integer for index: {quote(text)}")
    index = int(text)
    if index >= completions:
        raise IndexesError(f"too large index: {quote(text)}")
    return index


def first_overlap(left: str, right: str, completions: int) -> int | None:
    """The first index that both lists have; parts that cannot be read are left out."""
    ours, theirs = _intervals(left, completions), _intervals(right, completions)
    common = [max(a, c) for a, b in ours for c, d in theirs if a <= d and c <= b]
    return min(common, default=None)


def _intervals(text: str, completions: int) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for part in text.split(",") if text else ():
        try:
            found.append(parse_interval(part, completions))
        except IndexesError:
            continue
    return found
