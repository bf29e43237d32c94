"""Reading protobuf messages: each definition becomes one closure over a table of its fields by their tags.

The closures index one immutable buffer and copy only leaves. Definitions with protobuf numbers do not contain
themselves, so the nesting of calls is bounded by the schema, never by the bytes.
Follows: the generated Unmarshal functions of staging/src/k8s.io/api (generated.pb.go)
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from struct import unpack_from
from typing import Any

import orjson

from openapi.meta.times import format_micro_time, format_time
from openapi.schema import node as types
from openapi.schema.gofields import go_fields
from openapi.schema.node import Node

Object = dict[str, Any]
Struct = Callable[[bytes, int, int, Object], None]
"""Reads the bytes from the first position up to the second into an object."""
Leaf = Callable[[bytes, int, int], Any]
Number = Callable[[int], Any]

VARINT, FIXED64, BYTES, START_GROUP, END_GROUP, FIXED32 = range(6)
"""Wire types: the three low bits of a tag."""

_MEMO = "protobuf-read"

# What to do with a field's value. The first stand for bytes with a length before them.
_TEXT, _STRUCT, _LEAF, _INLINE, _TEXTS, _STRUCTS, _LEAVES, _MAP, _PACKED, _FIXED, _NUMBER, _NUMBERS = range(12)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS = range(-62135596800, 253402300800)
"""The years 1 to 9999."""


class ProtobufError(ValueError):
    """Bytes that are no message, in the words of Go's decoder."""


def _truncated() -> ProtobufError:
    return ProtobufError("unexpected EOF")


def read_message(raw: bytes, node: Node) -> Object:
    """The object in a whole message of the struct `node`; raises ProtobufError."""
    obj: Object = {}
    try:
        _struct(node)(raw, 0, len(raw), obj)
    except IndexError:
        raise _truncated() from None
    return obj


def read_text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def take_field(raw: bytes, pos: int, end: int) -> tuple[int, int | bytes | None, int]:
    """One field of a message that has no table: its number, its value (None: another sort), where the next begins."""
    try:
        tag, pos = _varint(raw, pos)
        wire = tag & 7
        if wire == VARINT:
            value, pos = _varint(raw, pos)
            if pos > end:
                raise _truncated()
            return tag >> 3, value, pos
        if wire == BYTES:
            pos, stop = _span(raw, pos, end)
            return tag >> 3, raw[pos:stop], stop
        return tag >> 3, None, _skip(raw, pos, end, tag)
    except IndexError:
        raise _truncated() from None


# -- the wire ------------------------------------------------------------------------------------------------------


def _varint(raw: bytes, pos: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        byte = raw[pos]
        pos += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & 0xFFFFFFFFFFFFFFFF, pos
        shift += 7
    raise ProtobufError("proto: integer overflow")


def _span(raw: bytes, pos: int, end: int) -> tuple[int, int]:
    """Where a value with a length before it begins and ends."""
    size, pos = _varint(raw, pos)
    if size >= 1 << 63:
        raise ProtobufError("proto: negative length found during unmarshaling")
    stop = pos + size
    if stop > end:
        raise _truncated()
    return pos, stop


def _skip(raw: bytes, pos: int, end: int, tag: int) -> int:
    """Behind a field that nobody knows; groups may be nested."""
    depth = 0
    while True:
        wire = tag & 7
        if tag >> 3 == 0:
            raise ProtobufError(f"proto: illegal tag 0 (wire type {wire})")
        if wire == VARINT:
            _, pos = _varint(raw, pos)
        elif wire == FIXED64:
            pos += 8
        elif wire == BYTES:
            _, pos = _span(raw, pos, end)
        elif wire == START_GROUP:
            depth += 1
        elif wire == END_GROUP:
            if depth == 0:
                raise ProtobufError("proto: wiretype end group for non-group")
            depth -= 1
        elif wire == FIXED32:
            pos += 4
        else:
            raise ProtobufError(f"proto: illegal wireType {wire}")
        if pos > end:
            raise _truncated()
        if depth == 0:
            return pos
        tag, pos = _varint(raw, pos)


# -- structs -------------------------------------------------------------------------------------------------------

_Entry = tuple[str, int, Any]


def _struct(node: Node) -> Struct:
    found: Struct | None = node.memo.get(_MEMO)
    if found is None:
        found = node.memo[_MEMO] = _compile(node, node.name)
    return found


def _compile(node: Node, definition: str) -> Struct:
    """`definition` is the node's own, or that of a struct whose fields stand among the node's."""
    table: dict[int, _Entry] = {}
    names: dict[int, str] = {}
    for field in go_fields(definition):
        number = field.number << 3
        names[field.number] = field.go
        if field.inline:
            table[number | BYTES] = ("", _INLINE, _compile(node, field.inline))
            continue
        for wire, op, argument in _handling(node.fields[field.name].node):
            table[number | wire] = (field.name, op, argument)
    return _closure(table, names)


def _handling(node: Node) -> tuple[tuple[int, int, Any], ...]:
    """For each wire type that a value may have: what to do with it, and with what."""
    kind = node.type
    if kind == types.LIST:
        assert node.items is not None
        return _list_handling(node.items)
    if kind == types.MAP:
        assert node.items is not None
        return ((BYTES, _MAP, _map_value(node.items)),)
    if kind == types.STRING:
        return ((BYTES, _TEXT, None),)
    if kind == types.STRUCT:
        return ((BYTES, _STRUCT, _struct(node)),)
    if kind == types.FLOAT:
        return ((FIXED64, _FIXED, None),)
    if kind in _NUMBERS_OF:
        return ((VARINT, _NUMBER, _NUMBERS_OF[kind]),)
    return ((BYTES, _LEAF, _LEAVES_OF[kind]),)


def _list_handling(items: Node) -> tuple[tuple[int, int, Any], ...]:
    if items.type == types.STRING:
        return ((BYTES, _TEXTS, None),)
    if items.type == types.STRUCT:
        return ((BYTES, _STRUCTS, _struct(items)),)
    if items.type in _NUMBERS_OF:
        number = _NUMBERS_OF[items.type]
        return ((VARINT, _NUMBERS, number), (BYTES, _PACKED, number))
    return ((BYTES, _LEAVES, _LEAVES_OF[items.type]),)


def _closure(table: dict[int, _Entry], names: dict[int, str]) -> Struct:
    lookup = table.get

    def read(raw: bytes, pos: int, end: int, obj: Object) -> None:
        while pos < end:
            tag = raw[pos]
            pos += 1
            if tag > 127:
                tag, pos = _varint(raw, pos - 1)
            entry = lookup(tag)
            if entry is None:
                pos = _unknown(raw, pos, end, tag, names)
                continue
            name, op, argument = entry
            if op < _FIXED:
                stop = raw[pos]
                if stop > 127:
                    pos, stop = _span(raw, pos, end)
                else:
                    pos += 1
                    stop += pos
                    if stop > end:
                        raise _truncated()
                if op == _TEXT:
                    obj[name] = raw[pos:stop].decode("utf-8", "replace")
                elif op == _STRUCT:
                    inner = obj.get(name)
                    if inner is None:
                        inner = obj[name] = {}
                    argument(raw, pos, stop, inner)
                elif op == _INLINE:
                    argument(raw, pos, stop, obj)
                else:
                    _OTHERS[op](raw, pos, stop, obj, name, argument)
                pos = stop
            elif op == _FIXED:
                if pos + 8 > end:
                    raise _truncated()
                obj[name] = unpack_from("<d", raw, pos)[0]
                pos += 8
            else:
                value, pos = _varint(raw, pos)
                if op == _NUMBER:
                    obj[name] = argument(value)
                else:
                    obj.setdefault(name, []).append(argument(value))
        if pos > end:
            raise _truncated()

    return read


def _unknown(raw: bytes, pos: int, end: int, tag: int, names: dict[int, str]) -> int:
    """Newer clients may send fields that this version does not have; a known one of another type is an error."""
    name, wire = names.get(tag >> 3), tag & 7
    if name is not None and wire != END_GROUP:
        raise ProtobufError(f"proto: wrong wireType = {wire} for field {name}")
    return _skip(raw, pos, end, tag)


def _leaf(raw: bytes, pos: int, stop: int, obj: Object, name: str, leaf: Leaf) -> None:
    obj[name] = leaf(raw, pos, stop)


def _texts(raw: bytes, pos: int, stop: int, obj: Object, name: str, _: None) -> None:
    obj.setdefault(name, []).append(raw[pos:stop].decode("utf-8", "replace"))


def _structs(raw: bytes, pos: int, stop: int, obj: Object, name: str, struct: Struct) -> None:
    item: Object = {}
    obj.setdefault(name, []).append(item)
    struct(raw, pos, stop, item)


def _leaves(raw: bytes, pos: int, stop: int, obj: Object, name: str, leaf: Leaf) -> None:
    obj.setdefault(name, []).append(leaf(raw, pos, stop))


def _map(raw: bytes, pos: int, stop: int, obj: Object, name: str, value_of: Leaf) -> None:
    key, at = "", (stop, stop)
    while pos < stop:
        tag, pos = _varint(raw, pos)
        if tag == 1 << 3 | BYTES:
            begin, pos = _span(raw, pos, stop)
            key = raw[begin:pos].decode("utf-8", "replace")
        elif tag == 2 << 3 | BYTES:
            begin, pos = _span(raw, pos, stop)
            at = (begin, pos)
        else:
            pos = _skip(raw, pos, stop, tag)
    obj.setdefault(name, {})[key] = value_of(raw, *at)


def _packed(raw: bytes, pos: int, stop: int, obj: Object, name: str, number: Number) -> None:
    found = obj.setdefault(name, [])
    while pos < stop:
        value, pos = _varint(raw, pos)
        found.append(number(value))
    if pos > stop:
        raise _truncated()


_OTHERS: dict[int, Callable[..., None]] = {
    _LEAF: _leaf,
    _TEXTS: _texts,
    _STRUCTS: _structs,
    _LEAVES: _leaves,
    _MAP: _map,
    _PACKED: _packed,
}


def _map_value(items: Node) -> Leaf:
    """Maps of lists (of strings) have a message with one field around the list."""
    if items.type == types.LIST:
        return _list_value
    if items.type == types.STRUCT:
        struct = _struct(items)

        def value(raw: bytes, pos: int, stop: int) -> Object:
            obj: Object = {}
            struct(raw, pos, stop, obj)
            return obj

        return value
    return _LEAVES_OF[items.type]


# -- leaves --------------------------------------------------------------------------------------------------------


def _fields(raw: bytes, pos: int, stop: int) -> dict[int, int | bytes]:
    """The last value of each field of a small message."""
    found: dict[int, int | bytes] = {}
    while pos < stop:
        number, value, pos = take_field(raw, pos, stop)
        if value is not None:
            found[number] = value
    return found


def _list_value(raw: bytes, pos: int, stop: int) -> list[str]:
    found = []
    while pos < stop:
        number, value, pos = take_field(raw, pos, stop)
        if number == 1 and isinstance(value, bytes):
            found.append(read_text(value))
    return found


def _text(raw: bytes, pos: int, stop: int) -> str:
    return raw[pos:stop].decode("utf-8", "replace")


def _bytes(raw: bytes, pos: int, stop: int) -> str:
    return b2a_base64(raw[pos:stop], newline=False).decode()


def _quantity(raw: bytes, pos: int, stop: int) -> str | None:
    text = _fields(raw, pos, stop).get(1)
    return read_text(text) if isinstance(text, bytes) else None


def _int_or_string(raw: bytes, pos: int, stop: int) -> int | str:
    found = _fields(raw, pos, stop)
    number, text = found.get(2, 0), found.get(3, b"")
    if found.get(1) == 1:
        return read_text(text) if isinstance(text, bytes) else ""
    return _int32(number) if isinstance(number, int) else 0


def _moment(raw: bytes, pos: int, stop: int) -> datetime | None:
    """None for no time at all, which is an empty message."""
    if pos == stop:
        return None
    found = _fields(raw, pos, stop)
    seconds, nanos = found.get(1, 0), found.get(2, 0)
    if not isinstance(seconds, int) or not isinstance(nanos, int):
        raise ProtobufError("proto: wrong wireType = 2 for field Seconds")
    seconds = _int64(seconds)
    if seconds not in _SECONDS:
        raise ProtobufError("Time.MarshalJSON: year outside of range [0,9999]")
    return _EPOCH + timedelta(seconds=seconds, microseconds=max(0, min(_int32(nanos), 999999999)) // 1000)


def _time(raw: bytes, pos: int, stop: int) -> str | None:
    moment = _moment(raw, pos, stop)
    return None if moment is None else format_time(moment)


def _micro_time(raw: bytes, pos: int, stop: int) -> str | None:
    moment = _moment(raw, pos, stop)
    return None if moment is None else format_micro_time(moment)


def _json(raw: bytes, pos: int, stop: int) -> Any:
    """Any JSON value, as bytes in the first field; None where there is none."""
    text = _fields(raw, pos, stop).get(1)
    if not isinstance(text, bytes) or not text:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ProtobufError(f"json: error calling MarshalJSON for type runtime.RawExtension: {error}") from None


def _int32(value: int) -> int:
    return ((value & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000


def _int64(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


_NUMBERS_OF: dict[str, Number] = {types.INT32: _int32, types.INT64: _int64, types.BOOLEAN: bool}
_LEAVES_OF: dict[str, Leaf] = {
    types.STRING: _text,
    types.BYTES: _bytes,
    types.QUANTITY: _quantity,
    types.INT_OR_STRING: _int_or_string,
    types.TIME: _time,
    types.MICRO_TIME: _micro_time,
    types.ANY: _json,
    types.FIELDS_V1: _json,
}
