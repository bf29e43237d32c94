"""discovery.k8s.io: endpoint slices."""

from __future__ import annotations

from openapi.catalog import Resource
from openapi.kinds.row import ApiGroup

DISCOVERY = ApiGroup("discovery.k8s.io", "v1", "io.k8s.api.discovery.v1")

RESOURCES: tuple[Resource, ...] = (
    DISCOVERY.row("endpointslices", "EndpointSlice"),
)
