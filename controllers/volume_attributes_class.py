"""Keeps VolumeAttributesClasses that claims or volumes use from going away, by a finalizer.

Follows: pkg/controller/volume/vacprotection/vac_protection_controller.go
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from controllers.runtime.controller import Controller, For, Requeue, Runtime, Watches
from controllers.runtime.errors import NotFound
from controllers.runtime.informer import Change
from controllers.runtime.kinds import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, VOLUME_ATTRIBUTES_CLASSES
from controllers.runtime.objects import Key, View, is_deleting

FINALIZER = "kubernetes.io/vac-protection"
_BY_CLASS = "attributes class"


def classes_of(obj: View) -> Iterator[str]:
    """The classes that a claim or a volume has, wants, or is changing to."""
    status = obj.get("status") or {}
    names = (
        obj["spec"].get("volumeAttributesClassName"),
        status.get("currentVolumeAttributesClassName"),
        (status.get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName"),
    )
    return iter({name for name in names if name})


class AttributesClassProtection(Controller):
    name = "volumeattributesclass-protection-controller"
    account = "volumeattributesclass-protection-controller"
    workers = 1

    def released(self, change: Change) -> Iterable[Key]:
        """The classes that the changed object uses no longer."""
        if change.type == "DELETED":
            return [Key("", name) for name in classes_of(change.obj)]
        if change.old is None:
            return ()
        return [Key("", name) for name in set(classes_of(change.old)) - set(classes_of(change.obj))]

    watches: ClassVar = (
        For(VOLUME_ATTRIBUTES_CLASSES),
        Watches(PERSISTENT_VOLUME_CLAIMS, released),
        Watches(PERSISTENT_VOLUMES, released),
    )

    def __init__(self, runtime: Runtime) -> None:
        for resource in (PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES):
            runtime.informers.get(resource).store.add_index(_BY_CLASS, classes_of)
        super().__init__(runtime)

    async def reconcile(self, key: Key) -> Requeue | None:
        found = self.store(VOLUME_ATTRIBUTES_CLASSES).get(*key)
        if found is None:
            return None
        finalizers = list(found["metadata"].get("finalizers") or ())
        if is_deleting(found):
            if FINALIZER not in finalizers or self._is_used(key.name):
                return None
            finalizers.remove(FINALIZER)
        elif FINALIZER in finalizers:
            return None
        else:
            finalizers.append(FINALIZER)
        changed = {**found, "metadata": {**found["metadata"], "finalizers": finalizers}}
        try:
            await self.client.update(VOLUME_ATTRIBUTES_CLASSES, changed)
        except NotFound:
            return None
        return None

    def _is_used(self, name: str) -> bool:
        stores = (self.store(PERSISTENT_VOLUMES), self.store(PERSISTENT_VOLUME_CLAIMS))
        return any(store.by_index(_BY_CLASS, name) for store in stores)
