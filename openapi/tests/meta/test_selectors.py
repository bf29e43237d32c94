"""Selectors: what they match, how they read, and the words for broken ones."""

from __future__ import annotations

import pytest

from openapi.meta.selectors import (
    SelectorError,
    from_label_selector,
    parse_field_selector,
    parse_label_selector,
    validate_label_selector,
)


@pytest.mark.parametrize(
    ("text", "labels", "matches"),
    [
        ("", {}, True),
        ("x=1", {"x": "1"}, True),
        ("x=1", {}, False),
        ("x==1,y", {"x": "1", "y": ""}, True),
        ("x!=1", {}, True),
        ("x", {"y": "1"}, False),
        ("!x", {"y": "1"}, True),
        ("x in (1,2)", {"x": "2"}, True),
        ("x notin (1)", {}, True),
        ("x notin (1)", {"x": "1"}, False),
        ("n>4", {"n": "5"}, True),
        ("n>4", {"n": "many"}, False),
        ("n<4", {"n": "5"}, False),
        ("x=", {"x": ""}, True),
        ("in in (in)", {"in": "in"}, True),
        ("x in (,a)", {"x": ""}, True),
    ],
)
def test_a_label_selector_matches(text: str, labels: dict[str, str], matches: bool) -> None:
    assert parse_label_selector(text).matches(labels) is matches


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("!!", "unable to parse requirement: found '!', expected: identifier"),
        ("=", "found '=', expected: !, identifier, or 'end of string'"),
        ("a,", "found '', expected: identifier after ','"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("a in (", "unable to parse requirement: found '', expected: ',', ')' or identifier"),
        ("a in (b c", "unable to parse requirement: found 'c', expected: ',' or ')'"),
        ("a=,=", "found '=', expected: identifier after ','"),
    ],
)
def test_a_broken_label_selector_is_explained(text: str, problem: str) -> None:
    with pytest.raises(SelectorError) as caught:
        parse_label_selector(text)
    assert str(caught.value) == problem


def test_keys_and_values_of_a_selector_are_checked() -> None:
    with pytest.raises(SelectorError, match=r'^unable to parse requirement: <nil>: Invalid value: "-x": name part'):
        parse_label_selector("-x=1")
    with pytest.raises(SelectorError, match=r'^unable to parse requirement: values\[0\]\[x\]: Invalid value: "%": a'):
        parse_label_selector("x=%")
    with pytest.raises(SelectorError, match=r"requirement: values\[0\]: Invalid value: \"y\": for 'Gt'"):
        parse_label_selector("x>y")


def test_a_selector_reads_back_sorted_by_key() -> None:
    assert str(parse_label_selector("y, x in (b,a),!w,v!=1")) == "v!=1,!w,x in (a,b),y"


def test_a_selector_knows_the_one_value_of_a_label() -> None:
    assert parse_label_selector("x in (a),y").exact("x") == "a"
    assert parse_label_selector("x!=a").exact("x") is None


def test_field_selectors_compare_missing_fields_as_empty() -> None:
    selector = parse_field_selector("spec.nodeName=,metadata.name!=a,status.phase==Running")
    assert selector.matches({"metadata.name": "b", "status.phase": "Running"})
    assert not selector.matches({"metadata.name": "a", "status.phase": "Running"})
    assert selector.exact("status.phase") == "Running"
    assert str(selector) == "metadata.name!=a,spec.nodeName=,status.phase=Running"


def test_field_selectors_take_escaped_values() -> None:
    assert parse_field_selector(r"a=x\,y\=\\,b!=c").matches({"a": "x,y=\\", "b": "d"})


def test_a_broken_field_selector_is_explained() -> None:
    with pytest.raises(SelectorError, match=r"^invalid selector: 'a=b,nonsense'; can't understand 'nonsense'$"):
        parse_field_selector("a=b,nonsense")


def test_a_missing_selector_matches_nothing_and_an_empty_one_everything() -> None:
    assert not from_label_selector(None).matches({})
    assert from_label_selector({}).matches({"a": "b"})
    selector = from_label_selector(
        {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c", "operator": "DoesNotExist"}]}
    )
    assert selector.matches({"a": "b"}) and not selector.matches({"a": "b", "c": ""})
    with pytest.raises(SelectorError, match=r'^"Near" is not a valid label selector operator$'):
        from_label_selector({"matchExpressions": [{"key": "c", "operator": "Near"}]})


def test_a_selector_in_an_object_is_validated_field_by_field() -> None:
    spec = {
        "matchLabels": {"a": "b c"},
        "matchExpressions": [
            {"key": "a", "operator": "Bogus"},
            {"key": "a", "operator": "In"},
            {"key": "x y", "operator": "Exists", "values": ["v"]},
            {"key": "a", "operator": "In", "values": ["-"]},
        ],
    }
    assert [(e.path, e.type) for e in validate_label_selector(spec, "spec.selector")] == [
        ("spec.selector.matchLabels", "FieldValueInvalid"),
        ("spec.selector.matchExpressions[0].operator", "FieldValueInvalid"),
        ("spec.selector.matchExpressions[1].values", "FieldValueRequired"),
        ("spec.selector.matchExpressions[2].values", "FieldValueForbidden"),
        ("spec.selector.matchExpressions[2].key", "FieldValueInvalid"),
        ("spec.selector.matchExpressions[3].values[0]", "FieldValueInvalid"),
    ]
    assert len(list(validate_label_selector(spec, "s", allow_invalid_values=True))) == 5
