"""Pods are resized only to what their node can hold, and only on Linux.

Follows: plugin/pkg/admission/podresize/admission.go
"""

from __future__ import annotations

from typing import Any

from apiserver.admission.lookup import Lookup
from apiserver.admission.plugin import UPDATE, Attributes, Plugin, forbidden
from apiserver.storage.store import Store
from openapi.catalog import Catalog, GroupResource
from openapi.meta.field import quote
from openapi.meta.quantity import ZERO
from openapi.quota.amounts import amounts, pod_requests

Object = dict[str, Any]

_OS = "kubernetes.io/os"


class PodResizeValidator(Plugin):
    name = "PodResizeValidator"
    operations = frozenset((UPDATE,))
    resources = frozenset((GroupResource("", "pods"),))
    subresources = frozenset(("resize",))

    def __init__(self, store: Store, catalog: Catalog) -> None:
        self._nodes = Lookup(store, catalog, "", "nodes")

    async def validate(self, attributes: Attributes) -> None:
        pod, old = attributes.obj, attributes.old
        assert pod is not None and old is not None
        name = pod["spec"].get("nodeName", "")
        if not name or pod["metadata"].get("generation") == old["metadata"].get("generation"):
            return
        entry = await self._nodes.find("", name)
        if entry is None:
            raise forbidden(attributes, f"node {quote(name)} not found")
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
