"""scheduling.k8s.io: priority classes."""

from __future__ import annotations

from openapi.catalog import Resource
from openapi.kinds.row import ApiGroup

SCHEDULING = ApiGroup("scheduling.k8s.io", "v1", "io.k8s.api.scheduling.v1")

RESOURCES: tuple[Resource, ...] = (
    SCHEDULING.row("priorityclasses", "PriorityClass", "pc", namespaced=False),
)
