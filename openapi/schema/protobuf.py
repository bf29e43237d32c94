"""Protobuf bodies: the envelope that names a kind, around a message of that kind's fields.

Clients in Go send built-in kinds this way. A message becomes the plain object that JSON would have given and the other
way round; types, zero values and defaults are then the business of `openapi.schema.decode`, as with JSON. Whatever the
bytes are, reading them costs no more than their length asks for, and ends with an object or a ProtobufError.
Follows: staging/src/k8s.io/apimachinery/pkg/runtime/serializer/protobuf/protobuf.go
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

from openapi.catalog import GroupVersionKind, split_api_version
from openapi.schema import node as types
from openapi.schema.gofields import is_known
from openapi.schema.load import node_for, schema_for
from openapi.schema.node import Field, Node
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
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."


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


def encode_message(obj: Object, node: Node) -> bytes:
    """An object of the definition `node` as a bare message."""
    return write_message(obj, node)


def encode_protobuf(obj: Object) -> bytes:
    """An object as a body of the kind and apiVersion that it names. Raises KeyError for kinds without protobuf."""
    version, kind = obj["apiVersion"], obj["kind"]
    return seal(version, kind, write_message(obj, _node_of(version, kind)))


@cache
def _node_of(version: str, kind: str) -> Node:
    partial = _partial_nodes().get(kind)
    return partial if partial is not None else schema_for(GroupVersionKind(*split_api_version(version), kind))


@cache
def _partial_nodes() -> dict[str, Node]:
    """The metadata-only forms, which have no published definitions."""
    meta = Field("metadata", node_for(_META + "ObjectMeta"), value=True)
    one = Node(types.STRUCT, _META + "PartialObjectMetadata", "PartialObjectMetadata", {"metadata": meta})
    fields = {
        "metadata": Field("metadata", node_for(_META + "ListMeta"), value=True),
        "items": Field("items", Node(types.LIST, items=one)),
    }
    many = Node(types.STRUCT, one.name + "List", one.go_name + "List", fields)
    return {one.go_name: one, many.go_name: many}


def encode_list(version: str, kind: str, meta: Object, messages: Iterable[bytes]) -> bytes:
    """A list's body from the messages of its items; `kind` is the list's own, `meta` its metadata."""
    head = lengthed(b"\x0a", write_message(meta, node_for(_META + "ListMeta")))
    return seal(version, kind, head + b"".join([lengthed(b"\x12", message) for message in messages]))


def encode_event(event: str, sealed: bytes) -> bytes:
    """A frame of a watch: its length in four bytes, then the event around a sealed object."""
    message = lengthed(b"\x0a", event.encode()) + lengthed(b"\x12", lengthed(b"\x0a", sealed))
    return len(message).to_bytes(4, "big") + message
