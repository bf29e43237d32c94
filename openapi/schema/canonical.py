"""The fast way through a sound object: checks types and gives values the form that Go would write them in, in place.

Each struct becomes one closure over a table of its fields. A closure stops with `Unsound` at the first thing that needs
a message (an unknown field, a wrong type); `openapi.schema.decode` then walks the object again, slowly and with paths.
What was changed until then stays changed, which is harmless: canonical values are their own canonical form.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from typing import Any

from openapi.meta.quantity import QuantityError, canonical_quantity
from openapi.meta.times import TimeError, canonical_micro_time, canonical_time
from openapi.schema import node as types
from openapi.schema.node import Field, Node

Struct = Callable[[dict[str, Any]], None]
Check = Callable[[Any], Any]
"""Checks a value, changing containers in place; gives a scalar's canonical form, or None where nothing changes."""

_MEMO = "canonical"


class Unsound(Exception):
    """Something in the object needs a message."""


def canonicalize(obj: dict[str, Any], node: Node) -> None:
    """Check an object against its struct node and make it canonical; raises Unsound."""
    struct_function(node)(obj)


def canonicalize_changed(obj: dict[str, Any], known: dict[str, Any], node: Node) -> None:
    """As `canonicalize`, for an object that shares what did not change with `known`, which is canonical already."""
    changed: dict[str, Any] = {}
    for name, value in obj.items():
        before = known.get(name)
        if before is value:
            continue
        field = node.fields.get(name)
        if value.__class__ is before.__class__ is dict and field is not None and field.node.type == types.STRUCT:
            canonicalize_changed(value, before, field.node)
        else:
            changed[name] = value
    names = tuple(changed)
    struct_function(node)(changed)
    for name in names:
        if name not in changed:
            del obj[name]
    for name, value in changed.items():
        if name in names or name not in obj:
            obj[name] = value


def struct_function(node: Node) -> Struct:
    """The compiled form of a struct node."""
    found: Struct | None = node.memo.get(_MEMO)
    return found if found is not None else _compile_struct(node)


def empty_value(field: Field) -> Any:
    """What Go writes for a field that is not set, where it writes one at all."""
    kind = field.node.type
    if field.pointer:
        return None
    if kind == types.STRUCT:
        empty: dict[str, Any] = {}
        for inner in field.node.fields.values():
            if inner.always:
                empty[inner.name] = empty_value(inner)
        return empty
    return ZEROS.get(kind)


ZEROS: dict[str, Any] = {
    types.STRING: "",
    types.BOOLEAN: False,
    types.INT32: 0,
    types.INT64: 0,
    types.FLOAT: 0,
    types.QUANTITY: "0",
    types.INT_OR_STRING: 0,
}

_CLASSES: dict[str, type] = {
    types.STRUCT: dict,
    types.MAP: dict,
    types.LIST: list,
    types.STRING: str,
    types.BOOLEAN: bool,
    types.INT32: int,
    types.INT64: int,
    types.FLOAT: float,
    types.QUANTITY: str,
    types.INT_OR_STRING: int,
    types.TIME: str,
    types.MICRO_TIME: str,
    types.BYTES: str,
    types.FIELDS_V1: dict,
}
_DROPPED_WHEN_EMPTY = frozenset(
    (types.STRING, types.BOOLEAN, types.INT32, types.INT64, types.FLOAT, types.BYTES, types.LIST, types.MAP)
)


def dropped_when_empty(field: Field) -> bool:
    """Whether "", 0, false, [] and {} of this field are not written."""
    if field.always or field.keeps_empty or field.node.type not in _DROPPED_WHEN_EMPTY:
        return False
    return not field.pointer or field.node.type in (types.LIST, types.MAP)


_Entry = tuple[type | None, bool, Check | None]
_Fill = tuple[str, Any, Field | None]


def _compile_struct(node: Node) -> Struct:
    # The tables are filled after the closure exists, for a struct may contain itself.
    entries: dict[str, _Entry] = {}
    others: dict[str, Check] = {}
    fills: list[_Fill] = []
    struct = node.memo[_MEMO] = _struct_closure(entries, others, fills)
    for name, field in node.fields.items():
        entries[name] = (_CLASSES.get(field.node.type), dropped_when_empty(field), _check(field.node))
        other = _other(field.node)
        if other is not None:
            others[name] = other
        if field.always:
            empty = empty_value(field)
            fills.append((name, empty, field if isinstance(empty, dict) else None))
    return struct


def _struct_closure(entries: dict[str, _Entry], others: dict[str, Check], fills: list[_Fill]) -> Struct:
    """`entries`: per field the class of its values, whether empty ones go, and a further check. `others`: checks of
    values of other classes. `fills`: what is written although it is not there."""
    lookup = entries.get

    def struct(obj: dict[str, Any]) -> None:
        drops = []
        for name, value in obj.items():
            entry = lookup(name)
            if entry is None:
                raise Unsound
            expected, drop, check = entry
            if value.__class__ is expected:
                if drop and not value:
                    drops.append(name)
                elif check is not None:
                    changed = check(value)
                    if changed is not None:
                        obj[name] = changed
            elif value is None:
                drops.append(name)
            else:
                other: Check = others.get(name, _refuse)
                changed = other(value)
                if changed is not None:
                    obj[name] = changed
        for name in drops:
            del obj[name]
        for name, constant, fresh in fills:
            if name not in obj:
                obj[name] = constant if fresh is None else empty_value(fresh)

    return struct


def _check(node: Node) -> Check | None:
    """What to do with a value of the expected class; None if there is nothing more to do."""
    kind = node.type
    if kind == types.STRUCT:
        return struct_function(node)
    if kind == types.LIST:
        assert node.items is not None
        return _list_check(node.items)
    if kind == types.MAP:
        assert node.items is not None
        return _map_check(node.items)
    return _SCALAR_CHECKS.get(kind)


def _other(node: Node) -> Check | None:
    """What to do with a value of another class than the usual one; None if it is wrong."""
    if node.type in (types.ANY, types.FIELDS_V1):
        return _anything
    return _OTHER_CHECKS.get(node.type) if node.type != types.PROPS_OR_OTHER else _props_check(node)


def _list_check(items: Node) -> Check:
    if items.type == types.STRUCT:
        return _struct_list_check(items)
    expected, check, other = _CLASSES.get(items.type), _check(items), _other(items)

    def values(found: list[Any]) -> None:
        for index, value in enumerate(found):
            if value.__class__ is expected:
                if check is not None:
                    changed = check(value)
                    if changed is not None:
                        found[index] = changed
            elif value is None:
                found[index] = ZEROS.get(items.type)
            elif other is None:
                raise Unsound
            else:
                changed = other(value)
                if changed is not None:
                    found[index] = changed

    return values


def _struct_list_check(items: Node) -> Check:
    struct = struct_function(items)
    zero = Field("", items, always=True, value=True)

    def structs(found: list[Any]) -> None:
        for index, value in enumerate(found):
            if value.__class__ is dict:
                struct(value)
            elif value is None:
                found[index] = empty_value(zero)
            else:
                raise Unsound

    return structs


def _map_check(items: Node) -> Check:
    expected, check, other = _CLASSES.get(items.type), _check(items), _other(items)
    zero = Field("", items, always=True, value=True)

    def values(found: dict[str, Any]) -> None:
        for name, value in found.items():
            if value.__class__ is expected:
                if check is not None:
                    changed = check(value)
                    if changed is not None:
                        found[name] = changed
            elif value is None:
                found[name] = empty_value(zero)
            elif other is None:
                raise Unsound
            else:
                changed = other(value)
                if changed is not None:
                    found[name] = changed

    return values


def _props_check(node: Node) -> Check:
    """A schema inside a CRD's schema, where a boolean or a list may stand as well."""
    assert node.items is not None
    struct = struct_function(node.items)

    def props(value: Any) -> None:
        for item in value if isinstance(value, list) else (value,):
            if item.__class__ is dict:
                struct(item)

    return props


def _refuse(_value: Any) -> None:
    raise Unsound


def _anything(_value: Any) -> None:
    return None


def _int32(value: int) -> None:
    if not -2147483648 <= value <= 2147483647:
        raise Unsound


def _int64(value: int) -> None:
    if not -9223372036854775808 <= value <= 9223372036854775807:
        raise Unsound


def _number(value: Any) -> None:
    if value.__class__ is not int:
        raise Unsound


def _quantity(value: str) -> str:
    try:
        return canonical_quantity(value)
    except QuantityError:
        raise Unsound from None


def _quantity_number(value: Any) -> str:
    if value.__class__ is not int and value.__class__ is not float:
        raise Unsound
    return _quantity(str(value))


def _int_or_string(value: Any) -> None:
    if value.__class__ is not str:
        raise Unsound


def _time(value: str) -> str:
    try:
        return canonical_time(value)
    except TimeError:
        raise Unsound from None


def _micro_time(value: str) -> str:
    try:
        return canonical_micro_time(value)
    except TimeError:
        raise Unsound from None


def _bytes(value: str) -> str | None:
    try:
        decoded = binascii.a2b_base64(value, strict_mode=True)
    except ValueError:
        raise Unsound from None
    canonical = binascii.b2a_base64(decoded, newline=False).decode()
    return canonical if canonical != value else None


_SCALAR_CHECKS: dict[str, Check] = {
    types.INT32: _int32,
    types.INT64: _int64,
    types.INT_OR_STRING: _int32,
    types.QUANTITY: _quantity,
    types.TIME: _time,
    types.MICRO_TIME: _micro_time,
    types.BYTES: _bytes,
}
_OTHER_CHECKS: dict[str, Check] = {
    types.FLOAT: _number,
    types.QUANTITY: _quantity_number,
    types.INT_OR_STRING: _int_or_string,
}
