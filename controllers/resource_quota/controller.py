"""Counts anew what quotas limit, whenever something that counts has gone or changed.

Admission books what comes in before it is stored, so new objects need no recount. Pods, services and claims are counted
from their whole objects, everything else by number from metadata.
Follows: pkg/controller/resourcequota/{resource_quota_controller,resource_quota_monitor,replenishment}.go
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, ClassVar

from controllers.resource_quota.plan import concerns, counted, plan_status
from controllers.runtime.controller import Controller, For, Requeue, Runtime, Watches
from controllers.runtime.discovery import Discovery
from controllers.runtime.errors import NotFound
from controllers.runtime.informer import Change, Informer
from controllers.runtime.kinds import PERSISTENT_VOLUME_CLAIMS, PODS, RESOURCE_CLAIMS, RESOURCE_QUOTAS, SERVICES
from controllers.runtime.objects import Key, Object, is_deleting, key_of, namespace_of
from openapi.catalog import GroupResource, Resource
from openapi.quota.usage import measure_for

RESYNC_S = 300.0
SETTLE_S = 1.0
"""What was booked just now may not have been in the store when it was counted: after a change it is counted again."""
SYNC_S = 30.0
UNKNOWN_S = 30.0
"""How long a resource that is not served is not looked for again."""

_WHOLE = {row.gr: row for row in (PODS, SERVICES, PERSISTENT_VOLUME_CLAIMS, RESOURCE_CLAIMS)}


class ResourceQuotaController(Controller):
    name = "resourcequota-controller"
    account = "resourcequota-controller"

    def object_changed(self, resource: Resource, change: Change) -> Iterable[Key]:
        """The quotas that count an object which is gone, or costs something else than before."""
        quotas = self.store(RESOURCE_QUOTAS).all(namespace_of(change.obj))
        if not quotas or change.type == "ADDED":
            return
        if change.type == "MODIFIED" and change.old is not None and not _costs_differ(change.old, change.obj):
            return
        measure = measure_for(resource.gr)
        for quota in quotas:
            if concerns(quota, measure):
                yield key_of(quota)

    watches: ClassVar = (
        For(RESOURCE_QUOTAS, when=lambda change: change.type != "DELETED" and _spec_changed(change)),
        Watches(PODS, lambda self, change: self.object_changed(PODS, change)),
        Watches(SERVICES, lambda self, change: self.object_changed(SERVICES, change)),
        Watches(PERSISTENT_VOLUME_CLAIMS, lambda self, change: self.object_changed(PERSISTENT_VOLUME_CLAIMS, change)),
        Watches(RESOURCE_CLAIMS, lambda self, change: self.object_changed(RESOURCE_CLAIMS, change)),
    )

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._discovery = Discovery(self.client)
        self._looked_at = float("-inf")
        self._informers: dict[GroupResource, Informer] = {gr: self.informer(row) for gr, row in _WHOLE.items()}

    def background(self) -> Iterable[Coroutine[Any, Any, None]]:
        return (self._recount_all(),)

    async def _recount_all(self) -> None:
        while True:
            await asyncio.sleep(RESYNC_S)
            for key in self.store(RESOURCE_QUOTAS).keys():  # noqa: SIM118  a store is no mapping
                self.queue.add(key)

    async def reconcile(self, key: Key) -> Requeue | None:
        quota = self.store(RESOURCE_QUOTAS).get(*key)
        if quota is None or is_deleting(quota):
            return None
        sources = await self._sources(quota["spec"].get("hard") or {})

        def objects(gr: GroupResource) -> list[Object] | None:
            informer = sources.get(gr)
            return informer.store.all(key.namespace) if informer is not None else None

        status = plan_status(quota, objects, self.clock())
        if status is None:
            return None
        try:
            await self.client.update(RESOURCE_QUOTAS, {**quota, "status": status}, "status")
        except NotFound:
            return None
        return Requeue(SETTLE_S)

    async def _sources(self, hard: Mapping[str, str]) -> Mapping[GroupResource, Informer]:
        """Filled informers of what the limits count; resources that are not served are left out."""
        wanted = list(counted(hard))
        for gr in wanted:
            known = self._informers.get(gr)
            if known is not None and self.runtime.informers.find(known.resource.gvr) is None:
                # Its definition has been deleted; there may be a new one.
                del self._informers[gr]
            if gr not in self._informers:
                await self._watch(gr)
        found = {gr: self._informers[gr] for gr in wanted if gr in self._informers}
        async with asyncio.timeout(SYNC_S):
            await asyncio.gather(*(informer.synced.wait() for informer in found.values()))
        return found

    async def _watch(self, gr: GroupResource) -> None:
        """Begin to watch the metadata of a resource, if it is served."""
        row = await self._find(gr)
        if row is None or gr in self._informers:
            return
        informer = self._informers[gr] = self.runtime.informers.get(row, metadata_only=True)

        def changed(change: Change) -> None:
            for key in self.object_changed(row, change):
                self.queue.add(key)

        informer.add_handler(changed)

    async def _find(self, gr: GroupResource) -> Resource | None:
        """The resource at its preferred version, if objects of it can be counted in a namespace."""
        now = asyncio.get_running_loop().time()
        if now - self._looked_at > UNKNOWN_S:
            await self._discovery.look()
            self._looked_at = now
        rows = self._discovery.last.preferred("create", "list", "watch", "delete")
        return next((row for row in rows if row.gr == gr and row.namespaced), None)


def _spec_changed(change: Change) -> bool:
    return change.old is None or change.old.get("spec") != change.obj.get("spec")


def _costs_differ(old: Object, new: Object) -> bool:
    """Whether the object may cost something else now."""
    if "spec" not in new:
        return False
    return old["spec"] != new["spec"] or is_deleting(old) != is_deleting(new) or _status(old) != _status(new)


def _status(obj: Object) -> object:
    """What of a status counts: whether a pod has ended, and what containers and claims were granted."""
    status = obj.get("status") or {}
    ended = status.get("phase") in ("Succeeded", "Failed")
    granted = [one.get("resources") for one in status.get("containerStatuses") or ()]
    return (ended, granted, status.get("allocatedResources"), status.get("currentVolumeAttributesClassName"))
