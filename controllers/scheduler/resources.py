"""What a pod asks of a node: amounts of resources and ports of the host.

Amounts are integers: thousandths of a CPU, bytes, or pieces of anything else.
Follows: staging/src/k8s.io/component-helpers/resource/helpers.go
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from openapi.meta.quantity import Quantity

CPU, MEMORY, EPHEMERAL_STORAGE, PODS = "cpu", "memory", "ephemeral-storage", "pods"

DEFAULT_CPU_MILLI = 100
DEFAULT_MEMORY_BYTES = 200 * 1024 * 1024
"""What a container without requests counts for when nodes are scored, so that many of them do spread."""

OF_POD = ""
"""Where the pod's own resources stand among those of its containers."""

Amounts = dict[str, int]
Spec = Mapping[str, Any]


class HostPort(NamedTuple):
    """A port of the node that a container wants; `ip` 0.0.0.0 means every address."""

    ip: str
    protocol: str
    port: int


@lru_cache(maxsize=8192)
def amount(resource: str, quantity: str | int | float) -> int:
    """The quantity as an integer in the resource's unit, rounded up."""
    parsed = Quantity.parse(quantity)
    return parsed.milli if resource == CPU else parsed.value


def amounts(quantities: Mapping[str, Any] | None) -> Amounts:
    return {name: amount(name, quantity) for name, quantity in (quantities or {}).items()}


def is_sidecar(container: Spec) -> bool:
    return container.get("restartPolicy") == "Always"


def is_scalar(resource: str) -> bool:
    """Whether the scheduler keeps it beside CPU, memory, storage and the number of pods."""
    return resource not in (CPU, MEMORY, EPHEMERAL_STORAGE, PODS)


def pod_requests(spec: Spec, statuses: Mapping[str, Spec] | None = None) -> Amounts:
    """What the pod needs at its hungriest moment, overhead included.

    `statuses` are container statuses by name, and the pod's own under OF_POD: who is being resized counts with the
    largest of what is asked for, was given and is there; if that is `infeasible`, with what was given and is there.
    """
    return _aggregate(spec, statuses or {}, {})


def scoring_requests(spec: Spec, statuses: Mapping[str, Spec] | None = None) -> tuple[int, int]:
    """CPU and memory of the pod, where containers without requests count with the defaults."""
    total = _aggregate(spec, statuses or {}, {CPU: DEFAULT_CPU_MILLI, MEMORY: DEFAULT_MEMORY_BYTES})
    return total.get(CPU, 0), total.get(MEMORY, 0)


def _aggregate(spec: Spec, statuses: Mapping[str, Spec], missing: Amounts) -> Amounts:
    total: Amounts = {}
    for container in spec.get("containers") or ():
        _add(total, _container_requests(container, statuses, missing))
    sidecars: Amounts = {}
    peak: Amounts = {}
    for container in spec.get("initContainers") or ():
        requests = _container_requests(container, statuses, missing)
        if is_sidecar(container):
            _add(total, requests)
            _add(sidecars, requests)
            _raise_to(peak, sidecars)
        else:
            _add(requests, sidecars)
            _raise_to(peak, requests)
    _raise_to(total, peak)
    if (spec.get("resources") or {}).get("requests"):
        total.update(_largest(spec, statuses.get(OF_POD)))
    _add(total, amounts(spec.get("overhead")))
    return total


def _container_requests(container: Spec, statuses: Mapping[str, Spec], missing: Amounts) -> Amounts:
    requests = _largest(container, statuses.get(container["name"]))
    for name, value in missing.items():
        requests.setdefault(name, value)
    return requests


def _largest(asking: Spec, status: Spec | None) -> Amounts:
    """What a container or a pod asks for, was given and has, the largest of each."""
    is_futile = status is not None and status.get("infeasible")
    requests = {} if is_futile else amounts((asking.get("resources") or {}).get("requests"))
    if status is not None:
        _raise_to(requests, amounts((status.get("resources") or {}).get("requests")))
        _raise_to(requests, amounts(status.get("allocatedResources")))
    return requests


def _add(total: Amounts, more: Amounts) -> None:
    for name, value in more.items():
        total[name] = total.get(name, 0) + value


def _raise_to(total: Amounts, least: Amounts) -> None:
    for name, value in least.items():
        if value > total.get(name, 0):
            total[name] = value


def host_ports(spec: Spec) -> tuple[HostPort, ...]:
    """The host ports of all containers that run for as long as the pod does."""
    sidecars = (container for container in spec.get("initContainers") or () if is_sidecar(container))
    return tuple(dict.fromkeys(_ports((*sidecars, *(spec.get("containers") or ())))))


def _ports(containers: Iterable[Spec]) -> Iterable[HostPort]:
    for container in containers:
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                yield HostPort(port.get("hostIP") or "0.0.0.0", port.get("protocol") or "TCP", port["hostPort"])
