"""The check that nobody grants what he does not have, as the last of the mutating admission steps."""

from __future__ import annotations

from apiserver.admission.plugin import Attributes, Plugin
from apiserver.auth.escalation import EscalationCheck
from apiserver.auth.rbac import RBAC, RESOURCES
from apiserver.storage.store import Store
from openapi.catalog import Catalog, GroupResource


class RoleEscalation(Plugin):
    """Asks `check` about writes to roles and bindings, with a role index that has seen all earlier writes."""

    name = "RoleEscalation"
    resources = frozenset(GroupResource(RBAC, resource) for resource in RESOURCES)

    def __init__(self, check: EscalationCheck, store: Store, catalog: Catalog) -> None:
        self._check = check
        self._store = store
        self._roles = [row for row in catalog.rows() if row.group == RBAC and row.resource.endswith("roles")]

    async def mutate(self, attributes: Attributes) -> None:
        assert attributes.obj is not None
        for row in self._roles:
            await self._store.fresh(row)
        self._check.check(
            attributes.user,
            attributes.resource.resource,
            attributes.namespace,
            attributes.name if attributes.old is not None else "",
            attributes.obj,
            attributes.old,
        )
