"""Strategic merge patches: keyed lists, directives, order, and the words of refusals."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openapi.schema.merge import StrategicMergeError, strategic_merge
from openapi.schema.node import ANY, LIST, MAP, STRING, STRUCT, Field, Node

_TEXT = Node(STRING)
_ITEM = Node(STRUCT, go_name="Container", fields={n: Field(n, _TEXT) for n in ("name", "image", "tag")})
_ITEM.fields["args"] = Field("args", Node(LIST, items=_TEXT))
_STRATEGY = Node(STRUCT, fields={"type": Field("type", _TEXT), "rolling": Field("rolling", Node(MAP, items=_TEXT))})
SPEC = Node(
    STRUCT,
    go_name="PodSpec",
    fields={
        "items": Field("items", Node(LIST, items=_ITEM), patch_strategy=("merge", "retainKeys"), merge_key="name"),
        "texts": Field("texts", Node(LIST, items=_TEXT), patch_strategy=("merge",)),
        "atoms": Field("atoms", Node(LIST, items=_TEXT)),
        "map": Field("map", Node(MAP, items=_TEXT)),
        "whole": Field("whole", Node(MAP, items=_TEXT), patch_strategy=("replace",)),
        "strategy": Field("strategy", _STRATEGY, patch_strategy=("retainKeys",)),
        "unkeyed": Field("unkeyed", Node(LIST, items=_ITEM), patch_strategy=("merge",)),
    },
)


def named(*names: str) -> list[dict[str, str]]:
    return [{"name": name} for name in names]


@pytest.mark.parametrize(
    ("current", "patch", "wanted"),
    [
        ({"map": {"a": "1"}}, {"map": {"b": "2", "a": None}}, {"map": {"b": "2"}}),
        ({"map": {"a": "1"}}, {"map": {"$patch": "delete"}}, {"map": {}}),
        ({"map": {"a": "1"}}, {"map": {"$patch": "replace", "b": "2"}}, {"map": {"b": "2"}}),
        ({}, {"map": {"$patch": "delete"}}, {}),
        ({}, {"map": {"a": None, "b": "2"}}, {"map": {"b": "2"}}),
        ({"whole": {"a": "1"}}, {"whole": {"b": "2"}}, {"whole": {"b": "2"}}),
        ({"atoms": ["a"]}, {"atoms": ["b"]}, {"atoms": ["b"]}),
        ({"texts": ["a", "b"]}, {"texts": ["c", "a"]}, {"texts": ["c", "a", "b"]}),
        ({"texts": ["a", "b"]}, {"$deleteFromPrimitiveList/texts": ["a"], "texts": ["c"]}, {"texts": ["c", "b"]}),
        ({}, {"$deleteFromPrimitiveList/texts": ["a"]}, {}),
        (
            {"texts": ["c", "b"]},
            {"$setElementOrder/texts": ["b", "c"], "texts": ["b"]},
            {"texts": ["b", "c"]},
        ),
        (
            {"items": [{"name": "c", "image": "i"}, {"name": "d", "image": "j"}]},
            {"items": [{"name": "d", "image": "k"}]},
            {"items": [{"name": "c", "image": "i"}, {"name": "d", "image": "k"}]},
        ),
        ({"items": named("80")}, {"items": named("81", "80")}, {"items": named("81", "80")}),
        ({"items": named("c", "d")}, {"items": [{"name": "d", "$patch": "delete"}]}, {"items": named("c")}),
        ({"items": named("c")}, {"items": [{"name": "x", "$patch": "delete"}]}, {"items": named("c")}),
        ({"items": named("c")}, {"items": [{"$patch": "replace"}, {"name": "x"}]}, {"items": named("x")}),
        ({"items": named("c")}, {"items": [{"name": "c", "image": "i", "tag": None}]},
         {"items": [{"name": "c", "image": "i"}]}),
        (
            {"items": named("c", "d")},
            {"$setElementOrder/items": named("e", "d", "c"), "items": [{"name": "e", "image": "k"}]},
            {"items": [{"name": "e", "image": "k"}, *named("d", "c")]},
        ),
        ({"items": named("a", "b", "c")}, {"$setElementOrder/items": named("c", "a")},
         {"items": named("b", "c", "a")}),
        ({}, {"$setElementOrder/items": named("b", "a"), "items": named("b", "a")}, {"items": named("b", "a")}),
        ({}, {"$setElementOrder/items": named("b")}, {}),
        (
            {"strategy": {"type": "RollingUpdate", "rolling": {"a": "1"}}},
            {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}},
            {"strategy": {"type": "Recreate"}},
        ),
        ({"map": {"a": "1"}}, {"map": "x"}, {"map": "x"}),
    ],
)  # fmt: skip
def test_merging(current: Any, patch: Any, wanted: Any) -> None:
    before = copy.deepcopy((current, patch))
    assert strategic_merge(current, patch, SPEC) == wanted
    assert (current, patch) == before


@pytest.mark.parametrize(
    ("patch", "code", "text"),
    [
        ({"items": [{"image": "j"}]}, 500, "map: map[image:j] does not contain declared merge key: name"),
        (
            {"items": [{"name": "c", "$patch": "frobnicate"}]},
            500,
            "unknown patch type: frobnicate in map: map[$patch:frobnicate name:c]",
        ),
        ({"items": [{"name": "c", "$patch": "merge"}]}, 500, "merging lists cannot yet be specified in the patch"),
        ({"map": {"$patch": "merge"}}, 500, "unknown patch type: merge in map: map[$patch:merge]"),
        ({"items": ["c"]}, 500, "list element types are not identical: [[map[name:c]] [c]]"),
        (
            {"$setElementOrder/items": [{"name": "d"}], "items": [{"name": "c", "image": "k"}]},
            500,
            "The order in patch list:\n[map[image:k name:c]]\n doesn't match $setElementOrder list:\n[map[name:d]]\n",
        ),
        ({"$setElementOrder/items": ["d"]}, 500, "value for key 0 is not a map."),
        ({"$setElementOrder/items": "x"}, 500, "expected a []interface {}, but received a string"),
        ({"$setElementOrder/items": [], "items": None}, 500,
         "expected a []interface {}, but received a %!s(<nil>)"),
        ({"$setElementOrder": []}, 400, "invalid patch format of setElementOrder list"),
        ({"$deleteFromPrimitiveList": []}, 400, "invalid patch format of primitive list"),
        ({"strategy": {"$retainKeys": ["type"], "rolling": {}}}, 400, "invalid patch format of retainKeys"),
        ({"strategy": {"$retainKeys": "type"}}, 400, "invalid patch format of retainKeys"),
        ({"unkeyed": named("x")}, 500, "cannot merge lists without merge key for type struct"),
        ({"texts": [["x"]]}, 422, "the server rejected our request due to an error in our request"),
        ({"nosuch": {"a": "1"}}, 500, 'unable to find api field in struct PodSpec for the json field "nosuch"'),
    ],
)  # fmt: skip
def test_refusals(patch: Any, code: int, text: str) -> None:
    current = {"items": named("c"), "map": {"a": "1"}, "strategy": {"type": "x"}, "unkeyed": named("y"),
               "texts": ["a"], "nosuch": {}}  # fmt: skip
    with pytest.raises(StrategicMergeError) as caught:
        strategic_merge(current, patch, SPEC)
    assert (caught.value.code, str(caught.value)) == (code, text)


def test_embedded_json_takes_new_values_but_does_not_merge_deeper() -> None:
    node = Node(STRUCT, fields={"data": Field("data", Node(ANY, go_name="runtime.RawExtension"))})
    assert strategic_merge({"data": {"a": 1}}, {"data": {"b": 2}}, node) == {"data": {"a": 1, "b": 2}}
    with pytest.raises(StrategicMergeError, match='in struct RawExtension for the json field "a"'):
        strategic_merge({"data": {"a": {}}}, {"data": {"a": {"b": 2}}}, node)


_LETTERS = st.lists(st.sampled_from("abcde"), unique=True, max_size=5)


@given(_LETTERS, _LETTERS)
def test_keyed_lists_hold_the_items_of_both_in_the_orders_of_both(left: list[str], right: list[str]) -> None:
    current = {"items": [{"name": n, "image": "old"} for n in left]}
    merged = strategic_merge(current, {"items": [{"name": n, "image": "new"} for n in right]}, SPEC)["items"]
    names = [item["name"] for item in merged]
    assert sorted(names) == sorted({*left, *right})
    assert [n for n in names if n in right] == right
    assert [n for n in names if n not in right] == [n for n in left if n not in right]
    assert all(item["image"] == ("new" if item["name"] in right else "old") for item in merged)


@given(_LETTERS, _LETTERS)
def test_merging_twice_is_merging_once(left: list[str], right: list[str]) -> None:
    patch = {"texts": right, "items": [{"name": n, "image": n} for n in right], "map": dict.fromkeys(right, "x")}
    current = {"texts": left, "items": named(*left), "map": dict.fromkeys(left)}
    once = strategic_merge(current, patch, SPEC)
    assert strategic_merge(once, patch, SPEC) == once


@given(_LETTERS, _LETTERS)
def test_an_element_order_of_all_items_is_their_order(left: list[str], right: list[str]) -> None:
    order = [*right, *(n for n in left if n not in right)]
    patch = {"$setElementOrder/texts": order, "texts": right}
    if order:
        assert strategic_merge({"texts": left}, patch, SPEC)["texts"] == order
