"""Paths to fields of a schema, as selectable fields and validation rules name them: `.spec.a`, `.map['a key'].b`.

Follows: staging/src/k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/validation.go ValidFieldPath
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from openapi.custom.structural import Schema

_TOKEN = re.compile(r"'(?:[^'\\]|\\.)*'|[.\[\]]|[^.\[\]]+", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "'": "'", "\\": "\\"}
_ENDS, _NO_FIELD = "unexpected end of JSON path", "does not refer to a valid field"


class InvalidFieldPath(ValueError):
    """The text says why."""


def resolve(text: str, schema: Schema, *, brackets: bool = True) -> tuple[tuple[str, ...], Schema]:
    """The names on the way and the schema where the path leads. Raises InvalidFieldPath."""
    tokens = iter(_TOKEN.findall(text))
    names: list[str] = []
    for token in tokens:
        if token == ".":
            name = _next(tokens)
        elif token == "[":
            if not brackets:
                raise InvalidFieldPath("array notation is not allowed")
            name = _unquoted(_next(tokens))
        else:
            raise InvalidFieldPath(f"expected [ or . but got: {token}")
        schema = _below(name, schema)
        names.append(name)
        if token == "[":
            closing = _next(tokens)
            if closing != "]":
                raise InvalidFieldPath(f"expected ] but got {closing}")
    return tuple(names), schema


def _next(tokens: Iterator[str]) -> str:
    found = next(tokens, None)
    if found is None:
        raise InvalidFieldPath(_ENDS)
    return found


def _below(name: str, schema: Schema) -> Schema:
    properties, extra = schema.get("properties"), schema.get("additionalProperties")
    found = properties.get(name) if properties else extra
    if not isinstance(found, Mapping):
        raise InvalidFieldPath(_NO_FIELD)
    return found


def _unquoted(token: str) -> str:
    if len(token) < 2 or token[0] != "'" or token[-1] != "'":
        raise InvalidFieldPath(f"expected single quoted string but got {token}")

    def unescaped(match: re.Match[str]) -> str:
        if match[1] not in _ESCAPES:
            raise InvalidFieldPath(f"invalid string literal: invalid escape char {match[0]}")
        return _ESCAPES[match[1]]

    return _ESCAPED.sub(unescaped, token[1:-1])
