"""Custom resource definitions come to life: names are accepted, rows join the catalogue, and go again.

Every API server follows the definitions in its cache: one that is established is served by all of them. Statuses are
written by whoever is first. A definition that is deleted takes its objects with it before it goes.
Follows: apiextensions-apiserver/pkg/controller/{status,establish,finalizer}, pkg/apiserver/customresource_handler.go
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from apiserver.bootstrap.cluster import api_service
from apiserver.extensions.conversion import Post
from apiserver.extensions.naming import is_established, judged, waiting_for_objects
from apiserver.extensions.rows import custom_rows
from apiserver.objects import SystemWriter
from apiserver.registry.endpoints import CustomRow, Endpoints
from apiserver.resources.apiextensions.definition import CLEANUP
from apiserver.storage.backend import RevisionConflict, StorageError
from apiserver.storage.cache import Event
from apiserver.storage.entry import Entry
from apiserver.storage.store import Store
from openapi.catalog import Catalog, Resource
from openapi.documents.custom import custom_definitions
from openapi.meta.status import StatusError
from openapi.meta.times import format_time
from openapi.schema.load import schema_for
from openapi.schema.ownership import track_update

log = logging.getLogger(__name__)

Object = dict[str, Any]

MANAGER = "kube-apiserver"
RESET_FIELDS = (("metadata",), ("spec",))
RETRY_S = 0.2
"""How long objects with finalizers, or a lost race, are waited for before the next look."""


class Definitions:
    """`start` once the caches are filled, then `run` as a task. `post` reaches webhooks."""

    def __init__(self, store: Store, catalog: Catalog, endpoints: Endpoints, post: Post) -> None:
        self._post = post
        self._store = store
        self._catalog = catalog
        self._endpoints = endpoints
        self._writer = SystemWriter(store)
        rows = {row.resource: row for row in catalog.rows()}
        self._row = rows["customresourcedefinitions"]
        self._api_services = rows["apiservices"]
        self._served: dict[str, list[CustomRow]] = {}
        self._forms: dict[str, tuple[Any, ...]] = {}
        self._waiting: dict[str, None] = {}
        self._wake = asyncio.Event()

    # -- for others --------------------------------------------------------------------------------------------

    def documented(self, row: Resource) -> Mapping[str, Object]:
        """The OpenAPI definitions of a custom row."""
        served = (custom for rows in self._served.values() for custom in rows)
        schema = next((custom.strategy.kind.schema for custom in served if custom.row.gvr == row.gvr), None)
        return custom_definitions(row, schema)

    # -- life --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Serve what is established; everything is looked at again by `run`."""
        cache = self._store.cache(self._row)
        for entry in cache.entries():
            definition = entry.object()
            if is_established(definition):
                self._serve(definition)
            self._waiting[entry.name] = None
        cache.listen(self._changed)
        self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            again: dict[str, None] = {}
            while self._waiting:
                name = next(iter(self._waiting))
                del self._waiting[name]
                if not await self._look(name):
                    again[name] = None
            if again:
                asyncio.get_running_loop().call_later(RETRY_S, self._look_again, again)

    def _changed(self, event: Event) -> None:
        """Served at once, so that who reads a condition finds the paths there."""
        definition = event.entry.object()
        if event.type == "DELETED":
            self._forget(event.entry.name)
            self._waiting.update(dict.fromkeys(e.name for e in self._of_group(definition)))
        elif is_established(definition):
            self._serve(definition)
        self._waiting[event.entry.name] = None
        self._wake.set()

    def _look_again(self, names: dict[str, None]) -> None:
        self._waiting.update(names)
        self._wake.set()

    async def _look(self, name: str) -> bool:
        """Do what a definition needs; False if it must be looked at again."""
        entry = self._store.cache(self._row).get("", name)
        if entry is None:
            return True
        try:
            definition = entry.object()
            if "deletionTimestamp" in definition["metadata"]:
                return await self._clean(definition, entry)
            return await self._judge(definition, entry)
        except (RevisionConflict, StatusError):
            return False
        except StorageError:
            log.warning("a definition could not be written", exc_info=True, extra={"key": name})
            return False
        except Exception:
            log.exception("a definition cannot be served", extra={"key": name})
            return True

    async def _judge(self, definition: Object, entry: Entry) -> bool:
        others = [other.object() for other in self._of_group(definition) if other.name != entry.name]
        await self._set_status(definition, entry, judged(definition, others, datetime.now(UTC)))
        return True

    async def _set_status(self, definition: Object, entry: Entry, status: Object) -> None:
        if status != definition.get("status"):
            new = {**definition, "metadata": dict(definition["metadata"]), "status": status}
            track_update(
                new,
                entry.object(),
                manager=MANAGER,
                node=schema_for(self._row.gvk),
                api_version=self._row.api_version,
                subresource="status",
                now=format_time(datetime.now(UTC)),
                reset_fields=RESET_FIELDS,
            )
            await self._update(new, entry)

    def _of_group(self, definition: Object) -> list[Entry]:
        """The definitions of a group: it follows the plural in their names."""
        group = definition["spec"].get("group", "")
        return [entry for entry in self._store.cache(self._row).entries() if entry.name.partition(".")[2] == group]

    async def _update(self, definition: Object, entry: Entry) -> None:
        meta = {k: v for k, v in definition["metadata"].items() if k != "resourceVersion"}
        obj = {**definition, "metadata": meta}
        await self._store.update(self._row, "", entry.name, obj, entry.revision)

    # -- rows --------------------------------------------------------------------------------------------------

    def _serve(self, definition: Object) -> None:
        name, form = definition["metadata"]["name"], _form(definition)
        if self._forms.get(name) == form:
            return
        old = self._served.get(name, ())
        new = custom_rows(definition, self._post)
        self._forms[name] = form
        self._served[name] = new
        for custom in new:
            self._store.register(custom.stored, self._fields_of(name))
            self._endpoints.serve_custom(custom)
        kept = {custom.row.gvr for custom in new}
        gone = [custom.row for custom in old if custom.row.gvr not in kept]
        self._catalog.add(*(custom.row for custom in new))
        if gone:
            self._catalog.remove(*gone)
        for row in gone:
            self._endpoints.forget_custom(row)
        task = asyncio.ensure_future(self._announce(new))
        task.add_done_callback(_log_failure)

    def _fields_of(self, name: str) -> Any:
        """The selectable fields of all versions, as they are now."""

        def fields(obj: Object) -> dict[str, str]:
            found: dict[str, str] = {}
            for custom in self._served.get(name, ()):
                found.update(custom.strategy.fields(obj))
            return found

        return fields

    def _forget(self, name: str) -> None:
        self._forms.pop(name, None)
        served = self._served.pop(name, [])
        if not served:
            return
        self._catalog.remove(*(custom.row for custom in served))
        for custom in served:
            self._endpoints.forget_custom(custom.row)
        self._store.unregister(served[0].stored)
        task = asyncio.ensure_future(self._retract(served))
        task.add_done_callback(_log_failure)

    async def _announce(self, rows: list[CustomRow]) -> None:
        """Say which group versions this server has."""
        for group, version in dict.fromkeys((c.row.group, c.row.version) for c in rows):
            if self._store.cache(self._api_services).get("", f"{version}.{group}") is None:
                service = api_service(group, version, format_time(datetime.now(UTC)))
                try:
                    await self._writer.create(self._api_services, "", service)
                except StatusError:
                    continue

    async def _retract(self, rows: list[CustomRow]) -> None:
        for group, version in dict.fromkeys((c.row.group, c.row.version) for c in rows):
            if not self._catalog.of_group_version(group, version):
                try:
                    await self._writer.delete(self._api_services, "", f"{version}.{group}")
                except StatusError:
                    continue

    # -- the end -----------------------------------------------------------------------------------------------

    async def _clean(self, definition: Object, entry: Entry) -> bool:
        """Delete a definition's objects, then let it go."""
        meta = definition["metadata"]
        if CLEANUP not in meta.get("finalizers", ()):
            return True
        served = self._served.get(entry.name)
        if served and not await self._delete_objects(served[0].stored):
            await self._set_status(definition, entry, waiting_for_objects(definition, datetime.now(UTC)))
            return False
        rest = [name for name in meta["finalizers"] if name != CLEANUP]
        if rest:
            await self._update({**definition, "metadata": {**meta, "finalizers": rest}}, entry)
        else:
            await self._store.delete(self._row, "", entry.name, entry.revision)
        return True

    async def _delete_objects(self, row: Resource) -> bool:
        """Delete what can be deleted; True once nothing is left."""
        cache = await self._store.fresh(row)
        left = False
        for entry in cache.entries():
            obj = entry.object()
            if obj["metadata"].get("finalizers"):
                left = True
                await self._mark(row, entry, obj)
            else:
                await self._store.delete(row, entry.namespace, entry.name, entry.revision)
        return not left

    async def _mark(self, row: Resource, entry: Entry, obj: Object) -> None:
        """An object that waits for its own finalizers is told that it is to go."""
        meta = obj["metadata"]
        if "deletionTimestamp" in meta:
            return
        meta["deletionTimestamp"] = format_time(datetime.now(UTC))
        meta["deletionGracePeriodSeconds"] = 0
        meta["generation"] = int(meta.get("generation", 0)) + 1
        del meta["resourceVersion"]
        await self._store.update(row, entry.namespace, entry.name, obj, entry.revision)


def _form(definition: Object) -> tuple[Any, ...]:
    """What rows depend on."""
    meta = definition["metadata"]
    names = repr((definition.get("status") or {}).get("acceptedNames"))
    return (meta.get("uid"), meta.get("generation"), "deletionTimestamp" in meta, names)


def _log_failure(task: asyncio.Future[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.warning("an API service could not be written", exc_info=task.exception())
