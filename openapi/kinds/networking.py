"""networking.k8s.io: ingresses, policies and service addresses."""

from __future__ import annotations

from openapi.catalog import Resource
from openapi.kinds.row import ApiGroup

NETWORKING = ApiGroup("networking.k8s.io", "v1", "io.k8s.api.networking.v1")

RESOURCES: tuple[Resource, ...] = (
    NETWORKING.row("ingressclasses", "IngressClass", namespaced=False),
    NETWORKING.row("ingresses", "Ingress", "ing", status=True, prefix="ingress"),
    NETWORKING.row("ipaddresses", "IPAddress", "ip", namespaced=False),
    NETWORKING.row("networkpolicies", "NetworkPolicy", "netpol"),
    NETWORKING.row("servicecidrs", "ServiceCIDR", namespaced=False, status=True),
)
