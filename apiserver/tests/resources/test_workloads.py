"""The workloads of apps: what the server sets, what it refuses and what it shows."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from apiserver.resources.apps.daemon_set import DaemonSetStrategy
from apiserver.resources.apps.deployment import DeploymentStatus, DeploymentStrategy
from apiserver.resources.apps.replica_set import ReplicaSetStrategy
from apiserver.resources.apps.stateful_set import StatefulSetStrategy
from apiserver.resources.scale import ScaleFields, apply_scale, to_scale, validate_scale
from apiserver.resources.strategy import Strategy, User, WriteContext
from openapi.catalog import GroupVersionKind
from openapi.schema.decode import decode
from openapi.schema.defaults import apply_defaults
from openapi.schema.load import schema_for

Object = dict[str, Any]

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONTEXT = WriteContext(User("tester"), NOW, "default")
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


def new(kind: str, spec: Object) -> Object:
    """A workload as it reaches its strategy: decoded and defaulted."""
    gvk = GroupVersionKind("apps", "v1", kind)
    meta = {"name": "w", "namespace": "default", "uid": "u"}
    whole = {"selector": {"matchLabels": {"a": "b"}}, "template": copy.deepcopy(TEMPLATE)} | spec
    obj: Object = {"apiVersion": "apps/v1", "kind": kind, "metadata": meta, "spec": whole}
    decode(obj, schema_for(gvk), gvk)
    apply_defaults(obj, gvk)
    return obj


def stored(strategy: Strategy, obj: Object) -> Object:
    strategy.prepare(obj, None, CONTEXT)
    obj["metadata"]["resourceVersion"] = "1"
    return obj


def problems(strategy: Strategy, obj: Object, old: Object | None = None) -> list[str]:
    return [str(error) for error in strategy.validate(obj, old, CONTEXT)]


@pytest.mark.parametrize(
    ("kind", "strategy", "status"),
    [
        ("Deployment", DeploymentStrategy(), {}),
        ("ReplicaSet", ReplicaSetStrategy(), {"replicas": 0}),
        ("StatefulSet", StatefulSetStrategy(), {"replicas": 0, "availableReplicas": 0}),
    ],
)
def test_a_new_workload_starts_with_generation_one_and_an_empty_status(
    kind: str, strategy: Strategy, status: Object
) -> None:
    obj = new(kind, {})
    obj["status"] = {"replicas": 5}
    stored(strategy, obj)
    assert obj["metadata"]["generation"] == 1
    assert obj["status"] == status
    assert problems(strategy, obj) == []


def test_a_deployment_counts_changes_of_annotations_too() -> None:
    strategy = DeploymentStrategy()
    old = stored(strategy, new("Deployment", {}))
    changed = copy.deepcopy(old)
    changed["metadata"]["annotations"] = {"x": "y"}
    strategy.prepare(changed, old, CONTEXT)
    assert changed["metadata"]["generation"] == 2


def test_surge_and_unavailable_of_a_deployment_are_not_both_zero() -> None:
    rolling = {"maxSurge": 0, "maxUnavailable": "0%"}
    obj = new("Deployment", {"strategy": {"rollingUpdate": rolling}})
    text = 'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0'
    assert problems(DeploymentStrategy(), obj) == [text]


def test_an_unknown_strategy_is_shown_in_the_internal_form() -> None:
    obj = new("Deployment", {"strategy": {"type": "Odd"}})
    text = 'spec.strategy: Unsupported value: {"Type":"Odd","RollingUpdate":null}: '
    assert problems(DeploymentStrategy(), obj) == [text + 'supported values: "Recreate", "RollingUpdate"']


def test_the_selector_must_match_the_template_and_stay() -> None:
    strategy = ReplicaSetStrategy()
    old = stored(strategy, new("ReplicaSet", {}))
    changed = copy.deepcopy(old)
    changed["spec"]["selector"] = {"matchLabels": {"a": "c"}}
    assert problems(strategy, changed, old) == [
        'spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template `labels`',
        'spec.selector: Invalid value: {"matchLabels":{"a":"c"}}: field is immutable',
    ]


def test_a_daemon_set_numbers_its_templates() -> None:
    strategy = DaemonSetStrategy()
    old = stored(strategy, new("DaemonSet", {}))
    note = "deprecated.daemonset.template.generation"
    assert old["metadata"]["annotations"] == {note: "1"}
    changed = copy.deepcopy(old)
    changed["spec"]["template"]["spec"]["containers"][0]["image"] = "j"
    changed["metadata"]["annotations"] = {"x": "y"}
    strategy.prepare(changed, old, CONTEXT)
    assert changed["metadata"]["annotations"] == {note: "2", "x": "y"}


def test_a_stateful_set_may_change_only_some_fields() -> None:
    strategy = StatefulSetStrategy()
    old = stored(strategy, new("StatefulSet", {"serviceName": "s"}))
    changed = copy.deepcopy(old)
    changed["spec"] |= {"replicas": 3, "minReadySeconds": 1}
    assert problems(strategy, changed, old) == []
    changed["spec"]["serviceName"] = "t"
    assert [text.partition(" for")[0] for text in problems(strategy, changed, old)] == [
        "spec: Forbidden: updates to statefulset spec"
    ]


def test_claim_templates_serve_as_volumes() -> None:
    mount = [{"name": "data", "mountPath": "/d"}]
    template = copy.deepcopy(TEMPLATE)
    template["spec"] = {"containers": [{"name": "c", "image": "i", "volumeMounts": mount}]}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    claims = [{"metadata": {"name": "data"}, "spec": spec}]
    obj = new("StatefulSet", {"template": template, "volumeClaimTemplates": claims})
    assert problems(StatefulSetStrategy(), obj) == []


def test_a_status_must_add_up() -> None:
    old = stored(DeploymentStrategy(), new("Deployment", {}))
    changed = copy.deepcopy(old)
    changed["status"] = {"replicas": 1, "readyReplicas": 2}
    text = "status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas"
    assert problems(DeploymentStatus(), changed, old) == [text]


def test_the_row_of_a_deployment() -> None:
    obj = stored(DeploymentStrategy(), new("Deployment", {"replicas": 3}))
    obj["status"] = {"readyReplicas": 2, "updatedReplicas": 3}
    obj["metadata"]["creationTimestamp"] = "2025-12-31T23:00:00Z"
    assert DeploymentStrategy().cells(obj, NOW) == ["w", "2/3", 3, 0, "60m", "c", "i", "a=b"]


def test_a_scale_reads_and_writes_the_numbers_of_its_object() -> None:
    obj = stored(DeploymentStrategy(), new("Deployment", {"replicas": 2}))
    scale = to_scale(obj)
    assert (scale["spec"], scale["status"]) == ({"replicas": 2}, {"replicas": 0, "selector": "a=b"})
    scale["spec"] = {}
    apply_scale(obj, scale)
    assert obj["spec"]["replicas"] == 0


def test_a_scale_of_a_map_of_labels_names_them() -> None:
    obj = {"metadata": {"name": "w"}, "spec": {"selector": {"x": "y", "a": "b"}}}
    assert to_scale(obj, ScaleFields(labels_only=True))["status"]["selector"] == "a=b,x=y"


def test_a_scale_is_not_negative() -> None:
    scale = {"metadata": {"name": "w", "namespace": "n"}, "spec": {"replicas": -1}}
    texts = [str(error) for error in validate_scale(scale)]
    assert texts == ["spec.replicas: Invalid value: -1: must be greater than or equal to 0"]
