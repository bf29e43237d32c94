"""resource.k8s.io: dynamic resource allocation."""

from __future__ import annotations

from openapi.catalog import Resource
from openapi.kinds.row import ApiGroup

RESOURCE = ApiGroup("resource.k8s.io", "v1", "io.k8s.api.resource.v1")

RESOURCES: tuple[Resource, ...] = (
    RESOURCE.row("deviceclasses", "DeviceClass", namespaced=False),
    RESOURCE.row("resourceclaims", "ResourceClaim", status=True),
    RESOURCE.row("resourceclaimtemplates", "ResourceClaimTemplate"),
    RESOURCE.row("resourceslices", "ResourceSlice", namespaced=False),
)
