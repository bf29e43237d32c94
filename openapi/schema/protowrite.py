"""Writing protobuf messages: each definition becomes one closure over its fields in the order of their numbers.

Objects are taken to be canonical, as they lie in the store. Of what is not there Go still writes scalars and structs
that are no pointers, with their zero values; so do we, and the bytes are the same.
Follows: the generated Marshal functions of staging/src/k8s.io/api (generated.pb.go)
"""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Callable
from struct import pack
from typing import Any

import orjson

from openapi.meta.times import parse_micro_time, parse_time
from openapi.schema import node as types
from openapi.schema.canonical import ZEROS
from openapi.schema.gofields import go_fields
from openapi.schema.node import Field, Node

Object = dict[str, Any]
Struct = Callable[[Object], bytes]
Value = Callable[[Any], bytes]

_VARINT, _FIXED64, _BYTES = 0, 1, 2
_MEMO = "protobuf-write"
_SHORT = [bytes((n,)) for n in range(128)]


def write_message(obj: Object, node: Node) -> bytes:
    """An object of the struct `node` as a message."""
    return _struct(node)(obj)


def varint(value: int) -> bytes:
    """A number as it is written; negative ones take ten bytes."""
    if 0 <= value < 128:
        return _SHORT[value]
    value &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def lengthed(tag: bytes, value: bytes) -> bytes:
    """A field whose value has its length before it."""
    size = len(value)
    return tag + (_SHORT[size] if size < 128 else varint(size)) + value


# What a field's value is: a scalar's own bytes, bytes with a length, many of both, a map, or fields of this object.
_ONE, _LENGTHED, _MANY, _MANY_LENGTHED, _MAP, _INLINE = range(6)
_Entry = tuple[str, bytes, int, Value, bytes]
"""Name, tag, what its value is, how one value is written, and what stands for no value."""

_VALUES_BY_TAG_ONLY = frozenset(
    (
        ("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "creationTimestamp"),
        ("io.k8s.api.apps.v1.ControllerRevision", "data"),
        ("io.k8s.api.resource.v1.OpaqueDeviceConfiguration", "parameters"),
    )
)
"""Leaves that are no pointers although JSON leaves them out or writes null."""


def _struct(node: Node) -> Struct:
    found: Struct | None = node.memo.get(_MEMO)
    if found is None:
        found = node.memo[_MEMO] = _compile(node, node.name)
    return found


def _compile(node: Node, definition: str) -> Struct:
    """`definition` is the node's own, or that of a struct whose fields stand among the node's."""
    table: list[_Entry] = []
    for field in sorted(go_fields(definition), key=lambda f: f.number):
        if field.inline:
            tag = varint(field.number << 3 | _BYTES)
            table.append(("", tag, _INLINE, _compile(node, field.inline), b""))
            continue
        known = node.fields[field.name]
        wire, op, value = _handling(known.node)
        tag = varint(field.number << 3 | wire)
        if (node.name, field.name) in _VALUES_BY_TAG_ONLY:
            absent = lengthed(tag, b"")
        else:
            absent = _absent(known, tag, value)
        table.append((field.name, tag, op, value, absent))
    return _closure(table)


def _absent(field: Field, tag: bytes, value: Value) -> bytes:
    """What is written for a field without a value: nothing for pointers, bytes, lists and maps."""
    kind = field.node.type
    if kind == types.STRUCT:
        return lengthed(tag, value({})) if field.value else b""
    if field.pointer or kind not in ZEROS:
        return lengthed(tag, b"") if kind in (types.TIME, types.MICRO_TIME) and field.value else b""
    zero = value(ZEROS[kind])
    return lengthed(tag, zero) if _VALUES[kind][0] == _BYTES else tag + zero


def _handling(node: Node) -> tuple[int, int, Value]:
    """The wire type, what the value is, and how one value is written."""
    items = node.items
    if node.type == types.LIST and items is not None:
        wire, value = _value(items)
        return wire, _MANY_LENGTHED if wire == _BYTES else _MANY, value
    if node.type == types.MAP and items is not None:
        return _BYTES, _MAP, _list_value if items.type == types.LIST else _value(items)[1]
    wire, value = _value(node)
    return wire, _LENGTHED if wire == _BYTES else _ONE, value


def _value(node: Node) -> tuple[int, Value]:
    if node.type == types.STRUCT:
        return _BYTES, _struct(node)
    return _VALUES[node.type]


def _closure(table: list[_Entry]) -> Struct:
    def write(obj: Object) -> bytes:
        parts: list[bytes] = []
        get = obj.get
        for name, tag, op, value_of, absent in table:
            value = get(name)
            if value is None:
                if absent:
                    parts.append(absent)
                elif op == _INLINE:
                    parts.append(lengthed(tag, value_of(obj)))
            elif op == _LENGTHED:
                parts.append(lengthed(tag, value_of(value)))
            elif op == _ONE:
                parts += (tag, value_of(value))
            elif op == _MANY_LENGTHED:
                parts += [lengthed(tag, value_of(item)) for item in value]
            elif op == _MAP:
                parts += [lengthed(tag, _pair(key, value_of(value[key]))) for key in sorted(value)]
            else:
                parts += [tag + value_of(item) for item in value]
        return b"".join(parts)

    return write


def _pair(key: str, value: bytes) -> bytes:
    return lengthed(b"\x0a", _text(key)) + lengthed(b"\x12", value)


# -- leaves --------------------------------------------------------------------------------------------------------


def _text(value: str) -> bytes:
    return value.encode("utf-8", "replace")


def _list_value(value: list[str] | None) -> bytes:
    return b"".join([lengthed(b"\x0a", _text(item)) for item in value or ()])


def _quantity(value: str) -> bytes:
    return lengthed(b"\x0a", _text(str(value)))


def _int_or_string(value: int | str) -> bytes:
    """Which of both it is, the number, the text: always all three."""
    if isinstance(value, str):
        return b"\x08\x01\x10\x00" + lengthed(b"\x1a", _text(value))
    return b"\x08\x00\x10" + varint(value) + b"\x1a\x00"


def _seconds(value: str) -> bytes:
    return b"\x08" + varint(int(parse_time(value).timestamp())) + b"\x10\x00"


def _micro_time(value: str) -> bytes:
    moment = parse_micro_time(value)
    seconds = int(moment.replace(microsecond=0).timestamp())
    return b"\x08" + varint(seconds) + b"\x10" + varint(moment.microsecond * 1000)


def _json(value: Any) -> bytes:
    return lengthed(b"\x0a", orjson.dumps(value))


def _float(value: float) -> bytes:
    return pack("<d", value)


_VALUES: dict[str, tuple[int, Value]] = {
    types.STRING: (_BYTES, _text),
    types.BOOLEAN: (_VARINT, varint),
    types.INT32: (_VARINT, varint),
    types.INT64: (_VARINT, varint),
    types.FLOAT: (_FIXED64, _float),
    types.BYTES: (_BYTES, a2b_base64),
    types.QUANTITY: (_BYTES, _quantity),
    types.INT_OR_STRING: (_BYTES, _int_or_string),
    types.TIME: (_BYTES, _seconds),
    types.MICRO_TIME: (_BYTES, _micro_time),
    types.ANY: (_BYTES, _json),
    types.FIELDS_V1: (_BYTES, _json),
}
