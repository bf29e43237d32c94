"""Persistent volume claims: from the claim over its bound volume to a folder of this node.

Volumes of type hostPath and local are known; a local one must be on this node, which its affinity says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from nodeagent.pods.spec import View
from nodeagent.volumes import host_path
from nodeagent.volumes.problem import VolumeProblem


class ClaimSource(Protocol):
    """Reads claims and volumes. None: there is no such object."""

    async def claim(self, namespace: str, name: str) -> View | None: ...

    async def persistent_volume(self, name: str) -> View | None: ...


@dataclass(frozen=True, slots=True)
class Claimed:
    path: str
    readonly: bool


class Claims:
    """Resolves the claims that pods name."""

    def __init__(self, source: ClaimSource) -> None:
        self._source = source

    async def resolve(self, pod: View, volume: View) -> Claimed:
        """The folder behind a `persistentVolumeClaim` or `ephemeral` volume. Raises VolumeProblem."""
        found = await self.bound_volume(pod, volume)
        modes = found["spec"].get("accessModes") or ()
        given = volume.get("persistentVolumeClaim") or {}
        readonly = bool(given.get("readOnly")) or list(modes) == ["ReadOnlyMany"]
        return Claimed(_path_of(volume["name"], found), readonly)

    async def bound_volume(self, pod: View, volume: View) -> View:
        """The persistent volume that the claim is bound to. Raises VolumeProblem."""
        name, namespace = volume["name"], pod["metadata"]["namespace"]
        given = volume.get("persistentVolumeClaim") or {}
        claim_name = given.get("claimName") or f"{pod['metadata']['name']}-{name}"
        claim = await self._source.claim(namespace, claim_name)
        if claim is None:
            raise VolumeProblem(name, f'persistentvolumeclaims "{claim_name}" not found')
        volume_name = claim["spec"].get("volumeName")
        if not volume_name or (claim.get("status") or {}).get("phase") != "Bound":
            raise VolumeProblem(name, f'PVC "{namespace}/{claim_name}" is not bound')
        found = await self._source.persistent_volume(volume_name)
        if found is None:
            raise VolumeProblem(name, f'persistentvolumes "{volume_name}" not found')
        return found


def _path_of(name: str, volume: View) -> str:
    source = volume["spec"].get("hostPath")
    if source:
        host_path.check(name, source["path"], source.get("type") or "DirectoryOrCreate")
        return str(source["path"])
    local = volume["spec"].get("local")
    if local:
        host_path.check(name, local["path"], "Directory")
        return str(local["path"])
    raise VolumeProblem(name, f'volume "{volume["metadata"]["name"]}" is of a type that this node cannot mount')
