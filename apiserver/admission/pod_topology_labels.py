"""Pods carry the zone and region of their node as labels.

Follows: plugin/pkg/admission/podtopologylabels/admission.go
"""

from __future__ import annotations

from typing import Any

from apiserver.admission.lookup import Lookup
from apiserver.admission.plugin import CREATE, Attributes, Plugin
from apiserver.storage.store import Store
from openapi.catalog import Catalog, GroupResource

Object = dict[str, Any]

LABELS = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")


class PodTopologyLabels(Plugin):
    """Acts on bindings, whose labels go to the pod, and on pods that are made for a node."""

    name = "PodTopologyLabels"
    operations = frozenset((CREATE,))
    resources = frozenset((GroupResource("", "pods"),))
    subresources = frozenset(("", "binding"))

    def __init__(self, store: Store, catalog: Catalog) -> None:
        self._nodes = Lookup(store, catalog, "", "nodes")

    async def mutate(self, attributes: Attributes) -> None:
        obj = attributes.obj
        assert obj is not None
        node = _target(obj) if attributes.subresource else (obj.get("spec") or {}).get("nodeName", "")
        entry = self._nodes.cached("", node) if node else None
        if entry is None:
            return
        found = {label: entry.labels[label] for label in LABELS if label in entry.labels}
        if found:
            obj["metadata"]["labels"] = {**(obj["metadata"].get("labels") or {}), **found}


def _target(binding: Object) -> str:
    target = binding.get("target") or {}
    return str(target.get("name", "")) if target.get("kind") == "Node" else ""
