"""Objects by name for the server's own needs: tokens' bound objects, the default objects, admission's look-ups.

Below admission, authorization and strategies: what is written here is stored as it is.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from apiserver.storage.backend import KeyExists, RevisionConflict, StorageError
from apiserver.storage.store import Store
from openapi.catalog import Catalog, Resource
from openapi.meta import status
from openapi.meta.times import format_time

Object = dict[str, Any]

_CORE = ("serviceaccounts", "pods", "secrets", "nodes")


class BoundObjects:
    """What service-account tokens are bound to."""

    def __init__(self, store: Store, catalog: Catalog) -> None:
        self._store = store
        self._rows: Mapping[str, Resource] = {r: _row(catalog, "", "v1", r) for r in _CORE}

    def cached(self, resource: str, namespace: str, name: str) -> Object | None:
        entry = self._store.cache(self._rows[resource]).get(namespace, name)
        return None if entry is None else entry.object()

    async def live(self, resource: str, namespace: str, name: str) -> Object | None:
        try:
            entry = await self._store.get(self._rows[resource], namespace, name)
        except StorageError as err:
            raise status.StatusError(500, "", str(err)) from err
        return None if entry is None else entry.object()


class SystemWriter:
    """Writes the server's own objects; refusals are StatusErrors with the API's reasons."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        entry = await self._store.get(resource, namespace, name)
        return None if entry is None else entry.object()

    async def create(self, resource: Resource, namespace: str, obj: Object) -> None:
        meta = {**obj["metadata"], "uid": str(uuid.uuid4()), "creationTimestamp": format_time(datetime.now(UTC))}
        try:
            await self._store.create(resource, namespace, meta["name"], {**obj, "metadata": meta})
        except KeyExists as err:
            raise status.already_exists(resource.group, resource.resource, meta["name"]) from err

    async def update(self, resource: Resource, namespace: str, obj: Object) -> None:
        meta = dict(obj["metadata"])
        expected = int(meta.pop("resourceVersion"))
        try:
            await self._store.update(resource, namespace, meta["name"], {**obj, "metadata": meta}, expected)
        except RevisionConflict as err:
            raise status.conflict(resource.group, resource.resource, meta["name"], status.MODIFIED) from err

    async def delete(self, resource: Resource, namespace: str, name: str) -> None:
        entry = await self._store.get(resource, namespace, name)
        if entry is None:
            raise status.not_found(resource.group, resource.resource, name)
        try:
            await self._store.delete(resource, namespace, name, entry.revision)
        except RevisionConflict as err:
            raise status.conflict(resource.group, resource.resource, name, status.MODIFIED) from err


def _row(catalog: Catalog, group: str, version: str, resource: str) -> Resource:
    row = catalog.by_gvr(group, version, resource)
    if row is None:
        raise LookupError(f"{resource}.{group} is not in the catalogue")
    return row
