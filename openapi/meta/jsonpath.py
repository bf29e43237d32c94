"""The JSON paths of printer columns and selectable fields: names, indexes, wildcards, slices, filters, recursion.

Follows: staging/src/k8s.io/client-go/util/jsonpath
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

Step = Callable[[Any], Iterator[Any]]


class JsonPathError(ValueError):
    """The text is no path."""


_NAME = re.compile(r"(?:\\.|[^.\[\]\\])+")
_FILTER = re.compile(r"\?\(\s*@(?P<path>[^=!<>]*?)\s*(?:(?P<op>==|!=|<=|>=|<|>)\s*(?P<value>.+?))?\s*\)")
_SLICE = re.compile(r"(-?\d*):(-?\d*)(?::(-?\d+))?")
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


@lru_cache(maxsize=1024)
def compile_path(text: str) -> tuple[Step, ...]:
    """The steps of a path such as `.spec.ports[*].port`. Raises JsonPathError."""
    steps: list[Step] = []
    at = 0
    text = text.removeprefix("$")
    while at < len(text):
        if text.startswith("..", at):
            at += 2
            steps.append(_descend)
            if at < len(text) and text[at] not in "[.":
                at = _name_step(text, at, steps)
        elif text[at] == ".":
            at += 1
            if at < len(text) and text[at] not in "[.":
                at = _name_step(text, at, steps)
        elif text[at] == "[":
            end = _closing(text, at)
            steps.append(_bracket(text[at + 1 : end].strip()))
            at = end + 1
        else:
            raise JsonPathError(f"unrecognized character in path: {text[at]!r}")
    return tuple(steps)


def find(value: Any, steps: Sequence[Step]) -> list[Any]:
    """All values that the path leads to."""
    found = [value]
    for step in steps:
        found = [below for item in found for below in step(item)]
    return found


def _name_step(text: str, at: int, steps: list[Step]) -> int:
    match = _NAME.match(text, at)
    if match is None:
        raise JsonPathError(f"a name is missing at {at} in {text!r}")
    name = re.sub(r"\\(.)", r"\1", match.group())
    steps.append(_everything if name == "*" else _field(name))
    return match.end()


def _closing(text: str, at: int) -> int:
    quote, depth = "", 0
    for index in range(at, len(text)):
        character = text[index]
        if quote:
            quote = "" if character == quote and text[index - 1] != "\\" else quote
        elif character in "'\"":
            quote = character
        elif character == "[":
            depth += 1
        elif character == "]":
            depth -= 1
            if not depth:
                return index
    raise JsonPathError("unterminated array")


def _bracket(text: str) -> Step:
    if text == "*":
        return _everything
    if text[:1] in ("'", '"') and text[-1:] == text[:1] and len(text) > 1:
        return _field(text[1:-1].replace("\\'", "'"))
    if text.startswith("?"):
        return _filter(text)
    if re.fullmatch(r"-?\d+", text):
        return _index(int(text))
    match = _SLICE.fullmatch(text)
    if match is not None:
        parts = [int(part) if part else None for part in match.groups()]
        return _slice(slice(*parts))
    raise JsonPathError(f"invalid array index {text}")


def _field(name: str) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, dict) and name in value:
            yield value[name]

    return step


def _everything(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        yield from value
    elif isinstance(value, dict):
        yield from value.values()


def _descend(value: Any) -> Iterator[Any]:
    yield value
    for below in _everything(value):
        yield from _descend(below)


def _index(index: int) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, list) and -len(value) <= index < len(value):
            yield value[index]

    return step


def _slice(part: slice) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if isinstance(value, list):
            yield from value[part]

    return step


def _filter(text: str) -> Step:
    match = _FILTER.fullmatch(text)
    if match is None:
        raise JsonPathError(f"unclosed or unknown filter {text}")
    steps, compare = compile_path(match["path"].strip()), _OPERATORS.get(match["op"] or "")
    wanted = _literal(match["value"]) if compare is not None else None

    def step(value: Any) -> Iterator[Any]:
        for item in value if isinstance(value, list) else ():
            found = find(item, steps)
            if found and (compare is None or _holds(compare, found[0], wanted)):
                yield item

    return step


def _holds(compare: Callable[[Any, Any], Any], value: Any, wanted: Any) -> bool:
    try:
        return bool(compare(value, wanted))
    except TypeError:
        return False


def _literal(text: str) -> Any:
    if text[:1] in ("'", '"'):
        return text[1:-1]
    if text in ("true", "false"):
        return text == "true"
    try:
        return float(text) if "." in text else int(text)
    except ValueError as err:
        raise JsonPathError(f"unrecognized value {text} in a filter") from err
