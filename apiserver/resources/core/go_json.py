"""What is wrong with a JSON text, in the words of Go's decoder, for values whose content the API checks.

Only texts that do not parse are scanned here; good ones go through the fast parser alone.
"""

from __future__ import annotations

import re

import orjson

END = "unexpected end of JSON input"
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_LITERALS = {0x74: b"true", 0x66: b"false", 0x6E: b"null"}
_SPACE = b" \t\r\n"
_GO_TYPES = {list: "array", str: "string", int: "number", float: "number", bool: "bool"}


def object_problem(raw: bytes) -> str:
    """Why `raw` is no JSON object (null is one, as Go has it), or ''."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return _Scanner(raw).problem()
    if value is None or isinstance(value, dict):
        return ""
    return f"json: cannot unmarshal {_GO_TYPES[type(value)]} into Go value of type map[string]interface {{}}"


class _Wrong(Exception):
    pass


class _Scanner:
    """Walks a text and stops at its first fault."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = 0

    def problem(self) -> str:
        try:
            self._value("looking for beginning of value")
            self._skip()
            if self._at < len(self._raw):
                raise self._wrong("after top-level value")
        except _Wrong as err:
            return str(err)
        return ""

    def _wrong(self, context: str) -> _Wrong:
        if self._at >= len(self._raw):
            return _Wrong(END)
        return _Wrong(f"invalid character {_quoted(self._raw[self._at])} {context}")

    def _skip(self) -> int:
        while self._at < len(self._raw) and self._raw[self._at] in _SPACE:
            self._at += 1
        return self._raw[self._at] if self._at < len(self._raw) else -1

    def _value(self, context: str) -> None:
        byte = self._skip()
        if byte == 0x7B:
            self._object()
        elif byte == 0x5B:
            self._array()
        elif byte == 0x22:
            self._string()
        elif byte in _LITERALS:
            self._literal(_LITERALS[byte])
        elif byte == 0x2D or 0x30 <= byte <= 0x39:
            self._number()
        else:
            raise self._wrong(context)

    def _object(self) -> None:
        self._at += 1
        if self._skip() == 0x7D:
            self._at += 1
            return
        context = "looking for beginning of object key string"
        while True:
            if self._skip() != 0x22:
                raise self._wrong(context)
            self._string()
            if self._skip() != 0x3A:
                raise self._wrong("after object key")
            self._at += 1
            self._value("looking for beginning of value")
            byte = self._skip()
            if byte not in (0x2C, 0x7D):
                raise self._wrong("after object key:value pair")
            self._at += 1
            if byte == 0x7D:
                return

    def _array(self) -> None:
        self._at += 1
        if self._skip() == 0x5D:
            self._at += 1
            return
        while True:
            self._value("looking for beginning of value")
            byte = self._skip()
            if byte not in (0x2C, 0x5D):
                raise self._wrong("after array element")
            self._at += 1
            if byte == 0x5D:
                return

    def _string(self) -> None:
        self._at += 1
        while self._at < len(self._raw):
            byte = self._raw[self._at]
            if byte == 0x22:
                self._at += 1
                return
            if byte < 0x20:
                raise self._wrong("in string literal")
            self._at += 1
            if byte == 0x5C:
                self._escape()
        raise _Wrong(END)

    def _escape(self) -> None:
        if self._at >= len(self._raw) or self._raw[self._at] not in b'bfnrt\\/"u':
            raise self._wrong("in string escape code")
        unicode = self._raw[self._at] == 0x75
        self._at += 1
        for _ in range(4 if unicode else 0):
            if self._at >= len(self._raw) or self._raw[self._at] not in b"0123456789abcdefABCDEF":
                raise self._wrong("in \\u hexadecimal character escape")
            self._at += 1

    def _literal(self, word: bytes) -> None:
        for expected in word:
            if self._at >= len(self._raw) or self._raw[self._at] != expected:
                raise self._wrong(f"in literal {word.decode()} (expecting {_quoted(expected)})")
            self._at += 1

    def _number(self) -> None:
        match = _NUMBER.match(self._raw, self._at)
        if match is None:
            self._at += 1
            raise self._wrong("in numeric literal")
        self._at = match.end()
        byte = self._raw[self._at] if self._at < len(self._raw) else -1
        if byte == 0x2E:
            self._at += 1
            raise self._wrong("after decimal point in numeric literal")
        if byte in (0x65, 0x45):
            self._at += 1
            raise self._wrong("in exponent of numeric literal")


def _quoted(byte: int) -> str:
    """One byte as Go quotes a character."""
    if byte == 0x27:
        return "'\\''"
    if byte == 0x22:
        return "'\"'"
    character = chr(byte)
    text = character if character.isprintable() else repr(character)[1:-1]
    return f"'{text}'"
