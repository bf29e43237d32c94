"""Nobody grants what he does not have: the check of writes to roles and bindings.

Who writes a role must hold all its rules already, or the right to `escalate` it; who writes a binding must hold all
rules of the role it refers to, or the right to `bind` it. system:masters may do both. The check belongs after mutating
admission and before validation.
Follows: pkg/registry/rbac/{escalation_check.go,*/policybased/storage.go}, pkg/registry/rbac/validation/rule.go
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apiserver.auth.attributes import MASTERS, Attributes
from apiserver.auth.authorizer import Authorizer
from apiserver.auth.rbac import RBAC, RESOURCES, RbacIndex
from apiserver.auth.rules import Rule, compact, quote_list, show, uncovered
from apiserver.resources.strategy import User
from openapi.meta import status
from openapi.meta.field import quote

Object = dict[str, Any]

EVERYTHING: tuple[Rule, ...] = (
    {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
    {"verbs": ["*"], "nonResourceURLs": ["*"]},
)
NOT_A_GRANT = ("ownerReferences", "finalizers", "managedFields")
"""Metadata that the garbage collector writes; an update of nothing else needs no further right."""


class EscalationCheck:
    """`index` must have seen the roles that bindings refer to."""

    def __init__(self, index: RbacIndex, authorizer: Authorizer) -> None:
        self._index = index
        self._authorizer = authorizer

    def applies(self, group: str, resource: str, subresource: str) -> bool:
        return group == RBAC and not subresource and resource in RESOURCES

    def check(self, user: User, resource: str, namespace: str, name: str, obj: Object, old: Object | None) -> None:
        """Raises the 403, or the 404 of a role that is not there.

        `obj` is about to replace `old`, or on a create (where `name`, from the URL, is empty) to be made.
        """
        if MASTERS in user.groups or (old is not None and _without_bookkeeping(obj) == _without_bookkeeping(old)):
            return
        if resource in ("roles", "clusterroles"):
            self._check_role(user, resource, namespace, name, obj, old)
        else:
            self._check_binding(user, resource, namespace, obj)

    def _check_role(
        self, user: User, resource: str, namespace: str, name: str, obj: Object, old: Object | None
    ) -> None:
        asked = Attributes(user, "escalate", RBAC, "*", resource, namespace=namespace, name=name)
        if self._authorizer.authorize(asked).allowed:
            return
        self._confirm(user, resource, namespace, obj, obj.get("rules") or ())
        if resource == "clusterroles" and (_gathers(obj) or (old is not None and _gathers(old))):
            held, _ = self._index.rules_for(user, namespace)
            if uncovered(held, EVERYTHING):
                article = "an" if old is None else "the"
                why = f"must have cluster-admin privileges to use {article} aggregationRule"
                raise status.forbidden(RBAC, resource, _name(obj), why)

    def _check_binding(self, user: User, resource: str, namespace: str, obj: Object) -> None:
        ref = obj.get("roleRef") or {}
        kind, role = ref.get("kind", ""), ref.get("name", "")
        target = {"ClusterRole": "clusterroles", "Role": "roles"}.get(kind)
        if target is not None:
            asked = Attributes(user, "bind", ref.get("apiGroup", ""), "*", target, namespace=namespace, name=role)
            if self._authorizer.authorize(asked).allowed:
                return
        rules = self._index.role_rules(kind, namespace, role)
        if target is None:
            raise status.internal_error(f"unsupported role reference kind: {quote(kind)}")
        if rules is None:
            raise status.not_found(RBAC, resource, role)
        self._confirm(user, resource, namespace, obj, rules)

    def _confirm(self, user: User, resource: str, namespace: str, obj: Object, rules: Sequence[Rule]) -> None:
        held, errors = self._index.rules_for(user, namespace)
        missing = uncovered(held, rules)
        if not missing:
            return
        shown = "\n".join(sorted({show(rule) for rule in compact(missing)}))
        why = (
            f"user {quote(user.name)} (groups={quote_list(user.groups)}) is attempting to grant RBAC permissions not "
            f"currently held:\n{shown}"
        )
        if errors:
            joined = errors[0] if len(errors) == 1 else f"[{', '.join(dict.fromkeys(errors))}]"
            why = f"{why}; resolution errors: [{joined}]"
        raise status.forbidden(RBAC, resource, _name(obj), why)


def _gathers(role: Mapping[str, Any]) -> bool:
    return bool((role.get("aggregationRule") or {}).get("clusterRoleSelectors"))


def _name(obj: Mapping[str, Any]) -> str:
    name: str = obj["metadata"].get("name", "")
    return name


def _without_bookkeeping(obj: Object) -> Object:
    metadata = {field: value for field, value in obj["metadata"].items() if field not in NOT_A_GRANT}
    return {**obj, "metadata": metadata}
