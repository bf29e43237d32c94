"""Persistent volumes on the node: from a bound claim to a folder or a device.

A hostPath volume is used as it is; a local one must be on this node, which its affinity says, and takes the group of
its pods. Those of CSI drivers are mounted by their drivers.
Follows: pkg/volume/{hostpath,local}, pkg/volume/util/operationexecutor/operation_generator.go
"""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from nodeagent.pods.admit import matches_terms
from nodeagent.pods.spec import View, mounted_volumes, uid_of
from nodeagent.volumes import host_path, ownership
from nodeagent.volumes.claims import Bound
from nodeagent.volumes.csi.volumes import CsiVolumes
from nodeagent.volumes.disks import DiskProblem, Disks
from nodeagent.volumes.problem import MAP_DEVICE, MOUNT_DEVICE, NEW_MOUNTER, NODE_AFFINITY, Unprocessed, VolumeProblem
from nodeagent.volumes.volume import Volume

GROUP = "pv.beta.kubernetes.io/gid"
"""Annotates a volume with the group that may use it."""


class PersistentVolumes:
    """`node` is the Node object as it is known at the time. Without `csi` there are no volumes of drivers."""

    def __init__(self, node: Callable[[], View], disks: Disks, csi: CsiVolumes | None = None) -> None:
        self._node = node
        self._disks = disks
        self._csi = csi

    async def set_up(self, pod: View, name: str, bound: Bound) -> Volume:
        """The volume `name` of the pod. Raises VolumeProblem."""
        found = await self._set_up(pod, name, bound)
        group = (bound.volume["metadata"].get("annotations") or {}).get(GROUP, "")
        return replace(found, group=int(group)) if group.isdecimal() else found

    async def _set_up(self, pod: View, name: str, bound: Bound) -> Volume:
        self._check_mode(pod, name, bound)
        self._check_affinity(bound)
        spec = bound.volume["spec"]
        if "hostPath" in spec:
            source = spec["hostPath"]
            host_path.check(bound.name, source["path"], source.get("type") or "")
            return Volume(name, Path(source["path"]), readonly=bound.readonly)
        if "local" in spec:
            return await self._set_up_local(pod, name, bound)
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

    async def _set_up_local(self, pod: View, name: str, bound: Bound) -> Volume:
        source = bound.volume["spec"]["local"]
        path, step = Path(source["path"]), MAP_DEVICE if bound.is_block else NEW_MOUNTER
        try:
            kind = host_path.file_type(str(path))
        except OSError as error:
            raise VolumeProblem(bound.name, error.strerror or str(error), step) from error
        if bound.is_block:
            if kind != stat.S_IFBLK:
                raise VolumeProblem(bound.name, f"{path} is not a block device", step)
            return Volume(name, path, readonly=bound.readonly)
        if kind not in (stat.S_IFDIR, stat.S_IFBLK):
            raise VolumeProblem(bound.name, "only directory and block device are supported", step)
        if kind == stat.S_IFBLK:
            path = await self._mount_disk(pod, bound, path)
        if not bound.readonly:
            ownership.apply(pod, path)
        return Volume(name, path, readonly=bound.readonly, is_file_system=True)

    async def _mount_disk(self, pod: View, bound: Bound, device: Path) -> Path:
        own = bound.volume["spec"]
        try:
            return await self._disks.mount(
                uid_of(pod),
                bound.name,
                device,
                type=own["local"].get("fsType") or "",
                options=own.get("mountOptions") or (),
                readonly=bound.readonly,
            )
        except (DiskProblem, OSError) as problem:
            raise VolumeProblem(bound.name, str(problem), MOUNT_DEVICE) from problem
