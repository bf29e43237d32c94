"""Lists of comparable values: isSorted, sum, min, max.

Follows: staging/src/k8s.io/apiserver/pkg/cel/library/lists.go
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from openapi.cel.libraries.declaring import T, alias, function, overload
from openapi.cel.messages import Pool

SUMMABLE = {"int": T.INT, "uint": T.UINT, "double": T.DOUBLE, "duration": T.DURATION}
COMPARABLE = {**SUMMABLE, "bool": T.BOOL, "string": T.STRING, "bytes": T.BYTES, "timestamp": T.TIMESTAMP}


def _of_one_type(items: Sequence[Any]) -> None:
    if len({type(item) for item in items}) > 1:
        raise ValueError("no such overload")


def _is_sorted(items: Sequence[Any]) -> bool:
    _of_one_type(items)
    return all(a <= b for a, b in pairwise(items))


def _sum(items: Sequence[Any]) -> Any:
    _of_one_type(items)
    return sum(items, timedelta()) if items and isinstance(items[0], timedelta) else sum(items)


def _min(items: Sequence[Any]) -> Any:
    if not items:
        raise ValueError("min called on empty list")
    _of_one_type(items)
    return min(items)


def _max(items: Sequence[Any]) -> Any:
    if not items:
        raise ValueError("max called on empty list")
    _of_one_type(items)
    return max(items)


def declare(pool: Pool) -> list[Any]:
    # All lists run the one implementation, whose own type no list of an expression has.
    nobody = T.List(T("Object"))

    times = {
        timedelta: pool.message_class("google.protobuf.Duration"),
        datetime: pool.message_class("google.protobuf.Timestamp"),
    }

    def as_value(found: Any) -> Any:
        """Times come as Python's own, but only go as messages where the type is not declared."""
        make = times.get(type(found))
        if make is None:
            return found
        message = make()
        (message.FromTimedelta if isinstance(found, timedelta) else message.FromDatetime)(found)
        return message

    def of_items(name: str, kinds: dict[str, Any], run: Callable[[Sequence[Any]], Any]) -> Any:
        typed = [alias(f"{word}_list_{name}", (T.List(kind),), kind) for word, kind in kinds.items()]
        return function(
            name,
            overload(f"any_list_{name}", (nobody,), T.DYN, lambda items: as_value(run(items)), member=True),
            *typed,
        )

    ordered = [alias(f"{word}_list_is_sorted", (T.List(kind),), T.BOOL) for word, kind in COMPARABLE.items()]
    return [
        function("isSorted", overload("any_list_is_sorted", (nobody,), T.BOOL, _is_sorted, member=True), *ordered),
        of_items("sum", SUMMABLE, _sum),
        of_items("min", COMPARABLE, _min),
        of_items("max", COMPARABLE, _max),
    ]
