"""Sets of completion indexes as a Job's status writes them: `1,3-5,7`."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Indexes:
    """Intervals in order, both ends included, that neither touch nor overlap."""

    intervals: tuple[tuple[int, int], ...] = ()

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self.intervals)

    def __contains__(self, index: int) -> bool:
        place = bisect_right(self.intervals, (index, 2**31)) - 1
        return place >= 0 and self.intervals[place][0] <= index <= self.intervals[place][1]

    def __iter__(self) -> Iterator[int]:
        for first, last in self.intervals:
            yield from range(first, last + 1)

    def __str__(self) -> str:
        return ",".join(_written(first, last) for first, last in self.intervals)

    def union(self, others: Iterable[int]) -> Indexes:
        """With more indexes."""
        return _merged([*self.intervals, *((index, index) for index in others)])

    def first_missing(self, count: int, end: int) -> list[int]:
        """The lowest `count` indexes below `end` that are not in the set."""
        found: list[int] = []
        start = 0
        for first, last in (*self.intervals, (end, end)):
            for index in range(start, min(first, end)):
                if len(found) == count:
                    return found
                found.append(index)
            start = last + 1
        return found


def _written(first: int, last: int) -> str:
    if first == last:
        return str(first)
    return f"{first},{last}" if last == first + 1 else f"{first}-{last}"


def _merged(intervals: list[tuple[int, int]]) -> Indexes:
    merged: list[tuple[int, int]] = []
    for first, last in sorted(intervals):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return Indexes(tuple(merged))


def parse(text: str, completions: int) -> Indexes:
    """The indexes of a text that are below `completions`."""
    intervals = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        start, end = int(first), min(int(last or first), completions - 1)
        if start <= end:
            intervals.append((start, end))
    return _merged(intervals)
