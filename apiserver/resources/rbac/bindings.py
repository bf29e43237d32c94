"""Role bindings and cluster role bindings: who has a role. The role of a binding never changes.

Follows: pkg/registry/rbac/{rolebinding,clusterrolebinding}/strategy.go, pkg/apis/rbac/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from apiserver.resources.age import age
from apiserver.resources.field_rules import named
from apiserver.resources.object_meta import validate_object_meta, validate_object_meta_update
from apiserver.resources.rbac.columns import CLUSTER_ROLE_BINDING, ROLE_BINDING
from apiserver.resources.rbac.roles import rbac_name
from apiserver.resources.spec_rules import EMPTY, verbatim
from apiserver.resources.strategy import Object, Strategy, WriteContext
from openapi.kinds.rbac_defaults import GROUP
from openapi.meta.field import FieldError, invalid, not_supported, not_supported_listed, required
from openapi.meta.names import is_dns1123_subdomain, is_path_segment

Struct = Mapping[str, Any]


class RoleBindingStrategy(Strategy):
    allow_create_on_update = True
    columns = ROLE_BINDING
    namespaced = True
    role_kinds: tuple[str, ...] = ("Role", "ClusterRole")

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        yield from validate_object_meta(obj["metadata"], namespaced=self.namespaced, name=rbac_name)
        role = obj.get("roleRef") or EMPTY
        yield from _validate_role(role, self.role_kinds)
        for index, subject in enumerate(obj.get("subjects") or ()):
            yield from _validate_subject(subject, self.namespaced, f"subjects[{index}]")
        if old is None:
            return
        yield from validate_object_meta_update(obj["metadata"], old["metadata"])
        if role != (old.get("roleRef") or EMPTY):
            names = (("APIGroup", "apiGroup"), ("Kind", "kind"), ("Name", "name"))
            yield invalid("roleRef", verbatim({go: role.get(n, "") for go, n in names}), "cannot change roleRef")

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta, role, subjects = obj["metadata"], obj.get("roleRef") or EMPTY, obj.get("subjects") or ()
        return [
            meta.get("name", ""),
            f"{role.get('kind', '')}/{role.get('name', '')}",
            age(meta.get("creationTimestamp"), now),
            _named(subjects, "User"),
            _named(subjects, "Group"),
            _named(subjects, "ServiceAccount"),
        ]


class ClusterRoleBindingStrategy(RoleBindingStrategy):
    columns = CLUSTER_ROLE_BINDING
    namespaced = False
    role_kinds = ("ClusterRole",)


def _validate_role(role: Struct, kinds: Sequence[str]) -> Iterator[FieldError]:
    group, kind, name = role.get("apiGroup", ""), role.get("kind", ""), role.get("name", "")
    if group != GROUP:
        yield not_supported("roleRef.apiGroup", group, (GROUP,))
    if kind not in kinds:
        yield not_supported_listed("roleRef.kind", kind, kinds)
    if not name:
        yield required("roleRef.name")
    else:
        yield from named(is_path_segment, name, "roleRef.name")


def _validate_subject(subject: Struct, namespaced: bool, path: str) -> Iterator[FieldError]:
    kind, name, group = subject.get("kind", ""), subject.get("name", ""), subject.get("apiGroup", "")
    if not name:
        yield required(f"{path}.name")
    if kind == "ServiceAccount":
        if name:
            yield from named(is_dns1123_subdomain, name, f"{path}.name")
        if group:
            yield not_supported(f"{path}.apiGroup", group, ("",))
        if not namespaced and not subject.get("namespace"):
            yield required(f"{path}.namespace")
    elif kind in ("User", "Group"):
        if group != GROUP:
            yield not_supported(f"{path}.apiGroup", group, (GROUP,))
    else:
        yield not_supported_listed(f"{path}.kind", kind, ("ServiceAccount", "User", "Group"))


def _named(subjects: Sequence[Struct], kind: str) -> str:
    """The names of all subjects of a kind; accounts with their namespace."""
    found = [subject for subject in subjects if subject.get("kind") == kind]
    if kind == "ServiceAccount":
        return ", ".join(f"{subject.get('namespace', '')}/{subject.get('name', '')}" for subject in found)
    return ", ".join(subject.get("name", "") for subject in found)
