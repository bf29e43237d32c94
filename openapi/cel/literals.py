"""Object and JSONPatch literals, which mutating policies write as structs without declared fields.

`Object.spec{replicas: 1}` becomes a call that makes the same value of a map. Everything else stays where it was.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
    |(?P<string>[rRbB]{0,2}(?:'{3}.*?'{3}|"{3}.*?"{3}|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"))
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
MAKERS = {"Object": "Object__", "JSONPatch": "JSONPatch__"}


def rewrite(text: str) -> str:
    """The expression with its struct literals as calls."""
    if "Object" not in text and "JSONPatch" not in text:
        return text
    tokens = [(match.lastgroup or "", match.group()) for match in _TOKEN.finditer(text)]
    return _Rewriter(tokens).all()


class _Rewriter:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0

    def all(self) -> str:
        parts = []
        while self._at < len(self._tokens):
            parts.append(self._next())
        return "".join(parts)

    def _next(self) -> str:
        kind, text = self._tokens[self._at]
        end = self._brace_of_literal() if kind == "name" and text in MAKERS and not self._follows_dot() else None
        if end is None:
            self._at += 1
            return text
        self._at = end + 1
        return f"{MAKERS[text]}({{{self._fields()}}})"

    def _follows_dot(self) -> bool:
        before = [text for kind, text in self._tokens[: self._at] if kind != "space"]
        return bool(before) and before[-1] == "."

    def _brace_of_literal(self) -> int | None:
        """Where the `{` of `Object.a.b {` is; None if it is something else."""
        at = self._at + 1
        while at < len(self._tokens):
            kind, text = self._tokens[at]
            if text == "{":
                return at
            if kind not in ("space", "name") and text != ".":
                return None
            at += 1
        return None

    def _fields(self) -> str:
        """Up to the matching `}`; a name before a colon becomes a key."""
        parts: list[str] = []
        depth = 0
        expects_key = True
        while self._at < len(self._tokens):
            kind, text = self._tokens[self._at]
            if depth == 0 and text == "}":
                self._at += 1
                break
            if expects_key and kind == "name" and depth == 0:
                parts.append(f'"{text}"')
                self._at += 1
                expects_key = False
                continue
            depth += (text in "([{") - (text in ")]}") if kind == "other" else 0
            expects_key = expects_key or (depth == 0 and text == ",")
            parts.append(self._next())
        return "".join(parts)
