"""VolumeZone: a volume with zone or region labels is used from nodes of that zone or region.

Follows: pkg/scheduler/framework/plugins/volumezone/volume_zone.go
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
    Refuse,
    Rejection,
    Rows,
    rejected,
)
from controllers.scheduler.plugins.storage import class_of
from controllers.scheduler.pod import PodInfo, Template

REASON = "node(s) had no available volume zone"
ZONE, REGION = "topology.kubernetes.io/zone", "topology.kubernetes.io/region"
OLD_NAMES = {"failure-domain.beta.kubernetes.io/zone": ZONE, "failure-domain.beta.kubernetes.io/region": REGION}
KEYS = (*OLD_NAMES, ZONE, REGION)
SEPARATOR = "__"
"""Between the zones of a volume that is in several."""


class VolumeZone(PreFilter, Filter):
    name = "VolumeZone"

    def concerns(self, template: Template) -> bool:
        return bool(template.named_claims)

    def pre_filter(self, cycle: Cycle) -> PreFilterAnswer:
        wanted: list[tuple[str, tuple[str, ...]]] = []
        found = (self.world.claims.get(cycle.pod.namespace, name) for name in cycle.template.named_claims)
        for claim in (claim for claim in found if claim is not None):
            volume_name = claim["spec"].get("volumeName") or ""
            if not volume_name:
                refusal = self._unbound(class_of(claim))
                if refusal is not None:
                    return refusal
                continue
            volume = self.world.volumes.get("", volume_name)
            if volume is None:
                return Refuse(f'persistentvolume "{volume_name}" not found')
            labels = volume["metadata"].get("labels") or {}
            wanted += [(key, tuple(labels[key].split(SEPARATOR))) for key in KEYS if key in labels]
        cycle.state[self.name] = wanted
        return None if wanted else SKIP

    def _unbound(self, class_name: str) -> Refuse | None:
        if not class_name:
            return Refuse("PersistentVolumeClaim had no pv name and storageClass name")
        storage_class = self.world.storage_classes.get("", class_name)
        if storage_class is None:
            return Refuse(f'storageclass.storage.k8s.io "{class_name}" not found')
        if storage_class.get("volumeBindingMode") == "WaitForFirstConsumer":
            return None
        return Refuse("PersistentVolume had no name")

    def filter(self, cycle: Cycle, rows: Rows) -> Iterable[Rejection]:
        snapshot = cycle.snapshot
        placed = np.zeros(snapshot.size, dtype=np.bool_)
        for key in KEYS:
            placed |= snapshot.has_label(key)
        failing = np.zeros(snapshot.size, dtype=np.bool_)
        for key, values in cycle.state[self.name]:
            fine = snapshot.label_in(key, values)
            if key in OLD_NAMES:
                fine = np.where(snapshot.has_label(key), fine, snapshot.label_in(OLD_NAMES[key], values))
            failing |= placed & ~fine
        return rejected(failing[rows], REASON, final=True)

    def wakes(self, event: ClusterEvent, pod: PodInfo) -> bool:
        if event.resource == "claims" and event.new is not None:
            metadata = event.new["metadata"]
            return (metadata["namespace"], metadata["name"]) in pod.template.volume_claims
        if event.resource == "nodes":
            return event.action == "add" or "labels" in event.fields
        if event.resource == "storage_classes" and event.new is not None:
            return event.action == "add" and event.new.get("volumeBindingMode") == "WaitForFirstConsumer"
        if event.resource != "volumes" or event.new is None:
            return False
        return event.old is None or _topology(event.old) != _topology(event.new)


def _topology(volume: Mapping[str, Any]) -> dict[str, str]:
    labels = volume["metadata"].get("labels") or {}
    return {key: labels[key] for key in KEYS if key in labels}
