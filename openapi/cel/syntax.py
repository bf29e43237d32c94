"""The syntax tree of an expression, for rewriting what the CEL library lacks: nodes know where they stand in the text.

Only sound expressions have one; what is wrong with others is for the library's own parser to say.
Follows: the grammar of the CEL language definition
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
    |(?P<string>[rRbB]{0,2}(?:'{3}.*?'{3}|"{3}.*?"{3}|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"))
    |(?P<number>0[xX][0-9a-fA-F]+u?|[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?[uU]?|\.[0-9]+(?:[eE][+-]?[0-9]+)?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*|`[^`\n]*`)
    |(?P<symbol>\|\||&&|==|!=|<=|>=|[-+*/%<>!?:.,(){}\[\]])""",
    re.VERBOSE | re.DOTALL,
)
_LEVELS: Final = (("||",), ("&&",), ("<", "<=", ">=", ">", "==", "!=", "in"), ("+", "-"), ("*", "/", "%"))
_CONSTANTS: Final = frozenset(("true", "false", "null"))
_DEEPEST: Final = 200

LITERAL, NAME, SELECT, INDEX, CALL, METHOD, LIST, MAP, STRUCT, UNARY, BINARY, CHOICE, GROUP = (
    "literal", "name", "select", "index", "call", "method",
    "list", "map", "struct", "unary", "binary", "choice", "group",
)  # fmt: skip


class NotParsed(ValueError):
    """The text is no expression, or one too deep to look at."""


@dataclass(slots=True)
class Tree:
    """A part of an expression. `name` is the field, function, operator or literal; `at` where the operator stands.

    A method's receiver is its first part.
    """

    kind: str
    start: int
    end: int
    name: str = ""
    parts: list[Tree] = field(default_factory=list)
    at: int = 0

    def walk(self) -> Iterator[Tree]:
        yield self
        for part in self.parts:
            yield from part.walk()


def parse(text: str) -> Tree:
    """Raises NotParsed."""
    parser = _Parser(text)
    tree = parser.expression()
    if parser.kind:
        raise NotParsed(text)
    return tree


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str, int]] = []
        position = 0
        while position < len(text):
            found = _TOKEN.match(text, position)
            if found is None:
                raise NotParsed(text)
            if found.lastgroup != "space":
                self._tokens.append((found.lastgroup or "", found.group(), position))
            position = found.end()
        self._next, self._last_end, self._depth = 0, 0, 0
        self._read()

    def _read(self) -> None:
        if self._next:
            _, text, start = self._tokens[self._next - 1]
            self._last_end = start + len(text)
        known = self._next < len(self._tokens)
        self.kind, self.text, self.at = self._tokens[self._next] if known else ("", "", self._last_end)
        self._next += 1

    def _take(self, text: str) -> bool:
        if self.text != text or self.kind == "string":
            return False
        self._read()
        return True

    def _need(self, text: str) -> None:
        if not self._take(text):
            raise NotParsed(text)

    def expression(self) -> Tree:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise NotParsed("too deep")
        condition = self._binary(0)
        at = self.at
        if self._take("?"):
            first = self._binary(0)
            self._need(":")
            second = self.expression()
            condition = Tree(CHOICE, condition.start, second.end, "?", [condition, first, second], at)
        self._depth -= 1
        return condition

    def _binary(self, level: int) -> Tree:
        if level == len(_LEVELS):
            return self._unary()
        left = self._binary(level + 1)
        while self.kind in ("symbol", "name") and self.text in _LEVELS[level]:
            operator, at = self.text, self.at
            self._read()
            right = self._binary(level + 1)
            left = Tree(BINARY, left.start, right.end, operator, [left, right], at)
        return left

    def _unary(self) -> Tree:
        if self.kind == "symbol" and self.text in ("!", "-"):
            operator, at = self.text, self.at
            self._read()
            self._depth += 1
            if self._depth > _DEEPEST:
                raise NotParsed("too deep")
            below = self._unary()
            self._depth -= 1
            return Tree(UNARY, at, below.end, operator, [below], at)
        return self._member(self._primary())

    def _member(self, tree: Tree) -> Tree:
        while self.kind == "symbol" and self.text in (".", "[", "{"):
            at = self.at
            if self._take("."):
                tree = self._selection(tree, at)
            elif self._take("["):
                self._take("?")
                index = self.expression()
                self._need("]")
                tree = Tree(INDEX, tree.start, self._last_end, "[]", [tree, index], at)
            elif tree.kind in (NAME, SELECT) and self._take("{"):
                tree = Tree(STRUCT, tree.start, 0, "", [tree, *self._entries("}")], at)
                tree.end = self._last_end
            else:
                break
        return tree

    def _selection(self, tree: Tree, at: int) -> Tree:
        optional = self._take("?")
        name = self.text
        if self.kind != "name":
            raise NotParsed(name)
        self._read()
        if not optional and self._take("("):
            parts = [tree, *self._items(")")]
            return Tree(METHOD, tree.start, self._last_end, name, parts, at)
        return Tree(SELECT, tree.start, self._last_end, name, [tree], at)

    def _primary(self) -> Tree:
        kind, text, at = self.kind, self.text, self.at
        if kind in ("string", "number"):
            self._read()
            return Tree(LITERAL, at, self._last_end, text)
        if kind == "symbol":
            return self._bracketed(text, at)
        if kind != "name":
            raise NotParsed(text)
        self._read()
        if text in _CONSTANTS:
            return Tree(LITERAL, at, self._last_end, text)
        if self._take("("):
            items = self._items(")")
            return Tree(CALL, at, self._last_end, text, items, at)
        return Tree(NAME, at, self._last_end, text)

    def _bracketed(self, text: str, at: int) -> Tree:
        self._read()
        if text == "(":
            inner = self.expression()
            self._need(")")
            return Tree(GROUP, at, self._last_end, "", [inner])
        if text == "[":
            items = self._items("]")
            return Tree(LIST, at, self._last_end, "", items)
        if text == "{":
            items = self._entries("}")
            return Tree(MAP, at, self._last_end, "", items)
        if text == ".":
            return self._primary()
        raise NotParsed(text)

    def _items(self, end: str) -> list[Tree]:
        items: list[Tree] = []
        while not self._take(end):
            self._take("?")
            items.append(self.expression())
            if not self._take(","):
                self._need(end)
                break
        return items

    def _entries(self, end: str) -> list[Tree]:
        """Keys and values, one behind the other."""
        entries: list[Tree] = []
        while not self._take(end):
            self._take("?")
            entries.append(self.expression())
            self._need(":")
            entries.append(self.expression())
            if not self._take(","):
                self._need(end)
                break
        return entries
