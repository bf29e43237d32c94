"""Defaults: the engine, and that its tables speak of fields that exist."""

from __future__ import annotations

from typing import Any

import pytest

from openapi.catalog import GroupVersionKind
from openapi.schema import defaults
from openapi.schema.decode import decode
from openapi.schema.defaults import apply_defaults, apply_node_defaults, unknown_rules
from openapi.schema.load import schema_for
from openapi.schema.node import BOOLEAN, INT32, LIST, MAP, STRING, STRUCT, Field, Node

POD = GroupVersionKind("", "v1", "Pod")


def test_the_tables_name_only_definitions_and_their_fields() -> None:
    assert list(unknown_rules()) == []


def test_a_pod_gets_its_defaults_once() -> None:
    pod: dict[str, Any] = {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    decode(pod, schema_for(POD), POD)
    apply_defaults(pod, POD)
    assert pod["spec"]["restartPolicy"] == "Always"
    assert pod["spec"]["containers"][0]["imagePullPolicy"] == "Always"
    again = decode(pod, schema_for(POD), POD)
    apply_defaults(pod, POD)
    assert again == [] and pod["spec"]["restartPolicy"] == "Always"


def test_a_kind_nobody_knows_has_no_defaults() -> None:
    obj = {"spec": {}}
    apply_defaults(obj, GroupVersionKind("example.com", "v1", "Widget"))
    assert obj == {"spec": {}}


@pytest.fixture
def tree(monkeypatch: pytest.MonkeyPatch) -> Node:
    """A struct that contains itself, a list and a map of structs with rules, and one without any."""
    leaf = Node(STRUCT, "test.Leaf", "Leaf", {"flag": Field("flag", Node(BOOLEAN)), "size": Field("size", Node(INT32))})
    bare = Node(STRUCT, "test.Bare", "Bare", {"text": Field("text", Node(STRING))})
    root = Node(STRUCT, "test.Root", "Root")
    root.fields = {
        "words": Field("words", Node(LIST, items=Node(STRING))),
        "mode": Field("mode", Node(STRING), always=True),
        "count": Field("count", Node(INT32), always=True, pointer=True),
        "bare": Field("bare", bare),
        "inner": Field("inner", root, pointer=True),
        "leaves": Field("leaves", Node(LIST, items=leaf)),
        "named": Field("named", Node(MAP, items=leaf)),
    }

    def size_from_flag(obj: dict[str, Any]) -> None:
        obj.setdefault("size", 2 if obj["flag"] else 1)

    rules = {
        "test.Root": ({"words": ["w"], "mode": "Plain", "count": 3},),
        "test.Leaf": ({"flag": True}, size_from_flag),
    }
    monkeypatch.setattr(defaults, "DEFAULTS", rules)
    return root


def test_rules_reach_everything_below_in_their_order(tree: Node) -> None:
    obj: dict[str, Any] = {
        "mode": "",
        "count": None,
        "bare": {},
        "inner": {"mode": "Own", "count": 0},
        "leaves": [{"flag": False}],
        "named": {"n": {}},
    }
    apply_node_defaults(obj, tree)
    assert obj == {
        "mode": "Plain",
        "count": 3,
        "words": ["w"],
        "bare": {},
        "inner": {"mode": "Own", "count": 0, "words": ["w"]},
        "leaves": [{"flag": False, "size": 1}],
        "named": {"n": {"flag": True, "size": 2}},
    }


def test_objects_never_share_a_default(tree: Node) -> None:
    one: dict[str, Any] = {}
    other: dict[str, Any] = {}
    apply_node_defaults(one, tree)
    apply_node_defaults(other, tree)
    one["words"].append("x")
    assert other["words"] == ["w"]
