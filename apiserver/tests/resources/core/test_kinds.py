"""The core kinds' own rules: what is refused and in which words, what the server sets, and what tables show."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from apiserver.resources.core.event_conversion import to_core_v1, to_events_v1
from apiserver.resources.strategy import Strategy, User, WriteContext
from apiserver.resources.table import STRATEGIES
from openapi.catalog import GroupResource, GroupVersionKind
from openapi.schema.decode import decode
from openapi.schema.defaults import apply_defaults
from openapi.schema.load import schema_for

Object = dict[str, Any]
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
CONTEXT = WriteContext(User("tester"), NOW, "default")
KINDS = {
    "configmaps": "ConfigMap",
    "endpoints": "Endpoints",
    "events": "Event",
    "limitranges": "LimitRange",
    "namespaces": "Namespace",
    "nodes": "Node",
    "persistentvolumeclaims": "PersistentVolumeClaim",
    "persistentvolumes": "PersistentVolume",
    "replicationcontrollers": "ReplicationController",
    "resourcequotas": "ResourceQuota",
    "secrets": "Secret",
    "serviceaccounts": "ServiceAccount",
}
CLUSTER_WIDE = ("namespaces", "nodes", "persistentvolumes")


def strategy_of(resource: str, group: str = "") -> Strategy:
    return STRATEGIES[GroupResource(group, resource)]


def made(resource: str, body: Object) -> Object:
    """`body` as it reaches a strategy."""
    obj = copy.deepcopy(body)
    gvk = GroupVersionKind("", "v1", KINDS[resource])
    decode(obj, schema_for(gvk), gvk)
    apply_defaults(obj, gvk)
    meta = obj["metadata"]
    meta.setdefault("name", "a")
    if resource not in CLUSTER_WIDE:
        meta.setdefault("namespace", "default")
    return obj


def created(resource: str, body: Object) -> Object:
    obj = made(resource, body)
    strategy = strategy_of(resource)
    strategy.prepare(obj, None, CONTEXT)
    strategy.canonicalize(obj)
    return obj


def problems(resource: str, body: Object, old: Object | None = None, *, sub: str = "") -> list[str]:
    """What is wrong with `body`, or with it in place of `old`."""
    obj = made(resource, {"metadata": {"name": "a"}, **body})
    strategy = strategy_of(resource)
    if sub:
        strategy = strategy.subresources[sub]
    if old is not None:
        old["metadata"]["resourceVersion"] = obj["metadata"]["resourceVersion"] = "1"
    strategy.prepare(obj, old, CONTEXT)
    return [str(error) for error in strategy.validate(obj, old, CONTEXT)]


VOLUME: Object = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/a"}}
CLAIM: Object = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}


@pytest.mark.parametrize(
    ("resource", "body", "expected"),
    [
        ("configmaps", {"data": {"a": ""}, "binaryData": {"a": ""}},
         ['data[a]: Invalid value: "a": duplicate of key present in binaryData']),
        ("secrets", {"type": "kubernetes.io/tls"},
         ["data[tls.crt]: Required value", "data[tls.key]: Required value"]),
        ("secrets", {"type": "kubernetes.io/dockercfg", "data": {".dockercfg": "W10="}},
         ['data[.dockercfg]: Invalid value: "<secret contents redacted>": json: cannot unmarshal array into Go value '
          "of type map[string]interface {}"]),
        ("persistentvolumes",
         {"spec": {**VOLUME, "hostPath": {"path": "/"}, "persistentVolumeReclaimPolicy": "Recycle"}},
         ["spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'"]),
        ("persistentvolumes", {"spec": {**VOLUME, "nfs": {"server": "s", "path": "/x"}}},
         ["spec.nfs: Forbidden: may not specify more than 1 volume type"]),
        ("persistentvolumeclaims", {"spec": {**CLAIM, "accessModes": ["ReadWriteOncePod", "ReadOnlyMany"]}},
         ["spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes"]),
        ("nodes", {"spec": {"taints": [{"key": "k", "effect": "Odd"}]}},
         ['metadata.taints[0].effect: Unsupported value: "Odd": supported values: "NoSchedule", "PreferNoSchedule", '
          '"NoExecute"']),
        ("resourcequotas", {"spec": {"hard": {"configmaps": "2"}, "scopes": ["BestEffort"]}},
         ['spec.scopes: Invalid value: ["BestEffort"]: unsupported scope applied to resource']),
        ("limitranges", {"spec": {"limits": [
            {"type": "Container", "max": {"cpu": "2"}, "min": {"cpu": "1"}, "maxLimitRequestRatio": {"cpu": "3"}}
        ]}},
         ['spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "3": ratio 3 is greater than max/min = 2.000000']),
        ("endpoints", {"subsets": [{"addresses": [{"ip": "010.0.0.1"}], "ports": [{"port": 1}]}]},
         ['subsets[0].addresses[0].ip: Invalid value: "010.0.0.1": must not have leading 0s']),
        ("configmaps", {"metadata": {"name": "a", "finalizers": ["plain"]}},
         ['metadata.finalizers[0]: Invalid value: "plain": name is neither a standard finalizer name nor is it fully '
          "qualified"]),
    ],
)  # fmt: skip
def test_wrong_objects_are_refused_in_the_words_of_the_api(resource: str, body: Object, expected: list[str]) -> None:
    assert problems(resource, body) == expected


@pytest.mark.parametrize(
    ("resource", "body", "change", "expected"),
    [
        ("secrets", {"type": "a.b/c"}, {"type": "d.e/f"}, ['type: Invalid value: "d.e/f": field is immutable']),
        ("configmaps", {"immutable": True, "data": {"a": "b"}}, {"immutable": True, "data": {"a": "c"}},
         ["data: Forbidden: field is immutable when `immutable` is set"]),
        ("nodes", {"spec": {"podCIDR": "10.0.0.0/24"}}, {"spec": {"podCIDR": "10.0.1.0/24"}},
         ['spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid']),
        ("persistentvolumes", {"spec": VOLUME}, {"spec": {**VOLUME, "volumeMode": "Block"}},
         ['volumeMode: Invalid value: "Block": field is immutable']),
        ("resourcequotas",
         {"spec": {"hard": {"pods": "1"}, "scopes": ["BestEffort"]}}, {"spec": {"hard": {"pods": "1"}}},
         ["spec.scopes: Invalid value: null: field is immutable"]),
    ],
)  # fmt: skip
def test_what_may_not_change_is_refused(resource: str, body: Object, change: Object, expected: list[str]) -> None:
    assert problems(resource, change, created(resource, body)) == expected


def test_a_bound_claim_may_grow_and_an_unbound_one_may_not() -> None:
    old = created("persistentvolumeclaims", {"metadata": {"name": "a"}, "spec": CLAIM})
    larger = {"spec": {**CLAIM, "resources": {"requests": {"storage": "2Gi"}}}}
    assert problems("persistentvolumeclaims", larger, old)[0].startswith("spec: Forbidden: spec is immutable after")
    old["status"] = {"phase": "Bound", "capacity": {"storage": "1Gi"}}
    assert problems("persistentvolumeclaims", larger, old) == []
    smaller = {"spec": {**CLAIM, "resources": {"requests": {"storage": "1Mi"}}}}
    assert problems("persistentvolumeclaims", smaller, old) == [
        "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"
    ]


def test_a_claim_names_its_source_in_both_fields() -> None:
    source = {"kind": "PersistentVolumeClaim", "name": "b"}
    spec = created("persistentvolumeclaims", {"metadata": {}, "spec": {**CLAIM, "dataSource": source}})["spec"]
    assert spec["dataSourceRef"] == {"apiGroup": None, **source}


def test_a_volume_affinity_may_move_to_newer_labels_only() -> None:
    def with_key(key: str) -> Object:
        terms = [{"matchExpressions": [{"key": key, "operator": "Exists"}]}]
        return {"spec": {**VOLUME, "nodeAffinity": {"required": {"nodeSelectorTerms": terms}}}}

    old = created("persistentvolumes", {"metadata": {"name": "a"}, **with_key("beta.kubernetes.io/os")})
    assert problems("persistentvolumes", with_key("kubernetes.io/os"), old) == []
    refused = problems("persistentvolumes", with_key("other"), old)
    assert refused[0].startswith('nodeAffinity: Invalid value: {"Required"')


def test_the_time_of_a_volume_changes_with_its_phase() -> None:
    old = created("persistentvolumes", {"metadata": {"name": "a"}, "spec": VOLUME})
    old["status"]["lastPhaseTransitionTime"] = "2020-01-01T00:00:00Z"
    status = strategy_of("persistentvolumes").subresources["status"]
    same, bound = copy.deepcopy(old), copy.deepcopy(old)
    del same["status"]["lastPhaseTransitionTime"]
    bound["status"]["phase"] = "Bound"
    status.prepare(same, old, CONTEXT)
    status.prepare(bound, old, CONTEXT)
    assert same["status"]["lastPhaseTransitionTime"] == "2020-01-01T00:00:00Z"
    assert bound["status"]["lastPhaseTransitionTime"] == "2026-01-01T12:00:00Z"


def test_a_namespace_ends_when_nobody_holds_it() -> None:
    namespace = created("namespaces", {"metadata": {"name": "a"}, "spec": {"finalizers": ["a.b/c"]}})
    strategy = strategy_of("namespaces")
    assert namespace["spec"]["finalizers"] == ["a.b/c", "kubernetes"]
    assert namespace["metadata"]["labels"] == {"kubernetes.io/metadata.name": "a"}
    assert not strategy.ends_on_update(namespace, namespace)
    assert strategy.ends_on_update({**namespace, "spec": {}}, namespace)
    assert problems("namespaces", {"status": {"phase": "Terminating"}}, namespace, sub="status") == [
        "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty"
    ]


def test_a_controller_takes_selector_and_labels_from_its_template() -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    controller = created("replicationcontrollers", {"metadata": {"name": "a"}, "spec": {"template": template}})
    assert controller["spec"]["selector"] == controller["metadata"]["labels"] == {"a": "b"}
    assert (controller["spec"]["replicas"], controller["status"]) == (1, {"replicas": 0})


def test_containers_get_limits_from_the_maximum_and_requests_from_limits() -> None:
    item = {"type": "Container", "max": {"cpu": "2"}, "min": {"cpu": "1", "memory": "1Mi"}}
    limits = created("limitranges", {"metadata": {}, "spec": {"limits": [item]}})["spec"]["limits"][0]
    assert limits["default"] == {"cpu": "2"} and limits["defaultRequest"] == {"cpu": "2", "memory": "1Mi"}


def test_events_through_the_new_group_must_be_complete() -> None:
    event = made("events", {"metadata": {"name": "a"}, "involvedObject": {"namespace": "default"}, "type": "Odd"})
    assert [str(e) for e in strategy_of("events").validate(event, None, CONTEXT)] == []
    new = strategy_of("events", "events.k8s.io")
    assert [str(e) for e in new.validate(event, None, CONTEXT)] == [
        "eventTime: Required value", 'type: Invalid value: "": has invalid value: Odd',
    ]


def test_events_keep_their_content_in_both_forms() -> None:
    event = made("events", {
        "metadata": {"name": "a"}, "involvedObject": {"kind": "Pod"}, "message": "m", "count": 3,
        "source": {"host": "h"}, "reportingComponent": "c",
    })
    new = to_events_v1(event)
    assert (new["note"], new["regarding"], new["deprecatedCount"]) == ("m", {"kind": "Pod"}, 3)
    assert new["reportingController"] == "c" and "reportingInstance" not in new
    assert to_core_v1(new) == event


@pytest.mark.parametrize(
    ("labels", "conditions", "spec", "expected"),
    [
        ({}, [], {}, ["Unknown", "<none>"]),
        ({"node-role.kubernetes.io/b": "", "kubernetes.io/role": "a"}, [{"type": "Ready", "status": "True"}],
         {"unschedulable": True}, ["Ready,SchedulingDisabled", "a,b"]),
        ({}, [{"type": "Ready", "status": "Unknown"}], {}, ["NotReady", "<none>"]),
    ],
)  # fmt: skip
def test_tables_show_state_and_roles_of_nodes(
    labels: Object, conditions: Any, spec: Object, expected: list[str]
) -> None:
    node = {"metadata": {"name": "n", "labels": labels}, "spec": spec, "status": {"conditions": conditions}}
    assert strategy_of("nodes").cells(node, NOW)[1:3] == expected


def test_every_kind_tells_its_selectable_fields_and_as_many_cells_as_columns() -> None:
    bare: Object = {"metadata": {}, "spec": {}, "status": {}}
    for resource in KINDS:
        strategy = strategy_of(resource)
        assert all(isinstance(value, str) for value in strategy.fields(bare).values())
        cells = strategy.cells({**bare, "metadata": {"name": "a"}}, NOW)
        assert len(cells) == len(strategy.columns), resource
