"""Field errors: what is wrong with one field of an object, in the words of the API.

Validators *yield* `FieldError`s, in the order in which Kubernetes lists them; they never raise and never stop at the
first. `openapi.meta.status.invalid` turns a list of them into the 422 Status.

Paths are plain strings: `spec.containers[0].image`, `metadata.labels[a/b]`. Build them with f-strings.
Follows: staging/src/k8s.io/apimachinery/pkg/util/validation/field/errors.go
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson


class _Omit:
    """Marks a bad value that the message must not show."""


OMIT = _Omit()
WHOLE = "[]"
"""The path of errors that are about no field in particular."""


class Verbatim(str):
    """A bad value that is already in the form to show: objects whose fields keep the server's own names and order."""

    __slots__ = ()


REQUIRED = "FieldValueRequired"
INVALID = "FieldValueInvalid"
NOT_SUPPORTED = "FieldValueNotSupported"
DUPLICATE = "FieldValueDuplicate"
FORBIDDEN = "FieldValueForbidden"
NOT_FOUND = "FieldValueNotFound"
TOO_LONG = "FieldValueTooLong"
TOO_MANY = "FieldValueTooMany"
INTERNAL = "InternalError"
TYPE_INVALID = "FieldValueTypeInvalid"

_WORDS = {
    REQUIRED: "Required value",
    INVALID: "Invalid value",
    NOT_SUPPORTED: "Unsupported value",
    DUPLICATE: "Duplicate value",
    FORBIDDEN: "Forbidden",
    NOT_FOUND: "Not found",
    TOO_LONG: "Too long",
    TOO_MANY: "Too many",
    INTERNAL: "Internal error",
    TYPE_INVALID: "Invalid value",
}
_VALUELESS = frozenset((REQUIRED, FORBIDDEN, TOO_LONG, INTERNAL))


_ESCAPES = {
    '"': '\\"', "\\": "\\\\", "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"
}  # fmt: skip


def quote(text: str) -> str:
    """Quote a string as Go's %q does."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(_ESCAPES.get(character) or _escape(character) for character in text) + '"'


def _escape(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def format_value(value: Any) -> str:
    """Show a bad value as the API's messages do: strings quoted, numbers and booleans plain, the rest as JSON."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Verbatim):
        return str(value)
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, int | float):
        return str(value)
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


@dataclass(frozen=True, slots=True)
class FieldError:
    """One cause: `type` is the reason on the wire, `path` the field, `value` what was there, `detail` the text."""

    type: str
    path: str
    value: Any = OMIT
    detail: str = ""

    @property
    def body(self) -> str:
        """The cause's message: everything but the field."""
        words = _WORDS[self.type]
        if self.type not in _VALUELESS and self.value is not OMIT:
            words = f"{words}: {format_value(self.value)}"
        return f"{words}: {self.detail}" if self.detail else words

    def __str__(self) -> str:
        return f"{self.path}: {self.body}"


def required(path: str, detail: str = "") -> FieldError:
    return FieldError(REQUIRED, path, OMIT, detail)


def invalid(path: str, value: Any, detail: str) -> FieldError:
    return FieldError(INVALID, path, value, detail)


def not_supported(path: str, value: Any, supported: Iterable[str]) -> FieldError:
    """`supported` in any order; the message sorts it."""
    values = sorted(supported)
    detail = "supported values: " + ", ".join(quote(v) for v in values) if values else ""
    return FieldError(NOT_SUPPORTED, path, value, detail)


def not_supported_listed(path: str, value: Any, supported: Iterable[str]) -> FieldError:
    """As `not_supported`, for the few lists that the API shows unsorted."""
    return FieldError(NOT_SUPPORTED, path, value, "supported values: " + ", ".join(quote(v) for v in supported))


def not_supported_in_order(path: str, value: Any, supported: Iterable[str]) -> FieldError:
    """As `not_supported`, for the few rules whose message keeps an order of its own."""
    return FieldError(NOT_SUPPORTED, path, value, "supported values: " + ", ".join(quote(v) for v in supported))


def duplicate(path: str, value: Any) -> FieldError:
    return FieldError(DUPLICATE, path, value)


def forbidden(path: str, detail: str) -> FieldError:
    return FieldError(FORBIDDEN, path, OMIT, detail)


def not_found(path: str, value: Any) -> FieldError:
    return FieldError(NOT_FOUND, path, value)


def too_long(path: str, maximum: int) -> FieldError:
    """More than `maximum` bytes."""
    detail = f"may not be more than {maximum} bytes" if maximum >= 0 else "value is too long"
    return FieldError(TOO_LONG, path, OMIT, detail)


def too_many(path: str, actual: int, maximum: int) -> FieldError:
    detail = f"must have at most {maximum} item{'' if maximum == 1 else 's'}" if maximum >= 0 else "has too many items"
    return FieldError(TOO_MANY, path, actual, detail)


def internal(path: str, detail: str) -> FieldError:
    return FieldError(INTERNAL, path, OMIT, detail)


def aggregate(errors: Sequence[FieldError]) -> str:
    """The text of several errors in one message: repeated ones once, more than one in brackets."""
    texts = list(dict.fromkeys(str(e) for e in errors))
    return texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
