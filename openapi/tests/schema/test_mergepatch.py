"""JSON merge patches."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openapi.schema.mergepatch import json_merge

_KEYS = st.sampled_from("abc")
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.text("xy", max_size=2),
    lambda inner: st.lists(st.integers(0, 3), max_size=2) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=8,
)
_OBJECTS = st.dictionaries(_KEYS, _VALUES, max_size=3)


@pytest.mark.parametrize(
    ("current", "patch", "wanted"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": {"b": "c"}}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({}, {"a": [{"b": None}, None]}, {"a": [{}, None]}),
        ({"a": {"x": 1}}, {"a": [{"b": None}]}, {"a": [{"b": None}]}),
    ],
)
def test_merging(current: Any, patch: Any, wanted: Any) -> None:
    assert json_merge(current, patch) == wanted


@given(_OBJECTS, _OBJECTS)
def test_merging_twice_is_merging_once_and_changes_no_argument(current: Any, patch: Any) -> None:
    before = copy.deepcopy((current, patch))
    once = json_merge(current, patch)
    assert (current, patch) == before
    assert json_merge(once, patch) == once
    assert all(once.get(key) is None for key, value in patch.items() if value is None)


def test_the_result_shares_nothing_with_the_patch() -> None:
    patch = {"a": [{"b": 1}], "c": {"d": {"e": 1}}}
    merged = json_merge({"a": [], "c": {"d": 5}}, patch)
    merged["a"][0]["b"] = merged["c"]["d"]["e"] = 2
    assert patch == {"a": [{"b": 1}], "c": {"d": {"e": 1}}}
