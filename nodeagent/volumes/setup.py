"""Sets up the volumes of pods on the node, keeps their content fresh, and takes them down.

A volume is a folder below the pod's own; what is there already is used as it is, so a restarted agent goes on where
it stopped. Nothing is taken down while containers of the pod run. Volumes that no container uses are left alone.
Follows: pkg/kubelet/volumemanager
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nodeagent.node.cgroups import limits_of
from nodeagent.pods import spec
from nodeagent.pods.environment import ConfigProblem, NodeFacts
from nodeagent.pods.spec import View
from nodeagent.runtime.protocol import RuntimeFailure
from nodeagent.volumes import atomic, host_path, mounting, ownership, payload, sub_path, usage
from nodeagent.volumes.claims import Claims
from nodeagent.volumes.csi.driver import DriverFailure, NoDriver
from nodeagent.volumes.csi.volumes import CsiVolumes
from nodeagent.volumes.disks import Disks
from nodeagent.volumes.image import ImageVolumes
from nodeagent.volumes.payload import ProjectedSources
from nodeagent.volumes.persistent import PersistentVolumes
from nodeagent.volumes.problem import Unprocessed, VolumeProblem, VolumesNotReady
from nodeagent.volumes.usage import VolumeUsage
from nodeagent.volumes.volume import Volume
from openapi.meta.quantity import Quantity

log = logging.getLogger(__name__)

_FOLDERS = {
    "configMap": "kubernetes.io~configmap",
    "secret": "kubernetes.io~secret",
    "downwardAPI": "kubernetes.io~downward-api",
    "projected": "kubernetes.io~projected",
    "emptyDir": "kubernetes.io~empty-dir",
}
_FROM_OBJECTS = ("configMap", "secret", "downwardAPI", "projected")
_IN_MEMORY = ("secret", "downwardAPI", "projected")
_HUGE_PAGES = "HugePages"
NO_GIT = (
    "git-repo volume plugin has been disabled; if necessary, it may be re-enabled by enabling the feature-gate "
    "`GitRepoVolumeDriver`"
)
EVERYONE = 0o777
RETRY_S = (0.5, 122.0)
TAKE_DOWN_FAILURES = (DriverFailure, NoDriver, RuntimeFailure, OSError)


@dataclass(frozen=True, slots=True)
class Owned:
    """Those who mount what others provide, and must unmount it again. None where there is nothing of that."""

    images: ImageVolumes | None = None
    csi: CsiVolumes | None = None
    disks: Disks | None = None


class Volumes:
    """The volumes of a node's pods below `root` (`<root>/pods/<uid>/volumes`)."""

    def __init__(
        self,
        root: Path,
        sources: ProjectedSources,
        claims: Claims,
        persistent: PersistentVolumes,
        node: NodeFacts,
        owned: Owned,
    ) -> None:
        self._root = root
        self._csi = owned.csi
        self._images = owned.images
        self._disks = owned.disks
        self._ready: dict[tuple[str, str], Volume] = {}
        self._troubles: dict[str, dict[str, str]] = {}
        self._sources = sources
        self._claims = claims
        self._persistent = persistent
        self._node = node

    def pod_folder(self, uid: str) -> Path:
        return self._root / "pods" / uid

    def folder(self, uid: str, kind: str, name: str) -> Path:
        return self.pod_folder(uid) / "volumes" / _FOLDERS[kind] / name

    async def set_up(self, pod: View, ips: Sequence[str]) -> Mapping[str, Volume]:
        """The volumes that containers use, ready or refreshed. Raises VolumesNotReady."""
        self._troubles.pop(spec.uid_of(pod), None)
        mounts, devices = spec.mounted_volumes(pod)
        wanted = [volume for volume in pod["spec"].get("volumes") or () if volume["name"] in mounts | devices]
        results = await asyncio.gather(*(self._try_set_up(pod, volume, ips) for volume in wanted))
        problems = {
            volume["name"]: result
            for volume, result in zip(wanted, results, strict=True)
            if isinstance(result, VolumeProblem)
        }
        if problems:
            raise VolumesNotReady(problems)
        return {result.name: result for result in results if isinstance(result, Volume)}

    def troubles(self, uid: str) -> Sequence[str]:
        """What kept volumes from being refreshed when the pod's were last set up, as events tell it."""
        return list(self._troubles.get(uid, {}).values())

    async def _try_set_up(self, pod: View, volume: View, ips: Sequence[str]) -> Volume | VolumeProblem:
        try:
            return await self._set_up(pod, volume, ips)
        except VolumeProblem as problem:
            return problem
        except ConfigProblem as problem:
            return VolumeProblem(volume["name"], str(problem))
        except OSError as error:
            return VolumeProblem(volume["name"], f"{error.strerror}: {error.filename}")

    async def take_down(self, uid: str) -> None:
        """Remove everything that the pod had here; what it had elsewhere (claims, host paths) stays.

        Drivers are asked until they have unmounted what is theirs.
        """
        wait_s = RETRY_S[0]
        while True:
            try:
                await self.try_take_down(uid)
                return
            except TAKE_DOWN_FAILURES as failure:
                log.warning("volumes not taken down: %s", failure, extra={"uid": uid})
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, RETRY_S[1])

    async def try_take_down(self, uid: str) -> None:
        """Once. Raises one of `TAKE_DOWN_FAILURES`."""
        # Drivers could not unmount what is still bound elsewhere.
        await asyncio.to_thread(sub_path.release, self.pod_folder(uid) / sub_path.SUB_PATHS)
        if self._csi is not None:
            await self._csi.take_down(uid)
        if self._images is not None:
            await self._images.take_down(uid)
        self._troubles.pop(uid, None)
        for key in [key for key in self._ready if key[0] == uid]:
            del self._ready[key]
        await asyncio.to_thread(mounting.remove_with_mounts, self.pod_folder(uid))

    async def collect(self) -> None:
        """Let go of what no pod has any more."""
        if self._csi is not None:
            await self._csi.unstage_unused()
        if self._disks is not None:
            await self._disks.unmount_unused()

    def known_pods(self) -> list[str]:
        """The uids of pods that have something here."""
        folder = self._root / "pods"
        return [entry.name for entry in folder.iterdir()] if folder.is_dir() else []

    async def usage(self, pod: View) -> Sequence[VolumeUsage]:
        """What the pod's volumes hold, of those of which that can be told."""
        mounts, _ = spec.mounted_volumes(pod)
        chosen = [volume for volume in pod["spec"].get("volumes") or () if volume["name"] in mounts]
        found = await asyncio.gather(*(self._usage(pod, volume) for volume in chosen))
        return [usage for usage in found if usage is not None]

    async def _usage(self, pod: View, volume: View) -> VolumeUsage | None:
        uid, name = spec.uid_of(pod), volume["name"]
        try:
            kind = next((kind for kind in _FOLDERS if kind in volume), None)
            if kind is not None:
                return await asyncio.to_thread(usage.measure_folder, name, self.folder(uid, kind, name))
            ready = self._ready.get((uid, name))
            claim = (volume.get("persistentVolumeClaim") or {}).get("claimName") or ""
            if "ephemeral" in volume:
                claim = f"{pod['metadata']['name']}-{name}"
            if self._csi is not None and (ready is not None or "csi" in volume):
                own_name = ready.path.parent.name if ready is not None else name
                answer = await self._csi.usage(uid, own_name)
                if answer is not None:
                    return usage.told_by_driver(name, answer, claim)
            if ready is not None and ready.is_file_system:
                return await asyncio.to_thread(usage.measure_file_system, name, ready.path, claim)
        except OSError:
            return None
        return None

    def file_in(self, pod: View, volume: str, path: str) -> Path | None:
        """Where a file in an emptyDir of the pod would be; links lead nowhere but inside. None if there is no such."""
        root = self.folder(spec.uid_of(pod), "emptyDir", volume)
        return sub_path.join(root, path) if root.is_dir() else None

    async def _set_up(self, pod: View, volume: View, ips: Sequence[str]) -> Volume:
        name = volume["name"]
        if "hostPath" in volume:
            source = volume["hostPath"]
            host_path.check(name, source["path"], source.get("type") or "")
            return Volume(name, Path(source["path"]))
        if "image" in volume:
            return Volume(name, Path(), readonly=True, image=volume["image"].get("reference", ""))
        if "persistentVolumeClaim" in volume or "ephemeral" in volume:
            return await self._remembered(pod, volume, self._set_up_claim(pod, volume))
        if "csi" in volume and self._csi is not None:
            return await self._remembered(pod, volume, self._csi.set_up_inline(pod, volume))
        for kind in _FROM_OBJECTS:
            if kind in volume:
                return await self._set_up_from_objects(pod, volume, kind, ips)
        if "emptyDir" in volume:
            return self._set_up_empty(pod, volume)
        if "gitRepo" in volume:
            raise VolumeProblem(name, NO_GIT)
        text = f'failed to get Plugin from volumeSpec for volume "{name}" err=no volume plugin matched'
        raise Unprocessed(name, text)

    async def _set_up_claim(self, pod: View, volume: View) -> Volume:
        return await self._persistent.set_up(pod, volume["name"], await self._claims.bound(pod, volume))

    async def _remembered(self, pod: View, volume: View, setting_up: Awaitable[Volume]) -> Volume:
        """What is mounted stays so, whatever becomes of the claim, and also while the server is away."""
        key = (spec.uid_of(pod), volume["name"])
        try:
            found = self._ready[key] = await setting_up
        except (Unprocessed, ConfigProblem):
            if key not in self._ready:
                raise
            return self._ready[key]
        return found

    async def _set_up_from_objects(self, pod: View, volume: View, kind: str, ips: Sequence[str]) -> Volume:
        folder = self.folder(spec.uid_of(pod), kind, volume["name"])
        try:
            files = await payload.files_of(pod, volume, self._sources, ips=ips, node=self._node)
        except (VolumeProblem, ConfigProblem) as problem:
            trouble = VolumeProblem(volume["name"], str(getattr(problem, "message", problem)))
            if not (folder / atomic.DATA).exists():
                raise trouble from problem
            # A pod that has its files goes on with them, though nobody can tell whether they are the newest.
            self._troubles.setdefault(spec.uid_of(pod), {})[volume["name"]] = trouble.text
            return Volume(volume["name"], folder, readonly=True)
        _make_folder(folder)
        if kind in _IN_MEMORY:
            mounting.mount_tmpfs(folder)
        group = ownership.group_of(pod)
        await asyncio.to_thread(atomic.write, folder, files, group=group)
        if group is not None:
            os.chown(folder, -1, group)
            os.chmod(folder, folder.stat().st_mode & 0o7777 | 0o2550)
        return Volume(volume["name"], folder, readonly=True)

    def _set_up_empty(self, pod: View, volume: View) -> Volume:
        folder = self.folder(spec.uid_of(pod), "emptyDir", volume["name"])
        is_new = not folder.exists()
        _make_folder(folder)
        source = volume["emptyDir"] or {}
        medium = source.get("medium") or ""
        if medium == "Memory":
            mounting.mount_tmpfs(folder, self._memory_size(pod, source))
        elif medium.startswith(_HUGE_PAGES):
            mounting.mount_huge_pages(folder, _page_size(pod, volume["name"], medium))
        if is_new:
            ownership.apply(pod, folder)
        return Volume(volume["name"], folder)

    def _memory_size(self, pod: View, source: View) -> int:
        """The least of the volume's limit, the pod's memory and the node's."""
        sizes = [Quantity.parse(self._node.allocatable.get("memory", "0")).value, limits_of(pod).memory_bytes]
        if source.get("sizeLimit"):
            sizes.append(Quantity.parse(source["sizeLimit"]).value)
        return min((size for size in sizes if size > 0), default=0)


def _page_size(pod: View, volume: str, medium: str) -> str:
    """The size of huge pages that the volume is of: its own, or that of which the pod asks for some."""
    prefix = "hugepages-"
    asked = {
        name.removeprefix(prefix)
        for container in (*spec.init_containers(pod), *spec.containers(pod))
        for name in spec.resources_of(container, "requests")
        if name.startswith(prefix)
    }
    own = medium.removeprefix(_HUGE_PAGES).lstrip("-")
    if not asked:
        raise VolumeProblem(volume, "hugePages storage requested, but there is no resource request for huge pages")
    if own:
        return own
    if len(asked) > 1:
        text = f"medium {medium} can't be used if container requests multiple huge page sizes"
        raise VolumeProblem(volume, text)
    return asked.pop()


def _make_folder(folder: Path) -> None:
    if not folder.exists():
        folder.mkdir(parents=True, mode=EVERYONE)
        folder.chmod(EVERYONE)
