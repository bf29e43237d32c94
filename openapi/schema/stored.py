"""The form in which an object comes back from the store: a list or map that Go always writes is null when it is empty.

An empty one that was sent is still owned as sent, so this comes last, right before the store.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from openapi.schema.node import LIST, MAP, STRUCT, Node

Empty = Callable[[Any], None]

_MEMO = "stored"


def forget_empty(obj: dict[str, Any], node: Node) -> None:
    """Turn empty lists and maps of fields that are always written into null, in place."""
    walk = _walker(node)
    if walk is not None:
        walk(obj)


def _walker(node: Node) -> Empty | None:
    """What empties a value of this node; None where there is nothing to empty below it."""
    if node.type in (LIST, MAP):
        inner = _walker(node.items) if node.items is not None else None
        return None if inner is None else _each(inner, is_map=node.type == MAP)
    if node.type != STRUCT:
        return None
    if _MEMO not in node.memo:
        node.memo[_MEMO] = None  # A struct inside itself is met again from outside.
        node.memo[_MEMO] = _struct(node)
    found: Empty | None = node.memo[_MEMO]
    return found


def _each(inner: Empty, *, is_map: bool) -> Empty:
    def walk(value: Any) -> None:
        for item in value.values() if is_map else value:
            if item:
                inner(item)

    return walk


def _struct(node: Node) -> Empty | None:
    emptied = [f.name for f in node.fields.values() if f.always and not f.pointer and f.node.type in (LIST, MAP)]
    steps = [(f.name, step) for f in node.fields.values() if (step := _walker(f.node)) is not None]
    if not emptied and not steps:
        return None

    def walk(value: Any) -> None:
        for name in emptied:
            if name in value and not value[name]:
                value[name] = None
        for name, step in steps:
            inner = value.get(name)
            if inner:
                step(inner)

    return walk
