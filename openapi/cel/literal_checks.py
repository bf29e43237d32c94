"""Literals that are wrong for whatever input: patterns, durations and times in a text, and lists of mixed kinds.

Follows: github.com/google/cel-go/cel/validator.go, with the validators of Kubernetes' environment
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from typing import Final

from openapi.cel.syntax import CALL, LIST, LITERAL, METHOD, NotParsed, Tree, parse
from openapi.custom.patterns import pattern_problem
from openapi.meta.times import TimeError, canonical_time

_DURATION: Final = re.compile(r"[-+]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)").fullmatch
_HINTS: Final = re.compile(r"matches|duration|timestamp|\[")


def _is_time(text: str) -> bool:
    try:
        canonical_time(text)
    except TimeError:
        return False
    return True


_CHECKS: Final[dict[str, Callable[[str], bool]]] = {
    "matches": lambda text: not pattern_problem(text),
    "duration": lambda text: _DURATION(text) is not None,
    "timestamp": _is_time,
}


def literal_problems(text: str) -> str:
    """The compiler's report of them, '' if all is well."""
    if not _HINTS.search(text):
        return ""
    try:
        tree = parse(text)
    except NotParsed:
        return ""
    return "\n".join(_report(text, at, why) for at, why in _problems(tree))


def _problems(tree: Tree) -> Iterator[tuple[int, str]]:
    for part in tree.walk():
        if part.kind in (CALL, METHOD) and part.name in _CHECKS and part.parts:
            last = part.parts[-1]
            value = _text_of(last) if len(part.parts) == (2 if part.kind == METHOD else 1) else None
            if value is not None and not _CHECKS[part.name](value):
                yield last.start, f"invalid {part.name} argument"
        elif part.kind == LIST:
            yield from _mixed(part)


def _mixed(items: Tree) -> Iterator[tuple[int, str]]:
    first = ""
    for item in items.parts:
        kind = _kind_of(item)
        if not kind:
            return
        first = first or kind
        if kind != first:
            yield item.start, f"expected type '{first}' but found '{kind}'"


def _text_of(tree: Tree) -> str | None:
    if tree.kind != LITERAL or not tree.name.endswith(("'", '"')) or tree.name[0] in "bB":
        return None
    try:
        value = ast.literal_eval(tree.name)
    except (SyntaxError, ValueError):
        return None
    return value if isinstance(value, str) else None


def _kind_of(tree: Tree) -> str:
    """The type of a literal; '' where it takes more to tell."""
    if tree.kind != LITERAL:
        return ""
    name = tree.name
    if name.endswith(("'", '"')):
        return "bytes" if "b" in name[: min(map(name.find, [q for q in "'\"" if q in name]))].lower() else "string"
    if name in ("true", "false"):
        return "bool"
    if name == "null":
        return "null_type"
    if name.lower().startswith("0x"):
        return "uint" if name[-1] == "u" else "int"
    return "uint" if name[-1] in "uU" else "double" if re.search(r"[.eE]", name) else "int"


def _report(text: str, at: int, why: str) -> str:
    before = text[:at]
    line, column = before.count("\n") + 1, at - before.rfind("\n")
    source = text.split("\n")[line - 1]
    return f"ERROR: <input>:{line}:{column}: {why}\n | {source}\n | {'.' * (column - 1)}^"
