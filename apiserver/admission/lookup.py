"""Objects that plugins look at: from the watch cache, and from the store where the cache may lag behind.

What a plugin learns from an object is kept on the object's entry, so that it is computed once per change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from apiserver.storage.backend import StorageError
from apiserver.storage.entry import Entry
from apiserver.storage.store import Store
from openapi.catalog import Catalog
from openapi.meta import status

Object = dict[str, Any]
Fact = TypeVar("Fact")


class Lookup:
    """The objects of one resource."""

    def __init__(self, store: Store, catalog: Catalog, group: str, resource: str) -> None:
        self.row = next(row for row in catalog.of_group_resource(group, resource) if row.prefix)
        self.cache = store.cache(self.row)
        self._store = store

    def cached(self, namespace: str, name: str) -> Entry | None:
        return self.cache.get(namespace, name)

    def all(self, namespace: str = "") -> Sequence[Entry]:
        """What the cache has, in the order of keys."""
        return self.cache.entries(namespace) if len(self.cache) else ()

    async def live(self, namespace: str, name: str) -> Entry | None:
        """The object as the store has it. Raises 500 when the store does not answer."""
        try:
            return await self._store.get(self.row, namespace, name)
        except StorageError as err:
            raise status.internal_error(str(err)) from err

    async def find(self, namespace: str, name: str) -> Entry | None:
        """The cached object, or else a live one: objects made a moment ago count."""
        entry = self.cache.get(namespace, name)
        return await self.live(namespace, name) if entry is None else entry


def fact(entry: Entry, name: str, make: Callable[[Object], Fact]) -> Fact:
    """What `make` says of the entry's object, computed once; `name` tells facts apart."""
    memo = entry.memo
    if name not in memo:
        memo[name] = make(entry.object())
    found: Fact = memo[name]
    return found
