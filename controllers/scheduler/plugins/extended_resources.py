"""Extended resources that drivers provide as devices: who asks for `example.com/gpu: 2` gets a claim made for it.

A class names the resource it stands for; on nodes that have the resource themselves nothing is claimed.
Follows: pkg/scheduler/framework/plugins/dynamicresources/extendeddynamicresources.go
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controllers.scheduler.pod import PodInfo, Template
from controllers.scheduler.resources import amount, is_sidecar
from controllers.scheduler.world import World

View = Mapping[str, Any]
ANNOTATION = "resource.kubernetes.io/extended-resource-claim"
IMPLICIT_PREFIX = "deviceclass.resource.kubernetes.io/"
"""Before the name of a class: the resource that stands for it even if it names none."""
IN_MEMORY = "<extended-resources>"


def class_for(resource: str, world: World) -> View | None:
    """The device class that provides the resource; the newest of several."""
    if resource.startswith(IMPLICIT_PREFIX):
        return world.device_classes.get("", resource.removeprefix(IMPLICIT_PREFIX))
    if "/" not in resource:
        return None
    found = [c for c in world.device_classes if (c.get("spec") or {}).get("extendedResourceName") == resource]
    return max(found, key=lambda c: (c["metadata"].get("creationTimestamp") or "", c["metadata"]["name"]), default=None)


def backed_by_devices(template: Template, world: World) -> frozenset[str]:
    """The resources that such a pod asks for and a class provides; kept until classes change."""
    known = template.memo.get("extended")
    if known is None or known[0] != world.device_classes.version:
        names = frozenset(name for name in template.requests if "/" in name and class_for(name, world) is not None)
        known = template.memo["extended"] = (world.device_classes.version, names)
    return known[1]


@dataclass(frozen=True, slots=True)
class Wish:
    """The requests of a claim for some of a pod's extended resources, and which container uses which."""

    requests: tuple[View, ...]
    mappings: tuple[View, ...]


def wish_for(resources: frozenset[str], template: Template, world: World) -> Wish:
    """What to claim where the node itself has none of `resources`.

    Containers that only initialise use what those that stay after them have, and share what they need beyond that.
    """
    requests: list[View] = []
    mappings: list[View] = []
    for resource in sorted(resources):
        device_class = class_for(resource, world)
        if device_class is not None:
            _add(resource, device_class["metadata"]["name"], template.spec, requests, mappings)
    return Wish(tuple(sorted(requests, key=lambda r: str(r["name"]))), tuple(mappings))


def _add(resource: str, class_name: str, spec: View, requests: list[View], mappings: list[View]) -> None:
    init = spec.get("initContainers") or []
    containers = [*init, *(spec.get("containers") or ())]
    staying: dict[int, View] = {}
    brief: list[View] = []
    brief_mappings: list[View] = []
    for index, container in enumerate(containers):
        if index >= len(init) or is_sidecar(container):
            request, used = _request(index, container, resource, class_name, ())
            if request is not None:
                staying[index] = request
            mappings += used
    for index, container in enumerate(init):
        if not is_sidecar(container):
            later = [staying[number] for number in sorted(staying) if number >= index]
            request, used = _request(index, container, resource, class_name, later)
            if request is not None:
                brief.append(request)
            brief_mappings += used
    if brief:
        largest = max(brief, key=lambda r: int(r["exactly"]["count"]))
        names = {request["name"] for request in brief}
        requests.append(largest)
        brief_mappings = [
            {**m, "requestName": largest["name"]} if m["requestName"] in names else m for m in brief_mappings
        ]
    requests += [staying[index] for index in sorted(staying)]
    mappings += brief_mappings


def _request(
    index: int, container: View, resource: str, class_name: str, reusable: Sequence[View]
) -> tuple[View | None, list[View]]:
    """The container's own request, if it needs more than `reusable`, and all requests that it uses."""
    asked: Mapping[str, Any] = (container.get("resources") or {}).get("requests") or {}
    missing = amount(resource, asked[resource]) if resource in asked else 0
    used: list[View] = []
    for request in reusable:
        if missing <= 0:
            break
        missing -= request["exactly"]["count"]
        used.append(_mapping(container, resource, request["name"]))
    if missing <= 0:
        return None, used
    name = f"container-{index}-request-{sorted(asked).index(resource)}"
    exactly = {"deviceClassName": class_name, "allocationMode": "ExactCount", "count": missing}
    return {"name": name, "exactly": exactly}, [*used, _mapping(container, resource, name)]


def _mapping(container: View, resource: str, request: str) -> View:
    return {"containerName": container["name"], "resourceName": resource, "requestName": request}


def claim_for(pod: PodInfo, wish: Wish) -> dict[str, Any]:
    """The claim that the pod gets, with a name that no stored claim can have."""
    owner = {"apiVersion": "v1", "kind": "Pod", "name": pod.name, "uid": pod.uid, "controller": True}
    metadata = {
        "namespace": pod.namespace,
        "name": IN_MEMORY + pod.uid,
        "uid": IN_MEMORY + pod.uid,
        "generateName": f"{pod.name}-extended-resources-",
        "annotations": {ANNOTATION: "true"},
        "ownerReferences": [owner],
    }
    spec = {"devices": {"requests": list(wish.requests)}}
    return {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "metadata": metadata, "spec": spec}


def for_creation(claim: View) -> dict[str, Any]:
    """The claim as it is sent to the API server, which names it."""
    metadata = {field: value for field, value in claim["metadata"].items() if field not in ("name", "uid")}
    return {**claim, "metadata": metadata}


def is_made_for(claim: View, pod: PodInfo) -> bool:
    """Whether the claim was made for the pod's extended resources, in an earlier attempt."""
    metadata = claim["metadata"]
    if (metadata.get("annotations") or {}).get(ANNOTATION) != "true":
        return False
    return any(o.get("controller") and o["uid"] == pod.uid for o in metadata.get("ownerReferences") or ())
