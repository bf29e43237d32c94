"""Protobuf messages built at run time from a table of their fields, so that no generated code is needed.

One line a message: `field[:type][*]=number`. The type is `string` where none is given, `*` repeats, `map` is a map of
strings. Enumerations travel as numbers, so they are `int32` here, and a oneof as fields of which one is set. Fields
that nobody here has a use for are left out, which protobuf allows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_FIELD = re.compile(r"(?P<name>\w+)(?::(?P<type>\w+))?(?P<many>\*)?=(?P<number>\d+)")
_SCALARS = ("string", "bool", "bytes", "int32", "int64", "uint32", "uint64")


def build(package: str, table: str) -> Mapping[str, Any]:
    """The message classes by name."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name=f"wherry/{package}.proto", package=package, syntax="proto3")
    for line in table.strip().splitlines():
        name, *fields = line.split()
        message = file.message_type.add(name=name)
        for field in fields:
            _add_field(package, message, field)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    names = [message.name for message in file.message_type]
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in names}


def _add_field(package: str, message: Any, text: str) -> None:
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field

    found = _FIELD.fullmatch(text)
    assert found is not None, text
    kind = found["type"] or "string"
    field = message.field.add(name=found["name"], number=int(found["number"]))
    field.label = Field.LABEL_REPEATED if found["many"] or kind == "map" else Field.LABEL_OPTIONAL
    if kind in _SCALARS:
        field.type = Field.Type.Value(f"TYPE_{kind.upper()}")
    elif kind == "map":
        entry = "".join(part.capitalize() for part in found["name"].split("_")) + "Entry"
        _add_map_entry(message, entry)
        field.type, field.type_name = Field.TYPE_MESSAGE, f".{package}.{message.name}.{entry}"
    else:
        field.type, field.type_name = Field.TYPE_MESSAGE, f".{package}.{kind}"


def _add_map_entry(message: Any, name: str) -> None:
    """How protobuf describes a map: repeated pairs of key and value."""
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field

    entry = message.nested_type.add(name=name)
    entry.options.map_entry = True
    for number, part in enumerate(("key", "value"), 1):
        entry.field.add(name=part, number=number, type=Field.TYPE_STRING, label=Field.LABEL_OPTIONAL)
