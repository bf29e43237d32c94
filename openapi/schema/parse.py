"""From bytes to JSON values: bodies in JSON, with the fields that are written twice.

A sound body without duplicates costs one parse and one dump. Everything else (syntax errors in Go's words, duplicates
with their paths, broken UTF-8) takes a slow path.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import orjson

from openapi.schema.gojson import JSONSyntaxError, syntax_error

MAX_STRICT_ERRORS = 100


class YAMLError(ValueError):
    """What the server says of a body that is no YAML it can take: `yaml: line 1: …`."""


def parse(raw: bytes) -> tuple[Any, list[str]]:
    """The value of a JSON text, and `duplicate field "a.b"` for each field written twice (the last one counts).

    Raises JSONSyntaxError with Go's words. Bytes that are no UTF-8 become U+FFFD.
    """
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return _parse_slowly(raw)
    # Quotes are left out where the parser dropped a field for its duplicate; nothing else changes their number but
    # quotes written as \u0022, which then take the slow path in vain.
    try:
        written = orjson.dumps(value)
    except orjson.JSONEncodeError:  # nested so deeply that it could not be stored either
        raise JSONSyntaxError("exceeded max depth") from None
    if written.count(b'"') == raw.count(b'"'):
        return value, []
    return value, duplicates(raw)


def _parse_slowly(raw: bytes) -> tuple[Any, list[str]]:
    problem = syntax_error(raw)
    if problem:
        raise JSONSyntaxError(problem)
    text = raw.decode("utf-8", "replace")
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise JSONSyntaxError("exceeded max depth") from None
    return _without_surrogates(value), duplicates(raw)


def _refuse_constant(name: str) -> Any:
    raise JSONSyntaxError(f"invalid character '{name[0]}' looking for beginning of value")


def _without_surrogates(value: Any) -> Any:
    """Halves of surrogate pairs, which Go replaces and nothing here can write."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value


class _Pairs(list[tuple[str, Any]]):
    """The fields of a JSON object, as they were written."""


def duplicates(raw: bytes) -> list[str]:
    """`duplicate field "a.b[0].c"` for each field that a sound JSON text writes more than once."""
    try:
        value = json.loads(raw.decode("utf-8", "replace"), object_pairs_hook=_Pairs)
    except RecursionError:
        raise JSONSyntaxError("exceeded max depth") from None
    return [f'duplicate field "{path}"' for path in dict.fromkeys(_duplicate_paths(value, ""))][:MAX_STRICT_ERRORS]


def _duplicate_paths(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for key, item in value:
            place = f"{path}.{key}" if path else key
            if key in seen:
                yield place
            seen.add(key)
            yield from _duplicate_paths(item, place)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _duplicate_paths(item, f"{path}[{index}]")


def in_order(raw: bytes, found: list[str], unknown: list[str]) -> list[str]:
    """Duplicates and `unknown field "…"` texts of one JSON body as a Go decoder lists them: in the order of the body.

    A decoder does not look into a field that it does not know, so duplicates in there do not count.
    """
    if not found or not unknown:
        return found + unknown
    value = json.loads(raw.decode("utf-8", "replace"), object_pairs_hook=_Pairs)
    return list(dict.fromkeys(_problems(value, "", frozenset(unknown))))[:MAX_STRICT_ERRORS]


def _problems(value: Any, path: str, unknown: frozenset[str]) -> Iterator[str]:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for key, item in value:
            place = f"{path}.{key}" if path else key
            text = f'unknown field "{place}"'
            if text in unknown:
                yield text
                continue
            if key in seen:
                yield f'duplicate field "{place}"'
            seen.add(key)
            yield from _problems(item, place, unknown)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _problems(item, f"{path}[{index}]", unknown)
