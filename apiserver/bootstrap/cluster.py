"""The other objects of a new cluster: namespaces, priority classes, the API server's own service, address range,
identity and configuration, and one API service for each group version.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

Object = dict[str, Any]

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")

PRIORITY_CLASSES = {
    "system-node-critical": (
        2000001000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
    "system-cluster-critical": (
        2000000000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
}

# The order of the groups in discovery: greater first. A group that is not here is a custom one.
GROUP_PRIORITIES = {
    "": 18000,
    "apps": 17800,
    "events.k8s.io": 17750,
    "authentication.k8s.io": 17700,
    "authorization.k8s.io": 17600,
    "autoscaling": 17500,
    "batch": 17400,
    "certificates.k8s.io": 17300,
    "networking.k8s.io": 17200,
    "policy": 17100,
    "rbac.authorization.k8s.io": 17000,
    "storage.k8s.io": 16800,
    "apiextensions.k8s.io": 16700,
    "admissionregistration.k8s.io": 16700,
    "scheduling.k8s.io": 16600,
    "coordination.k8s.io": 16500,
    "node.k8s.io": 16300,
    "discovery.k8s.io": 16200,
    "resource.k8s.io": 16200,
    "flowcontrol.apiserver.k8s.io": 16100,
}
CUSTOM_GROUP_PRIORITY = 1000

# The order of a group's versions, where it is not the usual one.
VERSION_PRIORITIES = {
    ("", "v1"): 1,
    ("autoscaling", "v2"): 30,
    ("flowcontrol.apiserver.k8s.io", "v1"): 21,
    ("resource.k8s.io", "v1"): 21,
}
VERSION_PRIORITY = 15
CUSTOM_VERSION_PRIORITY = 100

IDENTITY_LEASE_S = 3600


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What the objects depend on. `addresses` are those of all live API servers, `port` the one they listen at.

    `client_ca` and `requestheader_ca` are PEM texts, '' for none; `holder` tells this process from an earlier one on
    the same host (any unique text). `group_versions` are the served ones, without the aggregation layer's own group.
    """

    hostname: str
    holder: str
    addresses: tuple[str, ...]
    port: int
    service_cidrs: tuple[str, ...] = ("10.96.0.0/16",)
    group_versions: tuple[tuple[str, str], ...] = ()
    client_ca: str = ""
    requestheader_ca: str = ""
    requestheader_names: tuple[str, ...] = ()

    @property
    def service_ip(self) -> str:
        """The cluster IP of the API server's service: the first address of the range."""
        return str(ip_network(self.service_cidrs[0])[1])

    @property
    def identity(self) -> str:
        """The name of the server's lease: the same for every process of one host."""
        digest = hashlib.sha256(self.hostname.encode()).digest()[:16]
        return "apiserver-" + base64.b32encode(digest).decode().rstrip("=").lower()


def namespace(name: str) -> Object:
    return {
        "kind": "Namespace",
        "apiVersion": "v1",
        "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }


def priority_classes() -> Iterator[Object]:
    for name, (value, description) in PRIORITY_CLASSES.items():
        yield {
            "kind": "PriorityClass",
            "apiVersion": "scheduling.k8s.io/v1",
            "metadata": {"name": name, "generation": 1},
            "value": value,
            "description": description,
            "preemptionPolicy": "PreemptLowerPriority",
        }


def api_services(group_versions: Iterable[tuple[str, str]], now: str) -> Iterator[Object]:
    for group, version in group_versions:
        if group != "apiregistration.k8s.io":
            yield api_service(group, version, now)


def api_service(group: str, version: str, now: str) -> Object:
    """The API service of a group version that this server serves itself."""
    custom = group not in GROUP_PRIORITIES
    usual = CUSTOM_VERSION_PRIORITY if custom else VERSION_PRIORITY
    spec = {
        "group": group,
        "version": version,
        "groupPriorityMinimum": GROUP_PRIORITIES.get(group, CUSTOM_GROUP_PRIORITY),
        "versionPriority": VERSION_PRIORITIES.get((group, version), usual),
    }
    if not group:
        del spec["group"]
    condition = {
        "type": "Available",
        "status": "True",
        "lastTransitionTime": now,
        "reason": "Local",
        "message": "Local APIServices are always available",
    }
    return {
        "kind": "APIService",
        "apiVersion": "apiregistration.k8s.io/v1",
        "metadata": {
            "name": f"{version}.{group}",
            "labels": {"kube-aggregator.kubernetes.io/automanaged": "true" if custom else "onstart"},
        },
        "spec": spec,
        "status": {"conditions": [condition]},
    }


def service_cidr(facts: ClusterFacts, now: str) -> Object:
    condition = {
        "type": "Ready",
        "status": "True",
        "lastTransitionTime": now,
        "reason": "",
        "message": "Kubernetes default Service CIDR is ready",
    }
    return {
        "kind": "ServiceCIDR",
        "apiVersion": "networking.k8s.io/v1",
        "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": list(facts.service_cidrs)},
        "status": {"conditions": [condition]},
    }


def own_service(facts: ClusterFacts) -> Object:
    return {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "ports": [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": facts.port}],
            "clusterIP": facts.service_ip,
            "clusterIPs": [facts.service_ip],
            "type": "ClusterIP",
            "sessionAffinity": "None",
            "ipFamilies": [_family(facts.service_ip)],
            "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster",
        },
        "status": {"loadBalancer": {}},
    }


def own_service_address(facts: ClusterFacts) -> Object:
    return {
        "kind": "IPAddress",
        "apiVersion": "networking.k8s.io/v1",
        "metadata": {
            "name": facts.service_ip,
            "labels": {
                "ipaddress.kubernetes.io/ip-family": _family(facts.service_ip),
                "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
            },
        },
        "spec": {"parentRef": {"resource": "services", "namespace": "default", "name": "kubernetes"}},
    }


def own_endpoints(facts: ClusterFacts) -> Object:
    return {
        "kind": "Endpoints",
        "apiVersion": "v1",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
        },
        "subsets": [
            {
                "addresses": [{"ip": address} for address in facts.addresses],
                "ports": [{"name": "https", "port": facts.port, "protocol": "TCP"}],
            }
        ],
    }


def own_endpoint_slice(facts: ClusterFacts) -> Object:
    return {
        "kind": "EndpointSlice",
        "apiVersion": "discovery.k8s.io/v1",
        "metadata": {
            "name": "kubernetes",
            "namespace": "default",
            "generation": 1,
            "labels": {"kubernetes.io/service-name": "kubernetes"},
        },
        "addressType": _family(facts.addresses[0]),
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in facts.addresses],
        "ports": [{"name": "https", "protocol": "TCP", "port": facts.port}],
    }


def identity_lease(facts: ClusterFacts, now_micro: str) -> Object:
    address = facts.addresses[0]
    host = f"[{address}]" if ":" in address else address
    return {
        "kind": "Lease",
        "apiVersion": "coordination.k8s.io/v1",
        "metadata": {
            "name": facts.identity,
            "namespace": "kube-system",
            "labels": {
                "apiserver.kubernetes.io/identity": "kube-apiserver",
                "kubernetes.io/hostname": facts.hostname,
            },
            "annotations": {"kubernetes.io/peer-advertise-address": f"{host}:{facts.port}"},
        },
        "spec": {
            "holderIdentity": f"{facts.identity}_{facts.holder}",
            "leaseDurationSeconds": IDENTITY_LEASE_S,
            "renewTime": now_micro,
        },
    }


def authentication_config(facts: ClusterFacts) -> Object | None:
    """What an extension API server needs to know to trust our clients; None where nothing is configured."""
    data = {}
    if facts.client_ca:
        data["client-ca-file"] = facts.client_ca
    if facts.requestheader_ca:
        data["requestheader-allowed-names"] = _words(facts.requestheader_names)
        data["requestheader-client-ca-file"] = facts.requestheader_ca
        data["requestheader-extra-headers-prefix"] = _words(("X-Remote-Extra-",))
        data["requestheader-group-headers"] = _words(("X-Remote-Group",))
        data["requestheader-uid-headers"] = _words(("X-Remote-Uid",))
        data["requestheader-username-headers"] = _words(("X-Remote-User",))
    return _config_map("extension-apiserver-authentication", data) if data else None


def token_tracking(today: str) -> Object:
    """Since when uses of tokens kept in secrets are recorded."""
    return _config_map("kube-apiserver-legacy-service-account-token-tracking", {"since": today})


def _config_map(name: str, data: dict[str, str]) -> Object:
    return {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "kube-system"},
        "data": data,
    }


def _words(words: Iterable[str]) -> str:
    return json.dumps(list(words), separators=(",", ":"))


def _family(address: str) -> str:
    return f"IPv{ip_address(address).version}"
