"""Defaults of bindings: the API group of roles, users and groups.

Follows: pkg/apis/rbac/v1/defaults.go
"""

from __future__ import annotations

from typing import Any

from openapi.kinds.row import Defaults

Object = dict[str, Any]

RBAC = "io.k8s.api.rbac.v1."
GROUP = "rbac.authorization.k8s.io"


def _binding(obj: Object) -> None:
    role = obj.setdefault("roleRef", {})
    if not role.get("apiGroup"):
        role["apiGroup"] = GROUP


def _subject(subject: Object) -> None:
    if not subject.get("apiGroup") and subject.get("kind") in ("User", "Group"):
        subject["apiGroup"] = GROUP


DEFAULTS: Defaults = {
    RBAC + "ClusterRoleBinding": (_binding,),
    RBAC + "RoleBinding": (_binding,),
    RBAC + "Subject": (_subject,),
}
