"""Small validation rules of single fields that many kinds share, each yielding field errors in the API's words.

Follows: pkg/apis/core/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from openapi.meta import names
from openapi.meta.field import FieldError, duplicate, forbidden, invalid, not_supported, required

Object = dict[str, Any]

PROTOCOLS = frozenset(("TCP", "UDP", "SCTP"))
IMMUTABLE = "field is immutable"
LOCKED = "field is immutable when `immutable` is set"
NEGATIVE = "must be greater than or equal to 0"


def each(problems: Iterable[str], path: str, value: Any) -> Iterator[FieldError]:
    """One error for each problem text of a name check."""
    for text in problems:
        yield invalid(path, value, text)


def at_once(problems: Sequence[str], path: str, value: Any, prefix: str = "") -> Iterator[FieldError]:
    """One error for all problem texts of a name check."""
    if problems:
        yield invalid(path, value, prefix + ",".join(problems))


def named(check: Callable[[str], list[str]], value: str, path: str) -> Iterator[FieldError]:
    """What a name format of `openapi.meta.names` has against `value`."""
    for text in check(value):
        yield invalid(path, value, text)


def immutable(new: Any, old: Any, path: str, shown: Any = None) -> Iterator[FieldError]:
    """`shown` replaces the new value in the message."""
    if new != old:
        yield invalid(path, new if shown is None else shown, IMMUTABLE)


def nonnegative(value: int, path: str) -> Iterator[FieldError]:
    if value < 0:
        yield invalid(path, value, NEGATIVE)


def one_of(value: Any, allowed: Iterable[str], path: str) -> Iterator[FieldError]:
    if value not in allowed:
        yield not_supported(path, value, allowed)


def required_texts(struct: Mapping[str, Any], path: str, *fields: str) -> Iterator[FieldError]:
    """Each of `fields` must be there and not be empty."""
    for name in fields:
        if not struct.get(name):
            yield required(f"{path}.{name}")


def port_number(value: int, path: str) -> Iterator[FieldError]:
    for text in names.is_port_number(value):
        yield invalid(path, value, text)


def port_number_or_name(value: int | str, path: str) -> Iterator[FieldError]:
    problems = names.is_port_number(value) if isinstance(value, int) else names.is_port_name(value)
    for text in problems:
        yield invalid(path, value, text)


def protocol(value: str, path: str) -> Iterator[FieldError]:
    if not value:
        yield required(path)
    elif value not in PROTOCOLS:
        yield not_supported(path, value, PROTOCOLS)


def unchanged_when_locked(
    obj: Mapping[str, Any], old: Mapping[str, Any], fields: Iterable[str]
) -> Iterator[FieldError]:
    """What may not change once an object has said `immutable: true`."""
    if not old.get("immutable"):
        return
    if not obj.get("immutable"):
        yield forbidden("immutable", LOCKED)
    for name in fields:
        if (obj.get(name) or {}) != (old.get(name) or {}):
            yield forbidden(name, LOCKED)


def first_use(name: str, seen: set[str], path: str) -> Iterator[FieldError]:
    """Remember `name`; an error if it was there before."""
    if name in seen:
        yield duplicate(path, name)
    seen.add(name)
