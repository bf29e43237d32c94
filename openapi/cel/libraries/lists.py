"""Lists of comparable values: isSorted, sum, min, max, indexOf, lastIndexOf."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from openapi.cel.libraries.declaring import DYN_LIST, T, method
from openapi.cel.messages import Pool


def _is_sorted(items: list[Any]) -> bool:
    return all(a <= b for a, b in pairwise(items))


def _min(items: list[Any]) -> Any:
    if not items:
        raise ValueError("min called on empty list")
    return min(items)


def _max(items: list[Any]) -> Any:
    if not items:
        raise ValueError("max called on empty list")
    return max(items)


def _index(items: list[Any], wanted: Any) -> int:
    return items.index(wanted) if wanted in items else -1


def _last_index(items: list[Any], wanted: Any) -> int:
    return len(items) - 1 - items[::-1].index(wanted) if wanted in items else -1


def declare(pool: Pool) -> list[Any]:
    return [
        method("isSorted", "list_is_sorted", (DYN_LIST,), T.BOOL, _is_sorted),
        method("sum", "list_sum", (DYN_LIST,), T.DYN, sum),
        method("min", "list_min", (DYN_LIST,), T.DYN, _min),
        method("max", "list_max", (DYN_LIST,), T.DYN, _max),
    ]
