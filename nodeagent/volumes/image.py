"""Image volumes: the files of an image, mounted read only and without programs to run.

Follows: the behaviour of containerd 2.1 for the image of a CRI mount; KEP-4639
"""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

from nodeagent.pods import spec
from nodeagent.pods.spec import View
from nodeagent.runtime.protocol import FileSystem, Runtime
from nodeagent.volumes import mounting

_PART = "volumes/kubernetes.io~image"


class ImageVolumes:
    """Below `root`; a mount belongs to one image, so that a newer one of the same name is mounted beside it."""

    def __init__(self, root: Path, runtime: Runtime) -> None:
        self._root = root
        self._runtime = runtime
        self._lock = asyncio.Lock()

    async def mount(self, pod: View, name: str, image_id: str) -> Path:
        """Where the files of the image are. Raises RuntimeFailure, OSError."""
        digest = hashlib.sha256(image_id.encode()).hexdigest()[:12]
        target = self._root / "pods" / spec.uid_of(pod) / _PART / name / digest
        async with self._lock:
            if not mounting.is_mount_point(target):
                target.mkdir(parents=True, exist_ok=True, mode=0o750)
                for system in await self._runtime.view_image(image_id, self._key(target)):
                    _mount(system, target)
        return target

    async def take_down(self, uid: str) -> None:
        """Unmount all that the pod has. Raises RuntimeFailure, OSError."""
        async with self._lock:
            for target in (self._root / "pods" / uid / _PART).glob("*/*"):
                if mounting.is_mount_point(target):
                    mounting.unmount(target)
                await self._runtime.drop_view(self._key(target))
                target.rmdir()

    def _key(self, target: Path) -> str:
        """The view's name: the pod, its volume and the image."""
        return "wherry-" + "-".join(target.relative_to(self._root / "pods").parts[i] for i in (0, 3, 4))


def _mount(system: FileSystem, target: Path) -> None:
    is_bind = system.type == "bind" or any(option in ("bind", "rbind") for option in system.options)
    if is_bind:
        mounting.mount(system.source, target, "", mounting.MS_BIND | mounting.MS_REC)
        flags = mounting.MS_REMOUNT | mounting.MS_BIND | mounting.MS_RDONLY | mounting.MS_NOEXEC
        mounting.mount("", target, "", flags)
        return
    options = ",".join(option for option in system.options if option not in ("ro", "rw"))
    mounting.mount(system.source, target, system.type, mounting.MS_RDONLY | mounting.MS_NOEXEC, options)
