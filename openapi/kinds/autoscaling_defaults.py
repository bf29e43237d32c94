"""Defaults of autoscaling: one replica at least, 80 % of the CPU, and the usual pace of scaling.

Version 1 knows the CPU alone; an annotation may hold other metrics, and then there is no default.
Follows: pkg/apis/autoscaling/v1/defaults.go, pkg/apis/autoscaling/v2/defaults.go
"""

from __future__ import annotations

from typing import Any

from openapi.kinds.row import Defaults

Object = dict[str, Any]

CPU_TARGET_PERCENT = 80
METRICS_ANNOTATION = "autoscaling.alpha.kubernetes.io/metrics"


def cpu_metric(utilization: int) -> Object:
    """The metric that version 1 knows: average CPU use in percent of the requests."""
    target = {"type": "Utilization", "averageUtilization": utilization}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


def _version_1(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("minReplicas", 1)
    annotations = (obj.get("metadata") or {}).get("annotations") or {}
    if METRICS_ANNOTATION not in annotations:
        spec.setdefault("targetCPUUtilizationPercentage", CPU_TARGET_PERCENT)


def _version_2(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("minReplicas", 1)
    if not spec.get("metrics"):
        spec["metrics"] = [cpu_metric(CPU_TARGET_PERCENT)]


def _behavior(behavior: Object) -> None:
    up = behavior.setdefault("scaleUp", {})
    up.setdefault("stabilizationWindowSeconds", 0)
    up.setdefault("selectPolicy", "Max")
    if "policies" not in up:
        up["policies"] = [
            {"type": "Pods", "value": 4, "periodSeconds": 15},
            {"type": "Percent", "value": 100, "periodSeconds": 15},
        ]
    down = behavior.setdefault("scaleDown", {})
    down.setdefault("selectPolicy", "Max")
    if "policies" not in down:
        down["policies"] = [{"type": "Percent", "value": 100, "periodSeconds": 15}]


DEFAULTS: Defaults = {
    "io.k8s.api.autoscaling.v1.HorizontalPodAutoscaler": (_version_1,),
    "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler": (_version_2,),
    "io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerBehavior": (_behavior,),
}
