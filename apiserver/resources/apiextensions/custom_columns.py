"""The Table of a custom kind: its name, and the columns that its definition asks for.

Follows: apiextensions-apiserver/pkg/registry/customresource/tableconvertor/tableconvertor.go
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from apiserver.resources.age import age
from apiserver.resources.strategy import CREATED_DESCRIPTION, NAME_COLUMN, Column, Object
from openapi.meta.jsonpath import JsonPathError, Step, compile_path, find
from openapi.meta.times import TimeError

Cell = Callable[[Any, datetime], Any]

_AGE = {"name": "Age", "type": "date", "description": CREATED_DESCRIPTION, "jsonPath": ".metadata.creationTimestamp"}


class CustomColumns:
    """Columns of one version; without any of its own it shows the age."""

    def __init__(self, columns: Sequence[Mapping[str, Any]] | None) -> None:
        asked = columns or (_AGE,)
        self.columns: tuple[Column, ...] = (NAME_COLUMN, *map(_definition, asked))
        self._cells = [(_steps(column.get("jsonPath", "")), _CELLS.get(column.get("type", ""))) for column in asked]

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"].get("name", ""), *(_cell(obj, steps, show, now) for steps, show in self._cells)]


def _definition(column: Mapping[str, Any]) -> Column:
    path = column.get("jsonPath", "")
    description = column.get("description") or f"Custom resource definition column (in JSONPath format): {path}"
    name, kind, form = (column.get(field, "") for field in ("name", "type", "format"))
    return Column(name, kind, description, form, column.get("priority", 0))


def _steps(path: str) -> Sequence[Step] | None:
    try:
        return compile_path(path)
    except JsonPathError:
        return None


def _cell(obj: Object, steps: Sequence[Step] | None, show: Cell | None, now: datetime) -> Any:
    found = find(obj, steps) if steps is not None else []
    if not found or found[0] is None or show is None:
        return None
    return show(found[0], now)


def _text(value: Any, now: datetime) -> Any:
    if isinstance(value, str):
        return value
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _integer(value: Any, now: datetime) -> Any:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _number(value: Any, now: datetime) -> Any:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _boolean(value: Any, now: datetime) -> Any:
    return value if isinstance(value, bool) else None


def _date(value: Any, now: datetime) -> Any:
    if not isinstance(value, str):
        return None
    try:
        return age(value, now)
    except (TimeError, ValueError):
        return "<invalid>"


_CELLS: dict[str, Cell] = {
    "boolean": _boolean, "date": _date, "integer": _integer, "number": _number, "string": _text,
}  # fmt: skip
