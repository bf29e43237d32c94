"""Custom kinds as a whole: what is judged after what, scale, objects inside objects."""

from __future__ import annotations

from typing import Any

import pytest

from openapi.custom.kind import CustomKind
from openapi.schema.decode import DecodeError

SPEC: dict[str, Any] = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "integer", "maximum": 9},
        "replicas": {"x-kubernetes-preserve-unknown-fields": True},
        "note": {"type": "string", "nullable": True},
        "names": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "inner": {
            "type": "object",
            "x-kubernetes-embedded-resource": True,
            "x-kubernetes-preserve-unknown-fields": True,
        },
    },
    "x-kubernetes-validations": [{"rule": "!has(self.names) || size(self.names) < 2", "message": "one name"}],
}
STATUS = {
    "type": "object",
    "properties": {"replicas": {"x-kubernetes-preserve-unknown-fields": True}, "phase": {"type": "string"}},
}
KIND = CustomKind(
    {
        "name": "v1",
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": SPEC, "status": STATUS}}},
        "subresources": {
            "status": {},
            "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"},
        },
    }
)
NOT_CHECKED = (
    "<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation"
)
RULE = 'spec: Invalid value: "object": one name'


def problems(spec: Any, old: Any = None, **options: Any) -> list[str]:
    before = None if old is None else {"spec": old}
    return [str(error) for error in KIND.validate({"spec": spec}, before, **options)]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, ["spec.size: Required value", NOT_CHECKED]),
        (
            {"size": "x"},
            ['spec.size: Invalid value: "string": spec.size in body must be of type integer: "string"', NOT_CHECKED],
        ),
        (
            {"size": 10, "names": ["a", "a"]},
            [
                "spec.size: Invalid value: 10: spec.size in body should be less than or equal to 9",
                'spec.names[1]: Duplicate value: "a"',
                RULE,
            ],
        ),
        ({"size": 1, "replicas": -1}, [".spec.replicas: Invalid value: -1: should be a non-negative integer"]),
        (
            {"size": 1, "replicas": 2**31},
            [".spec.replicas: Invalid value: 2147483648: should be less than or equal to 2147483647"],
        ),
        (
            {"size": 1, "replicas": {"a": [1, None]}},
            [
                ".spec.replicas: Invalid value: 0: .spec.replicas accessor error: map[a:[1 <nil>]] is of the type "
                "map[string]interface {}, expected int64"
            ],
        ),
        (
            {"size": 1, "inner": {"kind": "_"}, "names": ["a", "b"]},
            [
                "spec.inner.apiVersion: Required value",
                'spec.inner.kind: Invalid value: "_": may have mixed case, but should otherwise match: a DNS-1035 '
                "label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
                "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
                "'[a-z]([-a-z0-9]*[a-z0-9])?')",
                NOT_CHECKED,
            ],
        ),
    ],
)
def test_rules_come_last_and_only_where_the_form_is_right(spec: Any, expected: list[str]) -> None:
    assert problems(spec) == expected


RULED = CustomKind(
    {
        "name": "v1",
        "schema": {
            "openAPIV3Schema": {
                "type": "object",
                "properties": {
                    "a": {"type": "string", "x-kubernetes-validations": [{"rule": "self != 'bad'", "message": "no"}]},
                    "b": {"type": "integer", "x-kubernetes-validations": [{"rule": "self > oldSelf"}]},
                    "c": {
                        "x-kubernetes-preserve-unknown-fields": True,
                        "type": "object",
                        "x-kubernetes-validations": [{"rule": "self.x + 1 == 2"}],
                    },
                },
            }
        },
    }
)


@pytest.mark.parametrize(
    ("new", "old", "errors", "warnings"),
    [
        ({"a": "bad"}, {"a": "good"}, ['a: Invalid value: "string": no'], []),
        ({"a": "bad", "d": 1}, {"a": "bad"}, [], ['a: Invalid value: "string": no']),
        ({"b": 1}, {"b": 1}, ['b: Invalid value: "integer": failed rule: self > oldSelf'], []),
        ({"c": {}}, {}, ['c: Invalid value: "object": no such key: x evaluating rule: self.x + 1 == 2'], []),
        ({"c": {"x": "s"}}, {},
         ["c: Invalid value: \"object\": 'no such overload': call arguments did not match a supported operator, "
          "function or macro signature for rule: self.x + 1 == 2"], []),
    ],
)  # fmt: skip
def test_what_did_not_change_is_only_told(new: Any, old: Any, errors: list[str], warnings: list[str]) -> None:
    assert list(map(str, RULED.validate(new, old))) == errors
    assert list(RULED.tolerated(new, old)) == warnings


def test_items_that_were_there_twice_may_stay() -> None:
    old = {"size": 1, "names": ["a", "a"]}
    assert problems({"size": 2, "names": ["a", "a"]}, old) == [RULE]


def test_a_status_is_judged_by_its_own_schema() -> None:
    assert problems({"size": 1, "replicas": -1}, of_status=True) == []
    obj = {"spec": {"size": "x"}, "status": {"replicas": 0, "phase": 1}}
    assert [str(error) for error in KIND.validate(obj, None, of_status=True)] == [
        'status.phase: Invalid value: "integer": phase in body must be of type string: "integer"',
        NOT_CHECKED,
    ]


def test_nulls_that_are_not_allowed_stand_for_nothing() -> None:
    obj = {"spec": {"size": None, "names": None, "replicas": None, "note": None}}
    assert KIND.decode(obj, None) == []
    assert obj["spec"] == {"note": None}


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        ({"kind": 1}, "spec.inner.kind: Invalid value: 1: must be a string"),
        (
            {"metadata": {"name": 1}},
            'spec.inner.metadata: Invalid value: {"name":1}: json: cannot unmarshal number into Go struct field '
            "ObjectMeta.name of type string",
        ),
    ],
)
def test_malformed_metadata_inside_is_refused_and_dropped_where_it_is_stored(inner: Any, message: str) -> None:
    obj = {"spec": {"size": 1, "inner": {"x": 1, **inner}}}
    with pytest.raises(DecodeError) as raised:
        KIND.decode(obj, None)
    assert str(raised.value) == message
    KIND.complete(obj)
    assert obj["spec"]["inner"] in ({"x": 1}, {"x": 1, "metadata": {}})
