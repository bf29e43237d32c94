"""Volumes and claims get the finalizer that keeps them while they are used.

Follows: plugin/pkg/admission/storage/storageobjectinuseprotection/admission.go
"""

from __future__ import annotations

from apiserver.admission.plugin import CREATE, Attributes, Plugin
from openapi.catalog import GroupResource

_FINALIZERS = {
    GroupResource("", "persistentvolumes"): "kubernetes.io/pv-protection",
    GroupResource("", "persistentvolumeclaims"): "kubernetes.io/pvc-protection",
    GroupResource("storage.k8s.io", "volumeattributesclasses"): "kubernetes.io/vac-protection",
}


class StorageObjectInUseProtection(Plugin):
    name = "StorageObjectInUseProtection"
    operations = frozenset((CREATE,))
    resources = frozenset(_FINALIZERS)

    async def mutate(self, attributes: Attributes) -> None:
        assert attributes.obj is not None
        meta, finalizer = attributes.obj["metadata"], _FINALIZERS[attributes.resource.gr]
        finalizers = meta.get("finalizers") or []
        if finalizer not in finalizers:
            meta["finalizers"] = [*finalizers, finalizer]
