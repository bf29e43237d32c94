"""The defaults of the core kinds other than pods, and of endpoint slices.

Besides defaults it brings doubled fields in step (a node's podCIDR and podCIDRs, a secret's stringData), as a round
trip through the server's own types does.
Follows: pkg/apis/core/v1/{defaults,conversion}.go, pkg/apis/discovery/v1/defaults.go
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from openapi.meta.quantity import Quantity

Object = dict[str, Any]
Rule = Mapping[str, Any] | Callable[[Object], None]

AFFINITY_TIMEOUT_S = 10800
NAMESPACE_LABEL = "kubernetes.io/metadata.name"
_PORTED = frozenset(("NodePort", "LoadBalancer"))
_ADDRESSED = frozenset(("ClusterIP", "NodePort", "LoadBalancer"))


# -- services ---------------------------------------------------------------------------------------------------


def _service(service: Object) -> None:
    spec = service.setdefault("spec", {})
    if not spec.get("type"):
        spec["type"] = "ClusterIP"
    _session_affinity(spec)
    for port in spec.get("ports") or ():
        if not port.get("protocol"):
            port["protocol"] = "TCP"
        if not port.get("targetPort"):
            port["targetPort"] = port.get("port", 0)
    kind = spec["type"]
    external = kind in _PORTED or (kind == "ClusterIP" and bool(spec.get("externalIPs")))
    if external and not spec.get("externalTrafficPolicy"):
        spec["externalTrafficPolicy"] = "Cluster"
    if "internalTrafficPolicy" not in spec and kind in _ADDRESSED:
        spec["internalTrafficPolicy"] = "Cluster"
    if kind == "LoadBalancer":
        if "allocateLoadBalancerNodePorts" not in spec:
            spec["allocateLoadBalancerNodePorts"] = True
        _ingress_modes(service.get("status"))


def _session_affinity(spec: Object) -> None:
    if not spec.get("sessionAffinity"):
        spec["sessionAffinity"] = "None"
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        client = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        if client.get("timeoutSeconds") is None:
            spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": AFFINITY_TIMEOUT_S}}


def _ingress_modes(status: Object | None) -> None:
    for ingress in ((status or {}).get("loadBalancer") or {}).get("ingress") or ():
        if ingress.get("ip") and "ipMode" not in ingress:
            ingress["ipMode"] = "VIP"


# -- namespaces, nodes, secrets ---------------------------------------------------------------------------------


def _namespace(namespace: Object) -> None:
    status = namespace.setdefault("status", {})
    if not status.get("phase"):
        status["phase"] = "Active"
    meta = namespace.get("metadata")
    if meta and meta.get("name"):
        labels = meta.get("labels")
        if labels is None:
            labels = meta["labels"] = {}
        labels[NAMESPACE_LABEL] = meta["name"]


def _node_spec(spec: Object) -> None:
    """podCIDR is the first of podCIDRs, and has the say where they differ."""
    first, every = spec.get("podCIDR"), spec.get("podCIDRs")
    if first and (not every or every[0] != first):
        spec["podCIDRs"] = [first]
    elif every and not first and every[0]:
        spec["podCIDR"] = every[0]


def _node_status(status: Object) -> None:
    if "allocatable" not in status and status.get("capacity"):
        status["allocatable"] = dict(status["capacity"])
    _round_lists("capacity", "allocatable")(status)


def _secret(secret: Object) -> None:
    if not secret.get("type"):
        secret["type"] = "Opaque"
    texts = secret.pop("stringData", None)
    if texts:
        data = secret.get("data")
        if data is None:
            data = secret["data"] = {}
        for key, text in texts.items():
            data[key] = base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()


# -- volumes and claims -----------------------------------------------------------------------------------------


def _volume(volume: Object) -> None:
    spec = volume.setdefault("spec", {})
    if not spec.get("persistentVolumeReclaimPolicy"):
        spec["persistentVolumeReclaimPolicy"] = "Retain"
    if "volumeMode" not in spec:
        spec["volumeMode"] = "Filesystem"
    status = volume.setdefault("status", {})
    if not status.get("phase"):
        status["phase"] = "Pending"


def _claim(claim: Object) -> None:
    claim.setdefault("spec", {})
    status = claim.setdefault("status", {})
    if not status.get("phase"):
        status["phase"] = "Pending"


# -- quantities -------------------------------------------------------------------------------------------------


def _round_lists(*lists: str) -> Callable[[Object], None]:
    """Resources are counted in thousandths: round up what is finer."""

    def round_up(struct: Object) -> None:
        for name in lists:
            amounts = struct.get(name)
            if amounts:
                for key, text in amounts.items():
                    if isinstance(text, str) and text[-1:] in "nu":
                        amounts[key] = _rounded(text)

    return round_up


@lru_cache(maxsize=1024)
def _rounded(text: str) -> str:
    return str(Quantity.parse(text).rounded_up(-3)) if text else text


def _limit_range_item(item: Object) -> None:
    """For containers a limit follows from the maximum, a request from the limit, else from the minimum."""
    _round_lists("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")(item)
    if item.get("type") != "Container":
        return
    defaults, requests = dict(item.get("default") or {}), dict(item.get("defaultRequest") or {})
    for key, amount in (item.get("max") or {}).items():
        defaults.setdefault(key, amount)
    for key, amount in defaults.items():
        requests.setdefault(key, amount)
    for key, amount in (item.get("min") or {}).items():
        requests.setdefault(key, amount)
    if defaults:
        item["default"] = defaults
    if requests:
        item["defaultRequest"] = requests


# -- replication controllers ------------------------------------------------------------------------------------


def _replication_controller(controller: Object) -> None:
    spec = controller.setdefault("spec", {})
    if spec.get("replicas") is None:
        spec["replicas"] = 1
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if not labels:
        return
    if not spec.get("selector"):
        spec["selector"] = dict(labels)
    meta = controller.setdefault("metadata", {})
    if not meta.get("labels"):
        meta["labels"] = dict(labels)


def _core(kind: str) -> str:
    return "io.k8s.api.core.v1." + kind


_RBD = {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"}

DEFAULTS: dict[str, tuple[Rule, ...]] = {
    _core("Service"): (_service,),
    _core("EndpointPort"): ({"protocol": "TCP"},),
    _core("Namespace"): (_namespace,),
    _core("NodeSpec"): (_node_spec,),
    _core("NodeStatus"): (_node_status,),
    _core("Secret"): (_secret,),
    _core("PersistentVolume"): (_volume,),
    _core("PersistentVolumeSpec"): (_round_lists("capacity"),),
    _core("ISCSIPersistentVolumeSource"): ({"iscsiInterface": "default"},),
    _core("RBDPersistentVolumeSource"): (_RBD,),
    _core("ScaleIOPersistentVolumeSource"): ({"storageMode": "ThinProvisioned", "fsType": "xfs"},),
    _core("PersistentVolumeClaim"): (_claim,),
    _core("PersistentVolumeClaimSpec"): ({"volumeMode": "Filesystem"},),
    _core("PersistentVolumeClaimStatus"): (_round_lists("capacity", "allocatedResources"),),
    _core("VolumeResourceRequirements"): (_round_lists("limits", "requests"),),
    _core("ReplicationController"): (_replication_controller,),
    _core("ResourceQuotaSpec"): (_round_lists("hard"),),
    _core("ResourceQuotaStatus"): (_round_lists("hard", "used"),),
    _core("LimitRangeItem"): (_limit_range_item,),
    "io.k8s.api.discovery.v1.EndpointPort": ({"name": "", "protocol": "TCP"},),
}
