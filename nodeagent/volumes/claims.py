"""Persistent volume claims: from what a pod names to the volume that is bound to it.

Follows: pkg/kubelet/volumemanager/populator/desired_state_of_world_populator.go
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from nodeagent.pods import spec
from nodeagent.pods.spec import View
from nodeagent.volumes.problem import Unprocessed


class ClaimSource(Protocol):
    """Reads claims and volumes. None: there is no such object. Raises ConfigProblem where nobody can tell."""

    async def claim(self, namespace: str, name: str) -> View | None: ...

    async def persistent_volume(self, name: str) -> View | None: ...


@dataclass(frozen=True, slots=True)
class Bound:
    """A claim with the persistent volume that it is bound to. `readonly` is what the pod asks for."""

    claim: View
    volume: View
    readonly: bool

    @property
    def name(self) -> str:
        return str(self.volume["metadata"]["name"])

    @property
    def is_block(self) -> bool:
        return bool(self.volume["spec"].get("volumeMode") == "Block")


class Claims:
    """Resolves the claims that pods name."""

    def __init__(self, source: ClaimSource) -> None:
        self._source = source

    async def bound(self, pod: View, volume: View) -> Bound:
        """What a `persistentVolumeClaim` or `ephemeral` volume of a pod stands for. Raises Unprocessed."""
        name, namespace = volume["name"], pod["metadata"]["namespace"]
        given = volume.get("persistentVolumeClaim") or {}
        claim_name = given.get("claimName") or f"{pod['metadata']['name']}-{name}"

        def problem(message: str) -> Unprocessed:
            return Unprocessed(name, f"error processing PVC {namespace}/{claim_name}: {message}")

        claim = await self._source.claim(namespace, claim_name)
        if claim is None:
            raise problem(f'failed to fetch PVC from API server: persistentvolumeclaims "{claim_name}" not found')
        if claim["metadata"].get("deletionTimestamp") and not spec.has_started(pod):
            raise problem("PVC is being deleted")
        if (claim.get("status") or {}).get("phase") != "Bound":
            raise problem("PVC is not bound")
        volume_name = claim["spec"].get("volumeName")
        if not volume_name:
            raise problem("PVC has empty pvc.Spec.VolumeName")
        if "ephemeral" in volume and not _belongs_to(claim, pod):
            owner = f"{namespace}/{pod['metadata']['name']}"
            raise Unprocessed(name, f"PVC {namespace}/{claim_name} was not created for pod {owner} (pod is not owner)")
        found = await self._source.persistent_volume(volume_name)
        if found is None:
            text = f'persistentvolumes "{volume_name}" not found'
            raise problem(f"failed to fetch PV {volume_name} from API server: {text}")
        reference = found["spec"].get("claimRef")
        if reference is None:
            text = "but it has a nil pv.Spec.ClaimRef indicating it is not yet bound to the claim"
            raise problem(f"found PV object {volume_name} {text}")
        if reference.get("uid") != claim["metadata"]["uid"]:
            text = f"but its pv.Spec.ClaimRef.UID {reference.get('uid', '')} does not point to claim.UID"
            raise problem(f"found PV object {volume_name} {text} {claim['metadata']['uid']}")
        return Bound(claim, found, bool(given.get("readOnly")))


def _belongs_to(claim: View, pod: View) -> bool:
    owners = claim["metadata"].get("ownerReferences") or ()
    return any(owner.get("controller") and owner["uid"] == pod["metadata"]["uid"] for owner in owners)
