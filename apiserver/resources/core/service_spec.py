"""What a service's spec asks for: small questions that its strategy, validation and allocation share.

Follows: pkg/registry/core/service/strategy.go, pkg/api/service/util.go
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Spec = Mapping[str, Any]

NONE = "None"
IPV4, IPV6 = "IPv4", "IPv6"
SINGLE, PREFER, REQUIRE = "SingleStack", "PreferDualStack", "RequireDualStack"
_ADDRESSED = frozenset(("ClusterIP", "NodePort", "LoadBalancer"))
_PORTED = frozenset(("NodePort", "LoadBalancer"))


def kind_of(spec: Spec) -> str:
    return str(spec.get("type", ""))


def cluster_ips(spec: Spec) -> list[str]:
    return spec.get("clusterIPs") or []


def families(spec: Spec) -> list[str]:
    return spec.get("ipFamilies") or []


def is_headless(spec: Spec) -> bool:
    return cluster_ips(spec) == [NONE]


def needs_cluster_ip(spec: Spec) -> bool:
    return kind_of(spec) in _ADDRESSED


def needs_node_ports(spec: Spec) -> bool:
    kind = kind_of(spec)
    return kind == "NodePort" or (kind == "LoadBalancer" and bool(spec.get("allocateLoadBalancerNodePorts", True)))


def may_have_node_ports(spec: Spec) -> bool:
    return kind_of(spec) in _PORTED


def needs_health_port(spec: Spec) -> bool:
    """A load balancer that sends only to nodes with endpoints asks each node for its health."""
    return kind_of(spec) == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def is_external(spec: Spec) -> bool:
    """Reachable from outside of the cluster."""
    kind = kind_of(spec)
    return kind in _PORTED or (kind == "ClusterIP" and bool(spec.get("externalIPs")))


def node_ports(spec: Spec) -> list[int]:
    """The node ports in use, each once."""
    return list(dict.fromkeys(port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")))


def own_ips(spec: Spec) -> list[str]:
    """The addresses that are held for this service."""
    ips = cluster_ips(spec) or ([spec["clusterIP"]] if spec.get("clusterIP") else [])
    return [] if not needs_cluster_ip(spec) else [ip for ip in ips if ip and ip != NONE]


def own_ports(spec: Spec) -> list[int]:
    """The ports of every node that are held for this service, its health-check port among them."""
    ports = node_ports(spec)
    if needs_health_port(spec) and spec.get("healthCheckNodePort"):
        ports.append(spec["healthCheckNodePort"])
    return ports
