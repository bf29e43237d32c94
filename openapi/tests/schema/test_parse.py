"""Parsing bodies: syntax errors in Go's words, duplicates with their paths, YAML as JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openapi.schema.gojson import JSONSyntaxError, base64_error, syntax_error
from openapi.schema.parse import duplicates, in_order, parse
from openapi.schema.yamlbody import YAMLError, dump_yaml, parse_yaml


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"", "unexpected end of JSON input"),
        (b'{"a":', "unexpected end of JSON input"),
        (b"{d}", "invalid character 'd' looking for beginning of object key string"),
        (b'{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        (b"nope", "invalid character 'o' in literal null (expecting 'u')"),
        (b"<a>", "invalid character '<' looking for beginning of value"),
        (b'{"a" 1}', "invalid character '1' after object key"),
        (b'{"a":01}', "invalid character '1' after object key:value pair"),
        (b"[1 2]", "invalid character '2' after array element"),
        (b"{}x", "invalid character 'x' after top-level value"),
        (b"[1.]", "invalid character ']' after decimal point in numeric literal"),
        (b'"\n"', "invalid character '\\n' in string literal"),
        (b'"\\x"', "invalid character 'x' in string escape code"),
        (b"[" * 20_000, "exceeded max depth"),
    ],
)
def test_a_broken_body_is_explained_in_gos_words(raw: bytes, problem: str) -> None:
    with pytest.raises(JSONSyntaxError) as caught:
        parse(raw)
    assert str(caught.value) == problem


@pytest.mark.parametrize("depth", [300, 3000])
def test_nesting_that_is_too_deep_is_refused_and_not_a_crash(depth: int) -> None:
    with pytest.raises(JSONSyntaxError, match="exceeded max depth"):
        parse(b'{"a":' * depth + b"1" + b"}" * depth)


def test_duplicate_fields_are_reported_where_they_are() -> None:
    value, problems = parse(b'{"a": {"n": "x", "n": "y"}, "l": [{"k": 1, "k": 2}], "a.b": 1}')
    assert value == {"a": {"n": "y"}, "l": [{"k": 2}], "a.b": 1}
    assert problems == ['duplicate field "a.n"', 'duplicate field "l[0].k"']


def test_duplicates_and_unknown_fields_are_listed_in_the_order_of_the_body() -> None:
    raw = b'{"x": {"k": 1, "k": 2}, "data": {"a": "1", "a": "2"}, "y": 1}'
    unknown = ['unknown field "x"', 'unknown field "y"']
    assert in_order(raw, duplicates(raw), unknown) == [unknown[0], 'duplicate field "data.a"', unknown[1]]


def test_escaped_quotes_and_odd_spacing_are_no_duplicates() -> None:
    assert parse(b'{ "a" :\n"\\u0022", "b\\"":"\\":" }') == ({"a": '"', 'b"': '":'}, [])


def test_bytes_that_are_no_utf8_are_replaced() -> None:
    assert parse(b'{"a":"\xff","b":"\\ud800"}') == ({"a": "\ufffd", "b": "\ufffd"}, [])


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(JSON_VALUES, st.booleans())
def test_sound_bodies_parse_without_complaint(value: object, spaced: bool) -> None:
    raw = json.dumps(value, indent=2 if spaced else None).encode()
    assert syntax_error(raw) == ""
    assert duplicates(raw) == []
    assert parse(raw) == (value, [])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("aGVsbG8=", ""),
        ("aGVs\nbG8=", ""),
        ("", ""),
        ("!", "illegal base64 data at input byte 0"),
        ("x", "illegal base64 data at input byte 0"),
        ("aGVsb", "illegal base64 data at input byte 4"),
        ("aGVsbG8", "illegal base64 data at input byte 4"),
        ("aGVsbG8=x", "illegal base64 data at input byte 8"),
        ("aGVsbA=", "illegal base64 data at input byte 7"),
    ],
)
def test_broken_base64_names_the_byte(text: str, problem: str) -> None:
    assert base64_error(text) == problem


def test_yaml_scalars_are_those_of_yaml_1_1() -> None:
    raw = b"a: y\nb: 010\nc: 0x1f\nd: 2020-01-01\ne: ~\nf: 1e3\ng: 'no'\nh: 1_000\n1: one\ntrue: t\ni: 1.5\n"
    assert parse_yaml(raw) == (
        {"a": True, "b": 8, "c": 31, "d": "2020-01-01", "e": None, "f": 1000, "g": "no", "h": 1000}
        | {"1": "one", "true": "t", "i": 1.5},
        [],
    )


def test_yaml_aliases_and_merges_are_followed() -> None:
    assert parse_yaml(b"a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}")[0] == {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}}


def test_yaml_duplicates_name_their_lines() -> None:
    value, problems = parse_yaml(b"a: 1\nb:\n  c: 1\n  c: 2\na: 2\n")
    assert value == {"a": 2, "b": {"c": 2}}
    assert problems == [
        'yaml: unmarshal errors:\n  line 4: key "c" already set in map\n  line 5: key "a" already set in map'
    ]


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"a: [1", "yaml: line 1: did not find expected ',' or ']'"),
        (b"{", "yaml: line 1: did not find expected node content"),
        (b"a: b: c", "yaml: mapping values are not allowed in this context"),
        (b"x: &a [*a]", "yaml: anchor 'a' value contains itself"),
        (b"{null: d}", 'unsupported map key of type: %!s(<nil>), key: <nil>, value: "d"'),
        (b"{[a]: b}", 'yaml: invalid map key: []interface {}{"a"}'),
        (b"a: .inf", "json: unsupported value: +Inf"),
    ],
)
def test_broken_yaml_is_explained(raw: bytes, problem: str) -> None:
    with pytest.raises(YAMLError) as caught:
        parse_yaml(raw)
    assert str(caught.value) == problem


def test_yaml_that_explodes_is_refused() -> None:
    lines = [b"a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [b"a%d: &a%d [%s]" % (i, i, b", ".join([b"*a%d" % (i - 1)] * 9)) for i in range(1, 9)]
    with pytest.raises(YAMLError, match="excessive aliasing"):
        parse_yaml(b"\n".join(lines))


def test_yaml_out_has_sorted_keys() -> None:
    assert dump_yaml({"b": "1", "a": {"c": ["x"]}}) == b"a:\n  c:\n  - x\nb: '1'\n"
