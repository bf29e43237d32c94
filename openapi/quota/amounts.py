"""What a pod asks for as a whole: its containers together, its own requests above them, its overhead.

Follows: staging/src/k8s.io/component-helpers/resource/helpers.go
"""

from __future__ import annotations

from typing import Any

from openapi.kinds.pod_resources import Amounts, aggregate_limits, aggregate_requests, is_pod_level_resource
from openapi.meta.quantity import Quantity

Object = dict[str, Any]

REQUESTS, LIMITS = "requests", "limits"


def spec_amounts(spec: Object, kind: str) -> Amounts:
    """`requests` or `limits` by the spec alone; what is given for the pod as a whole goes before its containers'."""
    total = aggregate_requests(spec) if kind == REQUESTS else aggregate_limits(spec)
    pod_level = spec.get("resources")
    if pod_level:
        total.update(
            {name: amount for name, amount in amounts(pod_level.get(kind)).items() if is_pod_level_resource(name)}
        )
    return total


def pod_requests(pod: Object) -> Amounts:
    """With overhead; while a container is resized the greater of wanted and granted counts."""
    spec = pod.get("spec") or {}
    total = spec_amounts(_in_progress(spec, pod.get("status") or {}), REQUESTS)
    for name, amount in amounts(spec.get("overhead")).items():
        total[name] = total[name] + amount if name in total else amount
    return total


def pod_limits(pod: Object) -> Amounts:
    """With overhead where there is a limit."""
    spec = pod.get("spec") or {}
    total = spec_amounts(spec, LIMITS)
    for name, amount in amounts(spec.get("overhead")).items():
        if name in total:
            total[name] = total[name] + amount
    return total


def amounts(given: Any) -> Amounts:
    """A resource list, parsed."""
    return {name: Quantity.parse(text) for name, text in given.items()} if given else {}


def _in_progress(spec: Object, status: Object) -> Object:
    """The spec with the requests that count while resizing goes on."""
    granted = _granted(status)
    if not granted:
        return spec
    changed = dict(spec)
    for field in ("containers", "initContainers"):
        if spec.get(field):
            changed[field] = [_with_granted(c, granted.get(c.get("name", ""))) for c in spec[field]]
    return changed


def _granted(status: Object) -> dict[str, Amounts]:
    found: dict[str, Amounts] = {}
    for field in ("containerStatuses", "initContainerStatuses"):
        for container in status.get(field) or ():
            given = amounts((container.get("resources") or {}).get(REQUESTS))
            for name, amount in amounts(container.get("allocatedResources")).items():
                if name not in given or given[name] < amount:
                    given[name] = amount
            if given:
                found[container.get("name", "")] = given
    return found


def _with_granted(container: Object, granted: Amounts | None) -> Object:
    if not granted:
        return container
    resources = dict(container.get("resources") or {})
    requests = dict(resources.get(REQUESTS) or {})
    for name, amount in granted.items():
        if name in requests and Quantity.parse(requests[name]) < amount:
            requests[name] = str(amount)
    resources[REQUESTS] = requests
    return {**container, "resources": resources}
