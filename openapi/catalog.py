"""The catalogue: one row per resource, the single truth that server, discovery, RBAC, OpenAPI and clients read.

Rows live in `openapi/kinds/<group>.py`; this module joins them. Custom resources become the same rows at run time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class GroupVersionResource(NamedTuple):
    group: str
    version: str
    resource: str


class GroupResource(NamedTuple):
    group: str
    resource: str


class GroupVersionKind(NamedTuple):
    group: str
    version: str
    kind: str


def api_version(group: str, version: str) -> str:
    """`v1`, `apps/v1`."""
    return f"{group}/{version}" if group else version


def split_api_version(text: str) -> tuple[str, str]:
    """Group and version of an apiVersion string."""
    group, _, version = text.rpartition("/")
    return group, version


ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Subresource:
    """`name` is what follows the object in the path. `gvk` is the kind of its bodies where it is not the parent's."""

    name: str
    verbs: tuple[str, ...]
    kind: str
    group: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource at one version. `schema` names its definition (`io.k8s.api.core.v1.Pod`).

    `prefix` is the path below /registry that its objects are stored under; rows that share it (autoscaling v1 and v2,
    core and events.k8s.io Events) are versions of one resource, stored as `storage_version` (`group/version`).
    """

    group: str
    version: str
    resource: str
    kind: str
    schema: str
    namespaced: bool
    singular: str = ""
    verbs: tuple[str, ...] = ALL_VERBS
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[Subresource, ...] = ()
    prefix: str = ""
    storage_version: str = ""
    custom: bool = False
    selectable_fields: tuple[str, ...] = field(default=())

    @property
    def gvr(self) -> GroupVersionResource:
        return GroupVersionResource(self.group, self.version, self.resource)

    @property
    def gvk(self) -> GroupVersionKind:
        return GroupVersionKind(self.group, self.version, self.kind)

    @property
    def gr(self) -> GroupResource:
        return GroupResource(self.group, self.resource)

    @property
    def api_version(self) -> str:
        return api_version(self.group, self.version)

    @property
    def list_kind(self) -> str:
        return self.kind + "List"

    def key(self, namespace: str, name: str) -> str:
        """The storage key of one object."""
        return f"/registry/{self.prefix}/{namespace}/{name}" if namespace else f"/registry/{self.prefix}/{name}"

    def key_prefix(self, namespace: str = "") -> str:
        """The storage prefix of all objects, or of one namespace's."""
        return f"/registry/{self.prefix}/{namespace}/" if namespace else f"/registry/{self.prefix}/"

    def subresource(self, name: str) -> Subresource | None:
        return next((s for s in self.subresources if s.name == name), None)
