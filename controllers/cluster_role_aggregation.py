"""Fills ClusterRoles that have an aggregation rule with the rules of the roles it selects.

Follows: pkg/controller/clusterroleaggregation/clusterroleaggregation_controller.go
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from controllers.runtime.controller import Controller, Requeue, Watches
from controllers.runtime.informer import Change
from controllers.runtime.kinds import CLUSTER_ROLES
from controllers.runtime.objects import Key, Object, View, key_of, labels_of, name_of
from openapi.meta.selectors import from_label_selector


def aggregated_rules(role: View, roles: Iterable[View]) -> list[Object]:
    """The rules of all roles that the role selects, selector by selector, roles by name, each rule once."""
    ordered = sorted(roles, key=name_of)
    rules: list[Object] = []
    for spec in role["aggregationRule"].get("clusterRoleSelectors") or ():
        selector = from_label_selector(spec)
        for other in ordered:
            if name_of(other) != name_of(role) and selector.matches(labels_of(other)):
                rules += [rule for rule in other.get("rules") or () if rule not in rules]
    return rules


SETTLE_S = 0.1
"""Roles come in batches: one write for all of them is enough."""


class ClusterRoleAggregator(Controller):
    name = "clusterrole-aggregation-controller"
    account = "clusterrole-aggregation-controller"

    def role_changed(self, change: Change) -> Iterable[Key]:
        """Any role may be selected, or have been, by any that aggregates."""
        for role in self.store(CLUSTER_ROLES).all():
            if role.get("aggregationRule"):
                self.enqueue(key_of(role), SETTLE_S)
        return ()

    watches: ClassVar = (Watches(CLUSTER_ROLES, role_changed),)

    async def reconcile(self, key: Key) -> Requeue | None:
        role = self.store(CLUSTER_ROLES).get(*key)
        if role is None or not role.get("aggregationRule"):
            return None
        rules = aggregated_rules(role, self.store(CLUSTER_ROLES).all())
        if rules == (role.get("rules") or []):
            return None
        applied: Object = {
            "apiVersion": CLUSTER_ROLES.api_version,
            "kind": CLUSTER_ROLES.kind,
            "metadata": {"name": key.name},
        }
        if rules:
            applied["rules"] = rules
        await self.client.apply(CLUSTER_ROLES, applied, manager=self.name)
        return None
