"""What is wrong for whatever input: patterns, durations and times in a text, lists and maps of mixed types.

Follows: github.com/google/cel-go/cel/validator.go, checker/checker.go joinTypes, with the options of Kubernetes'
environment (cel.HomogeneousAggregateLiterals)
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from typing import Final

from openapi.cel.syntax import (
    BINARY,
    CALL,
    CHOICE,
    GROUP,
    INDEX,
    LIST,
    LITERAL,
    MAP,
    METHOD,
    NAME,
    SELECT,
    STRUCT,
    UNARY,
    NotParsed,
    Tree,
    parse,
)
from openapi.custom.patterns import pattern_problem
from openapi.meta.times import TimeError, canonical_time

_DURATION: Final = re.compile(r"[-+]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)").fullmatch
_HINTS: Final = re.compile(r"matches|duration|timestamp|indexOf|lastIndexOf|sets\.|[\[{]")
_VAGUE: Final = re.compile(r"\b(?:dyn|any|null_type)\b|%")
_SETS: Final = frozenset(("contains", "equivalent", "intersects"))
_POSITIONS: Final = frozenset(("indexOf", "lastIndexOf"))

TypeOf = Callable[[str], str]
"""The type of a part of the expression; '' where that cannot be told from the part alone."""


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


def literal_problems(text: str, type_of: TypeOf) -> str:
    """The compiler's report of them, '' if all is well."""
    if not _HINTS.search(text):
        return ""
    try:
        tree = parse(text)
    except NotParsed:
        return ""
    found = sorted(_Mixtures(text, type_of).found(tree)) or _unfit_literals(tree)
    return "\n".join(_report(text, at, why) for at, why in found)


class _Mixtures:
    """Values of another type than those beside them."""

    def __init__(self, text: str, type_of: TypeOf) -> None:
        self._text = text
        self._type_of = type_of

    def found(self, tree: Tree) -> Iterator[tuple[int, str]]:
        for part in tree.walk():
            if part.kind == LIST:
                yield from self._unlike(part.parts)
            elif part.kind == MAP:
                yield from self._unlike(part.parts[::2])
                yield from self._unlike(part.parts[1::2])
            elif part.kind == METHOD:
                yield from self._arguments(part)

    def _unlike(self, items: list[Tree]) -> Iterator[tuple[int, str]]:
        if len(items) < 2 or any(self._text[: item.start].rstrip().endswith("?") for item in items):
            return
        expected = ""
        for item in items:
            kind = self._kind(item)
            if not kind:
                return
            if expected and kind != expected:
                yield self._place(item), f"expected type '{expected}' but found '{kind}'"
                kind = ""
            expected = kind

    def _arguments(self, call: Tree) -> Iterator[tuple[int, str]]:
        """Lists that are compared with other lists, or with a value of theirs."""
        of, *arguments = call.parts
        if of.kind == NAME and of.name == "sets" and call.name in _SETS and len(arguments) == 2:
            first, second = map(self._kind, arguments)
            if first.startswith("list(") and second.startswith("list(") and first != second:
                why = f"found no matching overload for 'sets.{call.name}' applied to '({first}, {second})'"
                yield self._place(call), why
        elif call.name in _POSITIONS and len(arguments) == 1:
            first, second = self._kind(of), self._kind(arguments[0])
            if first.startswith("list(") and second and first != f"list({second})":
                why = f"found no matching overload for '{call.name}' applied to '{first}.({second})'"
                yield self._place(call), why

    def _kind(self, tree: Tree) -> str:
        kind = _kind_of(tree) or self._type_of(self._text[tree.start : tree.end])
        return "" if _VAGUE.search(kind) else kind

    def _place(self, tree: Tree) -> int:
        """Where the compiler says that a part is."""
        if tree.kind == GROUP:
            return self._place(tree.parts[0])
        if tree.kind in (CALL, METHOD):
            return self._text.index("(", tree.at)
        return tree.at if tree.kind in (SELECT, INDEX, STRUCT, UNARY, BINARY, CHOICE) else tree.start


def _unfit_literals(tree: Tree) -> Iterator[tuple[int, str]]:
    """Texts that are wrong where they are used."""
    for part in tree.walk():
        if part.kind in (CALL, METHOD) and part.name in _CHECKS and part.parts:
            last = part.parts[-1]
            value = _text_of(last) if len(part.parts) == (2 if part.kind == METHOD else 1) else None
            if value is not None and not _CHECKS[part.name](value):
                yield last.start, f"invalid {part.name} argument"


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
