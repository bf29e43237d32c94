"""Protobuf bodies: the envelope that names a kind, around a message of that kind's fields.

Clients in Go send built-in kinds this way. A message becomes the plain object that JSON would have given and the other
way round; types, zero values and defaults are then the business of `openapi.schema.decode`, as with JSON. Whatever the
bytes are, reading them costs no more than their length asks for, and ends with an object or a ProtobufError.
Follows: staging/src/k8s.io/apimachinery/pkg/runtime/serializer/protobuf/protobuf.go
"""

from __future__ import annotations

from typing import Any, NamedTuple

from openapi.catalog import GroupVersionKind, api_version
from openapi.schema.gofields import is_known
from openapi.schema.load import node_for, schema_for
from openapi.schema.node import Node
from openapi.schema.protoread import ProtobufError, read_message, read_text, take_field
from openapi.schema.protowrite import lengthed, write_message

__all__ = [
    "MAGIC",
    "Envelope",
    "ProtobufError",
    "decode_message",
    "decode_protobuf",
    "encode_event",
    "encode_list",
    "encode_message",
    "encode_protobuf",
    "has_protobuf",
    "named",
    "open_envelope",
    "seal",
]

Object = dict[str, Any]

MAGIC = b"k8s\x00"
_LIST_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta"
_STATUS = "io.k8s.apimachinery.pkg.apis.meta.v1.Status"


class Envelope(NamedTuple):
    """What surrounds a message: the kind that it says it is ('' where it says nothing), and its bytes."""

    api_version: str
    kind: str
    raw: bytes


def has_protobuf(node: Node) -> bool:
    """Whether objects of a kind can be read and written as protobuf; custom kinds never can."""
    return is_known(node.name)


def open_envelope(raw: bytes) -> Envelope:
    """Read the envelope; raises ProtobufError."""
    if not raw:
        raise ProtobufError("empty data")
    if not raw.startswith(MAGIC):
        prefix = " ".join(str(byte) for byte in MAGIC)
        raise ProtobufError(f"provided data does not appear to be a protobuf message, expected prefix [{prefix}]")
    if len(raw) == len(MAGIC):
        raise ProtobufError("empty body")
    version = kind = ""
    message = b""
    pos = len(MAGIC)
    while pos < len(raw):
        number, value, pos = take_field(raw, pos, len(raw))
        if number == 1 and isinstance(value, bytes):
            version, kind = _type_meta(value, version, kind)
        elif number == 2 and isinstance(value, bytes):
            message = value
    return Envelope(version, kind, message)


def _type_meta(raw: bytes, version: str, kind: str) -> tuple[str, str]:
    pos = 0
    while pos < len(raw):
        number, value, pos = take_field(raw, pos, len(raw))
        if isinstance(value, bytes):
            if number == 1:
                version = read_text(value)
            elif number == 2:
                kind = read_text(value)
    return version, kind


def decode_message(raw: bytes, node: Node) -> Object:
    """The object in a message of the definition `node`, without kind and apiVersion; raises ProtobufError.

    It is not checked and not canonical yet: zero values are there where the client wrote them.
    """
    return read_message(raw, node)


def decode_protobuf(raw: bytes, gvk: GroupVersionKind) -> Object:
    """The object of the built-in kind `gvk` in a body, with the kind and apiVersion that the body names, if any.

    Raises ProtobufError.
    """
    envelope = open_envelope(raw)
    obj = read_message(envelope.raw, schema_for(gvk))
    return named(obj, envelope)


def named(obj: Object, envelope: Envelope) -> Object:
    """An object with what its envelope says of its kind."""
    if envelope.kind:
        obj["kind"] = envelope.kind
    if envelope.api_version:
        obj["apiVersion"] = envelope.api_version
    return obj


def seal(version: str, kind: str, message: bytes) -> bytes:
    """Put a message of a kind into its envelope."""
    meta = lengthed(b"\x0a", version.encode()) + lengthed(b"\x12", kind.encode())
    return MAGIC + lengthed(b"\x0a", meta) + lengthed(b"\x12", message) + b"\x1a\x00\x22\x00"


def encode_message(obj: Object, gvk: GroupVersionKind) -> bytes:
    """An object of a built-in kind as a bare message."""
    return write_message(obj, schema_for(gvk))


def encode_protobuf(obj: Object, gvk: GroupVersionKind) -> bytes:
    """An object of a built-in kind (a Status is one, too) as a body."""
    node = node_for(_STATUS) if gvk.kind == "Status" else schema_for(gvk)
    return seal(api_version(gvk.group, gvk.version), gvk.kind, write_message(obj, node))


def encode_list(gvk: GroupVersionKind, meta: Object, messages: list[bytes]) -> bytes:
    """A list's body from the messages of its items; `gvk` is the list's kind, `meta` its metadata."""
    items = b"".join([lengthed(b"\x12", message) for message in messages])
    head = lengthed(b"\x0a", write_message(meta, node_for(_LIST_META)))
    return seal(api_version(gvk.group, gvk.version), gvk.kind, head + items)


def encode_event(event: str, sealed: bytes) -> bytes:
    """A frame of a watch: its length in four bytes, then the event around a sealed object."""
    message = lengthed(b"\x0a", event.encode()) + lengthed(b"\x12", lengthed(b"\x0a", sealed))
    return len(message).to_bytes(4, "big") + message
