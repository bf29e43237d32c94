"""The types of whole objects, for checking expressions against the fields that a kind has.

A field whose schema says no type (a quantity) is left out, so that an expression which uses it is warned about, as the
published schemas make Kubernetes do. Names that CEL cannot read are escaped.
Follows: staging/src/k8s.io/apiserver/pkg/cel/common/schemas.go, staging/src/k8s.io/apiserver/pkg/cel/escaping.go
"""

from __future__ import annotations

import re
from typing import Final

from openapi.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    CelType,
    ListOf,
    MapOf,
    StructOf,
)
from openapi.schema import node as schema
from openapi.schema.node import Node

_SCALARS: Final = {
    schema.STRING: STRING,
    schema.BOOLEAN: BOOL,
    schema.INT32: INT,
    schema.INT64: INT,
    schema.FLOAT: DOUBLE,
    schema.TIME: TIMESTAMP,
    schema.MICRO_TIME: TIMESTAMP,
    schema.DURATION: DURATION,
    schema.BYTES: BYTES,
    schema.INT_OR_STRING: DYN,
}
# fmt: off
_RESERVED: Final = frozenset((
    "as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop",
    "namespace", "null", "package", "return", "true", "var", "void", "while",
))
# fmt: on
_PARTS: Final = (("__", "__underscores__"), (".", "__dot__"), ("-", "__dash__"), ("/", "__slash__"))
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MEMO: Final = "cel type"


def type_of(node: Node) -> CelType | None:
    """The type of a value with that schema; None where the schema does not say enough."""
    return _type_of(node, frozenset())


def escaped(name: str) -> str:
    """A field's name as expressions write it; '' if they cannot."""
    if name in _RESERVED:
        return f"__{name}__"
    for text, replacement in _PARTS:
        name = name.replace(text, replacement)
    return name if _NAME.fullmatch(name) else ""


def _type_of(node: Node, outer: frozenset[str]) -> CelType | None:
    if node.type == schema.STRUCT or node.type == schema.FIELDS_V1:
        return _struct_of(node, outer)
    if node.type in (schema.LIST, schema.MAP):
        item = _type_of(node.items, outer) if node.items is not None else None
        if item is None:
            return None
        return ListOf(item) if node.type == schema.LIST else MapOf(item)
    return _SCALARS.get(node.type)


def _struct_of(node: Node, outer: frozenset[str]) -> CelType:
    known = node.memo.get(_MEMO)
    if known is not None:
        return known  # type: ignore[no-any-return]
    if not node.name or node.name in outer:
        # Messages cannot be made of structs without a name, nor types of structs that contain themselves.
        return DYN
    fields: list[tuple[str, CelType]] = []
    inner = outer | {node.name}
    for name, field in node.fields.items():
        kind, readable = _type_of(field.node, inner), escaped(name)
        if kind is not None and readable:
            fields.append((readable, kind))
    struct = StructOf(node.name.replace("-", "_"), tuple(fields))
    node.memo[_MEMO] = struct
    return struct
