"""Tells who will expand a claim that wants more than it has: always an external resizer.

Follows: pkg/controller/volume/expand/expand_controller.go
"""

from __future__ import annotations

from typing import ClassVar

from controllers.runtime.controller import Controller, For, Reads, Requeue
from controllers.runtime.kinds import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES
from controllers.runtime.objects import Key, View, annotations_of, is_deleting, key_of, uid_of
from openapi.meta.quantity import ZERO, Quantity

RESIZER = "volume.kubernetes.io/storage-resizer"
_MESSAGE = "waiting for an external controller to expand this PVC"

_MIGRATED = {
    "awsElasticBlockStore": ("kubernetes.io/aws-ebs", "ebs.csi.aws.com"),
    "azureDisk": ("kubernetes.io/azure-disk", "disk.csi.azure.com"),
    "azureFile": ("kubernetes.io/azure-file", "file.csi.azure.com"),
    "cinder": ("kubernetes.io/cinder", "cinder.csi.openstack.org"),
    "gcePersistentDisk": ("kubernetes.io/gce-pd", "pd.csi.storage.gke.io"),
    "portworxVolume": ("kubernetes.io/portworx-volume", "pxd.portworx.com"),
    "vsphereVolume": ("kubernetes.io/vsphere-volume", "csi.vsphere.vmware.com"),
}
"""Sources of volumes by the plugin that once served them and the CSI driver that does now."""


def wants_more(claim: View) -> bool:
    """Whether a bound claim asks for more than it has."""
    status = claim.get("status") or {}
    if status.get("phase") != "Bound":
        return False
    wanted = ((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage")
    present = (status.get("capacity") or {}).get("storage")
    return wanted is not None and Quantity.parse(wanted) > (ZERO if present is None else Quantity.parse(present))


def migration_of(volume: View) -> tuple[str, str] | None:
    """The plugin's and the CSI driver's name of a volume whose source was once compiled in."""
    return next((names for source, names in _MIGRATED.items() if source in volume["spec"]), None)


class VolumeExpander(Controller):
    name = "volume_expand"
    account = "expand-controller"
    watches: ClassVar = (
        For(PERSISTENT_VOLUME_CLAIMS, when=lambda change: change.type != "DELETED" and wants_more(change.obj)),
        Reads(PERSISTENT_VOLUMES),
    )

    async def reconcile(self, key: Key) -> Requeue | None:
        claim = self.store(PERSISTENT_VOLUME_CLAIMS).get(*key)
        if claim is None or is_deleting(claim) or not wants_more(claim):
            return None
        volume = self.store(PERSISTENT_VOLUMES).get("", claim["spec"].get("volumeName", ""))
        if volume is None or (volume["spec"].get("claimRef") or {}).get("uid") != uid_of(claim):
            return None
        migration = migration_of(volume)
        if migration is not None:
            await self._hand_over(claim, *migration)
        elif "csi" in volume["spec"]:
            self.events.normal(claim, "ExternalExpanding", _MESSAGE)
        else:
            self.events.warning(claim, "ExternalExpanding", _MESSAGE)
        return None

    async def _hand_over(self, claim: View, plugin: str, driver: str) -> None:
        """Name the driver that shall resize."""
        message = f"CSI migration enabled for {plugin}; waiting for external resizer to expand the pvc"
        self.events.normal(claim, "ExternalExpanding", message)
        if annotations_of(claim).get(RESIZER) == driver:
            return
        patch = {"metadata": {"annotations": {RESIZER: driver}}}
        await self.client.patch(PERSISTENT_VOLUME_CLAIMS, *key_of(claim), patch, subresource="status")
