"""Lists of anything: sort, flatten, distinct, slice, lists.range, and what macros with two variables run over.

Follows: github.com/google/cel-go/ext/lists.go, staging/src/k8s.io/apiserver/pkg/cel/library/lists.go (indexOf)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from openapi.cel.libraries.declaring import DYN_LIST, T, function, method, overload
from openapi.cel.messages import Pool

MOST = 1_000_000
"""No list is made longer."""


def _range(size: int) -> list[int]:
    if size > MOST:
        raise ValueError(f"range size {size} exceeds the limit of {MOST}")
    return list(range(size))


def _flatten(items: Sequence[Any], depth: int = 1) -> list[Any]:
    if depth < 0:
        raise ValueError("level must be non-negative")
    flat: list[Any] = []
    for item in items:
        flat += _flatten(item, depth - 1) if isinstance(item, list) and depth else [item]
    return flat


def _distinct(items: Sequence[Any]) -> list[Any]:
    found: list[Any] = []
    for item in items:
        if not any(item == other and isinstance(item, bool) == isinstance(other, bool) for other in found):
            found.append(item)
    return found


def _slice(items: Sequence[Any], start: int, end: int) -> list[Any]:
    if start < 0 or end < 0:
        raise ValueError(f"cannot slice({start}, {end}), negative indexes not supported")
    if start > end:
        raise ValueError(f"cannot slice({start}, {end}), start index must be less than or equal to end index")
    if end > len(items):
        raise ValueError(f"cannot slice({start}, {end}), list is length {len(items)}")
    return list(items[start:end])


def _sort(items: Sequence[Any]) -> list[Any]:
    return _sort_by(items, items)


def _sort_by(items: Sequence[Any], keys: Sequence[Any]) -> list[Any]:
    if len({type(key) for key in keys}) > 1:
        raise ValueError("list elements must have the same type")
    order = sorted(range(len(items)), key=lambda index: keys[index])
    return [items[index] for index in order]


def _index_of(items: Sequence[Any], wanted: Sequence[Any]) -> int:
    return next((index for index, item in enumerate(items) if item == wanted[0]), -1)


def _last_index_of(items: Sequence[Any], wanted: Sequence[Any]) -> int:
    return next((index for index in range(len(items) - 1, -1, -1) if items[index] == wanted[0]), -1)


def _zip(keys: Sequence[Any], values: Sequence[Any]) -> Mapping[Any, Any]:
    return dict(zip(keys, values, strict=True))


def declare(pool: Pool) -> list[Any]:
    any_map = T.Map(T.DYN, T.DYN)
    return [
        function("lists.range", overload("lists_range_int", (T.INT,), T.List(T.INT), _range)),
        function(
            "flatten",
            overload("list_flatten", (DYN_LIST,), DYN_LIST, _flatten, member=True),
            overload("list_flatten_int", (DYN_LIST, T.INT), DYN_LIST, _flatten, member=True),
        ),
        method("distinct", "list_distinct", (DYN_LIST,), DYN_LIST, _distinct),
        method("slice", "list_slice", (DYN_LIST, T.INT, T.INT), DYN_LIST, _slice),
        method("sort", "list_sort", (DYN_LIST,), DYN_LIST, _sort),
        method("list_reverse__", "list_reverse_list", (DYN_LIST,), DYN_LIST, lambda items: list(reversed(items))),
        method("list_index_of__", "list_index_of_any", (DYN_LIST, DYN_LIST), T.INT, _index_of),
        method("list_last_index_of__", "list_last_index_of_any", (DYN_LIST, DYN_LIST), T.INT, _last_index_of),
        function("sort_by__", overload("sort_by_keys", (DYN_LIST, DYN_LIST), DYN_LIST, _sort_by)),
        function(
            "indices__",
            overload("indices_of_list", (DYN_LIST,), T.List(T.INT), lambda items: list(range(len(items)))),
            overload("indices_of_map", (any_map,), DYN_LIST, list),
        ),
        function("zip__", overload("zip_lists", (DYN_LIST, DYN_LIST), any_map, _zip)),
    ]
