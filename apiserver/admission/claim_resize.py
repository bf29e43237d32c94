"""Volume claims may grow only if their storage class allows it.

Follows: plugin/pkg/admission/storage/persistentvolume/resize/admission.go
"""

from __future__ import annotations

from typing import Any

from apiserver.admission.lookup import Lookup, fact
from apiserver.admission.plugin import UPDATE, Attributes, Plugin, forbidden
from apiserver.storage.store import Store
from openapi.catalog import Catalog, GroupResource
from openapi.meta.quantity import ZERO, Quantity
from openapi.quota.amounts import amounts
from openapi.quota.usage import storage_class_of

Object = dict[str, Any]

_NOT_DYNAMIC = (
    "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"
)


class PersistentVolumeClaimResize(Plugin):
    name = "PersistentVolumeClaimResize"
    operations = frozenset((UPDATE,))
    resources = frozenset((GroupResource("", "persistentvolumeclaims"),))

    def __init__(self, store: Store, catalog: Catalog) -> None:
        self._classes = Lookup(store, catalog, "storage.k8s.io", "storageclasses")

    async def validate(self, attributes: Attributes) -> None:
        claim, old = attributes.obj, attributes.old
        if claim is None or old is None or _size(claim) <= _size(old):
            return
        if (old.get("status") or {}).get("phase") != "Bound":
            raise forbidden(attributes, "Only bound persistent volume claims can be expanded")
        name = storage_class_of(claim)
        entry = await self._classes.find("", name) if name and name == storage_class_of(old) else None
        if entry is None or not fact(entry, "admission.expands", _expands):
            raise forbidden(attributes, _NOT_DYNAMIC)


def _size(claim: Object) -> Quantity:
    return amounts(((claim.get("spec") or {}).get("resources") or {}).get("requests")).get("storage", ZERO)


def _expands(storage_class: Object) -> bool:
    return bool(storage_class.get("allowVolumeExpansion"))
