"""Does a configuration that somebody applies fit its schema? The words are those of structured-merge-diff.

Follows: sigs.k8s.io/structured-merge-diff typed/{validate,helpers}.go
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from openapi.schema import node as schema
from openapi.schema.fields import element_text
from openapi.schema.gotext import go_syntax, go_type, go_value
from openapi.schema.node import Node
from openapi.schema.shape import ITEMS, ShapeError, shape_of

_Problem = tuple[str, str]

_STRINGS = frozenset((schema.STRING, schema.DURATION, schema.BYTES))
_NUMBERS = frozenset((schema.INT32, schema.INT64, schema.FLOAT))


def misfit(node: Node, value: Any, *, allow_duplicates: bool = False) -> str:
    """Why `value` does not fit `node`, or ''. Several reasons are listed on lines of their own."""
    problems = [f"{path}: {text}" if path else text for path, text in _problems(node, value, "", allow_duplicates)]
    if len(problems) < 2:
        return "".join(problems)
    return "\n  ".join(["errors:", *problems])


def _problems(node: Node, value: Any, path: str, duplicates: bool) -> Iterator[_Problem]:
    if value is None or node.type in (schema.ANY, schema.FIELDS_V1):
        return
    if node.type in (schema.STRUCT, schema.MAP):
        if not isinstance(value, dict):
            yield path, f"expected map, got &{{{go_value(value)}}}"
        else:
            yield from _map_problems(node, value, path, duplicates)
    elif node.type == schema.LIST:
        if not isinstance(value, list):
            yield path, f"expected list, got &{{{go_value(value)}}}"
        else:
            yield from _list_problems(node, value, path, duplicates)
    else:
        text = _scalar_problem(node.type, value)
        if text:
            yield path, text


def _map_problems(node: Node, value: dict[str, Any], path: str, duplicates: bool) -> Iterator[_Problem]:
    for name, below in value.items():
        field = node.fields.get(name) if node.type == schema.STRUCT else None
        inner = field.node if field is not None else node.items
        if inner is not None:
            yield from _problems(inner, below, f"{path}.{name}", duplicates)
        elif node.type == schema.STRUCT and not node.preserve_unknown:
            yield f"{path}.{name}", "field not declared in schema"
            return


def _list_problems(node: Node, items: list[Any], path: str, duplicates: bool) -> Iterator[_Problem]:
    shape = shape_of(node)
    seen = set()
    for index, item in enumerate(items):
        text = f"[{index}]"
        if shape.kind == ITEMS:
            try:
                key = shape.element(item)
            except ShapeError as error:
                yield path, f"element {index}: {error}"
                return
            text = element_text(key)
            if key in seen and not duplicates:
                yield path, f"duplicate entries for key {text}"
            seen.add(key)
        if node.items is not None:
            yield from _problems(node.items, item, path + text, duplicates)


def _scalar_problem(kind: str, value: Any) -> str:
    if kind in _STRINGS:
        if isinstance(value, str):
            return ""
        return f"expected string, got &value.valueUnstructured{{Value:{go_syntax(value)}}}"
    if kind in _NUMBERS:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return ""
        return f"expected numeric (int or float), got {go_type(value)}"
    if kind == schema.BOOLEAN:
        return "" if isinstance(value, bool) else f"expected boolean, got &{{{go_value(value)}}}"
    if isinstance(value, dict | list):
        return f"expected any scalar, got &{{{go_value(value)}}}"
    return ""
