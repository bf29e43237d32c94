"""VolumeRestrictions: disks that only one pod of a node can have, and claims that only one pod of the cluster can.

Follows: pkg/scheduler/framework/plugins/volumerestrictions/volume_restrictions.go
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
from controllers.scheduler.pod import PodInfo, Template

CONFLICT = "node(s) had no available disk"
IN_USE = (
    "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod"
)

View = Mapping[str, Any]
_DISKS = ("gcePersistentDisk", "awsElasticBlockStore", "rbd", "iscsi")


class VolumeRestrictions(PreFilter, Filter):
    name = "VolumeRestrictions"

    def concerns(self, template: Template) -> bool:
        return bool(template.volumes)

    def pre_filter(self, cycle: Cycle) -> PreFilterAnswer:
        exclusive: list[tuple[str, str]] = []
        # Claims that are made for the pod alone can be in no other's way.
        namespace = cycle.pod.namespace
        for name in cycle.template.named_claims:
            claim = self.world.claims.get(namespace, name)
            if claim is None:
                return Refuse(f'persistentvolumeclaim "{name}" not found')
            if "ReadWriteOncePod" in (claim["spec"].get("accessModes") or ()):
                exclusive.append((namespace, name))
        disks = [volume for volume in cycle.template.volumes if any(kind in volume for kind in _DISKS)]
        cycle.state[self.name] = (exclusive, disks)
        return None if exclusive or disks else SKIP

    def filter(self, cycle: Cycle, rows: Rows) -> Iterable[Rejection]:
        exclusive, disks = cycle.state[self.name]
        snapshot = cycle.snapshot
        conflict = np.zeros(snapshot.size, dtype=np.bool_)
        if disks:
            for row in np.arange(snapshot.size)[rows]:
                conflict[row] = any(
                    conflicting(mine, theirs)
                    for pod in snapshot.pods_on[row].values()
                    for theirs in pod.template.volumes
                    for mine in disks
                )
        found = list(rejected(conflict[rows], CONFLICT))
        if any(snapshot.claim_users[claim] for claim in exclusive):
            found += rejected(~conflict[rows], IN_USE)
        return found

    def wakes(self, event: ClusterEvent, pod: PodInfo) -> bool:
        if event.resource == "pods" and event.action == "delete" and event.pod is not None:
            other = event.pod.template
            if not set(other.volume_claims).isdisjoint(pod.template.volume_claims):
                return True
            return any(conflicting(mine, theirs) for mine in pod.template.volumes for theirs in other.volumes)
        if event.resource == "claims" and event.new is not None:
            metadata = event.new["metadata"]
            return (metadata["namespace"], metadata["name"]) in pod.template.volume_claims
        return event.resource == "nodes" and event.action == "add"


def conflicting(one: View, other: View) -> bool:
    """Whether two volumes are the same disk, and not both only read it."""
    for kind in _DISKS:
        a, b = one.get(kind), other.get(kind)
        if a is None or b is None:
            continue
        if kind == "awsElasticBlockStore":
            return bool(a["volumeID"] == b["volumeID"])
        if a.get("readOnly") and b.get("readOnly"):
            return False
        if kind == "gcePersistentDisk":
            return bool(a["pdName"] == b["pdName"])
        if kind == "iscsi":
            return bool(a["iqn"] == b["iqn"])
        shared = set(a.get("monitors") or ()) & set(b.get("monitors") or ())
        return bool(shared) and (a.get("pool"), a.get("image")) == (b.get("pool"), b.get("image"))
    return False
