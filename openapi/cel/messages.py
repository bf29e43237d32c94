"""Structs and opaque values as protobuf messages, the only named types that the CEL library knows.

A struct's message has the struct's fields, so that an unknown field is a compile error. An opaque value (a quantity, an
address) is a message with its text.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import Any

from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    message_factory,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)

from openapi.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    CelType,
    ListOf,
    MapOf,
    StructOf,
)

_WELL_KNOWN = (struct_pb2, timestamp_pb2, duration_pb2, any_pb2, wrappers_pb2)
_FIELD = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    BOOL: _FIELD.TYPE_BOOL,
    BYTES: _FIELD.TYPE_BYTES,
    DOUBLE: _FIELD.TYPE_DOUBLE,
    INT: _FIELD.TYPE_INT64,
    STRING: _FIELD.TYPE_STRING,
}
_NAMED = {
    DYN: ".google.protobuf.Value",
    DURATION: ".google.protobuf.Duration",
    TIMESTAMP: ".google.protobuf.Timestamp",
}
OPAQUE = (
    "JSONPatch",
    "Object",
    "kubernetes.NamedFormat",
    "kubernetes.Quantity",
    "kubernetes.Semver",
    "kubernetes.URL",
    "kubernetes.authorization.Authorizer",
    "kubernetes.authorization.Decision",
    "kubernetes.authorization.GroupCheck",
    "kubernetes.authorization.PathCheck",
    "kubernetes.authorization.ResourceCheck",
    "net.CIDR",
    "net.IP",
)


class Pool:
    """Message types by name: the opaque ones, and those of the structs that are added."""

    def __init__(self) -> None:
        self.descriptors = descriptor_pool.DescriptorPool()
        self._files = count()
        self._known: set[str] = set()
        for module in _WELL_KNOWN:
            self._add_file(module.DESCRIPTOR.serialized_pb)
        for name in OPAQUE:
            file, message = self._new_file(name)
            message.field.add(name="text", number=1, type=_FIELD.TYPE_STRING, label=_FIELD.LABEL_OPTIONAL)
            self._add_file(file.SerializeToString())

    def message_class(self, name: str) -> Any:
        return message_factory.GetMessageClass(self.descriptors.FindMessageTypeByName(name))

    def add(self, struct: StructOf) -> None:
        """Make the type of a struct known, with all that it consists of."""
        if struct.name in self._known:
            return
        self._known.add(struct.name)
        for part in _parts(kind for _, kind in struct.fields):
            self.add(part)
        file, message = self._new_file(struct.name)
        file.dependency.extend(sorted({self._file_of(kind) for _, kind in struct.fields} - {""}))
        for number, (name, kind) in enumerate(struct.fields, 1):
            _describe(message, name, number, kind)
        self._add_file(file.SerializeToString())

    def _new_file(self, name: str) -> tuple[Any, Any]:
        package, _, short = name.rpartition(".")
        path = f"{name}.{next(self._files)}.proto"
        file = descriptor_pb2.FileDescriptorProto(name=path, package=package, syntax="proto3")
        return file, file.message_type.add(name=short)

    def _add_file(self, serialized: bytes) -> None:
        self.descriptors.AddSerializedFile(serialized)

    def _file_of(self, kind: CelType) -> str:
        """The file that a field of this type needs; '' for none."""
        if isinstance(kind, ListOf):
            return self._file_of(kind.item)
        if isinstance(kind, MapOf):
            return self._file_of(kind.value)
        name = kind.name if isinstance(kind, StructOf) else _NAMED.get(kind, "")[1:]
        return str(self.descriptors.FindMessageTypeByName(name).file.name) if name else ""


def _parts(kinds: Iterable[CelType]) -> Iterable[StructOf]:
    for kind in kinds:
        if isinstance(kind, StructOf):
            yield kind
        elif isinstance(kind, ListOf):
            yield from _parts((kind.item,))
        elif isinstance(kind, MapOf):
            yield from _parts((kind.value,))


def _describe(message: Any, name: str, number: int, kind: CelType) -> None:
    """Add a field. Lists of lists and maps of lists, which messages cannot have, are dynamic."""
    label = _FIELD.LABEL_OPTIONAL
    if isinstance(kind, MapOf):
        entry_name = "".join(part[:1].upper() + part[1:] for part in name.split("_")) + "Entry"
        entry = message.nested_type.add(name=entry_name)
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, type=_FIELD.TYPE_STRING, label=label)
        _set_type(entry.field.add(name="value", number=2, label=label), kind.value)
        path = f"{entry_name}"
        field = message.field.add(name=name, number=number, label=_FIELD.LABEL_REPEATED, type=_FIELD.TYPE_MESSAGE)
        field.type_name = path
        return
    if isinstance(kind, ListOf):
        label, kind = _FIELD.LABEL_REPEATED, kind.item
    _set_type(message.field.add(name=name, number=number, label=label), kind)


def _set_type(field: Any, kind: CelType) -> None:
    if isinstance(kind, StructOf):
        field.type, field.type_name = _FIELD.TYPE_MESSAGE, "." + kind.name
    elif isinstance(kind, str) and kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        name = _NAMED[kind] if isinstance(kind, str) and kind in _NAMED else _NAMED[DYN]
        field.type, field.type_name = _FIELD.TYPE_MESSAGE, name
