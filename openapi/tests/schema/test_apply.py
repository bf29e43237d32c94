"""Server-side apply: merging, ownership, conflicts, removal, and taking over from client-side apply."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openapi.catalog import GroupVersionKind
from openapi.schema.load import schema_for
from openapi.schema.node import ANY, LIST, STRING, STRUCT, Field, Node
from openapi.schema.ownership import ApplyConflict, ApplyError, apply, track_update

Object = dict[str, Any]

NOW = "2026-01-01T00:00:00Z"
LATER = "2026-01-01T00:00:05Z"
CONFIG_MAP = schema_for(GroupVersionKind("", "v1", "ConfigMap"))
NODES = {
    "ConfigMap": CONFIG_MAP,
    "Pod": schema_for(GroupVersionKind("", "v1", "Pod")),
    "Service": schema_for(GroupVersionKind("", "v1", "Service")),
    "Deployment": schema_for(GroupVersionKind("apps", "v1", "Deployment")),
}
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def config_map(data: dict[str, Any] | None = None, **metadata: Any) -> Object:
    out: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", **metadata}}
    if data is not None:
        out["data"] = data
    return out


def deployment(*containers: Object, **spec: Any) -> Object:
    if containers:
        spec["template"] = {"spec": {"containers": list(containers)}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": spec}


NOTHING = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}}


def applied(current: Object | None, patch: Object, manager: str = "one", **options: Any) -> Object:
    """The object after an apply, without the nulls that decoding drops."""
    options = {"force": False, "subresource": "", "now": NOW, **options}
    before = copy.deepcopy((current, patch))
    options.setdefault("node", NODES.get(patch.get("kind", "")))
    result, _ = apply(
        current, patch, manager=manager, api_version=options.pop("api_version", patch["apiVersion"]), **options
    )
    assert (current, patch) == before
    return without_nulls(result)  # type: ignore[no-any-return]


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(below) for name, below in value.items() if below is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


def updated(current: Object, manager: str, **changes: Any) -> Object:
    new = {**copy.deepcopy(current), **changes}
    track_update(
        new, current, manager=manager, node=NODES[new["kind"]], api_version=new["apiVersion"], subresource="", now=NOW
    )
    return new


def owners(obj: Object) -> dict[str, Any]:
    return {entry["manager"]: entry["fieldsV1"] for entry in obj["metadata"].get("managedFields", [])}


def times(obj: Object) -> dict[str, Any]:
    return {entry["manager"]: entry.get("time") for entry in obj["metadata"].get("managedFields", [])}


def test_applying_what_is_not_there_creates_it() -> None:
    assert applied(None, config_map({"k": "v"}), "m") == {
        **config_map({"k": "v"}),
        "metadata": {
            "name": "a",
            "managedFields": [
                {
                    "manager": "m",
                    "operation": "Apply",
                    "apiVersion": "v1",
                    "time": NOW,
                    "fieldsType": "FieldsV1",
                    "fieldsV1": {"f:data": {"f:k": {}}},
                }
            ],
        },
    }


def test_an_applier_owns_what_it_sends_with_keys_defaulted() -> None:
    container = {
        "name": "c",
        "ports": [{"containerPort": 80}, {"containerPort": 80, "protocol": "UDP"}],
        "env": [{"name": "A", "value": "b"}],
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a", "finalizers": ["x"]},
        "spec": {"containers": [container], "securityContext": {}, "nodeSelector": {"a": "b"}, "hostname": None},
    }
    assert owners(applied(None, pod))["one"] == {
        "f:metadata": {"f:finalizers": {'v:"x"': {}}},
        "f:spec": {
            "f:containers": {
                'k:{"name":"c"}': {
                    ".": {},
                    "f:name": {},
                    "f:ports": {
                        'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}},
                        'k:{"containerPort":80,"protocol":"UDP"}': {".": {}, "f:containerPort": {}, "f:protocol": {}},
                    },
                    "f:env": {'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}}},
                }
            },
            "f:securityContext": {},
            "f:nodeSelector": {},
            "f:hostname": {},
        },
    }


def test_applying_the_same_again_changes_nothing_not_even_the_time() -> None:
    first = applied(None, config_map({"k": "v"}))
    result, changed = apply(
        first,
        config_map({"k": "v"}),
        manager="one",
        force=False,
        node=CONFIG_MAP,
        api_version="v1",
        subresource="",
        now=LATER,
    )
    assert (result, changed) == (first, False)


def test_what_an_applier_leaves_out_is_removed() -> None:
    first = applied(None, config_map({"k": "v", "l": "w"}, labels={"x": "y"}))
    second = applied(first, config_map({"k": "v"}), now=LATER)
    assert (second["data"], second["metadata"].get("labels")) == ({"k": "v"}, None)
    assert owners(second) == {"one": {"f:data": {"f:k": {}}}}
    assert times(second) == {"one": LATER}
    third = applied(second, config_map())
    assert third == {**config_map(), "metadata": {"name": "a"}}


def test_what_two_appliers_share_stays_while_one_owns_it() -> None:
    first = applied(None, config_map({"k": "v"}))
    second = applied(first, config_map({"k": "v"}), "two", now=LATER)
    assert times(second) == {"one": NOW, "two": None}
    third = applied(second, config_map(), "one")
    assert (third["data"], list(owners(third))) == ({"k": "v"}, ["two"])
    assert "data" not in applied(third, config_map(), "two")


def test_what_an_updater_owns_too_is_not_removed() -> None:
    first = updated(applied(None, config_map({"k": "v"})), "two", data={"k": "v", "l": "w"})
    assert applied(first, config_map())["data"] == {"l": "w"}


def test_list_items_belong_to_who_applied_them() -> None:
    c, d, e = ({"name": name, "image": "i"} for name in "cde")
    first = applied(None, deployment(c, replicas=2))
    second = applied(first, deployment(d), "two")
    assert [x["name"] for x in second["spec"]["template"]["spec"]["containers"]] == ["c", "d"]
    third = applied(second, NOTHING, "two")
    assert third["spec"] == first["spec"]
    assert list(owners(third)) == ["one"]
    fourth = applied(third, deployment(e))
    assert fourth["spec"] == {"template": {"spec": {"containers": [e]}}}


def test_others_fields_in_a_list_item_keep_the_item() -> None:
    first = applied(None, deployment({"name": "c", "image": "i"}))
    second = applied(first, deployment({"name": "c", "imagePullPolicy": "Never"}), "two")
    third = applied(second, NOTHING, "one")
    assert third["spec"]["template"]["spec"]["containers"] == [{"name": "c", "imagePullPolicy": "Never"}]


def test_an_atomic_list_is_replaced_whole() -> None:
    first = applied(None, deployment({"name": "c", "args": ["a", "b"]}))
    second = applied(first, deployment({"name": "c", "args": ["x"]}))
    assert second["spec"]["template"]["spec"]["containers"][0]["args"] == ["x"]


# Conflicts


def conflict(current: Object, patch: Object, manager: str, **options: Any) -> ApplyConflict:
    with pytest.raises(ApplyConflict) as caught:
        applied(current, patch, manager, **options)
    return caught.value


def test_one_conflict_is_named_in_one_line() -> None:
    first = applied(None, config_map({"k": "1"}))
    error = conflict(first, config_map({"k": "2"}), "two")
    assert str(error) == 'Apply failed with 1 conflict: conflict with "one": .data.k'
    assert error.causes == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.k"}
    ]


def test_several_conflicts_are_listed_by_manager() -> None:
    first = applied(applied(None, config_map({"k": "1"})), config_map({"l": "1"}), "two")
    error = conflict(first, config_map({"k": "x", "l": "x"}), "three")
    assert str(error) == (
        'Apply failed with 2 conflicts: conflicts with "one":\n- .data.k\nconflicts with "two":\n- .data.l'
    )


def test_conflicts_with_updaters_name_version_and_subresource() -> None:
    first = updated(config_map({"k": "1"}), "two", data={"k": "1"})
    first["metadata"]["managedFields"] = [
        {
            "manager": "two",
            "operation": "Update",
            "apiVersion": "v1",
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {"f:k": {}}},
            "subresource": "scale",
        }
    ]
    error = conflict(first, config_map({"k": "2"}), "one")
    assert error.causes[0]["message"] == 'conflict with "two" with subresource "scale" using v1'


def test_conflicts_in_lists_name_the_item() -> None:
    first = applied(None, deployment({"name": "c", "image": "i"}))
    error = conflict(first, deployment({"name": "c", "image": "j"}), "two")
    assert error.causes[0]["field"] == '.spec.template.spec.containers[name="c"].image'


def test_force_takes_the_fields_over() -> None:
    first = applied(None, config_map({"k": "1", "l": "1"}))
    second = applied(first, config_map({"k": "2"}), "two", force=True, now=LATER)
    assert second["data"] == {"k": "2", "l": "1"}
    assert owners(second) == {"one": {"f:data": {"f:l": {}}}, "two": {"f:data": {"f:k": {}}}}
    assert times(second) == {"one": NOW, "two": LATER}


def test_setting_the_same_value_is_no_conflict() -> None:
    first = applied(None, config_map({"k": "1"}))
    assert owners(applied(first, config_map({"k": "1", "l": "1"}), "two"))["one"] == {"f:data": {"f:k": {}}}


def test_an_update_takes_over_what_it_changes() -> None:
    first = applied(None, config_map({"k": "v", "l": "v"}))
    second = updated(first, "two", data={"k": "w", "l": "v"})
    assert owners(second) == {"one": {"f:data": {"f:l": {}}}, "two": {"f:data": {"f:k": {}}}}
    third = updated(second, "one", data={"k": "x"})
    assert [(e["operation"], e["fieldsV1"]) for e in third["metadata"]["managedFields"]] == [
        ("Update", {"f:data": {"f:k": {}}})
    ]


def test_the_first_apply_to_an_untracked_object_records_what_was_before() -> None:
    second = applied(config_map({"k": "v"}), config_map({"k": "v"}), "m", now=LATER)
    assert owners(second) == {
        "m": {"f:data": {"f:k": {}}},
        "before-first-apply": {"f:data": {".": {}, "f:k": {}}},
    }
    assert times(second) == {"m": None, "before-first-apply": LATER}


def test_reset_fields_are_not_owned() -> None:
    patch = deployment(replicas=9)
    patch["status"] = {"replicas": 1}
    result = applied(None, patch, subresource="status", reset_fields=(("spec",),))
    assert owners(result) == {"one": {"f:status": {"f:replicas": {}}}}
    assert result["metadata"]["managedFields"][0]["subresource"] == "status"


def test_what_a_custom_schema_leaves_open_is_owned_key_by_key_and_lists_whole() -> None:
    node = Node(STRUCT, fields={n: Field(n, CONFIG_MAP.fields[n].node) for n in ("apiVersion", "kind", "metadata")})
    node.preserve_unknown = True
    first = applied(
        None,
        {"apiVersion": "e/v1", "kind": "W", "metadata": {"name": "a"}, "spec": {"l": [{"a": 1}], "m": {"x": {"y": 1}}}},
        node=node,
    )
    assert owners(first)["one"] == {
        "f:spec": {".": {}, "f:l": {}, "f:m": {".": {}, "f:x": {".": {}, "f:y": {}}}}
    }
    patch = {**first, "metadata": {"name": "a"}, "spec": {"l": [{"b": 1}], "m": {"x": {"z": 1}}}}
    assert str(conflict(first, patch, "two", node=node)) == (
        'Apply failed with 1 conflict: conflict with "one": .spec.l'
    )
    patch["spec"] = {"m": {"x": {"z": 1}}}
    assert applied(first, patch, "two", node=node)["spec"]["m"] == {"x": {"y": 1, "z": 1}}


# Refusals


@pytest.mark.parametrize(
    ("patch", "text"),
    [
        (config_map() | {"data": ["a"]}, "(/a; /v1, Kind=ConfigMap): .data: expected map, got &{[a]}"),
        (config_map({"k": 5}), "(/a; /v1, Kind=ConfigMap): .data.k: expected string, "
         "got &value.valueUnstructured{Value:5}"),
        (config_map(namespace="n") | {"immutable": "x"}, "(n/a; /v1, Kind=ConfigMap): .immutable: expected boolean, "
         "got &{x}"),
        (config_map() | {"nosuch": 1}, "(/a; /v1, Kind=ConfigMap): .nosuch: field not declared in schema"),
        (deployment(replicas="x"), "(/a; apps/v1, Kind=Deployment): .spec.replicas: expected numeric (int or float), "
         "got string"),
        (deployment(selector=[]), "(/a; apps/v1, Kind=Deployment): .spec.selector: expected map, got &{[]}"),
        (deployment({"image": "i"}, {"image": "j"}),
         '(/a; apps/v1, Kind=Deployment): .spec.template.spec.containers: duplicate entries for key [name=""]'),
        (deployment({"name": "c", "env": [{"name": "A"}, {"name": "A"}]}),
         '(/a; apps/v1, Kind=Deployment): .spec.template.spec.containers[name="c"].env: '
         'duplicate entries for key [name="A"]'),
        ({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"},
          "spec": {"ports": [{"port": 80}, {"port": 80}]}},
         '(/a; /v1, Kind=Service): .spec.ports: duplicate entries for key [port=80,protocol="TCP"]'),
        (config_map({"k": 1, "l": True}), "(/a; /v1, Kind=ConfigMap): errors:\n"
         "  .data.k: expected string, got &value.valueUnstructured{Value:1}\n"
         "  .data.l: expected string, got &value.valueUnstructured{Value:true}"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_schema_is_refused(patch: Object, text: str) -> None:
    with pytest.raises(ApplyError) as caught:
        applied(None, patch)
    assert (caught.value.code, caught.value.reason) == (500, "")
    assert str(caught.value) == f"failed to create typed patch object {text}"


@pytest.mark.parametrize(
    ("item", "text"),
    [
        ({}, 'element 0: associative list with keys has an element that omits all key fields ["k"] '
         "(and doesn't have default values for any key fields)"),
        (None, "element 0: associative list with keys may not have a null element"),
        ("x", "element 0: associative list with keys may not have non-map elements"),
    ],
)  # fmt: skip
def test_list_items_without_a_key_are_refused(item: Any, text: str) -> None:
    items = Node(LIST, items=Node(STRUCT, fields={"k": Field("k", Node(STRING))}), list_type="map", map_keys=("k",))
    node = Node(STRUCT, fields={**CONFIG_MAP.fields, "l": Field("l", items)})
    with pytest.raises(ApplyError) as caught:
        applied(None, config_map() | {"l": [item]}, node=node)
    assert str(caught.value) == f"failed to create typed patch object (/a; /v1, Kind=ConfigMap): .l: {text}"


def test_managed_fields_and_other_versions_are_refused() -> None:
    with pytest.raises(ApplyError, match=r"metadata\.managedFields must be nil") as caught:
        applied(None, config_map(managedFields=[]))
    assert (caught.value.code, caught.value.reason) == (400, "BadRequest")
    with pytest.raises(ApplyError, match="Specified patch version: v1, expected: v2"):
        applied(None, config_map(), api_version="v2")


def test_a_live_object_that_no_longer_fits_its_schema_is_refused() -> None:
    items = Node(LIST, items=Node(STRUCT, fields={"k": Field("k", Node(STRING))}), list_type="map", map_keys=("k",))
    node = Node(STRUCT, fields={**CONFIG_MAP.fields, "l": Field("l", items)})
    with pytest.raises(ApplyError, match="failed to create typed live object") as caught:
        applied(config_map() | {"l": [{}]}, config_map() | {"l": [{"k": "x"}]}, node=node)
    assert caught.value.code == 500


def test_duplicates_that_are_there_already_do_not_matter() -> None:
    env = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    first = updated(deployment({"name": "c", "env": env}), "two", status={})
    second = applied(first, deployment({"name": "c", "image": "i"}))
    assert second["spec"]["template"]["spec"]["containers"][0]["env"] == env


# Client-side apply


def client_applied(data: dict[str, str], live: dict[str, str]) -> Object:
    last = json.dumps(config_map(data))
    first = config_map(live, annotations={LAST_APPLIED: last}, uid="u")
    track_update(
        first, None, manager="kubectl-client-side-apply", node=CONFIG_MAP, api_version="v1", subresource="", now=NOW
    )
    return first


def test_kubectl_takes_over_what_client_side_apply_set() -> None:
    first = client_applied({"k": "1"}, {"k": "1"})
    second = applied(first, config_map({"k": "2<&>"}), "kubectl")
    assert second["data"] == {"k": "2<&>"}
    assert second["metadata"]["annotations"][LAST_APPLIED] == (
        '{"apiVersion":"v1","data":{"k":"2\\u003c\\u0026\\u003e"},"kind":"ConfigMap","metadata":{"name":"a"}}\n'
    )
    assert conflict(first, config_map({"k": "2"}), "other")


def test_kubectl_does_not_take_over_what_changed_since() -> None:
    first = client_applied({"k": "1", "l": "1"}, {"k": "changed", "l": "1"})
    error = conflict(first, config_map({"k": "2", "l": "2"}), "kubectl")
    assert [cause["field"] for cause in error.causes] == [".data.k"]


# Properties

_DATA = st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"), max_size=3)
_NAMES = st.lists(st.sampled_from("abcde"), unique=True, max_size=5)


@given(_DATA, _NAMES, _DATA, _NAMES)
def test_applying_is_idempotent(data: dict[str, str], names: list[str], other: dict[str, str], more: list[str]) -> None:
    def configuration(data: dict[str, str], names: list[str]) -> Object:
        containers = [{"name": name, "image": "i"} for name in names]
        out = deployment(*containers)
        out["metadata"]["labels"] = data
        return out

    first = applied(None, configuration(data, names))
    second = applied(first, configuration(other, more), "two", force=True)
    assert applied(second, configuration(other, more), "two", now=LATER) == second


@given(_DATA, _DATA)
def test_forced_applies_win_and_leave_the_rest(one: dict[str, str], two: dict[str, str]) -> None:
    first = applied(None, config_map(one))
    second = applied(first, config_map(two), "two", force=True)
    assert second.get("data", {}) == {**one, **two}
    third = applied(second, config_map(), "two")
    kept = {key for key in one if key not in two or one[key] == two[key]}
    assert third.get("data", {}) == {key: one[key] for key in kept}


@given(_DATA, _DATA)
def test_disjoint_applies_do_not_depend_on_their_order(one: dict[str, str], two: dict[str, str]) -> None:
    two = {key: value for key, value in two.items() if key not in one}
    forth = applied(applied(None, config_map(one)), config_map(two), "two")
    back = applied(applied(None, config_map(two), "two"), config_map(one))
    assert (forth.get("data"), owners(forth)) == (back.get("data"), owners(back))


@given(_NAMES, _NAMES)
def test_list_items_keep_the_appliers_order(left: list[str], right: list[str]) -> None:
    first = applied(None, deployment(*({"name": name} for name in left), replicas=1))
    second = applied(first, deployment(*({"name": name} for name in right), paused=True), "two")
    items = second["spec"].get("template", {}).get("spec", {}).get("containers", [])
    names = [item["name"] for item in items]
    assert sorted(names) == sorted({*left, *right})
    assert [name for name in names if name in right] == right
    assert [name for name in names if name not in right] == [name for name in left if name not in right]


@given(_DATA, _DATA)
def test_ownership_after_an_update_covers_every_change(old: dict[str, str], new: dict[str, str]) -> None:
    first = applied(None, config_map(old))
    second = updated(first, "two", data=new)
    mine = owners(second).get("two", {}).get("f:data", {})
    theirs = owners(second).get("one", {}).get("f:data", {})
    same = {key for key in new if old.get(key) == new[key]}
    assert {key[2:] for key in mine if key != "."} == set(new) - same
    assert {key[2:] for key in theirs if key != "."} == same


def test_open_values_are_deduced() -> None:
    node = Node(STRUCT, fields={**CONFIG_MAP.fields, "x": Field("x", Node(ANY, preserve_unknown=True))})
    first = applied(None, config_map() | {"x": {"a": 1}}, node=node)
    second = applied(first, config_map() | {"x": [1]}, node=node)
    assert (second["x"], owners(second)["one"]) == ([1], {"f:x": {}})
    third = applied(second, config_map() | {"x": {"b": {}}}, node=node)
    assert (third["x"], owners(third)["one"]) == ({"b": {}}, {"f:x": {"f:b": {}}})
