"""coordination.k8s.io: leases."""

from __future__ import annotations

from openapi.catalog import Resource
from openapi.kinds.row import ApiGroup

COORDINATION = ApiGroup("coordination.k8s.io", "v1", "io.k8s.api.coordination.v1")

RESOURCES: tuple[Resource, ...] = (
    COORDINATION.row("leases", "Lease"),
)
