"""What objects cost in the resources that quotas limit, one measure per kind of object.

Follows: pkg/quota/v1/evaluator/core/*.go, staging/src/k8s.io/apiserver/pkg/quota/v1/generic/evaluator.go
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from openapi.catalog import GroupResource
from openapi.kinds.pod_resources import Amounts, is_pod_level_resource
from openapi.meta.quantity import Quantity
from openapi.meta.times import parse_time
from openapi.quota.amounts import amounts, pod_limits, pod_requests
from openapi.quota.scope import claim_in_scope, pod_in_scope

Object = dict[str, Any]

ONE = Quantity.of(1)
ZERO = Quantity.of(0)
_ALIASES = frozenset(("configmaps", "resourcequotas", "replicationcontrollers", "secrets"))
"""Core resources that quotas also count by their plain names."""
_MOST_DEVICES = 32
"""What a request for all devices may get at most."""


def count_name(gr: GroupResource) -> str:
    """The name under which a quota counts all objects of a resource."""
    return f"count/{gr.resource}.{gr.group}" if gr.group else f"count/{gr.resource}"


class Measure:
    """Objects that only count by number."""

    def __init__(self, gr: GroupResource) -> None:
        self.count = count_name(gr)
        self.names = frozenset((self.count, gr.resource) if not gr.group and gr.resource in _ALIASES else (self.count,))

    def matches(self, name: str) -> bool:
        """Whether objects of this kind use the resource `name`."""
        return name in self.names

    def in_scope(self, selector: Mapping[str, Any], obj: Object) -> bool:
        return False

    def missing(self, required: Iterable[str], obj: Object) -> str:
        """What an object must say before it can be measured; '' if it says all."""
        return ""

    def usage(self, obj: Object, now: datetime) -> Amounts:
        return dict.fromkeys(self.names, ONE)


class ServiceMeasure(Measure):
    def __init__(self) -> None:
        super().__init__(GroupResource("", "services"))
        self.names |= {"services", "services.nodeports", "services.loadbalancers"}

    def usage(self, obj: Object, now: datetime) -> Amounts:
        spec = obj.get("spec") or {}
        kind, ports = spec.get("type"), spec.get("ports") or ()
        balanced = kind == "LoadBalancer"
        taken = len(ports) if kind == "NodePort" or balanced else 0
        if balanced and spec.get("allocateLoadBalancerNodePorts") is False:
            taken = sum(1 for port in ports if port.get("nodePort"))
        return {
            self.count: ONE,
            "services": ONE,
            "services.loadbalancers": ONE if balanced else ZERO,
            "services.nodeports": Quantity.of(taken),
        }


_CLASS_SUFFIX = ".storageclass.storage.k8s.io/"
_OLD_CLASS = "volume.beta.kubernetes.io/storage-class"


class ClaimMeasure(Measure):
    def __init__(self) -> None:
        super().__init__(GroupResource("", "persistentvolumeclaims"))
        self.names |= {"persistentvolumeclaims", "requests.storage"}

    def matches(self, name: str) -> bool:
        return name in self.names or name.endswith(
            (_CLASS_SUFFIX + "persistentvolumeclaims", _CLASS_SUFFIX + "requests.storage")
        )

    def in_scope(self, selector: Mapping[str, Any], obj: Object) -> bool:
        return claim_in_scope(selector, obj)

    def usage(self, obj: Object, now: datetime) -> Amounts:
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        storage_class = storage_class_of(obj)
        used = {self.count: ONE, "persistentvolumeclaims": ONE}
        if storage_class:
            used[f"{storage_class}{_CLASS_SUFFIX}persistentvolumeclaims"] = ONE
        size = amounts((spec.get("resources") or {}).get("requests")).get("storage")
        if size is not None:
            granted = amounts(status.get("allocatedResources")).get("storage")
            size = (granted if granted is not None and granted > size else size).rounded_up(0)
            used["requests.storage"] = size
            if storage_class:
                used[f"{storage_class}{_CLASS_SUFFIX}requests.storage"] = size
        return used


def storage_class_of(claim: Object) -> str:
    """The class that a claim names, '' if none; an old annotation goes before the field."""
    annotations = claim["metadata"].get("annotations") or {}
    if _OLD_CLASS in annotations:
        return str(annotations[_OLD_CLASS])
    return (claim.get("spec") or {}).get("storageClassName") or ""


_POD_NAMES = frozenset(
    f"{prefix}{name}" for prefix in ("", "requests.", "limits.") for name in ("cpu", "memory", "ephemeral-storage")
) | {"pods"}
_MUST_BE_SAID = frozenset(("cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"))
_NATIVE_DOMAIN = "kubernetes.io/"
_DEVICES_OF = "deviceclass.resource.kubernetes.io/"
"""Before the name of a device class: the extended resource that pods may request without the class naming one."""


class PodMeasure(Measure):
    def __init__(self) -> None:
        super().__init__(GroupResource("", "pods"))
        self.names |= _POD_NAMES

    def matches(self, name: str) -> bool:
        if name in self.names or name.startswith(("hugepages-", "requests.hugepages-")):
            return True
        return name.startswith("requests.") and (not _is_native(name) or name.startswith(f"requests.{_DEVICES_OF}"))

    def in_scope(self, selector: Mapping[str, Any], obj: Object) -> bool:
        return pod_in_scope(selector, obj)

    def missing(self, required: Iterable[str], obj: Object) -> str:
        """Quotas of cpu and memory want every container to say what it takes."""
        spec = obj.get("spec") or {}
        needed = _MUST_BE_SAID.intersection(required)
        needed -= compute_usage_names(spec.get("resources"), pod_level=True)
        lacking: dict[str, set[str]] = {}
        for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
            for name in needed - compute_usage_names(container.get("resources")):
                lacking.setdefault(name, set()).add(container.get("name", ""))
        if not lacking:
            return ""
        return "must specify " + "; ".join(f"{name} for: {','.join(sorted(lacking[name]))}" for name in sorted(lacking))

    def usage(self, obj: Object, now: datetime) -> Amounts:
        used: Amounts = {self.count: ONE}
        if _has_ended(obj, now):
            return used
        used["pods"] = ONE
        for name, amount in pod_requests(obj).items():
            if name in ("cpu", "memory", "ephemeral-storage") or name.startswith("hugepages-"):
                used[name] = used[f"requests.{name}"] = amount
            elif "/" in name and (not _is_native(name) or name.startswith(_DEVICES_OF)):
                used[f"requests.{name}"] = amount
        for name, amount in pod_limits(obj).items():
            if name in ("cpu", "memory", "ephemeral-storage"):
                used[f"limits.{name}"] = amount
        return used


def compute_usage_names(resources: Mapping[str, Any] | None, *, pod_level: bool = False) -> set[str]:
    """The quota names that a requirement gives amounts for."""
    found: set[str] = set()
    if not resources:
        return found
    for name in resources.get("requests") or ():
        if not pod_level or is_pod_level_resource(name):
            found |= {name, f"requests.{name}"}
    for name in resources.get("limits") or ():
        if not pod_level or is_pod_level_resource(name):
            found.add(f"limits.{name}")
    return found


def _is_native(name: str) -> bool:
    """Names without a domain, or of Kubernetes itself."""
    return "/" not in name or _NATIVE_DOMAIN in name


def _has_ended(pod: Object, now: datetime) -> bool:
    """Pods that came to an end use nothing any more, nor those whose time to end is over."""
    if (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded"):
        return True
    meta = pod["metadata"]
    if "deletionTimestamp" not in meta or "deletionGracePeriodSeconds" not in meta:
        return False
    return now > parse_time(meta["deletionTimestamp"]) + timedelta(seconds=meta["deletionGracePeriodSeconds"])


_DEVICES_SUFFIX = ".deviceclass.resource.k8s.io/devices"


class DeviceClaimMeasure(Measure):
    def __init__(self) -> None:
        super().__init__(GroupResource("resource.k8s.io", "resourceclaims"))

    def matches(self, name: str) -> bool:
        return name in self.names or name.endswith(_DEVICES_SUFFIX)

    def usage(self, obj: Object, now: datetime) -> Amounts:
        used: Amounts = {self.count: ONE}
        for request in ((obj.get("spec") or {}).get("devices") or {}).get("requests") or ():
            worst: Amounts = {}
            for choice in request.get("firstAvailable") or [request.get("exactly") or {}]:
                name = f"{choice.get('deviceClassName', '')}{_DEVICES_SUFFIX}"
                number = Quantity.of(_devices(choice))
                if name not in worst or worst[name] < number:
                    worst[name] = number
            for name, number in worst.items():
                used[name] = used[name] + number if name in used else number
        return used


def _devices(choice: Object) -> int:
    if choice.get("allocationMode") == "All":
        return _MOST_DEVICES
    return int(choice.get("count", 1))


SPECIAL: dict[GroupResource, Measure] = {
    GroupResource("", "pods"): PodMeasure(),
    GroupResource("", "services"): ServiceMeasure(),
    GroupResource("", "persistentvolumeclaims"): ClaimMeasure(),
    GroupResource("resource.k8s.io", "resourceclaims"): DeviceClaimMeasure(),
}


@lru_cache(maxsize=512)
def measure_for(gr: GroupResource) -> Measure:
    """The measure of a resource; whatever has none of its own counts by number."""
    return SPECIAL.get(gr) or Measure(gr)
