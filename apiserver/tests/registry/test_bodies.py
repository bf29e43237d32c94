"""Bodies: which media types are read, and that protobuf ends in the same object as JSON."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from apiserver.registry.bodies import JSON, PROTOBUF, Bodies
from openapi.catalog import Catalog, GroupVersionKind
from openapi.kinds import RESOURCES
from openapi.meta.status import StatusError
from openapi.schema.load import node_for, schema_for
from openapi.schema.node import STRUCT, Node
from openapi.schema.protobuf import MAGIC, encode_protobuf, seal

POD = GroupVersionKind("", "v1", "Pod")
CONFIG_MAP = GroupVersionKind("", "v1", "ConfigMap")
DELETE_OPTIONS = GroupVersionKind("", "v1", "DeleteOptions")


@pytest.fixture(scope="module")
def bodies() -> Bodies:
    return Bodies(Catalog(RESOURCES))


def read(bodies: Bodies, raw: bytes, gvk: GroupVersionKind, media: str = PROTOBUF) -> tuple[dict[str, Any], list[str]]:
    return bodies.read_kind(raw, media, gvk, schema_for(gvk))


def test_protobuf_becomes_the_same_defaulted_object_as_json(bodies: Bodies) -> None:
    pod = {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "i", "resources": {"limits": {"cpu": "1000m"}}}]},
    }
    expected = read(bodies, orjson.dumps(pod), POD, JSON)
    assert read(bodies, encode_protobuf(pod), POD) == expected
    assert expected[0]["spec"]["restartPolicy"] == "Always"


def test_a_message_without_a_kind_is_of_the_kind_of_the_path(bodies: Bodies) -> None:
    found, problems = read(bodies, MAGIC + b"\x12\x05\x0a\x03\x0a\x01a", CONFIG_MAP)
    assert (found["kind"], found["apiVersion"], found["metadata"]["name"], problems) == ("ConfigMap", "v1", "a", [])


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"", "the object provided is unrecognized (must be of type ConfigMap): empty data (<empty>)"),
        (
            b"{}",
            "the object provided is unrecognized (must be of type ConfigMap): provided data does not appear to be a "
            "protobuf message, expected prefix [107 56 115 0] ({})",
        ),
        (
            seal("v1", "ConfigMap", b"\x0a\x7f"),
            'ConfigMap in version "v1" cannot be handled as a ConfigMap: unexpected EOF',
        ),
        (
            seal("v1", "Secret", b""),
            'Secret in version "v1" cannot be handled as a ConfigMap: converting (v1.Secret) to (core.ConfigMap): '
            "unknown conversion",
        ),
    ],
)
def test_what_cannot_be_read_is_a_bad_request(bodies: Bodies, raw: bytes, text: str) -> None:
    with pytest.raises(StatusError) as caught:
        read(bodies, raw, CONFIG_MAP)
    assert (caught.value.code, caught.value.message) == (400, text)


@pytest.mark.parametrize(
    ("meta", "problem"),
    [
        ("1.5", "number into Go struct field Pod.metadata of type v1.ObjectMeta"),
        ('{"name": 1e3}', "number into Go struct field ObjectMeta.metadata.name of type string"),
        ('{"generation": 1.50}', "number 1.50 into Go struct field ObjectMeta.metadata.generation of type int64"),
    ],
)
def test_fractions_are_numbers(bodies: Bodies, meta: str, problem: str) -> None:
    with pytest.raises(StatusError, match=f"json: cannot unmarshal {problem}$"):
        read(bodies, f'{{"metadata": {meta}}}'.encode(), POD, JSON)


def test_custom_kinds_have_no_protobuf(bodies: Bodies) -> None:
    with pytest.raises(StatusError) as caught:
        bodies.read_kind(seal("a.b/v1", "X", b""), PROTOBUF, GroupVersionKind("a.b", "v1", "X"), Node(STRUCT))
    assert caught.value.code == 415


def test_options_may_come_in_any_groups_version(bodies: Bodies) -> None:
    node = node_for("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions")
    raw = seal("apps/v1", "DeleteOptions", b"\x08\x00\x22\x0aBackground")
    found, _ = bodies.read_options(raw, PROTOBUF, DELETE_OPTIONS, node)
    assert (found["gracePeriodSeconds"], found["propagationPolicy"]) == (0, "Background")
