"""Autoscalers: the two versions carry the same, and metrics are checked and summed up."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import orjson

from apiserver.resources.autoscaling.conversion import to_v1, to_v2
from apiserver.resources.autoscaling.horizontal_pod_autoscaler import HorizontalPodAutoscalerStrategy
from apiserver.resources.conversion import CONVERSIONS
from apiserver.resources.strategy import User, WriteContext

Object = dict[str, Any]

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONTEXT = WriteContext(User("tester"), NOW, "default")
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}
CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}
PODS = {"type": "Pods", "pods": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "5"}}}


def autoscaler(**spec: Any) -> Object:
    whole = {"scaleTargetRef": TARGET, "maxReplicas": 5, "minReplicas": 1, "metrics": [CPU]} | spec
    meta = {"name": "h", "namespace": "default"}
    status = {"desiredReplicas": 0, "currentMetrics": None}
    kind = "HorizontalPodAutoscaler"
    return {"kind": kind, "apiVersion": "autoscaling/v2", "metadata": meta, "spec": whole, "status": status}


def problems(obj: Object) -> list[str]:
    return [str(error) for error in HorizontalPodAutoscalerStrategy().validate(obj, None, CONTEXT)]


def test_version_1_shows_the_cpu_as_its_target() -> None:
    old = to_v1(autoscaler())
    assert old["spec"]["targetCPUUtilizationPercentage"] == 70
    assert old["status"] == {"currentReplicas": 0, "desiredReplicas": 0}
    assert "annotations" not in old["metadata"]


def test_other_metrics_travel_in_an_annotation() -> None:
    old = to_v1(autoscaler(metrics=[PODS, CPU]))
    text = old["metadata"]["annotations"]["autoscaling.alpha.kubernetes.io/metrics"]
    assert text == '[{"type":"Pods","pods":{"metricName":"m","targetAverageValue":"5"}}]'


def test_nothing_is_lost_on_the_way_to_version_1_and_back() -> None:
    rules = {"selectPolicy": "Max", "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}
    metric = {"name": "e", "selector": {"matchLabels": {"a": "b"}}}
    external = {"metric": metric, "target": {"type": "Value", "value": "2"}}
    container = {
        "name": "memory", "container": "c", "target": {"type": "AverageValue", "averageValue": "1Gi"}
    }  # fmt: skip
    metrics = [
        PODS,
        {"type": "External", "external": external},
        {"type": "ContainerResource", "containerResource": container},
        CPU,
    ]
    obj = autoscaler(metrics=metrics, behavior={"scaleDown": rules})
    used = {"averageUtilization": 4, "averageValue": "1"}
    current = [{"type": "Resource", "resource": {"name": "cpu", "current": used}}]
    conditions = [{"type": "AbleToScale", "status": "True", "lastTransitionTime": None}]
    obj["status"] = {"desiredReplicas": 2, "currentReplicas": 1, "currentMetrics": current, "conditions": conditions}
    assert to_v2(to_v1(obj)) == obj


def test_an_average_of_an_object_survives_version_1() -> None:
    described = {"kind": "Ingress", "name": "i"}
    target = {"type": "AverageValue", "averageValue": "3"}
    metric = {"type": "Object", "object": {"metric": {"name": "m"}, "describedObject": described, "target": target}}
    assert to_v2(to_v1(autoscaler(metrics=[metric])))["spec"]["metrics"] == [metric]


def test_conversions_leave_their_argument_alone() -> None:
    obj = autoscaler(metrics=[PODS])
    before = orjson.dumps(obj)
    CONVERSIONS["autoscaling/v2", "autoscaling/v1", "HorizontalPodAutoscaler"](obj)
    assert orjson.dumps(obj) == before


def test_without_metrics_version_1_means_eighty_percent_of_the_cpu() -> None:
    old = to_v1(autoscaler())
    del old["spec"]["targetCPUUtilizationPercentage"]
    old["metadata"]["annotations"] = {"autoscaling.alpha.kubernetes.io/metrics": "not json"}
    obj = to_v2(old)
    assert obj["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 80
    assert "annotations" not in obj["metadata"]


def test_a_target_needs_a_group_unless_it_is_a_replication_controller() -> None:
    text = 'spec.scaleTargetRef.apiVersion: Invalid value: "": apiVersion must specify API group'
    assert problems(autoscaler(scaleTargetRef={"kind": "Deployment", "name": "d"})) == [text]
    assert problems(autoscaler(scaleTargetRef={"kind": "ReplicationController", "name": "d"})) == []


def test_a_stored_target_is_not_judged_again() -> None:
    old = autoscaler(scaleTargetRef={"kind": "Deployment", "name": "d"})
    old["metadata"]["resourceVersion"] = "1"
    obj = copy.deepcopy(old)
    assert list(HorizontalPodAutoscalerStrategy().validate(obj, old, CONTEXT)) == []


def test_the_row_sums_up_metrics() -> None:
    obj = autoscaler(metrics=[CPU, PODS, PODS])
    current = {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 40}}}
    obj["status"]["currentMetrics"] = [current]
    assert HorizontalPodAutoscalerStrategy().cells(obj, NOW)[1:4] == [
        "Deployment/d",
        "cpu: 40%/70%, <unknown>/5 + 1 more...",
        "1",
    ]
