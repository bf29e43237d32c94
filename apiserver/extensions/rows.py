"""From a definition to the rows of its versions. Pure.

Follows: apiextensions-apiserver/pkg/apiserver/{customresource_discovery_controller,customresource_handler}.go
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.extensions.conversion import Post, WebhookConversion
from apiserver.registry.endpoints import CustomRow
from apiserver.resources.apiextensions.custom_resource import CustomResourceStrategy
from openapi.catalog import Resource, Subresource, api_version
from openapi.custom.kind import CustomKind, selectable_paths
from openapi.documents.custom import custom_definition_name
from openapi.kinds.row import READ_WRITE

Struct = Mapping[str, Any]

VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
"""In the order in which discovery lists them for custom kinds."""


def custom_rows(definition: Struct, post: Post) -> list[CustomRow]:
    """All versions that are served. `post` reaches the webhook that converts, if there is one."""
    spec = definition["spec"]
    generation = int(definition["metadata"].get("generation", 1))
    versions = spec.get("versions") or ()
    stored = next((_row(definition, v) for v in versions if v.get("storage")), None)
    if stored is None:
        return []
    conversion = None
    if (spec.get("conversion") or {}).get("strategy") == "Webhook":
        conversion = WebhookConversion(spec["conversion"].get("webhook") or {}, post)
    is_ending = "deletionTimestamp" in definition["metadata"]
    rows: list[CustomRow] = []
    for version in versions:
        if not version.get("served"):
            continue
        kind = CustomKind(version)
        row = stored if version.get("storage") else _row(definition, version)
        strategy = CustomResourceStrategy(kind, namespaced=row.namespaced, is_ending=is_ending)
        # Objects may be older than the schema's present state: only then, and for defaults, reading has work to do.
        changes = kind.has_defaults or generation > 1 or conversion is not None
        form = f"{definition['metadata']['uid']}.{generation}" if changes else ""
        rows.append(CustomRow(row, stored, strategy, form, conversion))
    return rows


def _row(definition: Struct, version: Struct) -> Resource:
    spec = definition["spec"]
    names = (definition.get("status") or {}).get("acceptedNames") or spec["names"]
    group, name, kind = spec["group"], version["name"], names["kind"]
    storage = next(v["name"] for v in spec["versions"] if v.get("storage"))
    subresources = version.get("subresources") or {}
    found: list[Subresource] = []
    if subresources.get("status") is not None:
        found.append(Subresource("status", READ_WRITE, kind))
    if subresources.get("scale") is not None:
        found.append(Subresource("scale", READ_WRITE, "Scale", "autoscaling", "v1"))
    return Resource(
        group,
        name,
        names["plural"],
        kind,
        custom_definition_name(group, name, kind),
        spec.get("scope") == "Namespaced",
        singular=names.get("singular") or kind.lower(),
        verbs=VERBS,
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        subresources=tuple(found),
        prefix=f"{group}/{names['plural']}",
        storage_version=api_version(group, storage),
        custom=True,
        named_list_kind=names.get("listKind") or "",
        selectable_fields=selectable_paths(version.get("selectableFields")),
        deprecation=_deprecation(version, group, kind),
    )


def _deprecation(version: Struct, group: str, kind: str) -> str:
    if not version.get("deprecated"):
        return ""
    text: str = version.get("deprecationWarning") or f"{group}/{version['name']} {kind} is deprecated"
    return text
