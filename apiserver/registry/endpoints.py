"""All endpoints, made from the catalogue's rows when they are first asked for."""

from __future__ import annotations

from collections.abc import Mapping

from apiserver.registry.endpoint import Endpoint
from apiserver.resources.conversion import CONVERSIONS
from apiserver.resources.strategy import Strategy
from openapi.catalog import Catalog, GroupResource, Resource, split_api_version
from openapi.schema.load import schema_for

PLAIN = Strategy()


class Endpoints:
    """Finds the endpoint of a path. `strategies` holds what differs from the plain kind."""

    def __init__(self, catalog: Catalog, strategies: Mapping[GroupResource, Strategy]) -> None:
        self._catalog = catalog
        self._strategies = strategies
        self._made: dict[tuple[str, str, str], tuple[Resource, Endpoint]] = {}

    def find(self, group: str, version: str, resource: str) -> Endpoint | None:
        """None when nothing of this name is served."""
        row = self._catalog.by_gvr(group, version, resource)
        if row is None:
            return None
        made = self._made.get(row.gvr)
        if made is not None and made[0] is row:
            return made[1]
        endpoint = self._make(row)
        self._made[row.gvr] = (row, endpoint)
        return endpoint

    def strategy(self, row: Resource) -> Strategy:
        """The strategy of a row; versions of one stored resource share the storage version's."""
        return self._strategies.get(row.gr, PLAIN)

    def _make(self, row: Resource) -> Endpoint:
        stored = self.stored_row(row)
        strategy = self._strategies.get(row.gr) or self.strategy(stored)
        to_storage = from_storage = None
        if stored is not row and (row.api_version, stored.api_version, row.kind) in CONVERSIONS:
            to_storage = CONVERSIONS[row.api_version, stored.api_version, row.kind]
            from_storage = CONVERSIONS[stored.api_version, row.api_version, row.kind]
        return Endpoint(
            resource=row,
            stored=stored,
            strategy=strategy,
            node_of=lambda: schema_for(row.gvk),
            selectable=selectable(strategy),
            to_storage=to_storage,
            from_storage=from_storage,
        )

    def stored_row(self, row: Resource) -> Resource:
        """The row at the version that is stored."""
        if not row.storage_version or row.storage_version == row.api_version:
            return row
        group, version = split_api_version(row.storage_version)
        stored = self._catalog.by_gvr(group, version, row.resource)
        return stored if stored is not None else row


def selectable(strategy: Strategy) -> frozenset[str]:
    """The names of a kind's own selectable fields, with the other names that some versions give them."""
    names = set(strategy.fields({"metadata": {}, "spec": {}, "status": {}}))
    return frozenset(names)
