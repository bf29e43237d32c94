"""Field ownership through creates, updates and patches."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from openapi.catalog import GroupVersionKind
from openapi.schema.load import schema_for
from openapi.schema.node import ANY, INT64, LIST, STRING, STRUCT, Field, Node
from openapi.schema.ownership import manager_from_user_agent, restore_times, track_update, validate_manager

Object = dict[str, Any]

CONFIG_MAP = schema_for(GroupVersionKind("", "v1", "ConfigMap"))
POD = schema_for(GroupVersionKind("", "v1", "Pod"))
DEPLOYMENT = schema_for(GroupVersionKind("apps", "v1", "Deployment"))
NOW = "2026-01-01T00:00:00Z"
LATER = "2026-01-01T00:00:05Z"


def config_map(data: dict[str, str] | None = None, **metadata: Any) -> Object:
    out: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "n", **metadata}}
    if data is not None:
        out["data"] = data
    return out


def track(new: Object, old: Object | None = None, manager: str = "one", **options: Any) -> Object:
    options = {"node": CONFIG_MAP, "api_version": "v1", "subresource": "", "now": NOW, **options}
    track_update(new, old, manager=manager, **options)
    return new


def changed(old: Object, manager: str, data: dict[str, str] | None, now: str = LATER, **options: Any) -> Object:
    new = copy.deepcopy(old)
    new.pop("data", None)
    if data is not None:
        new["data"] = data
    return track(new, old, manager, now=now, **options)


def owners(obj: Object) -> dict[str, Any]:
    """The fields of each manager."""
    return {entry["manager"]: entry["fieldsV1"] for entry in obj["metadata"].get("managedFields", [])}


def test_a_create_owns_everything_that_was_sent() -> None:
    obj = track(config_map({"a": "1"}, labels={"x": "y"}, uid="u", creationTimestamp=NOW))
    assert obj["metadata"]["managedFields"] == [
        {
            "manager": "one",
            "operation": "Update",
            "apiVersion": "v1",
            "time": NOW,
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:metadata": {"f:labels": {".": {}, "f:x": {}}},
                "f:data": {".": {}, "f:a": {}},
            },
        }
    ]


def test_structs_by_value_are_not_owned_but_pointers_and_list_items_are() -> None:
    container = {
        "name": "c",
        "image": "i",
        "resources": {"limits": {"cpu": "1"}},
        "ports": [{"containerPort": 80, "protocol": "TCP"}],
    }
    obj = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a"},
        "spec": {"containers": [container], "securityContext": {}, "nodeSelector": {"a": "b"}},
        "status": {"phase": "Pending"},
    }
    track(obj, node=POD, reset_fields=(("status",),))
    assert owners(obj)["one"] == {
        "f:spec": {
            "f:containers": {
                'k:{"name":"c"}': {
                    ".": {},
                    "f:name": {},
                    "f:image": {},
                    "f:resources": {".": {}, "f:limits": {".": {}, "f:cpu": {}}},
                    "f:ports": {
                        ".": {},
                        'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}, "f:protocol": {}},
                    },
                }
            },
            "f:securityContext": {},
            "f:nodeSelector": {},
        }
    }


def test_custom_structs_are_owned_because_go_does_not_write_them_by_itself() -> None:
    open_value = Node(ANY, preserve_unknown=True)
    spec = Node(STRUCT, fields={"size": Field("size", Node(INT64)), "any": Field("any", open_value)})
    node = Node(STRUCT, fields={"metadata": CONFIG_MAP.fields["metadata"], "spec": Field("spec", spec)})
    obj = {"metadata": {"name": "a"}, "spec": {"size": 1, "any": {"x": [1], "y": {}}}}
    track(obj, node=node)
    assert owners(obj)["one"] == {"f:spec": {".": {}, "f:size": {}, "f:any": {".": {}, "f:x": {}, "f:y": {}}}}


def test_fields_that_changed_go_to_who_changed_them() -> None:
    first = track(config_map({"a": "1", "b": "2"}, labels={"x": "y"}))
    second = changed(first, "two", {"a": "1", "b": "3", "c": "4"})
    assert owners(second) == {
        "one": {"f:metadata": {"f:labels": {".": {}, "f:x": {}}}, "f:data": {".": {}, "f:a": {}}},
        "two": {"f:data": {"f:b": {}, "f:c": {}}},
    }
    assert [e["time"] for e in second["metadata"]["managedFields"]] == [NOW, LATER]


def test_fields_that_are_gone_are_nobodys_and_removing_alone_makes_no_entry() -> None:
    first = track(config_map({"a": "1", "b": "2"}))
    second = changed(first, "two", {"b": "2"})
    assert owners(second) == {"one": {"f:data": {".": {}, "f:b": {}}}}
    third = changed(second, "two", None)
    assert owners(third) == {}
    assert "managedFields" not in third["metadata"]


def test_a_map_that_loses_its_last_key_is_still_owned() -> None:
    first = track(config_map({"a": "1"}))
    assert owners(changed(first, "two", {})) == {"one": {"f:data": {}}}


def test_an_update_without_effect_keeps_the_times() -> None:
    first = track(config_map({"a": "1"}))
    same = changed(first, "one", {"a": "1"})
    assert same["metadata"]["managedFields"] == first["metadata"]["managedFields"]


def test_a_manager_has_one_entry_for_each_version_and_subresource() -> None:
    first = track(config_map({"a": "1"}))
    second = changed(first, "one", {"a": "1", "b": "2"})
    assert owners(second) == {"one": {"f:data": {".": {}, "f:a": {}, "f:b": {}}}}
    third = changed(second, "one", {"a": "2", "b": "2"}, subresource="status")
    assert [(e.get("subresource"), e["fieldsV1"]) for e in third["metadata"]["managedFields"]] == [
        (None, {"f:data": {".": {}, "f:b": {}}}),
        ("status", {"f:data": {"f:a": {}}}),
    ]


def test_reset_fields_are_neither_gained_nor_lost() -> None:
    first = track({**config_map({"a": "1"}), "binaryData": {"b": "eA=="}}, reset_fields=(("binaryData",),))
    assert owners(first) == {"one": {"f:data": {".": {}, "f:a": {}}}}


def test_list_items_of_one_key_are_owned_together() -> None:
    def pod(*values: str) -> Object:
        env = [{"name": "A", "value": value} for value in values]
        return {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "env": env}]}}

    single = track(pod("1"), node=POD)
    double = pod("1", "2")
    double["metadata"] = copy.deepcopy(single["metadata"])
    track(double, single, "two", node=POD)
    path = owners(double)["two"]["f:spec"]["f:containers"]['k:{"name":"c"}']["f:env"]
    assert path == {'k:{"name":"A"}': {}}
    assert "f:env" in owners(double)["one"]["f:spec"]["f:containers"]['k:{"name":"c"}']


ENTRY = {
    "manager": "x",
    "operation": "Update",
    "apiVersion": "v1",
    "fieldsType": "FieldsV1",
    "fieldsV1": {"f:data": {"f:a": {}}},
    "time": "2020-01-01T00:00:00Z",
}


def test_entries_that_the_client_writes_count() -> None:
    first = track(config_map({"a": "1"}))
    new = copy.deepcopy(first)
    new["metadata"]["managedFields"] = [ENTRY]
    assert track(new, first, "two")["metadata"]["managedFields"] == [ENTRY]


@pytest.mark.parametrize(
    "entry",
    [
        {**ENTRY, "operation": "Frob"},
        {**ENTRY, "fieldsType": "FieldsV9"},
        {**ENTRY, "fieldsType": ""},
        {**ENTRY, "apiVersion": ""},
        {**ENTRY, "fieldsV1": {"bad": 1}},
    ],
)
def test_entries_that_cannot_be_read_do_not(entry: Object) -> None:
    created = track(config_map(managedFields=[entry]))
    assert "managedFields" not in created["metadata"]
    first = track(config_map({"a": "1"}))
    new = copy.deepcopy(first)
    new["metadata"]["managedFields"] = [entry]
    assert track(new, first, "two")["metadata"] == first["metadata"]


def test_entries_sent_to_a_subresource_do_not_count() -> None:
    first = track(config_map({"a": "1"}))
    new = copy.deepcopy(first)
    new["metadata"]["managedFields"] = [ENTRY]
    assert track(new, first, "two", subresource="status")["metadata"] == first["metadata"]


@pytest.mark.parametrize("reset", [[], [{}]])
def test_an_empty_list_ends_the_tracking_until_the_first_apply(reset: list[Object]) -> None:
    first = track(config_map({"a": "1"}))
    new = copy.deepcopy(first)
    new["metadata"]["managedFields"] = reset
    assert "managedFields" not in track(new, first)["metadata"]
    assert "managedFields" not in changed(new, "two", {"a": "2"})["metadata"]


def test_leaving_managed_fields_out_changes_nothing() -> None:
    first = track(config_map({"a": "1"}))
    new = config_map({"a": "1"})
    assert track(new, first)["metadata"]["managedFields"] == first["metadata"]["managedFields"]


def test_the_oldest_of_more_than_ten_updaters_are_merged() -> None:
    obj = track(config_map({}))
    for number in range(12):
        data = {**obj.get("data", {}), f"k{number}": "v"}
        obj = changed(obj, f"m{number:02}", data, now=f"2026-01-01T00:00:{number + 1:02}Z")
    entries = obj["metadata"]["managedFields"]
    assert len(entries) == 10
    assert entries[0]["manager"] == "ancient-changes"
    assert entries[0]["fieldsV1"] == {"f:data": {".": {}, "f:k0": {}, "f:k1": {}, "f:k2": {}}}
    assert entries[0]["time"] == "2026-01-01T00:00:03Z"


def test_entries_are_sorted_by_operation_time_and_manager() -> None:
    first = track(config_map({"a": "1"}), manager="z")
    second = changed(first, "b", {"a": "1", "b": "1"}, now=LATER)
    third = changed(second, "a", {"a": "1", "b": "1", "c": "1"}, now=LATER)
    assert list(owners(third)) == ["z", "a", "b"]


def test_an_object_that_does_not_fit_its_schema_keeps_its_entries() -> None:
    first = track(config_map({"a": "1"}))
    new = copy.deepcopy(first)
    new["data"] = ["not", "a", "map"]
    assert track(new, first, "two")["metadata"] == first["metadata"]


def test_ownership_is_followed_into_other_versions() -> None:
    other = Node(STRUCT, fields={"metadata": CONFIG_MAP.fields["metadata"], "text": Field("text", Node(STRING))})

    def convert(obj: Object, version: str) -> tuple[Object, Node] | None:
        if version != "v2":
            return None
        return {"metadata": obj["metadata"], "text": obj.get("data", {}).get("a", "")}, other

    first = config_map({"a": "1"}, uid="u")
    first["metadata"]["managedFields"] = [
        {**ENTRY, "manager": "two", "apiVersion": "v2", "fieldsV1": {"f:text": {}}},
        {**ENTRY, "manager": "gone", "apiVersion": "v0"},
    ]
    second = changed(first, "one", {"a": "2"}, convert=convert)
    assert owners(second) == {"one": {"f:data": {"f:a": {}}}}
    third = changed(first, "one", {"a": "1", "b": "1"}, convert=convert)
    assert set(owners(third)) == {"one", "two"}


def test_what_was_owned_below_a_list_that_became_atomic_is_the_list() -> None:
    node = Node(STRUCT, fields={"metadata": CONFIG_MAP.fields["metadata"], "l": Field("l", Node(LIST)),
                                "t": Field("t", Node(STRING))})  # fmt: skip
    entry = {**ENTRY, "fieldsV1": {"f:l": {'k:{"name":"a"}': {".": {}, "f:name": {}}}}}
    first: Object = {"metadata": {"name": "a", "managedFields": [entry]}, "l": [{"name": "a"}]}
    second = {"metadata": {"name": "a"}, "l": [{"name": "a"}], "t": "x"}
    track(second, first, "two", node=node)
    assert owners(second) == {"x": {"f:l": {}}, "two": {"f:t": {}}}


def test_times_are_restored_when_nothing_else_changed() -> None:
    first = track(config_map({"a": "1"}))
    new = copy.deepcopy(first)
    new["metadata"]["managedFields"][0]["time"] = LATER
    restore_times(new, first)
    assert new == first
    new["metadata"]["managedFields"][0]["time"] = LATER
    new["data"]["a"] = "2"
    restore_times(new, first)
    assert new["metadata"]["managedFields"][0]["time"] == LATER


@pytest.mark.parametrize(
    ("user_agent", "manager"),
    [
        ("kubectl/v1.36.2 (linux/amd64) kubernetes/abc", "kubectl"),
        ("bare", "bare"),
        ("", ""),
        ("a\x00b\u00a0c/1", "abc"),
        ("x" * 200, "x" * 128),
        ("é" * 100, "é" * 64),
    ],
)
def test_the_manager_comes_from_the_user_agent(user_agent: str, manager: str) -> None:
    assert manager_from_user_agent(user_agent) == manager


def test_a_nameless_manager_is_unknown() -> None:
    assert owners(track(config_map({"a": "1"}), manager="")) == {"unknown": {"f:data": {".": {}, "f:a": {}}}}


def test_names_of_managers_are_short_and_printable() -> None:
    assert not list(validate_manager("kubectl apply"))
    assert [e.body for e in validate_manager("a" * 129)] == ["Too long: may not be more than 128 bytes"]
    assert [e.detail for e in validate_manager("aé\x00b")] == ["invalid character U+0000 (at position 3)"]
