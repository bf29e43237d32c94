"""The version 2 document in the protobuf form that kubectl asks for when it checks objects on its own side.

One table holds the messages: for each field of the JSON form its number and how it is written. Extensions carry their
values as YAML, of which JSON is a part.
Follows: github.com/google/gnostic openapiv2/OpenAPIv2.proto
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

Object = Mapping[str, Any]
Write = Callable[[Any], bytes]
"""A value to the bytes after its tag, the length included."""
Field = tuple[int, Write, bool]
"""Number, writer, and whether the JSON form is a list whose elements are written one by one."""

_VARINT, _FIXED64, _BYTES = 0, 1, 2


def encode(document: Object) -> bytes:
    """The message Document."""
    return _fields("Document", document)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _tag(number: int, wire_type: int) -> bytes:
    return _varint(number << 3 | wire_type)


def _sized(data: bytes) -> bytes:
    return _varint(len(data)) + data


def _inside(number: int, data: bytes) -> bytes:
    """A message with only field `number`, which holds `data`."""
    return _tag(number, _BYTES) + _sized(data)


def _string(value: str) -> bytes:
    return _sized(value.encode())


def _boolean(value: bool) -> bytes:
    return b"\x01" if value else b"\x00"


def _integer(value: int) -> bytes:
    return _varint(value & 0xFFFFFFFFFFFFFFFF)


def _double(value: float) -> bytes:
    return struct.pack("<d", value)


def _any_message(value: object) -> bytes:
    return _inside(2, orjson.dumps(value) + b"\n")


def _any(value: object) -> bytes:
    return _sized(_any_message(value))


def _message(name: str) -> Write:
    return lambda value: _sized(_fields(name, value))


def _named_messages(values: Mapping[str, Any], write: Callable[[Any], bytes], number: int = 1) -> bytes:
    """A map: field `number` for each pair of name (1) and value (2)."""
    return b"".join(_inside(number, _inside(1, name.encode()) + _inside(2, write(v))) for name, v in values.items())


def _map_of(name: str) -> Write:
    return lambda values: _sized(_named_messages(values, lambda value: _fields(name, value)))


def _types(value: str | Sequence[str]) -> bytes:
    names = [value] if isinstance(value, str) else value
    return _sized(b"".join(_inside(1, name.encode()) for name in names))


def _items(value: Object) -> bytes:
    return _sized(_inside(1, _fields("Schema", value)))


def _additional(value: Object | bool) -> bytes:
    if isinstance(value, bool):
        return _sized(_tag(2, _VARINT) + _boolean(value))
    return _sized(_inside(1, _fields("Schema", value)))


def _parameter_message(value: Object) -> bytes:
    if value["in"] == "body":
        return _inside(1, _fields("BodyParameter", value))
    number, name = _NON_BODY[value["in"]]
    return _inside(2, _inside(number, _fields(name, value)))


def _parameter_or_reference(value: Object) -> bytes:
    if "$ref" in value:
        return _sized(_inside(2, _fields("JsonReference", value)))
    return _sized(_inside(1, _parameter_message(value)))


def _response_message(value: Object) -> bytes:
    if "$ref" in value:
        return _inside(2, _fields("JsonReference", value))
    return _inside(1, _fields("Response", value))


def _response_schema(value: Object) -> bytes:
    return _sized(_inside(1, _fields("Schema", value)))


def _paths(values: Mapping[str, Object]) -> bytes:
    return _sized(_named_messages(values, lambda value: _fields("PathItem", value), number=2))


def _security(value: Mapping[str, Sequence[str]]) -> bytes:
    def scopes(names: Sequence[str]) -> bytes:
        return b"".join(_inside(1, name.encode()) for name in names)

    return _sized(_named_messages(value, scopes))


def _api_keys(values: Mapping[str, Object]) -> bytes:
    return _sized(_named_messages(values, lambda value: _inside(2, _fields("ApiKeySecurity", value))))


def _fields(name: str, value: Object) -> bytes:
    """The message `name`. Fields that the message does not know are extensions."""
    known, extensions = _MESSAGES[name]
    out: list[tuple[int, bytes]] = []
    for key, content in value.items():
        if key.startswith("x-"):
            pair = _inside(1, key.encode()) + _inside(2, _any_message(content))
            out.append((extensions, _tag(extensions, _BYTES) + _sized(pair)))
        elif key in known:
            number, write, repeated = known[key]
            tag = _tag(number, _WIRE_TYPES.get(write, _BYTES))
            contents = content if repeated else (content,)
            out.extend((number, tag + write(one)) for one in contents)
    out.sort(key=lambda field: field[0])
    return b"".join(data for _, data in out)


_WIRE_TYPES: Mapping[Write, int] = {_boolean: _VARINT, _integer: _VARINT, _double: _FIXED64}


def _table(extensions: int, **fields: Field | tuple[int, Write]) -> tuple[dict[str, Field], int]:
    """Keyword names stand for JSON names; a trailing underscore avoids Python's own words."""
    filled: dict[str, Field] = {}
    for name, given in fields.items():
        key = "$ref" if name == "ref" else name.rstrip("_")
        filled[key] = (given[0], given[1], len(given) == 3)
    return filled, extensions


def _simple_parameter(first: int, *, has_empty: bool) -> tuple[dict[str, Field], int]:
    """Query and path parameters differ by one field in the middle, which moves the later numbers."""
    shift = 1 if has_empty else 0
    fields: dict[str, Field | tuple[int, Write]] = {
        "required": (1, _boolean),
        "in_": (2, _string),
        "description": (3, _string),
        "name": (4, _string),
        "type": (first, _string),
        "format": (first + 1, _string),
        "default": (first + 4, _any),
        "uniqueItems": (18 + shift + 1, _boolean),
        "enum": (18 + shift + 2, _any, True),
    }
    return _table(18 + shift + 4, **fields)


_MESSAGES: Mapping[str, tuple[dict[str, Field], int]] = {
    "Document": _table(
        16,
        swagger=(1, _string),
        info=(2, _message("Info")),
        host=(3, _string),
        basePath=(4, _string),
        schemes=(5, _string, True),
        consumes=(6, _string, True),
        produces=(7, _string, True),
        paths=(8, _paths),
        definitions=(9, _map_of("Schema")),
        parameters=(10, lambda values: _sized(_named_messages(values, _parameter_message))),
        security=(12, _security, True),
        securityDefinitions=(13, _api_keys),
    ),
    "Info": _table(7, title=(1, _string), version=(2, _string), description=(3, _string)),
    "ApiKeySecurity": _table(5, type=(1, _string), name=(2, _string), in_=(3, _string), description=(4, _string)),
    "PathItem": _table(
        10,
        ref=(1, _string),
        get=(2, _message("Operation")),
        put=(3, _message("Operation")),
        post=(4, _message("Operation")),
        delete=(5, _message("Operation")),
        options=(6, _message("Operation")),
        head=(7, _message("Operation")),
        patch=(8, _message("Operation")),
        parameters=(9, _parameter_or_reference, True),
    ),
    "Operation": _table(
        13,
        tags=(1, _string, True),
        summary=(2, _string),
        description=(3, _string),
        operationId=(5, _string),
        produces=(6, _string, True),
        consumes=(7, _string, True),
        parameters=(8, _parameter_or_reference, True),
        responses=(9, lambda values: _sized(_named_messages(values, _response_message))),
        schemes=(10, _string, True),
        deprecated=(11, _boolean),
    ),
    "Response": _table(5, description=(1, _string), schema=(2, _response_schema)),
    "JsonReference": _table(0, ref=(1, _string), description=(2, _string)),
    "BodyParameter": _table(
        6,
        description=(1, _string),
        name=(2, _string),
        in_=(3, _string),
        required=(4, _boolean),
        schema=(5, _message("Schema")),
    ),
    "HeaderParameterSubSchema": _simple_parameter(5, has_empty=False),
    "PathParameterSubSchema": _simple_parameter(5, has_empty=False),
    "QueryParameterSubSchema": _simple_parameter(6, has_empty=True),
    "Schema": _table(
        31,
        ref=(1, _string),
        format=(2, _string),
        title=(3, _string),
        description=(4, _string),
        default=(5, _any),
        multipleOf=(6, _double),
        maximum=(7, _double),
        exclusiveMaximum=(8, _boolean),
        minimum=(9, _double),
        exclusiveMinimum=(10, _boolean),
        maxLength=(11, _integer),
        minLength=(12, _integer),
        pattern=(13, _string),
        maxItems=(14, _integer),
        minItems=(15, _integer),
        uniqueItems=(16, _boolean),
        maxProperties=(17, _integer),
        minProperties=(18, _integer),
        required=(19, _string, True),
        enum=(20, _any, True),
        additionalProperties=(21, _additional),
        type=(22, _types),
        items=(23, _items),
        allOf=(24, _message("Schema"), True),
        properties=(25, _map_of("Schema")),
        discriminator=(26, _string),
        readOnly=(27, _boolean),
        example=(30, _any),
    ),
}
_NON_BODY: Mapping[str, tuple[int, str]] = {
    "header": (1, "HeaderParameterSubSchema"),
    "query": (3, "QueryParameterSubSchema"),
    "path": (4, "PathParameterSubSchema"),
}
