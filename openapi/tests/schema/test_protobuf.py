"""Protobuf bodies: read as JSON would have been, written as Go would, and safe against any bytes."""

from __future__ import annotations

import random
from typing import Any

import pytest

from openapi.catalog import GroupVersionKind
from openapi.schema.decode import decode
from openapi.schema.gofields import go_fields, go_order, is_known
from openapi.schema.load import definitions, node_for, schema_for
from openapi.schema.protobuf import (
    MAGIC,
    ProtobufError,
    decode_message,
    decode_protobuf,
    encode_event,
    encode_list,
    encode_message,
    encode_protobuf,
    has_protobuf,
    open_envelope,
    seal,
)

POD = GroupVersionKind("", "v1", "Pod")
CONFIG_MAP = GroupVersionKind("", "v1", "ConfigMap")
META = "io.k8s.apimachinery.pkg.apis.meta.v1."


def text_field(number: int, value: bytes) -> bytes:
    assert len(value) < 128
    return bytes((number << 3 | 2, len(value))) + value


def pod() -> dict[str, Any]:
    container = {
        "name": "c",
        "image": "nginx",
        "ports": [{"containerPort": 80, "protocol": "TCP"}],
        "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": False}}}],
        "resources": {"requests": {"cpu": "100m", "memory": "1Gi"}},
        "livenessProbe": {"httpGet": {"path": "/", "port": "web", "scheme": "HTTP"}, "timeoutSeconds": 1},
        "securityContext": {"runAsUser": 0, "privileged": False},
    }
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {
            "name": "é",
            "labels": {"b": "2", "a": "1"},
            "creationTimestamp": "2024-01-01T00:00:00Z",
            "managedFields": [
                {"manager": "m", "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:x": {}}}}
            ],
        },
        "spec": {
            "containers": [container],
            "volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "configMap": {"name": "cm"}}],
            "tolerations": [{"key": "x", "operator": "Exists", "tolerationSeconds": -5}],
            "activeDeadlineSeconds": 2**40,
        },
        "status": {},
    }


def canonical(obj: dict[str, Any], gvk: GroupVersionKind) -> dict[str, Any]:
    assert decode(obj, schema_for(gvk), gvk) == []
    return obj


OBJECTS: list[tuple[GroupVersionKind, dict[str, Any]]] = [
    (POD, pod()),
    (GroupVersionKind("", "v1", "Secret"), {"metadata": {"name": "s"}, "data": {"a": "AAEC", "b": ""}, "type": "x"}),
    (
        GroupVersionKind("authorization.k8s.io", "v1", "SubjectAccessReview"),
        {"metadata": {}, "spec": {"user": "u", "extra": {"a": ["1", "2"], "b": []}}, "status": {"allowed": False}},
    ),
    (
        GroupVersionKind("coordination.k8s.io", "v1", "Lease"),
        {"metadata": {"name": "l"}, "spec": {"renewTime": "2024-05-06T07:08:09.123456Z", "leaseTransitions": 0}},
    ),
    (
        GroupVersionKind("apps", "v1", "ControllerRevision"),
        {"metadata": {"name": "r"}, "data": {"spec": [1, {"a": None}]}, "revision": 3},
    ),
    (
        GroupVersionKind("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy"),
        {
            "metadata": {"name": "p"},
            "spec": {
                "matchConstraints": {
                    "resourceRules": [
                        {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
                    ]
                }
            },
        },
    ),
    (
        GroupVersionKind("resource.k8s.io", "v1", "ResourceSlice"),
        {
            "metadata": {"name": "s"},
            "spec": {
                "driver": "d",
                "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1},
                "devices": [{"name": "x", "attributes": {"a": {"ints": [1, -2, 300]}, "b": {"bools": [True, False]}}}],
            },
        },
    ),
]


@pytest.mark.parametrize(("gvk", "obj"), OBJECTS, ids=[gvk.kind for gvk, _ in OBJECTS])
def test_what_is_written_reads_as_the_same_object(gvk: GroupVersionKind, obj: dict[str, Any]) -> None:
    expected = canonical(obj, gvk)
    raw = encode_protobuf(expected)
    assert canonical(decode_protobuf(raw, gvk), gvk) == expected


def test_the_envelope_names_the_kind_of_the_body() -> None:
    envelope = open_envelope(seal("apps/v1", "Deployment", b"\x0a\x00"))
    assert envelope == ("apps/v1", "Deployment", b"\x0a\x00")
    assert open_envelope(MAGIC + text_field(2, b"\x0a\x00")) == ("", "", b"\x0a\x00")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"", "empty data"),
        (
            b"{}",
            "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]",
        ),
        (MAGIC, "empty body"),
        (MAGIC + b"\x12\x05abc", "unexpected EOF"),
        (MAGIC + b"\x12" + b"\xff" * 11, "proto: integer overflow"),
        (MAGIC + b"\x12" + b"\xff" * 9 + b"\x01", "proto: negative length found during unmarshaling"),
        (MAGIC + b"\x0c", "proto: wiretype end group for non-group"),
        (MAGIC + b"\x0f", "proto: illegal wireType 7"),
        (seal("v1", "Pod", b"\x08\x01"), "proto: wrong wireType = 0 for field ObjectMeta"),
        (seal("v1", "Pod", b"\x0a\x7f"), "unexpected EOF"),
        (seal("v1", "Pod", b"\x0a\x02\x38\xff"), "unexpected EOF"),
    ],
)
def test_broken_bytes_are_an_error_in_the_words_of_go(raw: bytes, text: str) -> None:
    with pytest.raises(ProtobufError) as caught:
        decode_protobuf(raw, POD)
    assert str(caught.value) == text


def test_random_damage_ends_with_an_object_or_a_protobuf_error() -> None:
    raw = encode_protobuf(canonical(pod(), POD))
    dice = random.Random(7)
    for _ in range(3000):
        damaged = bytearray(raw)
        for _ in range(dice.randrange(1, 4)):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        try:
            decode_protobuf(bytes(damaged[: dice.randrange(4, len(damaged) + 1)]), POD)
        except ProtobufError:
            continue


def test_fields_of_newer_clients_are_skipped_even_in_groups() -> None:
    group = b"\xa3\x3e" + b"\xab\x3e" + b"\x08\x01" + b"\xac\x3e" + b"\xa4\x3e"  # 1012 { 1013 { 1: 1 } }
    message = group + text_field(2, text_field(1, b"k") + text_field(2, b"v"))
    assert decode_message(message, schema_for(CONFIG_MAP)) == {"data": {"k": "v"}}


def test_a_message_in_parts_is_merged() -> None:
    parts = text_field(1, text_field(1, b"n")) + text_field(1, text_field(3, b"ns"))
    assert decode_message(parts, schema_for(CONFIG_MAP)) == {"metadata": {"name": "n", "namespace": "ns"}}


def test_packed_numbers_are_read_as_single_ones() -> None:
    node = node_for("io.k8s.api.resource.v1.DeviceAttribute")
    assert decode_message(b"\x30\x05", node) == decode_message(b"\x32\x01\x05", node) == {"ints": [5]}


def test_zero_times_are_not_set() -> None:
    node = node_for(META + "ObjectMeta")
    assert decode_message(b"\x42\x00", node) == {"creationTimestamp": None}


def test_numbers_or_strings_say_which_they_are() -> None:
    node = node_for("io.k8s.api.core.v1.TCPSocketAction")
    assert decode_message(b"\x0a\x06\x08\x00\x10\x50\x1a\x00", node) == {"port": 80}
    assert decode_message(b"\x0a\x09\x08\x01\x10\x50\x1a\x03web", node) == {"port": "web"}


def test_a_status_is_written_byte_for_byte_as_by_go() -> None:
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "no",
        "reason": "NotAcceptable",
        "code": 406,
    }
    message = (
        text_field(1, b"\x0a\x00\x12\x00\x1a\x00")
        + text_field(2, b"Failure")
        + text_field(3, b"no")
        + text_field(4, b"NotAcceptable")
        + b"\x30\x96\x03"
    )
    assert encode_protobuf(status) == seal("v1", "Status", message)


def test_scalars_that_are_no_pointers_are_always_written() -> None:
    node = "io.k8s.api.core.v1.ContainerPort"
    assert [f.name for f in go_fields(node)] == ["name", "hostPort", "containerPort", "protocol", "hostIP"]
    pod_bytes = encode_message(
        {"metadata": {}, "spec": {"containers": [{"name": "c", "ports": [{}]}]}}, schema_for(POD)
    )
    assert b"\x32\x0a\x0a\x00\x10\x00\x18\x00\x22\x00\x2a\x00" in pod_bytes


def test_a_list_reads_back_with_its_items() -> None:
    gvk = GroupVersionKind("", "v1", "ConfigMapList")
    items = [{"metadata": {"name": n}, "data": {"x": n}} for n in "ab"]
    node = schema_for(CONFIG_MAP)
    raw = encode_list("v1", gvk.kind, {"resourceVersion": "7"}, [encode_message(i, node) for i in items])
    found = canonical(decode_protobuf(raw, gvk), gvk)
    assert (found["kind"], found["metadata"]) == ("ConfigMapList", {"resourceVersion": "7"})
    assert [i["data"]["x"] for i in found["items"]] == ["a", "b"]


def test_a_watch_frame_has_its_length_before_it() -> None:
    sealed = encode_protobuf({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}})
    frame = encode_event("ADDED", sealed)
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    assert frame[4:11] == b"\x0a\x05ADDED"
    assert frame.endswith(sealed)


def test_the_metadata_only_forms_are_written_too() -> None:
    one = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": "a"}}
    many = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": {}, "items": [one]}
    message = open_envelope(encode_protobuf(one)).raw
    assert decode_message(message, schema_for(CONFIG_MAP))["metadata"]["name"] == "a"
    assert open_envelope(encode_protobuf(many)).raw.endswith(message)


def test_every_definition_of_the_api_groups_can_be_read_and_written() -> None:
    for name, definition in definitions().items():
        if not is_known(name):
            continue
        node = node_for(name)
        assert decode_message(b"", node) == {}, name
        assert set(go_order(name)) == set(definition.get("properties", {})), name


def test_only_kubernetes_own_kinds_have_protobuf() -> None:
    assert has_protobuf(schema_for(POD))
    assert not has_protobuf(node_for("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"))


def test_the_order_of_go_begins_with_the_kind_and_opens_inline_structs() -> None:
    assert go_order("io.k8s.api.core.v1.Pod") == ("kind", "apiVersion", "metadata", "spec", "status")
    assert go_order("io.k8s.api.core.v1.SecretKeySelector") == ("name", "key", "optional")
    assert go_order(META + "ObjectMeta")[:3] == ("name", "generateName", "namespace")
