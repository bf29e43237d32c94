"""The default roles and their bindings as objects, built from the tables of rules and holders."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apiserver.bootstrap.controllers import CONTROLLERS
from apiserver.bootstrap.roles import AGGREGATED, CLUSTER_HOLDERS, CLUSTER_ROLES, HOLDERS, PART_OF, ROLES
from apiserver.bootstrap.rule import Rules, as_policy_rule

Object = dict[str, Any]

GROUP = "rbac.authorization.k8s.io"
AUTO_UPDATE = "rbac.authorization.kubernetes.io/autoupdate"
CONTROLLER_ROLE = "system:controller:"


def rbac_objects() -> Iterator[Object]:
    """Cluster roles, roles, and the bindings of both."""
    for name in AGGREGATED:
        yield _aggregated_role(name)
    for name, rules in CLUSTER_ROLES.items():
        yield _role("ClusterRole", name, rules)
    for controller, rules in CONTROLLERS.items():
        yield _role("ClusterRole", CONTROLLER_ROLE + controller, rules)
    for (namespace, name), rules in ROLES.items():
        yield _role("Role", name, rules, namespace)
    for name, holders in CLUSTER_HOLDERS.items():
        yield _binding("ClusterRoleBinding", name, "ClusterRole", name, holders)
    for controller in CONTROLLERS:
        role = CONTROLLER_ROLE + controller
        yield _binding("ClusterRoleBinding", role, "ClusterRole", role, f"account=kube-system/{controller}")
    for (namespace, name), (role, holders) in HOLDERS.items():
        yield _binding("RoleBinding", name, "Role", role, holders, namespace)


def _role(kind: str, name: str, rules: Rules, namespace: str = "") -> Object:
    found = _object(kind, name, namespace)
    found["rules"] = [as_policy_rule(rule) for rule in rules]
    return found


def _aggregated_role(name: str) -> Object:
    """A role whose rules a controller fills in from the roles labelled for it."""
    found = _object("ClusterRole", name)
    found["rules"] = None
    found["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": {_aggregate_to(name): "true"}}]}
    return found


def _binding(kind: str, name: str, role_kind: str, role: str, holders: str, namespace: str = "") -> Object:
    found = _object(kind, name, namespace)
    if holders:
        found["subjects"] = [_subject(holder) for holder in holders.split()]
    found["roleRef"] = {"apiGroup": GROUP, "kind": role_kind, "name": role}
    return found


def _object(kind: str, name: str, namespace: str = "") -> Object:
    labels = {"kubernetes.io/bootstrapping": "rbac-defaults"}
    if name in PART_OF:
        labels[_aggregate_to(PART_OF[name])] = "true"
    metadata: Object = {"name": name, "labels": labels, "annotations": {AUTO_UPDATE: "true"}}
    if namespace:
        metadata["namespace"] = namespace
    return {"kind": kind, "apiVersion": f"{GROUP}/v1", "metadata": metadata}


def _aggregate_to(role: str) -> str:
    return f"rbac.authorization.k8s.io/aggregate-to-{role}"


def _subject(holder: str) -> Object:
    kind, _, name = holder.partition("=")
    if kind == "account":
        namespace, _, account = name.partition("/")
        return {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    return {"kind": "User" if kind == "user" else "Group", "apiGroup": GROUP, "name": name}
