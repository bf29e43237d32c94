"""What storage classes decide: whether binding waits for a pod, who provisions, and which class is the default.

Follows: pkg/controller/volume/persistentvolume/pv_controller.go, pkg/volume/util/storageclass.go
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from controllers.runtime.objects import View, annotations_of, name_of

_DEFAULT_MARKS = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
_OURS = "kubernetes.io/"

HOST_PATH, NFS, LOCAL = "kubernetes.io/host-path", "kubernetes.io/nfs", "kubernetes.io/local-volume"
KNOWN_PLUGINS = frozenset({HOST_PATH, NFS, LOCAL})

CSI_NAMES = {
    "kubernetes.io/aws-ebs": "ebs.csi.aws.com",
    "kubernetes.io/azure-disk": "disk.csi.azure.com",
    "kubernetes.io/azure-file": "file.csi.azure.com",
    "kubernetes.io/cinder": "cinder.csi.openstack.org",
    "kubernetes.io/gce-pd": "pd.csi.storage.gke.io",
    "kubernetes.io/portworx-volume": "pxd.portworx.com",
    "kubernetes.io/vsphere-volume": "csi.vsphere.vmware.com",
}
"""The CSI drivers that took over from plugins which were once compiled in."""


@dataclass(frozen=True, slots=True)
class External:
    """Somebody outside provisions, and `name` says who."""

    name: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Nobody provisions, and `message` says why."""

    message: str


def provisioner_of(storage_class: View) -> External | Refused:
    """Who makes volumes of the class."""
    provisioner = storage_class.get("provisioner", "")
    if provisioner in CSI_NAMES:
        return External(CSI_NAMES[provisioner])
    if provisioner == HOST_PATH:
        return Refused(f'Failed to create provisioner: provisioning in volume plugin "{HOST_PATH}" is disabled')
    if provisioner in KNOWN_PLUGINS:
        return Refused("no provisionable volume plugin matched")
    if provisioner.startswith(_OURS):
        return Refused(f"no volume plugin matched name: {provisioner}")
    return External(provisioner)


def is_delayed(storage_class: View | None) -> bool:
    """Whether claims of the class wait for the scheduler."""
    return storage_class is not None and storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"


def default_class(classes: Iterable[View]) -> View | None:
    """The class for claims that name none: the youngest of the marked ones, then the first by name."""
    marked = [found for found in classes if any(annotations_of(found).get(mark) == "true" for mark in _DEFAULT_MARKS)]
    marked.sort(key=name_of)
    marked.sort(key=lambda found: str(found["metadata"].get("creationTimestamp", "")), reverse=True)
    return marked[0] if marked else None
