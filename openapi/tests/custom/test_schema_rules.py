"""What a schema may say, and that it is structural."""

from __future__ import annotations

from typing import Any

import pytest

from openapi.custom.rules import run_rules, validate_rules
from openapi.custom.schema_rules import validate_schema

Schema = dict[str, Any]


def problems(field: Schema) -> list[str]:
    return [str(e) for e in validate_schema({"type": "object", "properties": {"x": field}}, "s")]


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ({}, "s.properties[x].type: Required value: must not be empty for specified object fields"),
        ({"type": "array"}, "s.properties[x].items: Required value: must be specified"),
        (
            {"type": "string", "pattern": "("},
            's.properties[x].pattern: Invalid value: "(": must be a valid regular expression, but isn\'t: error '
            "parsing regexp: missing closing ): `(`",
        ),
        ({"type": "string", "anyOf": [{"type": "integer"}]},
         "s.properties[x].anyOf[0].type: Forbidden: must be empty to be structural"),
        ({"type": "integer", "default": "z"},
         's.properties[x].default: Invalid value: "string":  in body must be of type integer: "string"'),
        ({"type": "object", "properties": {"c": {"type": "string"}}, "default": {"d": 1}},
         's.properties[x].default: Invalid value: {"d":1}: must not have unknown fields'),
        ({"type": "array", "uniqueItems": True, "items": {"type": "string"}},
         "s.properties[x].uniqueItems: Forbidden: uniqueItems cannot be set to true since the runtime complexity "
         "becomes quadratic"),
        ({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "object"}},
         "s.properties[x].items.x-kubernetes-map-type: Invalid value: null: must be atomic as item of a list with "
         "x-kubernetes-list-type=set"),
    ],
)  # fmt: skip
def test_schemas_are_structural(field: Schema, expected: str) -> None:
    assert problems(field) == [expected]


@pytest.mark.parametrize(
    "field",
    [
        {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
        {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True},
        {"type": "array", "items": {"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}}},
         "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]},
    ],
)  # fmt: skip
def test_sound_schemas_pass(field: Schema) -> None:
    assert problems(field) == []


RULED: Schema = {
    "type": "object",
    "properties": {"n": {"type": "integer"}, "my-name": {"type": "string"}},
    "x-kubernetes-validations": [
        {"rule": "self.n > 0", "message": "n must be positive"},
        {"rule": "self.n >= oldSelf.n", "messageExpression": "'from ' + string(oldSelf.n)"},
        {"rule": "!has(self.my__dash__name) || self.my__dash__name != 'x'", "reason": "FieldValueForbidden"},
    ],
}


def broken(value: Any, old: Any = None) -> list[str]:
    schema = {"type": "object", "properties": {"spec": RULED}}
    return [str(e) for e in run_rules({"spec": value}, schema, None if old is None else {"spec": old})]


def test_rules_speak_for_themselves() -> None:
    assert broken({"n": 1}) == []
    assert broken({"n": 0, "my-name": "x"}) == [
        'spec: Invalid value: "object": n must be positive',
        "spec: Forbidden: failed rule: !has(self.my__dash__name) || self.my__dash__name != 'x'",
    ]


def test_rules_about_older_values_hold_on_updates_only() -> None:
    assert broken({"n": 1}, {"n": 2}) == ['spec: Invalid value: "object": from 2']
    assert broken({"n": 3}, {"n": 2}) == []


def test_rules_must_compile_and_be_true_or_false() -> None:
    schema = {**RULED, "x-kubernetes-validations": [{"rule": "self.nope"}, {"rule": "self.n"}]}
    texts = [str(e) for e in validate_rules(schema, "s")]
    assert "undefined field 'nope'" in texts[0]
    assert texts[1].endswith("cel expression must evaluate to a bool")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"rule": " "}, "rule: Required value: rule is not specified"),
        ({"rule": "true &&\ntrue"}, "message: Required value: message must be specified if rule contains line breaks"),
        ({"rule": "true", "message": "a\nb"}, 'message: Invalid value: "a\\nb": must not contain line breaks'),
        ({"rule": "true", "fieldPath": ".z"}, 'fieldPath: Invalid value: ".z": must be a valid path'),
        ({"rule": "true", "fieldPath": "['my-name']"}, None),
        ({"rule": "true", "optionalOldSelf": True},
         "optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used in rule"),
        ({"rule": "true", "messageExpression": "1"},
         'messageExpression: Invalid value: {"Rule":"true","Message":"","MessageExpression":"1","Reason":null,'
         '"FieldPath":"","OptionalOldSelf":null}: messageExpression must evaluate to a string'),
    ],
)  # fmt: skip
def test_rules_are_judged_with_their_schema(rule: Schema, expected: str | None) -> None:
    found = problems({**RULED, "x-kubernetes-validations": [rule]})
    assert found == ([] if expected is None else [f"s.properties[x].x-kubernetes-validations[0].{expected}"])


def test_items_without_keys_have_no_older_value() -> None:
    item = {"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf"}]}
    assert problems({"type": "array", "items": item}) == [
        's.properties[x].items.x-kubernetes-validations[0].rule: Invalid value: "self == oldSelf": oldSelf cannot be '
        "used on the uncorrelatable portion of the schema within s.properties[x]"
    ]


def test_unsupported_words_are_told_alone() -> None:
    assert problems({"$ref": "#/x"}) == ["s.properties[x].$ref: Forbidden: $ref is not supported"]


def test_what_is_not_structural_comes_first() -> None:
    found = problems({"uniqueItems": True, "type": "array"})
    assert [text.partition(":")[0] for text in found] == ["s.properties[x].items", "s.properties[x].uniqueItems"]
