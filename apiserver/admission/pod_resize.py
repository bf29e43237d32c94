"""Pods are resized only to what their node can hold, and only on Linux.

Follows: plugin/pkg/admission/podresize/admission.go
"""

from __future__ import annotations

from typing import Any

from apiserver.admission.bound_pods import BoundPodPlugin
from apiserver.admission.plugin import Attributes, forbidden
from openapi.meta.field import quote
from openapi.meta.quantity import ZERO
from openapi.quota.amounts import amounts, pod_requests

Object = dict[str, Any]

_OS = "kubernetes.io/os"


class PodResizeValidator(BoundPodPlugin):
    name = "PodResizeValidator"
    subresources = frozenset(("resize",))

    async def validate(self, attributes: Attributes) -> None:
        name = self.node_name(attributes)
        if not name:
            return
        entry = await self.node(attributes, name)
        pod = attributes.obj
        assert pod is not None
        excess = _excess(pod, entry.object())
        if excess:
            raise forbidden(attributes, f"Node didn't have enough allocatable resources: {'; '.join(excess)}")
        system = entry.labels.get(_OS, "")
        if system != "linux":
            raise forbidden(
                attributes, f"pod resize is only supported on linux nodes, node {quote(name)} is {quote(system)}"
            )


def _excess(pod: Object, node: Object) -> list[str]:
    requests, room = pod_requests(pod), amounts((node.get("status") or {}).get("allocatable"))
    found = []
    cpu, memory = requests.get("cpu", ZERO).milli, requests.get("memory", ZERO).value
    if cpu > room.get("cpu", ZERO).milli:
        found.append(f"cpu, requested: {cpu}, allocatable: {room.get('cpu', ZERO).milli}")
    if memory > room.get("memory", ZERO).value:
        found.append(f"memory, requested: {memory}, allocatable: {room.get('memory', ZERO).value}")
    return found
