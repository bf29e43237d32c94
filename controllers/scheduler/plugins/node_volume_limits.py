"""NodeVolumeLimits: no more volumes of a driver on a node than the driver can attach there.

Follows: pkg/scheduler/framework/plugins/nodevolumelimits/csi.go
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from controllers.scheduler.framework import (
    SKIP,
    ClusterEvent,
    Cycle,
    Filter,
    PreFilter,
    PreFilterAnswer,
    Rejection,
    Rows,
    rejected,
)
from controllers.scheduler.plugins.storage import class_of
from controllers.scheduler.pod import PodInfo, Template
from controllers.scheduler.world import World

REASON = "node(s) exceed max volume count"

Handle = tuple[str, str]
"""A driver, and what it calls the volume (or the claim, before there is a volume)."""


class NodeVolumeLimits(PreFilter, Filter):
    name = "NodeVolumeLimits"

    def __init__(self, args: Mapping[str, Any], world: World) -> None:
        super().__init__(args, world)
        self._on_row: dict[int, tuple[tuple[int, ...], frozenset[Handle]]] = {}

    def concerns(self, template: Template) -> bool:
        return bool(template.volume_claims)

    def pre_filter(self, cycle: Cycle) -> PreFilterAnswer:
        handles = self._handles(cycle.pod)
        cycle.state[self.name] = handles
        return None if handles else SKIP

    def filter(self, cycle: Cycle, rows: Rows) -> Iterable[Rejection]:
        snapshot, wanted = cycle.snapshot, cycle.state[self.name]
        drivers = {driver for driver, _ in wanted}
        failing = np.zeros(snapshot.size, dtype=np.bool_)
        for csi_node in self.world.csi_nodes:
            row = snapshot.rows.get(csi_node["metadata"]["name"])
            limits = _limits(csi_node)
            if row is None or drivers.isdisjoint(limits):
                continue
            present = self._present(row, snapshot.names[row])
            for driver in drivers & limits.keys():
                there = sum(1 for handle in present if handle[0] == driver)
                more = sum(1 for handle in wanted if handle[0] == driver and handle not in present)
                failing[row] |= bool(more) and there + more > limits[driver]
        return rejected(failing[rows], REASON)

    def _present(self, row: int, node: str) -> frozenset[Handle]:
        """The volumes in use on the row, or still attached there."""
        snapshot = self.world.snapshot
        stamp = (
            int(snapshot.versions[row]),
            self.world.claims.version,
            self.world.volumes.version,
            self.world.volume_attachments.version,
        )
        known = self._on_row.get(row)
        if known is not None and known[0] == stamp:
            return known[1]
        handles = {handle for pod in snapshot.pods_on[row].values() for handle in self._handles(pod)}
        for attachment in self.world.volume_attachments:
            spec = attachment["spec"]
            if spec["nodeName"] == node:
                volume = self.world.volumes.get("", (spec.get("source") or {}).get("persistentVolumeName") or "")
                handle = None if volume is None else _volume_handle(volume)
                if handle is not None:
                    handles.add(handle)
        result = frozenset(handles)
        self._on_row[row] = (stamp, result)
        return result

    def _handles(self, pod: PodInfo) -> frozenset[Handle]:
        """The volumes of CSI drivers that the pod uses."""
        found: set[Handle] = set()
        for namespace, name in pod.template.volume_claims:
            claim = self.world.claims.get(namespace, name)
            if claim is None:
                continue
            volume_name = claim["spec"].get("volumeName")
            volume = self.world.volumes.get("", volume_name) if volume_name else None
            handle = self._of_class(claim) if volume is None else _volume_handle(volume)
            if handle is not None:
                found.add(handle)
        return frozenset(found)

    def _of_class(self, claim: Mapping[str, Any]) -> Handle | None:
        """What a claim without a volume will get from its class."""
        storage_class = self.world.storage_classes.get("", class_of(claim))
        if storage_class is None:
            return None
        metadata = claim["metadata"]
        return storage_class["provisioner"], f"{metadata['namespace']}/{metadata['name']}"

    def wakes(self, event: ClusterEvent, pod: PodInfo) -> bool:
        if event.resource == "pods":
            return event.action == "delete" and event.pod is not None and bool(event.pod.template.volume_claims)
        if event.resource == "claims" and event.action == "add" and event.new is not None:
            metadata = event.new["metadata"]
            return (metadata["namespace"], metadata["name"]) in pod.template.volume_claims
        if event.resource == "volume_attachments":
            return event.action == "delete"
        if event.resource != "csi_nodes" or event.new is None:
            return False
        if event.old is None:
            return True
        before = _limits(event.old)
        return any(count > before.get(name, count) for name, count in _limits(event.new).items())


def _volume_handle(volume: Mapping[str, Any]) -> Handle | None:
    csi = volume["spec"].get("csi")
    return None if csi is None else (csi["driver"], csi["volumeHandle"])


def _limits(csi_node: Mapping[str, Any]) -> dict[str, int]:
    """The most volumes of each driver that says so."""
    drivers = (csi_node.get("spec") or {}).get("drivers") or ()
    found = {driver["name"]: (driver.get("allocatable") or {}).get("count") for driver in drivers}
    return {name: count for name, count in found.items() if count is not None}
