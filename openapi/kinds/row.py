"""How the built-in rows are written down: one `ApiGroup` per group and version, and its `row` with the usual answers.

Most resources agree on nearly everything: all verbs, the plural as storage prefix, their own version as the stored one.
A row therefore names only what sets its resource apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from openapi.catalog import ALL_VERBS, Resource, Subresource, api_version

Defaults = dict[str, tuple[Mapping[str, Any] | Callable[[dict[str, Any]], None], ...]]

READ_WRITE = ("get", "patch", "update")
CONNECT = ("create", "get")
PROXY = ("create", "delete", "get", "patch", "update")

EVERYDAY = ("all",)  # what `kubectl get all` lists
EXTENSIONS = ("api-extensions",)


@dataclass(frozen=True, slots=True)
class ApiGroup:
    """One group at one version; `package` prefixes the names of its definitions."""

    group: str
    version: str
    package: str

    def row(
        self,
        resource: str,
        kind: str,
        *short_names: str,
        namespaced: bool = True,
        verbs: tuple[str, ...] = ALL_VERBS,
        categories: tuple[str, ...] = (),
        status: bool = False,
        scale: bool = False,
        subresources: tuple[Subresource, ...] = (),
        prefix: str = "",
        storage_version: str = "",
    ) -> Resource:
        """The row of a stored resource. `status` and `scale` add those subresources to `subresources`."""
        if status:
            subresources += (Subresource("status", READ_WRITE, kind),)
        if scale:
            subresources += (Subresource("scale", READ_WRITE, "Scale", "autoscaling", "v1"),)
        return Resource(
            self.group,
            self.version,
            resource,
            kind,
            f"{self.package}.{kind}",
            namespaced,
            singular=kind.lower(),
            verbs=verbs,
            short_names=short_names,
            categories=categories,
            subresources=tuple(sorted(subresources, key=lambda sub: sub.name)),
            prefix=prefix or resource,
            storage_version=storage_version or api_version(self.group, self.version),
        )

    def computed(
        self,
        resource: str,
        kind: str,
        *short_names: str,
        namespaced: bool = False,
        verbs: tuple[str, ...] = ("create",),
    ) -> Resource:
        """The row of a resource that is answered and never stored: it has no storage prefix."""
        return Resource(
            self.group,
            self.version,
            resource,
            kind,
            f"{self.package}.{kind}",
            namespaced,
            singular=kind.lower(),
            verbs=verbs,
            short_names=short_names,
        )
