"""All endpoints, made from the catalogue's rows when they are first asked for.

Custom rows bring what they need along: `serve_custom` when a definition is established, `forget_custom` at its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from apiserver.registry.endpoint import Conversion, Convert, Endpoint
from apiserver.resources.apiextensions.custom_resource import CustomResourceStrategy
from apiserver.resources.conversion import CONVERSIONS
from apiserver.resources.strategy import Object, Strategy
from openapi.catalog import Catalog, GroupResource, GroupVersionResource, Resource, split_api_version
from openapi.meta import status
from openapi.schema.load import schema_for

PLAIN = Strategy()


@dataclass(frozen=True, slots=True)
class CustomRow:
    """One version of a custom kind. `stored` is the row of the storage version, served or not.

    `form` tells objects as this schema shows them from those of its earlier states; '' if it changes nothing.
    `conversion` is given where a webhook converts.
    """

    row: Resource
    stored: Resource
    strategy: CustomResourceStrategy
    form: str = ""
    conversion: Conversion | None = None


class Endpoints:
    """Finds the endpoint of a path. `strategies` holds what differs from the plain kind."""

    def __init__(self, catalog: Catalog, strategies: Mapping[GroupResource, Strategy]) -> None:
        self._catalog = catalog
        self._strategies = strategies
        self._made: dict[tuple[str, str, str], tuple[Resource, Endpoint]] = {}
        self._found: dict[tuple[str, str, str], Endpoint] = {}
        self._found_at = catalog.version
        self._custom: dict[GroupVersionResource, CustomRow] = {}

    def find(self, group: str, version: str, resource: str) -> Endpoint | None:
        """None when nothing of this name is served."""
        if self._found_at != self._catalog.version:
            self._found_at = self._catalog.version
            self._found.clear()
        key = (group, version, resource)
        found = self._found.get(key)
        if found is None:
            found = self._make_known(*key)
            if found is not None:
                self._found[key] = found
        return found

    def _make_known(self, group: str, version: str, resource: str) -> Endpoint | None:
        row = self._catalog.by_gvr(group, version, resource)
        if row is None:
            return None
        made = self._made.get(row.gvr)
        if made is not None and made[0] is row:
            return made[1]
        endpoint = self._make(row)
        self._made[row.gvr] = (row, endpoint)
        return endpoint

    def serve_custom(self, custom: CustomRow) -> None:
        """Know how to serve a custom row that is (about to be) in the catalogue."""
        self._custom[custom.row.gvr] = custom

    def forget_custom(self, row: Resource) -> None:
        self._custom.pop(row.gvr, None)
        self._made.pop(row.gvr, None)
        self._found.pop(row.gvr, None)

    def strategy(self, row: Resource) -> Strategy:
        """The strategy of a row; versions of one stored resource share the storage version's."""
        custom = self._custom.get(row.gvr)
        if custom is not None:
            return custom.strategy
        return self._strategies.get(row.gr, PLAIN)

    def _make(self, row: Resource) -> Endpoint:
        custom = self._custom.get(row.gvr)
        if custom is not None:
            return _custom_endpoint(custom)
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


def _custom_endpoint(custom: CustomRow) -> Endpoint:
    """Versions differ in apiVersion, and in what their schemas keep and fill in."""
    row, stored, kind = custom.row, custom.stored, custom.strategy.kind

    is_stored = stored.api_version == row.api_version

    def renamed(version: str) -> Convert:
        return lambda obj: converted(obj, version)

    def shown(obj: Object) -> Object:
        return kind.complete(converted(obj, row.api_version))

    def converted(obj: Object, version: str) -> Object:
        if custom.conversion is not None and obj["apiVersion"] != version:
            raise status.internal_error(f"an object of {obj['apiVersion']} was not converted to {version}")
        return {**obj, "apiVersion": version}

    return Endpoint(
        resource=row,
        stored=stored,
        strategy=custom.strategy,
        node_of=lambda: kind.node,
        selectable=selectable(custom.strategy),
        to_storage=None if is_stored or custom.conversion is not None else renamed(stored.api_version),
        from_storage=None if is_stored and not custom.form else shown,
        form=f"{row.api_version} {custom.form}",
        conversion=custom.conversion,
    )


def selectable(strategy: Strategy) -> frozenset[str]:
    """The names of a kind's own selectable fields, with the other names that some versions give them."""
    names = set(strategy.fields({"metadata": {}, "spec": {}, "status": {}}))
    return frozenset(names)
