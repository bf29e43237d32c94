"""The protobuf form of the version 2 document says what the JSON form says."""

from __future__ import annotations

from typing import Any

import pytest

from openapi.catalog import Catalog
from openapi.documents import Documents
from openapi.documents.gnostic import encode
from openapi.kinds import RESOURCES

PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
Message = dict[int, list[Any]]


def read(data: bytes) -> Message:
    """The fields of a message by number: numbers for varints, bytes for the rest."""
    found: Message = {}
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        tag = varint()
        if tag & 7 == 0:
            found.setdefault(tag >> 3, []).append(varint())
            continue
        size = 8 if tag & 7 == 1 else varint()
        found.setdefault(tag >> 3, []).append(data[at : at + size])
        at += size
    return found


def pairs(data: bytes, number: int = 1) -> dict[str, Message]:
    """A map of messages by name."""
    messages = [read(entry) for entry in read(data).get(number, [])]
    return {message[1][0].decode(): read(message[2][0]) for message in messages}


@pytest.fixture(scope="module")
def document() -> Message:
    answer = Documents(Catalog(RESOURCES)).openapi_v2(PROTOBUF)
    assert answer.content_type == "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    return read(answer.body)


def test_the_document_names_itself(document: Message) -> None:
    assert document[1] == [b"2.0"]
    assert read(document[2][0])[1] == [b"Kubernetes"]


def test_definitions_have_types_properties_and_references(document: Message) -> None:
    pod = pairs(document[9][0])["io.k8s.api.core.v1.Pod"]
    assert read(pod[22][0]) == {1: [b"object"]}
    properties = pairs(pod[25][0])
    assert properties["spec"][1] == [b"#/definitions/io.k8s.api.core.v1.PodSpec"]
    extensions = {read(entry)[1][0] for entry in pod[31]}
    assert b"x-kubernetes-group-version-kind" in extensions


def test_extensions_carry_yaml(document: Message) -> None:
    spec = pairs(document[9][0])["io.k8s.api.core.v1.PodSpec"]
    containers = pairs(spec[25][0])["containers"]
    values = {read(entry)[1][0]: read(read(entry)[2][0])[2][0] for entry in containers[31]}
    assert values[b"x-kubernetes-patch-merge-key"] == b'"name"\n'
    assert values[b"x-kubernetes-list-map-keys"] == b'["name"]\n'


def test_operations_have_parameters_and_responses(document: Message) -> None:
    item = pairs(document[8][0], 2)["/api/v1/namespaces/{namespace}/pods/{name}"]
    patch = read(item[8][0])
    assert patch[5] == [b"patchCoreV1NamespacedPod"]
    assert set(pairs(patch[9][0])) == {"200", "201", "401"}
    body = read(read(read(patch[8][0])[1][0])[1][0]) if 1 in read(patch[8][0]) else {}
    assert 2 in read(patch[8][0]) or body[2] == [b"body"]


def test_every_kind_of_field_is_written() -> None:
    schema = {"type": ["string"], "maximum": 1.5, "minLength": 3, "uniqueItems": True, "enum": ["a", 1]}
    query = {"in": "query", "name": "limit", "type": "integer", "uniqueItems": True}
    definitions = {"A": schema, "B": {"additionalProperties": {"type": "string"}}, "C": {"items": {"type": "string"}}}
    written = read(encode({"swagger": "2.0", "definitions": definitions, "parameters": {"limit": query}}))
    found = pairs(written[9][0])
    assert found["A"][7] == [b"\x00\x00\x00\x00\x00\x00\xf8?"]
    assert (found["A"][12], found["A"][16]) == ([3], [1])
    assert [read(value)[2][0] for value in found["A"][20]] == [b'"a"\n', b"1\n"]
    assert read(read(read(found["B"][21][0])[1][0])[22][0]) == {1: [b"string"]}
    assert read(read(read(found["C"][23][0])[1][0])[22][0]) == {1: [b"string"]}
    parameter = read(read(pairs(written[10][0])["limit"][2][0])[3][0])
    assert parameter == {2: [b"query"], 4: [b"limit"], 6: [b"integer"], 20: [1]}
