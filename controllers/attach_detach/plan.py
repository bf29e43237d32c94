"""Which volumes a node needs attached, under which names, and what stands against it: pure.

Follows: pkg/controller/volume/attachdetach, pkg/volume/csi/csi_attacher.go, pkg/controller/volume/attachdetach/util
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from controllers.runtime.objects import Object, View, annotations_of, is_deleting, name_of, namespace_of

MANAGED = "volumes.kubernetes.io/controller-managed-attach-detach"
KEEPS_TERMINATED = "volumes.kubernetes.io/keep-terminated-pod-volumes"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
_SHARED_MODES = frozenset({"ReadOnlyMany", "ReadWriteMany"})


@dataclass(frozen=True, slots=True)
class Volume:
    """An attachable volume: its PersistentVolume, the CSI driver and the driver's own handle."""

    name: str
    driver: str
    handle: str
    is_shared: bool

    @property
    def unique_name(self) -> str:
        """The name in a node's status."""
        return f"kubernetes.io/csi/{self.driver}^{self.handle}"

    def attachment_name(self, node: str) -> str:
        digest = hashlib.sha256(f"{self.handle}{self.driver}{node}".encode()).hexdigest()
        return f"csi-{digest}"

    def attachment(self, node: str) -> Object:
        """The VolumeAttachment that asks the driver's attacher."""
        return {
            "kind": "VolumeAttachment",
            "apiVersion": "storage.k8s.io/v1",
            "metadata": {"name": self.attachment_name(node)},
            "spec": {"attacher": self.driver, "nodeName": node, "source": {"persistentVolumeName": self.name}},
        }


def volume_of(persistent: View, drivers: Collection[str]) -> Volume | None:
    """The volume behind a PersistentVolume; None if it is not attached by anybody.

    `drivers` are the names of the drivers that need no attaching.
    """
    source = persistent["spec"].get("csi")
    if not source or source["driver"] in drivers:
        return None
    modes = persistent["spec"].get("accessModes") or ()
    is_shared = not modes or bool(_SHARED_MODES & set(modes))
    return Volume(name_of(persistent), source["driver"], source["volumeHandle"], is_shared)


def is_managed(node: View) -> bool:
    """Whether volumes are attached to the node by us, and not by its own agent."""
    return annotations_of(node).get(MANAGED) == "true"


def needs_volumes(pod: View, node: View) -> bool:
    """Whether the pod's volumes must stay attached; ended pods need none, unless the node keeps them mounted."""
    if annotations_of(node).get(KEEPS_TERMINATED) == "true":
        return True
    status = pod.get("status") or {}
    if status.get("phase") in ("Succeeded", "Failed"):
        return False
    states = [one.get("state") or {} for one in status.get("containerStatuses") or ()]
    return not is_deleting(pod) or any("terminated" not in state and "waiting" not in state for state in states)


def attached_to(node: View, attached: Sequence[Volume]) -> list[Object] | None:
    """`status.volumesAttached` of the node for these volumes and those of others; None where it is so already."""
    present = list((node.get("status") or {}).get("volumesAttached") or ())
    names = {volume.unique_name for volume in attached}
    kept = [dict(one) for one in present if one["name"] in names or not one["name"].startswith("kubernetes.io/csi/")]
    known = {one["name"] for one in kept}
    kept += [{"name": name, "devicePath": ""} for name in sorted(names - known)]
    return kept if kept != present else None


def is_mounted(node: View, volume: Volume) -> bool:
    """Whether the node says that it has the volume in use."""
    return volume.unique_name in ((node.get("status") or {}).get("volumesInUse") or ())


def is_out_of_service(node: View) -> bool:
    return any(taint["key"] == OUT_OF_SERVICE for taint in node["spec"].get("taints") or ())


def conflict_message(volume: str, pod: View, others: Sequence[View]) -> str:
    """Why a volume for one node cannot be attached: `others` are the pods that have it elsewhere."""
    start = f'Multi-Attach error for volume "{volume}" '
    if not others:
        return start + "Volume is already exclusively attached to one node and can't be attached to another"
    near = [name_of(other) for other in others if namespace_of(other) == namespace_of(pod)]
    far = len(others) - len(near)
    if not near:
        return f"{start}Volume is already used by {far} pod(s) in different namespaces"
    text = f"{start}Volume is already used by pod(s) {', '.join(near)}"
    return f"{text} and {far} pod(s) in different namespaces" if far else text
