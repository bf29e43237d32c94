"""Changing the resources of running containers: what the node agrees to, and what that takes. Pure.

A pod's wish is its spec. What the node has agreed to is `allocated`, by container name; it follows the spec as soon as
the node has room, and only then are the containers changed.
Follows: pkg/kubelet/allocation/allocation_manager.go, pkg/kubelet/kuberuntime computePodResizeAction
"""

from __future__ import annotations

from collections.abc import Mapping

from nodeagent.pods import spec
from nodeagent.pods.spec import Object, View
from openapi.meta.quantity import Quantity

RESIZABLE = ("cpu", "memory")
DEFERRED, INFEASIBLE = "Deferred", "Infeasible"

Allocated = Mapping[str, View]


def resources_by_name(pod: View) -> dict[str, View]:
    """The resources that the spec gives to each container, ephemeral ones aside, which have none."""
    return {c["name"]: c.get("resources") or {} for c in (*spec.init_containers(pod), *spec.containers(pod))}


def with_allocated(pod: View, allocated: Allocated) -> View:
    """The pod as the node has agreed to run it."""
    if allocated == resources_by_name(pod):
        return pod
    body: Object = dict(pod["spec"])
    for field in ("containers", "initContainers"):
        if body.get(field):
            body[field] = [{**c, "resources": allocated.get(c["name"], c.get("resources") or {})} for c in body[field]]
    return {**pod, "spec": body}


def refusal(pod: View, others: list[View], node: View) -> tuple[str, str] | None:
    """Why the node cannot agree to what the spec asks now: never (Infeasible), or not yet (Deferred)."""
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    requests = spec.pod_requests(pod)
    taken = [spec.pod_requests(other) for other in others]
    for name in RESIZABLE:
        wanted = requests.get(name, 0)
        capacity = Quantity.parse(allocatable.get(name, "0")).milli
        scale = 1 if name == "cpu" else 1000
        if wanted > capacity:
            numbers = f"requested: {wanted // scale}, capacity: {capacity // scale}"
            return INFEASIBLE, f"Node didn't have enough capacity: {name}, {numbers}"
        used = sum(other.get(name, 0) for other in taken)
        if wanted + used > capacity:
            numbers = f"requested: {wanted // scale}, used: {used // scale}, capacity: {capacity // scale}"
            return DEFERRED, f"Node didn't have enough resource: {name}, {numbers}"
    return None


def needs_restart(container: View, old: View, new: View) -> bool:
    """Whether a change of the container's resources is of a kind that only a restart brings about."""
    policies = {item["resourceName"]: item["restartPolicy"] for item in container.get("resizePolicy") or ()}
    return any(
        policies.get(name) == "RestartContainer" and _amounts(old, name) != _amounts(new, name) for name in RESIZABLE
    )


def _amounts(resources: View, name: str) -> tuple[int, int]:
    found = [(resources.get(sort) or {}).get(name) for sort in ("requests", "limits")]
    request, limit = (Quantity.parse(text).milli if text is not None else 0 for text in found)
    return request, limit


def amounts(resources: View) -> tuple[tuple[int, int], ...]:
    """Requests and limits of all that can be changed in place, in thousandths."""
    return tuple(_amounts(resources, name) for name in RESIZABLE)


def memory_limit(resources: View) -> int:
    """In bytes; 0 where there is none."""
    return _amounts(resources, "memory")[1] // 1000


def pending_condition(refused: tuple[str, str], generation: int) -> Object:
    found: Object = {"type": "PodResizePending", "status": "True", "reason": refused[0], "message": refused[1]}
    return found | {"observedGeneration": generation}


def progress_condition(error: str, generation: int) -> Object:
    """That resources are being applied; with `error` where that did not work."""
    found: Object = {"type": "PodResizeInProgress", "status": "True", "observedGeneration": generation}
    return found | ({"reason": "Error", "message": error} if error else {})
