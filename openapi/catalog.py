"""The catalogue: one row per resource, the single truth that server, discovery, RBAC, OpenAPI and clients read.

Rows live in `openapi/kinds/<group>.py`; this module joins them. Custom resources become the same rows at run time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
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


@dataclass(frozen=True)
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
    named_list_kind: str = ""
    """The kind of lists where a definition gives it a name of its own."""
    deprecation: str = ""
    """The text of the Warning header that every request of a deprecated API is answered with."""

    # These are kept: every request asks for them several times.

    @cached_property
    def gvr(self) -> GroupVersionResource:
        return GroupVersionResource(self.group, self.version, self.resource)

    @cached_property
    def gvk(self) -> GroupVersionKind:
        return GroupVersionKind(self.group, self.version, self.kind)

    @cached_property
    def gr(self) -> GroupResource:
        return GroupResource(self.group, self.resource)

    @cached_property
    def api_version(self) -> str:
        return api_version(self.group, self.version)

    @property
    def list_kind(self) -> str:
        return self.named_list_kind or self.kind + "List"

    def key(self, namespace: str, name: str) -> str:
        """The storage key of one object."""
        return f"/registry/{self.prefix}/{namespace}/{name}" if namespace else f"/registry/{self.prefix}/{name}"

    def key_prefix(self, namespace: str = "") -> str:
        """The storage prefix of all objects, or of one namespace's."""
        return f"/registry/{self.prefix}/{namespace}/" if namespace else f"/registry/{self.prefix}/"

    def subresource(self, name: str) -> Subresource | None:
        return next((s for s in self.subresources if s.name == name), None)


class Catalog:
    """The rows served right now, found by resource or by kind.

    Built-in rows come first, in the order given; rows added at run time follow. `version` grows with every change, so
    whatever was derived from the rows (discovery, OpenAPI) knows when it is out of date.
    """

    def __init__(self, rows: Iterable[Resource]) -> None:
        self.version = 0
        self._rows: dict[GroupVersionResource, Resource] = {row.gvr: row for row in rows}
        self._kinds: dict[GroupVersionKind, Resource] = {}
        self._groups: dict[str, tuple[str, ...]] = {}
        self._index()

    def by_gvr(self, group: str, version: str, resource: str) -> Resource | None:
        return self._rows.get(GroupVersionResource(group, version, resource))

    def by_gvk(self, group: str, version: str, kind: str) -> Resource | None:
        """The first row of that kind; list kinds and the kinds of subresources are not rows."""
        return self._kinds.get(GroupVersionKind(group, version, kind))

    def rows(self) -> tuple[Resource, ...]:
        return tuple(self._rows.values())

    def group_names(self) -> tuple[str, ...]:
        """Names of all groups in discovery's order; the core group is ''."""
        return tuple(self._groups)

    def versions(self, group: str) -> tuple[str, ...]:
        """The versions of a group, the preferred one first; () for an unknown group."""
        return self._groups.get(group, ())

    def of_group_version(self, group: str, version: str) -> tuple[Resource, ...]:
        return tuple(row for row in self._rows.values() if row.group == group and row.version == version)

    def of_group_resource(self, group: str, resource: str) -> tuple[Resource, ...]:
        """One resource at all its versions, the preferred one first."""
        rows = (self.by_gvr(group, version, resource) for version in self.versions(group))
        return tuple(row for row in rows if row is not None)

    def add(self, *rows: Resource) -> None:
        """Serve these too; a row with the same group, version and resource is replaced."""
        self._rows.update((row.gvr, row) for row in rows)
        self._changed()

    def remove(self, *rows: Resource) -> None:
        for row in rows:
            self._rows.pop(row.gvr, None)
        self._changed()

    def _changed(self) -> None:
        self._index()
        self.version += 1

    def _index(self) -> None:
        """Rebuild the derived tables. Groups of custom rows follow the built-in ones by name, their versions by age."""
        kinds: dict[GroupVersionKind, Resource] = {}
        versions: dict[str, dict[str, None]] = {}
        custom: dict[str, dict[str, None]] = {}
        for row in self._rows.values():
            kinds.setdefault(row.gvk, row)
            known = custom if row.custom and row.group not in versions else versions
            known.setdefault(row.group, {})[row.version] = None
        groups = {group: tuple(found) for group, found in versions.items()}
        for group in sorted(custom):
            groups[group] = tuple(sorted({*groups.get(group, ()), *custom[group]}, key=version_rank))
        self._kinds, self._groups = kinds, groups


def version_rank(version: str) -> tuple[int, int, int, str]:
    """Sort key that puts the most trusted version first: v10, v2, v1, v1beta2, v1alpha1, then other names by alphabet.

    Follows: staging/src/k8s.io/apimachinery/pkg/version/helpers.go.
    """
    match = _VERSION.fullmatch(version)
    if match is None:
        return (3, 0, 0, version)
    major, stage, minor = match.groups()
    return (_STAGES[stage], -int(major), -int(minor or 0), "")


_VERSION = re.compile(r"v([1-9][0-9]*)(?:(alpha|beta)([1-9][0-9]*))?")
_STAGES: dict[str | None, int] = {None: 0, "beta": 1, "alpha": 2}
