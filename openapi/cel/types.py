"""The types that variables of an expression may have.

A scalar is its CEL name. A struct is checked field by field when an expression is compiled; when it runs, the value is
a plain JSON object.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

BOOL: Final = "bool"
BYTES: Final = "bytes"
DOUBLE: Final = "double"
DURATION: Final = "duration"
DYN: Final = "dyn"
INT: Final = "int"
STRING: Final = "string"
TIMESTAMP: Final = "timestamp"


@dataclass(frozen=True, slots=True)
class ListOf:
    item: CelType


@dataclass(frozen=True, slots=True)
class MapOf:
    """Keys are strings."""

    value: CelType


@dataclass(frozen=True, slots=True)
class StructOf:
    """`name` is what messages call the type."""

    name: str
    fields: tuple[tuple[str, CelType], ...]


@dataclass(frozen=True, slots=True)
class OptionalOf:
    """A variable that may have no value. Only whole variables are optional."""

    value: CelType


CelType = str | ListOf | MapOf | StructOf
VariableType = CelType | OptionalOf
