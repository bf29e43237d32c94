"""rbac.authorization.k8s.io: roles and their bindings."""

from __future__ import annotations

from openapi.catalog import Resource
from openapi.kinds.row import ApiGroup

RBAC = ApiGroup("rbac.authorization.k8s.io", "v1", "io.k8s.api.rbac.v1")

RESOURCES: tuple[Resource, ...] = (
    RBAC.row("clusterrolebindings", "ClusterRoleBinding", namespaced=False),
    RBAC.row("clusterroles", "ClusterRole", namespaced=False),
    RBAC.row("rolebindings", "RoleBinding"),
    RBAC.row("roles", "Role"),
)
