"""Access to devices for administration, past who else uses them, only in namespaces that are labelled for it.

It is no plugin of its own in Kubernetes, where the strategies of claims ask for the namespace; the refusal is theirs.
Follows: pkg/registry/resource/utils.go AuthorizedForAdmin, AuthorizedForAdminStatus
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from apiserver.admission.lookup import Lookup
from apiserver.admission.plugin import CREATE, UPDATE, Attributes, Plugin
from apiserver.storage.store import Store
from openapi.catalog import Catalog, GroupResource
from openapi.meta import field, status

Struct = Mapping[str, Any]

LABEL = "resource.kubernetes.io/admin-access"
_EMPTY: Struct = {}
_TEXT = f"admin access to devices requires the `{LABEL}: true` label on the containing namespace"
_ROOT = "[]"


class ResourceClaimAdminAccess(Plugin):
    name = "ResourceClaimAdminAccess"
    operations = frozenset((CREATE, UPDATE))
    resources = frozenset(
        (GroupResource("resource.k8s.io", "resourceclaims"), GroupResource("resource.k8s.io", "resourceclaimtemplates"))
    )
    subresources = frozenset(("", "status"))

    def __init__(self, store: Store, catalog: Catalog) -> None:
        self._namespaces = Lookup(store, catalog, "", "namespaces")

    async def validate(self, attributes: Attributes) -> None:
        obj = attributes.obj or _EMPTY
        if attributes.subresource:
            granted = any(_administers(result) for result in _results(attributes.old or _EMPTY))
            places = (i for i, result in enumerate(_results(obj)) if _administers(result))
            index = None if granted else next(places, None)
            path = None if index is None else f"status.allocation.devices.results[{index}].adminAccess"
        else:
            asked = attributes.operation == CREATE and any(_administers(r.get("exactly")) for r in _requests(obj))
            path = _ROOT if asked else None
        if path is None:
            return
        entry = await self._namespaces.find("", attributes.namespace)
        labels = {} if entry is None else entry.object()["metadata"].get("labels") or {}
        if labels.get(LABEL) != "true":
            row, name = attributes.resource, obj["metadata"].get("name", "")
            raise status.invalid(row.group, row.kind, name, [field.forbidden(path, _TEXT)])


def _administers(struct: Struct | None) -> bool:
    return bool((struct or _EMPTY).get("adminAccess"))


def _requests(obj: Struct) -> Iterable[Struct]:
    """Of a claim, or of the claim in a template."""
    spec: Struct = obj.get("spec") or _EMPTY
    claim_spec: Struct = spec.get("spec") or _EMPTY if obj.get("kind") == "ResourceClaimTemplate" else spec
    requests: Iterable[Struct] = (claim_spec.get("devices") or _EMPTY).get("requests") or ()
    return requests


def _results(obj: Struct) -> Iterable[Struct]:
    allocation = (obj.get("status") or _EMPTY).get("allocation") or _EMPTY
    results: Iterable[Struct] = (allocation.get("devices") or _EMPTY).get("results") or ()
    return results
