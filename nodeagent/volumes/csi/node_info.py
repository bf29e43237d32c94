"""What the API knows of the drivers on a node: its CSINode, and the Node's annotation and topology labels.

Follows: pkg/volume/csi/nodeinfomanager/nodeinfomanager.go
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from controllers.runtime.client import Client
from controllers.runtime.errors import AlreadyExists, Conflict, NotFound
from controllers.runtime.kinds import CSI_DRIVERS, NODES, resource

log = logging.getLogger(__name__)

Object = dict[str, Any]
CSI_NODES = resource("storage.k8s.io", "v1", "csinodes")
NODE_ID = "csi.volume.kubernetes.io/nodeid"
MIGRATED = "storage.alpha.kubernetes.io/migrated-plugins"
_MIGRATED_PLUGINS = ("aws-ebs", "azure-disk", "azure-file", "cinder", "gce-pd", "portworx-volume", "vsphere-volume")
TRIES = 5


@dataclass(frozen=True, slots=True)
class DriverInfo:
    """What a driver says of itself on this node. `max_volumes`: 0 for no limit."""

    name: str
    node_id: str
    max_volumes: int
    topology: Mapping[str, str]

    def entry(self) -> Object:
        """Its part of the CSINode."""
        made: Object = {"name": self.name, "nodeID": self.node_id, "topologyKeys": sorted(self.topology) or None}
        if self.max_volumes > 0:
            made["allocatable"] = {"count": self.max_volumes}
        return made


class NodeInfo:
    """The objects of one node."""

    def __init__(self, client: Client, node: str) -> None:
        self._client = client
        self._node = node

    async def initialize(self) -> None:
        """Have a CSINode, even if no driver ever comes. Raises ApiError."""
        await self._change_drivers(lambda drivers: drivers)

    async def install(self, info: DriverInfo) -> None:
        """Make a driver known. Raises ApiError, ValueError where the node is known otherwise already."""
        await self._annotate(info)
        await self._change_drivers(lambda drivers: [*_without(drivers, info.name), info.entry()])

    async def update_period_s(self, driver: str) -> int:
        """How often the driver wants to be asked anew how many volumes the node takes; 0: never. Raises ApiError."""
        try:
            found = await self._client.get(CSI_DRIVERS, "", driver)
        except NotFound:
            return 0
        return int(found["spec"].get("nodeAllocatableUpdatePeriodSeconds") or 0)

    async def uninstall(self, driver: str) -> None:
        """A driver is gone. Raises ApiError."""
        await self._change_drivers(lambda drivers: _without(drivers, driver))
        for _ in range(TRIES):
            node = await self._client.get(NODES, "", self._node)
            ids = _node_ids(node)
            if ids.pop(driver, None) is None:
                return
            text = orjson.dumps(ids, option=orjson.OPT_SORT_KEYS).decode() if ids else None
            if await self._patch_node(node, {"annotations": {NODE_ID: text}}):
                return

    async def _annotate(self, info: DriverInfo) -> None:
        for _ in range(TRIES):
            node = await self._client.get(NODES, "", self._node)
            labels = node["metadata"].get("labels") or {}
            for key, value in info.topology.items():
                if labels.get(key, value) != value:
                    text = f"detected topology value collision: driver reported {key}:{value} but existing label is"
                    raise ValueError(f"{text} {key}:{labels[key]}")
            ids = {**_node_ids(node), info.name: info.node_id}
            if ids == _node_ids(node) and all(key in labels for key in info.topology):
                return
            annotation = orjson.dumps(ids, option=orjson.OPT_SORT_KEYS).decode()
            if await self._patch_node(node, {"annotations": {NODE_ID: annotation}, "labels": dict(info.topology)}):
                return
        raise ValueError(f"node {self._node} changes too often")

    async def _patch_node(self, node: Object, metadata: Object) -> bool:
        patch = {"metadata": {"resourceVersion": node["metadata"]["resourceVersion"], **metadata}}
        try:
            await self._client.patch(NODES, "", self._node, patch)
        except Conflict:
            return False
        return True

    async def _change_drivers(self, change: Any) -> None:
        for _ in range(TRIES):
            try:
                found = await self._client.get(CSI_NODES, "", self._node)
            except NotFound:
                found = await self._create()
            drivers = found["spec"].get("drivers") or []
            wanted = change(drivers)
            annotations = found["metadata"].get("annotations") or {}
            if wanted == drivers and annotations.get(MIGRATED) == _migrated():
                return
            metadata = {**found["metadata"], "annotations": {**annotations, MIGRATED: _migrated()}}
            try:
                await self._client.update(CSI_NODES, {**found, "metadata": metadata, "spec": {"drivers": wanted}})
                return
            except Conflict:
                continue

    async def _create(self) -> Object:
        node = await self._client.get(NODES, "", self._node)
        owner = {"apiVersion": "v1", "kind": "Node", "name": self._node, "uid": node["metadata"]["uid"]}
        metadata = {"name": self._node, "ownerReferences": [owner], "annotations": {MIGRATED: _migrated()}}
        made = {"kind": "CSINode", "apiVersion": "storage.k8s.io/v1", "metadata": metadata, "spec": {"drivers": []}}
        try:
            return await self._client.create(CSI_NODES, made)
        except AlreadyExists:
            return await self._client.get(CSI_NODES, "", self._node)


def _migrated() -> str:
    return ",".join(f"kubernetes.io/{name}" for name in _MIGRATED_PLUGINS)


def _without(drivers: list[Object], name: str) -> list[Object]:
    return [item for item in drivers if item["name"] != name]


def _node_ids(node: Object) -> dict[str, str]:
    text = (node["metadata"].get("annotations") or {}).get(NODE_ID)
    return dict(orjson.loads(text)) if text else {}
