"""Persistent volumes on the node: from a bound claim to a folder or a device.

A hostPath volume is used as it is; a local one must be on this node, which its affinity says, and takes the group of
its pods. Those of CSI drivers are mounted by their drivers.
Follows: pkg/volume/{hostpath,local}, pkg/volume/util/operationexecutor/operation_generator.go
"""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

from nodeagent.pods.admit import matches_terms
from nodeagent.pods.spec import View, mounted_volumes
from nodeagent.volumes import host_path, ownership
from nodeagent.volumes.claims import Bound
from nodeagent.volumes.csi.volumes import CsiVolumes
from nodeagent.volumes.problem import MAP_DEVICE, NEW_MOUNTER, NODE_AFFINITY, Unprocessed, VolumeProblem
from nodeagent.volumes.volume import Volume


class PersistentVolumes:
    """`node` is the Node object as it is known at the time. Without `csi` there are no volumes of drivers."""

    def __init__(self, node: Callable[[], View], csi: CsiVolumes | None = None) -> None:
        self._node = node
        self._csi = csi

    async def set_up(self, pod: View, name: str, bound: Bound) -> Volume:
        """The volume `name` of the pod. Raises VolumeProblem."""
        self._check_mode(pod, name, bound)
        self._check_affinity(bound)
        spec = bound.volume["spec"]
        if "hostPath" in spec:
            source = spec["hostPath"]
            host_path.check(bound.name, source["path"], source.get("type") or "")
            return Volume(name, Path(source["path"]), readonly=bound.readonly)
        if "local" in spec:
            return _set_up_local(pod, name, bound)
        if "csi" in spec and self._csi is not None:
            return await self._csi.set_up_claim(pod, name, bound)
        text = f'failed to get Plugin from volumeSpec for volume "{bound.name}" err=no volume plugin matched'
        raise Unprocessed(name, text)

    def _check_mode(self, pod: View, name: str, bound: Bound) -> None:
        mounts, devices = mounted_volumes(pod)
        mode = "Block" if bound.is_block else "Filesystem"
        if name in mounts and bound.is_block:
            raise Unprocessed(name, f"volume {name} has volumeMode {mode}, but is specified in volumeMounts")
        if name in devices and not bound.is_block:
            raise Unprocessed(name, f"volume {name} has volumeMode {mode}, but is specified in volumeDevices")

    def _check_affinity(self, bound: Bound) -> None:
        required = (bound.volume["spec"].get("nodeAffinity") or {}).get("required")
        if required is not None and not matches_terms(required.get("nodeSelectorTerms") or (), self._node()):
            raise VolumeProblem(bound.name, "no matching NodeSelectorTerms", NODE_AFFINITY)


def _set_up_local(pod: View, name: str, bound: Bound) -> Volume:
    path = Path(bound.volume["spec"]["local"]["path"])
    step = MAP_DEVICE if bound.is_block else NEW_MOUNTER
    try:
        kind = host_path.file_type(str(path))
    except OSError as error:
        raise VolumeProblem(bound.name, error.strerror or str(error), step) from error
    if bound.is_block:
        if kind != stat.S_IFBLK:
            raise VolumeProblem(bound.name, f"{path} is not a block device", step)
        return Volume(name, path, readonly=bound.readonly)
    if kind != stat.S_IFDIR:
        # A device with a file system on it would have to be mounted first, which is not done here.
        raise VolumeProblem(bound.name, "only directory and block device are supported", step)
    if not bound.readonly:
        ownership.apply(pod, path)
    return Volume(name, path, readonly=bound.readonly, is_file_system=True)
