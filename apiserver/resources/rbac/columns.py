"""The Table columns of rbac.authorization.k8s.io, named and described as every client has come to show them.

Follows: pkg/printers/internalversion/printers.go AddHandlers
"""

from __future__ import annotations

from apiserver.resources.strategy import AGE_COLUMN, NAME_COLUMN, Column

Columns = tuple[Column, ...]

ROLE_BINDING: Columns = (
    NAME_COLUMN,
    Column(
        "Role",
        "string",
        "RoleRef can reference a Role in the current namespace or a ClusterRole in the global namespace. If "
        "the RoleRef cannot be resolved, the Authorizer must return an error.",
    ),
    AGE_COLUMN,
    Column("Users", "string", "Users in the roleBinding", priority=1),
    Column("Groups", "string", "Groups in the roleBinding", priority=1),
    Column("ServiceAccounts", "string", "ServiceAccounts in the roleBinding", priority=1),
)

CLUSTER_ROLE_BINDING: Columns = (
    NAME_COLUMN,
    Column(
        "Role",
        "string",
        "RoleRef can only reference a ClusterRole in the global namespace. If the RoleRef cannot be resolved,"
        " the Authorizer must return an error.",
    ),
    AGE_COLUMN,
    Column("Users", "string", "Users in the clusterRoleBinding", priority=1),
    Column("Groups", "string", "Groups in the clusterRoleBinding", priority=1),
    Column("ServiceAccounts", "string", "ServiceAccounts in the clusterRoleBinding", priority=1),
)
