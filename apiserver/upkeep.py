"""Conditions that the API server itself keeps true: of flow schemas, and of API services behind services.

A change of what they depend on wakes one task, which works out all conditions anew and writes those that differ.
Follows: staging/src/k8s.io/apiserver/pkg/util/flowcontrol/apf_controller.go and
staging/src/k8s.io/kube-aggregator/pkg/controllers/status/remote/remote_available_controller.go
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any

from apiserver.aggregation.availability import Availability
from apiserver.storage.backend import RevisionConflict, StorageError
from apiserver.storage.entry import Entry
from apiserver.storage.store import Store
from openapi.catalog import Catalog, Resource
from openapi.documents import Documents
from openapi.meta.times import format_time

log = logging.getLogger(__name__)

Object = dict[str, Any]

FLOWCONTROL, REGISTRATION = "flowcontrol.apiserver.k8s.io", "apiregistration.k8s.io"
ASK_EVERY_S = 30.0
"""How often the servers behind API services are asked though nothing has changed."""
SETTLE_S = 0.1
"""Changes that come together are looked at together."""


class Upkeep:
    """`start` once the caches are filled; `run` as a task."""

    def __init__(self, store: Store, catalog: Catalog, availability: Availability, documents: Documents) -> None:
        self._store = store
        self._availability = availability
        self._documents = documents
        self._has_others = False
        rows = {(row.group, row.resource): row for row in catalog.rows() if row.version == "v1"}
        self._schemas = rows[FLOWCONTROL, "flowschemas"]
        self._levels = rows[FLOWCONTROL, "prioritylevelconfigurations"]
        self._api_services = rows[REGISTRATION, "apiservices"]
        self._services = rows["", "services"]
        self._slices = rows["discovery.k8s.io", "endpointslices"]
        self._changed = asyncio.Event()

    def start(self) -> None:
        for row in (self._schemas, self._levels, self._api_services):
            self._store.cache(row).listen(lambda _: self._changed.set())
        for row in (self._services, self._slices):
            self._store.cache(row).listen(lambda _: self._changed.set() if self._has_others else None)
        self._changed.set()

    async def run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(ASK_EVERY_S if self._has_others else None):
                    await self._changed.wait()
            except TimeoutError:
                pass
            await asyncio.sleep(SETTLE_S)
            self._changed.clear()
            try:
                await self._look()
            except StorageError:
                log.warning("conditions could not be written", exc_info=True)
                self._changed.set()

    async def _look(self) -> None:
        levels = self._store.cache(self._levels)
        for entry in self._store.cache(self._schemas).entries():
            level = entry.object()["spec"]["priorityLevelConfiguration"]["name"]
            await self._set(self._schemas, entry, _dangling(level, exists=levels.get("", level) is not None))
        await self._look_at_others()

    async def _look_at_others(self) -> None:
        """Ask the servers behind API services, all at once."""
        entries = [e for e in self._store.cache(self._api_services).entries() if e.object()["spec"].get("service")]
        self._has_others = bool(entries)
        self._availability.forget_others(entry.name for entry in entries)
        asked = (self._availability.condition(entry.name, entry.object()["spec"]) for entry in entries)
        for entry, condition in zip(entries, await asyncio.gather(*asked), strict=True):
            await self._set(self._api_services, entry, condition)
        self._documents.show_foreign(self._availability.foreign())

    async def _set(self, row: Resource, entry: Entry, wanted: Object) -> None:
        """Write a condition if it is not so yet; its time moves only with its status."""
        obj = entry.object()
        conditions = obj.setdefault("status", {}).setdefault("conditions", [])
        current = next((c for c in conditions if c.get("type") == wanted["type"]), None)
        if current is not None and all(current.get(k) == v for k, v in wanted.items()):
            return
        if current is None:
            current = {}
            conditions.append(current)
        if current.get("status") != wanted["status"]:
            current["lastTransitionTime"] = format_time(datetime.now(UTC))
        current.update(wanted)
        del obj["metadata"]["resourceVersion"]
        try:
            await self._store.update(row, "", entry.name, obj, entry.revision)
        except RevisionConflict:
            self._changed.set()


def _dangling(level: str, *, exists: bool) -> Object:
    known = f'This FlowSchema references the PriorityLevelConfiguration object named "{level}"'
    return {
        "type": "Dangling",
        "status": "False" if exists else "True",
        "reason": "Found" if exists else "NotFound",
        "message": f"{known} {'and it exists' if exists else 'but there is no such object'}",
    }
