"""apps: the workload controllers."""

from __future__ import annotations

from openapi.catalog import Resource
from openapi.kinds.row import EVERYDAY, ApiGroup

APPS = ApiGroup("apps", "v1", "io.k8s.api.apps.v1")

RESOURCES: tuple[Resource, ...] = (
    APPS.row("controllerrevisions", "ControllerRevision"),
    APPS.row("daemonsets", "DaemonSet", "ds", categories=EVERYDAY, status=True),
    APPS.row("deployments", "Deployment", "deploy", categories=EVERYDAY, scale=True, status=True),
    APPS.row("replicasets", "ReplicaSet", "rs", categories=EVERYDAY, scale=True, status=True),
    APPS.row("statefulsets", "StatefulSet", "sts", categories=EVERYDAY, scale=True, status=True),
)
