"""Lists as sets: sets.contains, sets.equivalent, sets.intersects."""

from __future__ import annotations

from typing import Any

from openapi.cel.libraries.declaring import DYN_LIST, T, function, overload
from openapi.cel.messages import Pool


def _contains(items: list[Any], wanted: list[Any]) -> bool:
    return all(item in items for item in wanted)


def _equivalent(items: list[Any], others: list[Any]) -> bool:
    return _contains(items, others) and _contains(others, items)


def _intersects(items: list[Any], others: list[Any]) -> bool:
    return any(item in items for item in others)


def declare(pool: Pool) -> list[Any]:
    tests = {"contains": _contains, "equivalent": _equivalent, "intersects": _intersects}
    return [
        function(f"sets.{name}", overload(f"list_sets_{name}_list", (DYN_LIST, DYN_LIST), T.BOOL, run))
        for name, run in tests.items()
    ]
