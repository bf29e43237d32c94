"""What the containers of a pod ask for in sum, and the pod's quality of service class that follows.

All functions take pod specs as they stand on the wire and leave them as they are.
Follows: staging/src/k8s.io/component-helpers/resource/helpers.go, pkg/apis/core/helper/qos/qos.go
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from openapi.meta.quantity import Quantity

Spec = Mapping[str, Any]
Amounts = dict[str, Quantity]

HUGEPAGES_PREFIX = "hugepages-"
POD_LEVEL_RESOURCES = ("cpu", "memory")
_GUARANTEE = ("cpu", "memory")


def is_hugepages(name: str) -> bool:
    return name.startswith(HUGEPAGES_PREFIX)


def is_pod_level_resource(name: str) -> bool:
    """A resource that can be given for the pod as a whole."""
    return name in POD_LEVEL_RESOURCES or is_hugepages(name)


def aggregate_requests(spec: Spec) -> Amounts:
    """What the containers request together, at the most demanding moment of the pod's life."""
    return _aggregate(spec, "requests")


def aggregate_limits(spec: Spec) -> Amounts:
    return _aggregate(spec, "limits")


def _aggregate(spec: Spec, kind: str) -> Amounts:
    total: Amounts = {}
    for container in spec.get("containers") or ():
        _add(total, _amounts(container, kind))
    sidecars: Amounts = {}
    peak: Amounts = {}
    for container in spec.get("initContainers") or ():
        amounts = _amounts(container, kind)
        if container.get("restartPolicy") == "Always":
            _add(total, amounts)
            _add(sidecars, amounts)
            amounts = dict(sidecars)
        else:
            _add(amounts, sidecars)
        _raise(peak, amounts)
    _raise(total, peak)
    return total


def _amounts(container: Mapping[str, Any], kind: str) -> Amounts:
    resources = container.get("resources")
    amounts = resources.get(kind) if resources else None
    return {name: Quantity.parse(text) for name, text in amounts.items()} if amounts else {}


def _add(total: Amounts, more: Amounts) -> None:
    for name, amount in more.items():
        total[name] = total[name] + amount if name in total else amount


def _raise(total: Amounts, other: Amounts) -> None:
    for name, amount in other.items():
        if name not in total or total[name] < amount:
            total[name] = amount


def qos_class(spec: Spec) -> str:
    """`Guaranteed`, `Burstable` or `BestEffort`, from cpu and memory."""
    pod_level = spec.get("resources")
    if pod_level and (pod_level.get("requests") or pod_level.get("limits")):
        requests, limits = _compute(pod_level.get("requests")), _compute(pod_level.get("limits"))
        return _class(requests, limits, len(limits) == len(_GUARANTEE))
    return _class_of_containers([*(spec.get("containers") or ()), *(spec.get("initContainers") or ())])


def _class_of_containers(containers: Iterable[Mapping[str, Any]]) -> str:
    all_requests: Amounts = {}
    all_limits: Amounts = {}
    guaranteed = True
    for container in containers:
        resources = container.get("resources") or {}
        _add(all_requests, _compute(resources.get("requests")))
        limits = _compute(resources.get("limits"))
        _add(all_limits, limits)
        guaranteed = guaranteed and len(limits) == len(_GUARANTEE)
    return _class(all_requests, all_limits, guaranteed)


def _compute(amounts: Mapping[str, Any] | None) -> Amounts:
    """The amounts above zero of the resources that count."""
    if not amounts:
        return {}
    parsed = {name: Quantity.parse(amounts[name]) for name in _GUARANTEE if name in amounts}
    return {name: amount for name, amount in parsed.items() if amount.sign > 0}


def _class(requests: Amounts, limits: Amounts, guaranteed: bool) -> str:
    if not requests and not limits:
        return "BestEffort"
    if guaranteed and len(requests) == len(limits) and all(limits.get(n) == q for n, q in requests.items()):
        return "Guaranteed"
    return "Burstable"
