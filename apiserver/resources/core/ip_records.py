"""The objects that stand for service addresses: the IPAddress of a claim, and the default ServiceCIDR.

Follows: pkg/registry/core/service/ipallocator/ipallocator.go, pkg/controlplane/controller/defaultservicecidr
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from openapi.meta.times import format_time

Object = dict[str, Any]

FAMILY_LABEL = "ipaddress.kubernetes.io/ip-family"
MANAGED_BY_LABEL = "ipaddress.kubernetes.io/managed-by"
MANAGER = "ipallocator.k8s.io"
_API = "networking.k8s.io/v1"


def _metadata(name: str, now: datetime) -> Object:
    return {"name": name, "uid": str(uuid.uuid4()), "creationTimestamp": format_time(now)}


def ip_record(ip: str, family: str, namespace: str, name: str, now: datetime) -> Object:
    """The IPAddress that holds `ip` for a service."""
    meta = _metadata(ip, now)
    meta["labels"] = {FAMILY_LABEL: family, MANAGED_BY_LABEL: MANAGER}
    parent = {"resource": "services", "namespace": namespace, "name": name}
    return {"kind": "IPAddress", "apiVersion": _API, "metadata": meta, "spec": {"parentRef": parent}}


def parent_of(record: Object) -> tuple[str, str] | None:
    """Namespace and name of the service that a record of ours is for; None for other people's records."""
    labels = record["metadata"].get("labels") or {}
    parent = record.get("spec", {}).get("parentRef") or {}
    if labels.get(MANAGED_BY_LABEL) != MANAGER or parent.get("resource") != "services" or parent.get("group"):
        return None
    return parent.get("namespace", ""), parent.get("name", "")


def default_cidr(cidrs: Sequence[str], now: datetime) -> Object:
    """The ServiceCIDR of the ranges that the server was started with."""
    condition = {
        "type": "Ready",
        "status": "True",
        "lastTransitionTime": format_time(now),
        "reason": "",
        "message": "Kubernetes default Service CIDR is ready",
    }
    return {
        "kind": "ServiceCIDR",
        "apiVersion": _API,
        "metadata": _metadata("kubernetes", now),
        "spec": {"cidrs": list(cidrs)},
        "status": {"conditions": [condition]},
    }


def is_ready(cidr: Object) -> bool:
    """Addresses may be taken from it: nobody says otherwise, and it is not being deleted."""
    if "deletionTimestamp" in cidr["metadata"]:
        return False
    conditions = (cidr.get("status") or {}).get("conditions") or ()
    return all(condition.get("status") == "True" for condition in conditions if condition.get("type") == "Ready")
