"""The definitions of custom kinds: the schema of a CustomResourceDefinition with what every kind has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openapi.catalog import Resource
from openapi.documents.definitions import V2_REF
from openapi.documents.operations import META

Object = dict[str, Any]

CONVENTIONS = "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md"
API_VERSION_TEXT = (
    "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized "
    "schemas to the latest internal value, and may reject unrecognized values. More info: " + CONVENTIONS + "#resources"
)
KIND_TEXT = (
    "Kind is a string value representing the REST resource this object represents. Servers may infer this from the "
    "endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: "
    + CONVENTIONS
    + "#types-kinds"
)


def custom_definition_name(group: str, version: str, kind: str) -> str:
    """`com.example.v1.Widget`."""
    return ".".join((*reversed(group.split(".")), version, kind))


def custom_definitions(row: Resource, schema: Mapping[str, Any] | None) -> dict[str, Object]:
    """The definitions of a custom kind and of its list, from its `openAPIV3Schema`; None keeps all fields."""
    name = custom_definition_name(*row.gvk)
    definition: Object = dict(schema) if schema else {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    if "properties" in definition or schema is None:
        definition["properties"] = {
            **definition.get("properties", {}),
            "apiVersion": _text(API_VERSION_TEXT),
            "kind": _text(KIND_TEXT),
            "metadata": _reference(f"Standard object's metadata. More info: {CONVENTIONS}#metadata", "ObjectMeta"),
        }
    definition["x-kubernetes-group-version-kind"] = [_gvk(row, row.kind)]
    if row.selectable_fields:
        paths = [{"fieldPath": path.removeprefix(".")} for path in row.selectable_fields]
        definition["x-kubernetes-selectable-fields"] = paths
    return {name: definition, name + "List": _list_definition(row, name)}


def _list_definition(row: Resource, name: str) -> Object:
    return {
        "description": f"{row.list_kind} is a list of {row.kind}",
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": _text(API_VERSION_TEXT),
            "items": {
                "description": f"List of {row.resource}. More info: {CONVENTIONS}",
                "type": "array",
                "items": {"$ref": V2_REF + name},
            },
            "kind": _text(KIND_TEXT),
            "metadata": _reference(f"Standard list metadata. More info: {CONVENTIONS}#types-kinds", "ListMeta"),
        },
        "x-kubernetes-group-version-kind": [_gvk(row, row.list_kind)],
    }


def _text(description: str) -> Object:
    return {"description": description, "type": "string"}


def _reference(description: str, kind: str) -> Object:
    return {"description": description, "$ref": V2_REF + META + kind}


def _gvk(row: Resource, kind: str) -> Object:
    return {"group": row.group, "version": row.version, "kind": kind}
