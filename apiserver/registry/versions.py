"""The versions of a resource as admission needs them: which there are, and an object at another one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apiserver.registry.endpoint import Endpoint
from apiserver.registry.endpoints import Endpoints
from openapi.catalog import Catalog, GroupVersionResource, Resource
from openapi.schema.load import schema_for
from openapi.schema.node import Node

Object = dict[str, Any]


class ServedVersions:
    """Follows: staging/src/k8s.io/apimachinery/pkg/runtime/mapper.go EquivalentResourceRegistry"""

    def __init__(self, catalog: Catalog, endpoints: Endpoints) -> None:
        self._catalog = catalog
        self._endpoints = endpoints
        self._others: dict[GroupVersionResource, tuple[Resource, ...]] = {}
        self._version = -1

    def others(self, row: Resource) -> Sequence[Resource]:
        """The same objects' other versions, also those in other groups."""
        if self._version != self._catalog.version:
            self._others, self._version = {}, self._catalog.version
        found = self._others.get(row.gvr)
        if found is None:
            same = (one for one in self._catalog.rows() if row.prefix and one.prefix == row.prefix)
            found = self._others[row.gvr] = tuple(one for one in same if one.gvr != row.gvr)
        return found

    def node(self, row: Resource) -> Node:
        """The schema of a version."""
        endpoint = self._endpoint(row)
        return schema_for(row.gvk) if endpoint is None else endpoint.node

    async def convert(self, obj: Object, have: Resource, want: Resource) -> Object:
        """An object at another version. Raises StatusError, where a webhook converts."""
        source, target = self._endpoint(have), self._endpoint(want)
        for endpoint in (source, target):
            if endpoint is not None and endpoint.conversion is not None:
                return await endpoint.at_version(obj, want.api_version)
        # A version that is stored but not served has no endpoint.
        stored = obj if source is None or source.to_storage is None else source.to_storage(obj)
        return stored if target is None or target.from_storage is None else target.from_storage(stored)

    def _endpoint(self, row: Resource) -> Endpoint | None:
        return self._endpoints.find(row.group, row.version, row.resource)
