"""How large the parts of a custom object can be at most, as their schema and the size of a request allow.

Follows: staging/src/k8s.io/apiserver/pkg/cel/common/schemas.go, apiextensions-apiserver schema/cel/compilation.go
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Schema = Mapping[str, Any]

MOST_BYTES: Final = 3 * 1024 * 1024
_FORMATS: Final = {"duration": (4, 32), "date": (12, 12), "date-time": (12, 31)}
"""Fewest and most bytes in JSON."""
_SCALARS: Final = {"boolean": ("bool", 4), "integer": ("int", 1), "number": ("double", 1)}
STRING, BYTES, LIST, MAP, OBJECT, DYN = "string", "bytes", "list", "map", "object", "dyn"


@dataclass(slots=True)
class Sized:
    """`least` is of the JSON text; `most` the number of characters, items or entries."""

    kind: str
    least: int
    most: int = 0
    item: Sized | None = None
    fields: dict[str, Sized] = field(default_factory=dict)


_NAME: Final = Sized(STRING, 2, MOST_BYTES - 2)


def sized(schema: Schema, escape: Any, *, is_root: bool = False) -> Sized:
    """`escape` gives a field's name in expressions."""
    if schema.get("x-kubernetes-int-or-string"):
        return Sized(DYN, 1, MOST_BYTES - 2)
    kind = schema.get("type", "")
    if kind in _SCALARS:
        return Sized(*_SCALARS[kind])
    if kind == "string":
        return _text(schema)
    items, extra = schema.get("items"), schema.get("additionalProperties")
    if kind == "array" and isinstance(items, Mapping):
        item = sized(items, escape)
        return Sized(LIST, 2, _limit(schema, "maxItems", (MOST_BYTES - 2) // (item.least + 1)), item)
    if kind == "object" and isinstance(extra, Mapping):
        item = sized(extra, escape)
        return Sized(MAP, 2, _limit(schema, "maxProperties", (MOST_BYTES - 2) // (item.least + 6)), item)
    if kind == "object" and (schema.get("properties") or is_root or schema.get("x-kubernetes-embedded-resource")):
        return _object(schema, escape, is_root=is_root)
    return Sized(OBJECT, 1)


def _object(schema: Schema, escape: Any, *, is_root: bool) -> Sized:
    found = Sized(OBJECT, 2)
    needed = schema.get("required") or ()
    for name, below in (schema.get("properties") or {}).items():
        part = sized(below, escape)
        found.fields[escape(name) or name] = part
        if name in needed and below.get("default") is None:
            found.least += len(name) + part.least + 4
    if is_root or schema.get("x-kubernetes-embedded-resource"):
        found.fields["metadata"] = Sized(OBJECT, 2, 0, None, {"name": _NAME, "generateName": _NAME})
        found.fields.setdefault("kind", _NAME)
        found.fields.setdefault("apiVersion", _NAME)
    return found


def _text(schema: Schema) -> Sized:
    form, longest = schema.get("format", ""), schema.get("maxLength")
    if form in _FORMATS:
        return Sized("duration" if form == "duration" else "timestamp", _FORMATS[form][0], _FORMATS[form][1])
    if form == "byte":
        return Sized(BYTES, 2, MOST_BYTES - 2 if longest is None else max(longest, 0))
    if longest is not None:
        return Sized(STRING, 2, max(longest, 0) * 4)  # in bytes, of which a character has four at most
    values = [value for value in schema.get("enum") or () if isinstance(value, str)]
    return Sized(STRING, 2, max(map(len, values)) if values else MOST_BYTES - 2)


def _limit(schema: Schema, name: str, otherwise: int) -> int:
    given = schema.get(name)
    return otherwise if given is None else max(given, 0)
