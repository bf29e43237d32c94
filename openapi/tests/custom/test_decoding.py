"""Custom objects on their way in: pruned, defaulted, numbers as Go writes them."""

from __future__ import annotations

from typing import Any

import pytest

from openapi.custom.kind import CustomKind
from openapi.schema.decode import DecodeError, decode

Object = dict[str, Any]

SCHEMA: Object = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "size": {"type": "integer", "default": 1},
                "name": {"type": "string", "nullable": True, "default": "n"},
                "free": {
                    "type": "object",
                    "x-kubernetes-preserve-unknown-fields": True,
                    "properties": {"known": {"type": "object", "properties": {"x": {"type": "string"}}}},
                },
                "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {}}},
                "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}},
            },
        }
    },
}
KIND = CustomKind({"name": "v1", "schema": {"openAPIV3Schema": SCHEMA}})
OPEN = CustomKind({"name": "v1"})


def decoded(spec: Any, **rest: Any) -> tuple[Object, list[str]]:
    obj = {"apiVersion": "x.io/v1", "kind": "X", "metadata": {"name": "a"}, "spec": spec, **rest}
    return obj, decode(obj, KIND.node)


def test_unknown_fields_are_pruned_and_named_in_order() -> None:
    obj, unknown = decoded({"zoo": 1, "list": [{"b": 1}]}, other=1)
    assert obj["spec"] == {"list": [{}], "size": 1, "name": "n"}
    assert unknown == ['unknown field "other"', 'unknown field "spec.list[0].b"', 'unknown field "spec.zoo"']


def test_what_is_preserved_is_pruned_where_it_is_specified() -> None:
    obj, unknown = decoded({"free": {"any": {"thing": 1}, "known": {"x": "a", "y": "b"}}})
    assert obj["spec"]["free"] == {"any": {"thing": 1}, "known": {"x": "a"}}
    assert unknown == ['unknown field "spec.free.known.y"']


def test_null_counts_as_absent_only_where_it_is_not_allowed() -> None:
    obj, _ = decoded({"size": None, "name": None})
    assert obj["spec"] == {"size": 1, "name": None}


def test_whole_floats_become_integers() -> None:
    obj = {"apiVersion": "x.io/v1", "kind": "X", "n": [1.0, 1.5, 1e3, 1e30, {"x": -0.0}]}
    decode(obj, OPEN.node)
    assert [repr(n) for n in obj["n"]] == ["1", "1.5", "1000", "1e+30", "{'x': 0}"]


def test_metadata_is_that_of_every_object() -> None:
    _, unknown = decoded({}, metadata={"name": "a", "nosuch": 1})
    assert unknown == ['unknown field "metadata.nosuch"']
    with pytest.raises(DecodeError, match=r"struct field ObjectMeta\.labels of type string"):
        decoded({}, metadata={"labels": {"x": 5}})


def test_without_a_schema_everything_is_kept() -> None:
    obj = {"apiVersion": "x.io/v1", "kind": "X", "metadata": {}, "any": {"thing": [1]}}
    assert decode(obj, OPEN.node) == []
    assert obj["any"] == {"thing": [1]}
