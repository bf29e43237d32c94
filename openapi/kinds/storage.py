"""storage.k8s.io: storage classes and what CSI drivers say of themselves."""

from __future__ import annotations

from openapi.catalog import Resource
from openapi.kinds.row import ApiGroup

STORAGE = ApiGroup("storage.k8s.io", "v1", "io.k8s.api.storage.v1")

RESOURCES: tuple[Resource, ...] = (
    STORAGE.row("csidrivers", "CSIDriver", namespaced=False),
    STORAGE.row("csinodes", "CSINode", namespaced=False),
    STORAGE.row("csistoragecapacities", "CSIStorageCapacity"),
    STORAGE.row("storageclasses", "StorageClass", "sc", namespaced=False),
    STORAGE.row("volumeattachments", "VolumeAttachment", namespaced=False, status=True),
    STORAGE.row("volumeattributesclasses", "VolumeAttributesClass", "vac", namespaced=False),
)
