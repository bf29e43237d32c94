"""Field sets: algebra, texts, and reading what others wrote."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openapi.schema.fields import (
    FieldSet,
    FieldSetError,
    difference,
    from_paths,
    has,
    intersection,
    is_member,
    json_text,
    keep_only,
    key_element,
    parse,
    recursive_difference,
    texts,
    union,
)

_NAMES = st.sampled_from(["f:a", "f:b", 'k:{"n":"x"}', 'v:"y"'])
_PATHS = st.lists(st.lists(_NAMES, min_size=1, max_size=3).map(tuple), max_size=6).map(frozenset)


def build(paths: frozenset[tuple[str, ...]]) -> FieldSet:
    out: FieldSet = {}
    for path in paths:
        one: FieldSet = {}
        for element in reversed(path):
            one = {element: one}
        out = union(out, one)
    return out


def members(fields: FieldSet, prefix: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    out = set()
    for key, child in fields.items():
        if key == ".":
            continue
        if is_member(child):
            out.add((*prefix, key))
        out |= members(child, (*prefix, key))
    return out


@given(_PATHS, _PATHS)
def test_algebra_agrees_with_sets_of_paths(a: frozenset[tuple[str, ...]], b: frozenset[tuple[str, ...]]) -> None:
    left, right = build(a), build(b)
    assert members(left) == a
    assert members(union(left, right)) == a | b
    assert members(intersection(left, right)) == a & b
    assert members(difference(left, right)) == a - b
    below_b = {path for path in a if any(path[: len(other)] == other for other in b)}
    assert members(recursive_difference(left, right)) == a - below_b
    assert all(has(left, path) for path in a)


@given(_PATHS, _PATHS)
def test_algebra_leaves_its_arguments_alone_and_keeps_no_empty_branches(
    a: frozenset[tuple[str, ...]], b: frozenset[tuple[str, ...]]
) -> None:
    left, right = build(a), build(b)
    for operation in (union, intersection, difference, recursive_difference):
        result = operation(left, right)
        assert build(frozenset(members(result))) == result
    assert (members(left), members(right)) == (a, b)


@given(_PATHS)
def test_reading_what_was_written_gives_the_same_set(a: frozenset[tuple[str, ...]]) -> None:
    assert parse(build(a)) == build(a)


def test_removing_all_below_a_member_leaves_the_member_as_a_leaf() -> None:
    fields = {"f:data": {".": {}, "f:k": {}}}
    assert difference(fields, {"f:data": {"f:k": {}}}) == {"f:data": {}}


def test_removing_a_member_keeps_what_is_below_it() -> None:
    fields = {"f:data": {".": {}, "f:k": {}}}
    assert difference(fields, {"f:data": {}}) == {"f:data": {"f:k": {}}}


def test_texts_come_members_first_then_what_is_below_in_order_of_names() -> None:
    fields = {
        "f:spec": {
            "f:replicas": {},
            "f:containers": {'k:{"name":"c"}': {".": {}, "f:image": {}}, 'k:{"name":"b"}': {}},
        },
        "f:data": {"f:k": {}},
        "f:finalizers": {'v:"x"': {}},
        "f:items": {"i:10": {}, "i:9": {}},
    }
    assert list(texts(fields)) == [
        ".data.k",
        '.finalizers[="x"]',
        ".items[9]",
        ".items[10]",
        ".spec.replicas",
        '.spec.containers[name="b"]',
        '.spec.containers[name="c"]',
        '.spec.containers[name="c"].image',
    ]


def test_keys_of_list_items_are_written_sorted_with_their_types() -> None:
    element = key_element([("containerPort", 80), ("protocol", "TCP")])
    assert element == 'k:{"containerPort":80,"protocol":"TCP"}'
    assert list(texts({"f:ports": {element: {}}})) == ['.ports[containerPort=80,protocol="TCP"]']


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("<a&b>", '"\\u003ca\\u0026b\\u003e"'),
        ("\\b", '"\\\\b"'),
        (1, "1"),
        (True, "true"),
        (2.0, "2"),
        (2.5, "2.5"),
    ],
)
def test_scalars_are_written_as_go_does(value: Any, text: str) -> None:
    assert json_text(value) == text


def test_keys_are_read_in_any_order() -> None:
    assert parse({'k:{"protocol":"TCP", "port":80}': {}}) == {'k:{"port":80,"protocol":"TCP"}': {}}


def test_elements_of_unknown_kinds_are_skipped() -> None:
    assert parse({"x:new": {}, "f:a": {}}) == {"f:a": {}}


@pytest.mark.parametrize("value", [{"bad": 1}, {"f:a": 1}, {"k:[": {}}, {"k:5": {}}, {"f": {}}, [], "x"])
def test_what_is_no_field_set_is_refused(value: Any) -> None:
    with pytest.raises(FieldSetError):
        parse(value)


def test_only_what_is_below_a_pattern_is_kept() -> None:
    fields = {"f:spec": {"f:containers": {'k:{"name":"c"}': {".": {}, "f:image": {}, "f:resources": {"f:limits": {}}}}}}
    assert keep_only(fields, [("spec", "containers", "*", "resources")]) == {
        "f:spec": {"f:containers": {'k:{"name":"c"}': {".": {}, "f:resources": {"f:limits": {}}}}}
    }


def test_paths_of_names_make_a_set() -> None:
    assert from_paths([("status",), ("spec", "a"), ("spec", "b")]) == {
        "f:status": {},
        "f:spec": {"f:a": {}, "f:b": {}},
    }
