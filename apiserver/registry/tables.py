"""Tables: what `kubectl get` shows, and the metadata-only forms, made from entries.

Cells of an entry are computed anew for every table, as ages change; the rest of a row is bytes already there.
Follows: staging/src/k8s.io/apiserver/pkg/endpoints/handlers/response.go
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from apiserver.registry.endpoint import Endpoint
from apiserver.request import RequestInfo
from apiserver.response import Negotiated, partial_metadata
from openapi.meta import status
from openapi.meta.field import quote

Object = dict[str, Any]


def include_object(request: RequestInfo) -> str:
    """The includeObject parameter: Metadata, Object or None. Raises 400."""
    value = request.first("includeObject") or "Metadata"
    if value not in ("Metadata", "Object", "None"):
        raise status.bad_request(
            f"Unable to convert to Table as requested: includeObject: Invalid value: {quote(value)}: must be "
            "'Metadata', 'Object', 'None', or empty"
        )
    return value


def column_definitions(endpoint: Endpoint) -> list[Object]:
    return [
        {"name": c.name, "type": c.type, "format": c.format, "description": c.description, "priority": c.priority}
        for c in endpoint.strategy.columns
    ]


def rows(endpoint: Endpoint, objects: Sequence[Object], version: str, include: str, now: datetime) -> list[Object]:
    made = []
    for obj in objects:
        shown: Object | None = None
        if include == "Metadata":
            shown = partial_metadata(obj, version)
        elif include == "Object":
            shown = obj
        row: Object = {"cells": endpoint.strategy.cells(obj, now), "object": shown}
        conditions = endpoint.strategy.row_conditions(obj)
        if conditions:
            row["conditions"] = conditions
        made.append(row)
    return made


def table(
    endpoint: Endpoint,
    objects: Sequence[Object],
    form: Negotiated,
    include: str,
    now: datetime,
    *,
    meta: Object,
    with_columns: bool = True,
) -> Object:
    """A whole Table. `meta` is the list's metadata, or an object's resourceVersion."""
    return {
        "kind": "Table",
        "apiVersion": f"meta.k8s.io/{form.form_version}",
        "metadata": meta,
        "columnDefinitions": column_definitions(endpoint) if with_columns else None,
        "rows": rows(endpoint, objects, form.form_version, include, now),
    }


def transformed_object(
    endpoint: Endpoint, obj: Object, form: Negotiated, request: RequestInfo, now: datetime, *, with_columns: bool = True
) -> Object:
    """One object in the form that the client asked for. Raises 400 and 406."""
    if form.form == "Table":
        meta = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        return table(endpoint, [obj], form, include_object(request), now, meta=meta, with_columns=with_columns)
    if form.form == "PartialObjectMetadataList":
        kind = internal_type(endpoint)
        raise status.not_acceptable(
            f"you requested PartialObjectMetadataList, but the requested object is not a list ({kind})"
        )
    return partial_metadata(obj, form.form_version) if form.form else obj


def transformed_list(
    endpoint: Endpoint, objects: Sequence[Object], meta: Object, form: Negotiated, request: RequestInfo, now: datetime
) -> Object:
    """A list in the form that the client asked for. Raises 400 and 406."""
    if form.form == "Table":
        return table(endpoint, objects, form, include_object(request), now, meta=meta)
    if form.form == "PartialObjectMetadata":
        raise status.not_acceptable(
            f"you requested PartialObjectMetadata, but the requested object is a list ({internal_type(endpoint)}List)"
        )
    if form.form == "PartialObjectMetadataList":
        return {
            "kind": "PartialObjectMetadataList",
            "apiVersion": f"meta.k8s.io/{form.form_version}",
            "metadata": meta,
            "items": [partial_metadata(o, form.form_version) for o in objects],
        }
    row = endpoint.resource
    if row.custom:
        meta = {"continue": "", **meta}
    else:
        objects = [{k: v for k, v in o.items() if k not in ("kind", "apiVersion")} for o in objects]
    return {"kind": row.list_kind, "apiVersion": row.api_version, "metadata": meta, "items": list(objects)}


def internal_type(endpoint: Endpoint) -> str:
    """The type's name in Kubernetes' own words, as its messages show it."""
    row = endpoint.resource
    if row.custom:
        return "*unstructured.Unstructured"
    return f"*{row.group.split('.', 1)[0] or 'core'}.{row.kind}"
