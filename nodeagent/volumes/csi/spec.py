"""What a CSI volume is, read from the objects that describe it: a persistent volume or an inline one of a pod. Pure.

Follows: pkg/volume/csi/{csi_plugin,csi_attacher,csi_mounter,csi_client}.go
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nodeagent.pods import spec
from nodeagent.pods.spec import View
from nodeagent.volumes.claims import Bound
from nodeagent.volumes.csi.messages import SINGLE_NODE_MULTI_WRITER, VOLUME_MOUNT_GROUP
from nodeagent.volumes.ownership import group_of
from nodeagent.volumes.problem import NEW_MOUNTER, VolumeProblem

PERSISTENT, EPHEMERAL = "Persistent", "Ephemeral"
_MODES = {"ReadWriteOnce": 1, "ReadOnlyMany": 3, "ReadWriteMany": 5, "ReadWriteOncePod": 1}
_MODES_OF_MANY_WRITERS = {**_MODES, "ReadWriteOnce": 7, "ReadWriteOncePod": 6}
"""Access modes as CSI numbers them, for drivers that do not, and do, tell one writer on a node from many."""


@dataclass(frozen=True, slots=True)
class CsiVolume:
    """`name` is that of the persistent volume, or of the pod's own volume. Secrets are `(namespace, name)`."""

    name: str
    driver: str
    handle: str
    lifecycle: str
    fs_type: str = ""
    readonly: bool = False
    is_block: bool = False
    access_modes: Sequence[str] = ()
    mount_options: Sequence[str] = ()
    attributes: View = field(default_factory=dict)
    stage_secret: tuple[str, str] | None = None
    publish_secret: tuple[str, str] | None = None
    expand_secret: tuple[str, str] | None = None

    @property
    def unique_name(self) -> str:
        """As in the status of nodes."""
        return f"kubernetes.io/csi/{self.driver}^{self.handle}"

    def attachment(self, node: str) -> str:
        """The name of its VolumeAttachment to a node."""
        digest = hashlib.sha256(f"{self.handle}{self.driver}{node}".encode()).hexdigest()
        return f"csi-{digest}"

    def capability(self, pod: View, can: frozenset[int]) -> dict[str, Any]:
        """The VolumeCapability that drivers are asked for."""
        modes = _MODES_OF_MANY_WRITERS if SINGLE_NODE_MULTI_WRITER in can else _MODES
        mode = modes.get(self.access_modes[0] if self.access_modes else "ReadWriteOnce", 0)
        if self.is_block:
            return {"block": {}, "access_mode": {"mode": mode}}
        mount = {"fs_type": self.fs_type, "mount_flags": list(self.mount_options)}
        group = group_of(pod)
        if group is not None and VOLUME_MOUNT_GROUP in can:
            mount["volume_mount_group"] = str(group)
        return {"mount": mount, "access_mode": {"mode": mode}}

    def takes_group(self, pod: View, driver: View | None) -> bool:
        """Whether the node is to give the files to the pod's group. `driver` is the CSIDriver object."""
        policy = ((driver or {}).get("spec") or {}).get("fsGroupPolicy") or "ReadWriteOnceWithFSType"
        if group_of(pod) is None or self.readonly or self.is_block or policy == "None":
            return False
        return policy == "File" or bool(self.fs_type and "ReadWriteOnce" in self.access_modes)


def persistent(bound: Bound) -> CsiVolume:
    """The volume that a claim is bound to."""
    own = bound.volume["spec"]
    source = own["csi"]
    return CsiVolume(
        name=bound.name,
        driver=source["driver"],
        handle=source["volumeHandle"],
        lifecycle=PERSISTENT,
        fs_type=source.get("fsType") or "",
        readonly=bound.readonly,
        is_block=bound.is_block,
        access_modes=own.get("accessModes") or (),
        mount_options=own.get("mountOptions") or (),
        attributes=source.get("volumeAttributes") or {},
        stage_secret=_secret(source.get("nodeStageSecretRef")),
        publish_secret=_secret(source.get("nodePublishSecretRef")),
        expand_secret=_secret(source.get("nodeExpandSecretRef")),
    )


def inline(pod: View, volume: View) -> CsiVolume:
    """A volume that lives with its pod."""
    source, namespace = volume["csi"], pod["metadata"]["namespace"]
    digest = hashlib.sha256(f"{spec.uid_of(pod)}{volume['name']}".encode()).hexdigest()
    reference = source.get("nodePublishSecretRef")
    return CsiVolume(
        name=volume["name"],
        driver=source["driver"],
        handle=f"csi-{digest}",
        lifecycle=EPHEMERAL,
        fs_type=source.get("fsType") or "",
        readonly=bool(source.get("readOnly")),
        attributes=source.get("volumeAttributes") or {},
        publish_secret=(namespace, reference["name"]) if reference else None,
    )


def _secret(reference: View | None) -> tuple[str, str] | None:
    return (reference.get("namespace", ""), reference.get("name", "")) if reference else None


def check_lifecycle(volume: CsiVolume, driver: View | None) -> None:
    """See that the driver supports volumes of that life. Raises VolumeProblem."""
    what = f'volume mode "{volume.lifecycle}" not supported by driver {volume.driver}'
    if driver is None:
        if volume.lifecycle == EPHEMERAL:
            raise VolumeProblem(volume.name, f"{what} (no CSIDriver object)", NEW_MOUNTER)
        return
    modes = driver["spec"].get("volumeLifecycleModes") or [PERSISTENT]
    if volume.lifecycle not in modes:
        shown = " ".join(f'"{mode}"' for mode in modes)
        raise VolumeProblem(volume.name, f"{what} (only supports [{shown}])", NEW_MOUNTER)


def pod_attributes(volume: CsiVolume, pod: View, driver: View | None) -> dict[str, str]:
    """What a driver is told of the pod, if it asks for that."""
    if not ((driver or {}).get("spec") or {}).get("podInfoOnMount"):
        return {}
    metadata = pod["metadata"]
    return {
        "csi.storage.k8s.io/pod.name": metadata["name"],
        "csi.storage.k8s.io/pod.namespace": metadata["namespace"],
        "csi.storage.k8s.io/pod.uid": spec.uid_of(pod),
        "csi.storage.k8s.io/serviceAccount.name": pod["spec"].get("serviceAccountName") or "",
        "csi.storage.k8s.io/ephemeral": "true" if volume.lifecycle == EPHEMERAL else "false",
    }
