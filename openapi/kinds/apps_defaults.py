"""Defaults of the workloads of apps.

Follows: pkg/apis/apps/v1/defaults.go, pkg/apis/apps/v1/conversion.go
"""

from __future__ import annotations

from typing import Any

from openapi.kinds.row import Defaults

Object = dict[str, Any]

TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
APPS = "io.k8s.api.apps.v1."


def _deployment_strategy(spec: Object) -> None:
    strategy = spec.setdefault("strategy", {})
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", "25%")
        rolling.setdefault("maxSurge", "25%")


def _daemon_set(obj: Object) -> None:
    """The template's number lives in an annotation, which every daemon set therefore has."""
    annotations = obj.setdefault("metadata", {}).setdefault("annotations", {})
    annotations.setdefault(TEMPLATE_GENERATION, "0")


def _daemon_set_strategy(spec: Object) -> None:
    strategy = spec.setdefault("updateStrategy", {})
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", 1)
        rolling.setdefault("maxSurge", 0)


def _stateful_set(spec: Object) -> None:
    if not spec.get("podManagementPolicy"):
        spec["podManagementPolicy"] = "OrderedReady"
    strategy = spec.setdefault("updateStrategy", {})
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
        strategy.setdefault("rollingUpdate", {})
    if strategy["type"] == "RollingUpdate" and "rollingUpdate" in strategy:
        strategy["rollingUpdate"].setdefault("partition", 0)
    retention = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
    for name in ("whenDeleted", "whenScaled"):
        if not retention.get(name):
            retention[name] = "Retain"
    for claim in spec.get("volumeClaimTemplates") or ():
        claim["apiVersion"] = "v1"
        claim["kind"] = "PersistentVolumeClaim"


DEFAULTS: Defaults = {
    APPS + "DaemonSet": (_daemon_set,),
    APPS + "DaemonSetSpec": (_daemon_set_strategy, {"revisionHistoryLimit": 10}),
    APPS + "DeploymentSpec": (
        _deployment_strategy,
        {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600},
    ),
    APPS + "ReplicaSetSpec": ({"replicas": 1},),
    APPS + "StatefulSetSpec": (_stateful_set, {"replicas": 1, "revisionHistoryLimit": 10}),
}
