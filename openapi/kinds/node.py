"""node.k8s.io: runtime classes."""

from __future__ import annotations

from openapi.catalog import Resource
from openapi.kinds.row import ApiGroup

NODE = ApiGroup("node.k8s.io", "v1", "io.k8s.api.node.v1")

RESOURCES: tuple[Resource, ...] = (
    NODE.row("runtimeclasses", "RuntimeClass", namespaced=False),
)
