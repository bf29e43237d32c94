"""Values against schemas: messages, ratcheting, lists with keys."""

from __future__ import annotations

from typing import Any

import pytest

from openapi.custom.validation import validate_lists, validate_value


def problems(value: Any, schema: dict[str, Any], **options: Any) -> list[str]:
    whole = {"type": "object", "properties": {"f": schema}}
    return [str(error) for error in validate_value({"f": value}, whole, **options)]


@pytest.mark.parametrize(
    ("value", "schema", "expected"),
    [
        ("x", {"type": "integer"}, ['f: Invalid value: "string": f in body must be of type integer: "string"']),
        (
            1.5,
            {"type": "integer"},
            [
                'f: Invalid value: "number": f in body must be of type integer: "number"',
                '<nil>: Invalid value: "": Checked value must be of type integer (default format) in f',
            ],
        ),
        ([], {"x-kubernetes-int-or-string": True},
         ['f: Invalid value: "array": f in body must be of type integer,string: "array"']),
        ("toolong", {"type": "string", "maxLength": 5}, ["f: Too long: may not be more than 5 bytes"]),
        ("a", {"type": "string", "minLength": 2}, ['f: Invalid value: "a": f in body should be at least 2 chars long']),
        ("a", {"type": "string", "pattern": "^b"}, ["f: Invalid value: \"a\": f in body should match '^b'"]),
        (10, {"type": "integer", "maximum": 9},
         ["f: Invalid value: 10: f in body should be less than or equal to 9"]),
        (9, {"type": "integer", "maximum": 9, "exclusiveMaximum": True},
         ["f: Invalid value: 9: f in body should be less than 9"]),
        (5, {"type": "integer", "multipleOf": 2}, ["f: Invalid value: 5: f in body should be a multiple of 2"]),
        ("r", {"type": "string", "enum": ["p", "q"]}, ['f: Unsupported value: "r": supported values: "p", "q"']),
        (["a", "b"], {"type": "array", "maxItems": 1}, ["f: Too many: 2: must have at most 1 item"]),
        ({}, {"type": "object", "required": ["a"]}, ["f.a: Required value"]),
        ({}, {"type": "object", "required": ["a"], "minProperties": 1},
         ["f: Invalid value: 1: f in body should have at least 1 properties"]),
        ({"b": 1, "c": 1}, {"type": "object", "required": ["a"], "maxProperties": 1},
         ["f: Too many: 2: must have at most 1 item"]),
        ("no", {"type": "string", "format": "date-time"},
         ['f: Invalid value: "no": f in body must be of type date-time: "no"']),
        (None, {"type": "string", "nullable": True}, []),
        (None, {"type": "string"}, ['f: Invalid value: "null": f in body must be of type string: "null"']),
        (1, {"type": "number"}, []),
    ],
)  # fmt: skip
def test_messages_are_those_of_the_api(value: Any, schema: dict[str, Any], expected: list[str]) -> None:
    assert problems(value, schema) == expected


def test_one_of_wants_exactly_one() -> None:
    schema = {"type": "object", "oneOf": [{"required": ["a"]}, {"required": ["b"]}]}
    assert problems({"a": 1}, schema) == []
    assert problems({"a": 1, "b": 1}, schema) == [
        '<nil>: Invalid value: "": "f" must validate one and only one schema (oneOf). Found 2 valid alternatives'
    ]
    assert problems({}, schema)[0].endswith("Found none valid")


def test_what_did_not_change_is_not_judged_again() -> None:
    schema = {"type": "string", "maxLength": 3}
    assert problems("long-value", schema, old={"f": "long-value"}) == []
    assert problems("other-value", schema, old={"f": "long-value"}) == ["f: Too long: may not be more than 3 bytes"]


def test_items_with_keys_are_compared_with_their_older_selves() -> None:
    item = {"type": "object", "properties": {"k": {"type": "string"}, "v": {"type": "string", "maxLength": 1}}}
    schema = {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"], "items": item}
    old = {"f": [{"k": "a", "v": "long"}]}
    assert problems([{"k": "b", "v": "x"}, {"k": "a", "v": "long"}], schema, old=old) == []


def test_sets_and_maps_have_no_item_twice() -> None:
    schema = {
        "type": "object",
        "properties": {
            "s": {"type": "array", "x-kubernetes-list-type": "set"},
            "m": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]},
        },
    }
    value = {"s": ["x", "y", "x"], "m": [{"k": "a", "v": 1}, {"k": "a"}]}
    assert [str(e) for e in validate_lists(value, schema)] == [
        'm[1]: Duplicate value: {"k":"a"}',
        's[2]: Duplicate value: "x"',
    ]
