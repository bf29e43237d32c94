"""Searching text by regular expressions: find, findAll. Patterns are RE2, which no input can stall."""

from __future__ import annotations

from typing import Any

import re2

from openapi.cel.libraries.declaring import T, function, method, overload
from openapi.cel.messages import Pool
from openapi.custom.patterns import compile_pattern, pattern_problem


def _compiled(pattern: str) -> Any:
    try:
        return compile_pattern(pattern)
    except re2.error:
        raise ValueError(f"Illegal regex: {pattern_problem(pattern)}") from None


def _find(text: str, pattern: str) -> str:
    found = _compiled(pattern).search(text)
    return found.group(0) if found is not None else ""


def _find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found = [match.group(0) for match in _compiled(pattern).finditer(text)]
    return found if limit < 0 else found[:limit]


def declare(pool: Pool) -> list[Any]:
    strings = T.List(T.STRING)
    return [
        method("find", "string_find_string", (T.STRING, T.STRING), T.STRING, _find),
        function(
            "findAll",
            overload("string_find_all_string", (T.STRING, T.STRING), strings, _find_all, member=True),
            overload("string_find_all_string_int", (T.STRING, T.STRING, T.INT), strings, _find_all, member=True),
        ),
    ]
