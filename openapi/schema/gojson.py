"""The words of Go's JSON and base64 decoders, for what the fast parsers here merely refuse.

Only called once something is known to be wrong, so clarity goes before speed.
Follows: sigs.k8s.io/json, Go's encoding/json/scanner.go and encoding/base64
"""

from __future__ import annotations

import re
from typing import Any

MAX_DEPTH = 10_000
UNEXPECTED_END = "unexpected end of JSON input"
_SPACE = b" \t\r\n"
_number = re.compile(rb"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?").match
_LITERALS = {ord("t"): b"true", ord("f"): b"false", ord("n"): b"null"}
_NUMBER_STARTS = frozenset(b"-0123456789")
_HEX = frozenset(b"0123456789abcdefABCDEF")
_BASE64 = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")


class JSONSyntaxError(ValueError):
    """What Go says of a text that is no JSON."""


def syntax_error(raw: bytes) -> str:
    """Go's text for the first thing wrong with `raw`, or '' if it is sound JSON."""
    scanner = _Scanner(raw)
    try:
        scanner.document()
    except JSONSyntaxError as error:
        return str(error)
    return ""


def json_word(value: Any) -> str:
    """What Go calls the kind of a JSON value."""
    words = ((bool, "bool"), (str, "string"), (dict, "object"), (list, "array"), (int | float, "number"))
    return next((word for kind, word in words if isinstance(value, kind)), "null")


def _character(code: int) -> str:
    """A byte as Go quotes it in these errors."""
    if code == ord("'"):
        return r"'\''"
    if code == ord('"'):
        return "'\"'"
    special = {7: r"\a", 8: r"\b", 9: r"\t", 10: r"\n", 11: r"\v", 12: r"\f", 13: r"\r", 92: r"\\"}
    if code in special:
        return f"'{special[code]}'"
    if code < 32 or code == 127:
        return f"'\\x{code:02x}'"
    if 127 < code < 0xA1 or code == 0xAD:
        return f"'\\u{code:04x}'"
    return f"'{chr(code)}'"


class _Scanner:
    """Walks a JSON text with a stack of its own, so that no nesting is too deep for it."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.at = 0

    def fail(self, context: str) -> JSONSyntaxError:
        if self.at >= len(self.raw):
            return JSONSyntaxError(UNEXPECTED_END)
        return JSONSyntaxError(f"invalid character {_character(self.raw[self.at])} {context}")

    def space(self) -> int:
        """Skips white space; the byte that follows, or -1 at the end."""
        while self.at < len(self.raw) and self.raw[self.at] in _SPACE:
            self.at += 1
        return self.raw[self.at] if self.at < len(self.raw) else -1

    def document(self) -> None:
        closers: list[int] = []
        self.value(closers)
        while closers:
            byte = self.space()
            if byte == closers[-1]:
                self.at += 1
                closers.pop()
            elif byte == ord(","):
                self.at += 1
                self.space()
                if closers[-1] == ord("}"):
                    self.key("looking for beginning of object key string")
                self.value(closers)
            else:
                where = "after object key:value pair" if closers[-1] == ord("}") else "after array element"
                raise self.fail(where)
        if self.space() != -1:
            raise self.fail("after top-level value")

    def value(self, closers: list[int]) -> None:
        """One value; of objects and arrays only the beginning, up to their first scalar."""
        while True:
            byte = self.space()
            if byte not in (ord("{"), ord("[")):
                self.scalar(byte)
                return
            self.at += 1
            if len(closers) >= MAX_DEPTH:
                raise JSONSyntaxError("exceeded max depth")
            closer = ord("}") if byte == ord("{") else ord("]")
            closers.append(closer)
            if self.space() == closer:
                self.at += 1
                closers.pop()
                return
            if closer == ord("}"):
                self.key("looking for beginning of object key string")

    def key(self, context: str) -> None:
        if self.space() != ord('"'):
            raise self.fail(context)
        self.string()
        if self.space() != ord(":"):
            raise self.fail("after object key")
        self.at += 1

    def scalar(self, byte: int) -> None:
        if byte == ord('"'):
            self.string()
        elif byte in _LITERALS:
            self.literal(_LITERALS[byte])
        elif byte in _NUMBER_STARTS:
            self.number()
        else:
            raise self.fail("looking for beginning of value")

    def literal(self, word: bytes) -> None:
        for expected in word:
            if self.at >= len(self.raw) or self.raw[self.at] != expected:
                raise self.fail(f"in literal {word.decode()} (expecting {_character(expected)})")
            self.at += 1

    def number(self) -> None:
        found = _number(self.raw, self.at)
        if found is None:
            self.at += 1
            raise self.fail("in numeric literal")
        self.at = found.end()
        rest = self.raw[self.at : self.at + 1]
        if rest == b".":
            self.at += 1
            raise self.fail("after decimal point in numeric literal")
        if rest in (b"e", b"E"):
            self.at += 2 if self.raw[self.at + 1 : self.at + 2] in (b"+", b"-") else 1
            raise self.fail("in exponent of numeric literal")

    def string(self) -> None:
        self.at += 1
        while True:
            if self.at >= len(self.raw):
                raise JSONSyntaxError(UNEXPECTED_END)
            byte = self.raw[self.at]
            if byte == ord('"'):
                self.at += 1
                return
            if byte < 0x20:
                raise self.fail("in string literal")
            self.at += 1
            if byte == ord("\\"):
                self.escape()

    def escape(self) -> None:
        if self.at >= len(self.raw):
            raise JSONSyntaxError(UNEXPECTED_END)
        if self.raw[self.at] == ord("u"):
            self.at += 1
            for _ in range(4):
                if self.at >= len(self.raw) or self.raw[self.at] not in _HEX:
                    raise self.fail("in \\u hexadecimal character escape")
                self.at += 1
        elif self.raw[self.at] in b'bfnrt\\/"':
            self.at += 1
        else:
            raise self.fail("in string escape code")


def base64_error(text: str) -> str:
    """Go's text for a string that is no standard base64; '' if Go would accept it."""
    offset = _base64_offset(text.encode("utf-8", "surrogatepass"))
    return "" if offset is None else f"illegal base64 data at input byte {offset}"


def _base64_offset(raw: bytes) -> int | None:
    """Where the first wrong byte is. Line ends count as bytes but mean nothing."""
    at, filled = 0, 0
    while at < len(raw):
        byte = raw[at]
        at += 1
        if byte in b"\r\n":
            continue
        if byte in _BASE64:
            filled = (filled + 1) % 4
            continue
        if byte != ord("=") or filled < 2:
            return at - 1
        return _base64_padding(raw, at, filled)
    return None if filled == 0 else at - filled


def _base64_padding(raw: bytes, at: int, filled: int) -> int | None:
    """As `_base64_offset`, behind the first `=`."""
    at = _skip_lines(raw, at)
    if filled == 2:
        if at == len(raw):
            return len(raw)
        if raw[at] != ord("="):
            return at
        at = _skip_lines(raw, at + 1)
    return at if at < len(raw) else None


def _skip_lines(raw: bytes, at: int) -> int:
    while at < len(raw) and raw[at] in b"\r\n":
        at += 1
    return at
