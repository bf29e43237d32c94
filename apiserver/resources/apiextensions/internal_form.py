"""Parts of a definition's version as messages show them: in the API's internal form, under its Go names.

Follows: apiextensions-apiserver/pkg/apis/apiextensions/{types,types_jsonschema}.go
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Struct = Mapping[str, Any]

# The Go name of each field, its name in JSON, and what is shown when it is not there.
_SCHEMA: tuple[tuple[str, str, Any], ...] = (
    ("ID", "id", ""),
    ("Schema", "$schema", ""),
    ("Ref", "$ref", None),
    ("Description", "description", ""),
    ("Type", "type", ""),
    ("Nullable", "nullable", False),
    ("Format", "format", ""),
    ("Title", "title", ""),
    ("Default", "default", None),
    ("Maximum", "maximum", None),
    ("ExclusiveMaximum", "exclusiveMaximum", False),
    ("Minimum", "minimum", None),
    ("ExclusiveMinimum", "exclusiveMinimum", False),
    ("MaxLength", "maxLength", None),
    ("MinLength", "minLength", None),
    ("Pattern", "pattern", ""),
    ("MaxItems", "maxItems", None),
    ("MinItems", "minItems", None),
    ("UniqueItems", "uniqueItems", False),
    ("MultipleOf", "multipleOf", None),
    ("Enum", "enum", None),
    ("MaxProperties", "maxProperties", None),
    ("MinProperties", "minProperties", None),
    ("Required", "required", None),
    ("Items", "items", None),
    ("AllOf", "allOf", None),
    ("OneOf", "oneOf", None),
    ("AnyOf", "anyOf", None),
    ("Not", "not", None),
    ("Properties", "properties", None),
    ("AdditionalProperties", "additionalProperties", None),
    ("PatternProperties", "patternProperties", None),
    ("Dependencies", "dependencies", None),
    ("AdditionalItems", "additionalItems", None),
    ("Definitions", "definitions", None),
    ("ExternalDocs", "externalDocs", None),
    ("Example", "example", None),
    ("XPreserveUnknownFields", "x-kubernetes-preserve-unknown-fields", None),
    ("XEmbeddedResource", "x-kubernetes-embedded-resource", False),
    ("XIntOrString", "x-kubernetes-int-or-string", False),
    ("XListMapKeys", "x-kubernetes-list-map-keys", None),
    ("XListType", "x-kubernetes-list-type", None),
    ("XMapType", "x-kubernetes-map-type", None),
    ("XValidations", "x-kubernetes-validations", None),
)
_DOCS = (("Description", "description", ""), ("URL", "url", ""))
_RULE = (
    ("Rule", "rule", ""),
    ("Message", "message", ""),
    ("MessageExpression", "messageExpression", ""),
    ("Reason", "reason", None),
    ("FieldPath", "fieldPath", ""),
    ("OptionalOldSelf", "optionalOldSelf", None),
)
_COLUMN = (
    ("Name", "name", ""),
    ("Type", "type", ""),
    ("Format", "format", ""),
    ("Description", "description", ""),
    ("Priority", "priority", 0),
    ("JSONPath", "jsonPath", ""),
)
_SCALE = (
    ("SpecReplicasPath", "specReplicasPath", ""),
    ("StatusReplicasPath", "statusReplicasPath", ""),
    ("LabelSelectorPath", "labelSelectorPath", None),
)
AT_ROOT_WITH_STATUS = (
    "Description", "Type", "Format", "Title", "Maximum", "ExclusiveMaximum", "Minimum", "ExclusiveMinimum", "MaxLength",
    "MinLength", "Pattern", "MaxItems", "MinItems", "UniqueItems", "MultipleOf", "Required", "Items", "Properties",
    "ExternalDocs", "Example", "XPreserveUnknownFields", "XValidations",
)  # fmt: skip
"""What a root may say beside a status that is judged by its own part of the schema."""


def set_fields(schema: Struct) -> list[str]:
    """The Go names of what a schema says, in their order."""
    empty: tuple[Any, ...] = (None, "", False, {}, [])
    return [name for name, field, _ in _SCHEMA if schema.get(field) not in empty]


def shown_validation(validation: Struct) -> dict[str, Any]:
    schema = validation.get("openAPIV3Schema")
    return {"OpenAPIV3Schema": None if schema is None else shown_schema(schema)}


def shown_schema(schema: Struct) -> dict[str, Any]:
    shown = _shown(schema, _SCHEMA)
    for name, show in _PARTS.items():
        if shown[name] is not None:
            shown[name] = show(shown[name])
    return shown


def _shown_list(schemas: Sequence[Struct]) -> list[dict[str, Any]]:
    return [shown_schema(schema) for schema in schemas]


def _shown_map(schemas: Struct) -> dict[str, Any]:
    return {key: shown_schema(schema) for key, schema in sorted(schemas.items())}


def _shown_items(items: Struct | Sequence[Struct]) -> dict[str, Any]:
    if isinstance(items, Mapping):
        return {"Schema": shown_schema(items), "JSONSchemas": None}
    return {"Schema": None, "JSONSchemas": _shown_list(items)}


def _shown_extra(extra: Struct | bool) -> dict[str, Any]:
    below = shown_schema(extra) if isinstance(extra, Mapping) else None
    return {"Allows": extra is not False, "Schema": below}


_PARTS: dict[str, Callable[[Any], Any]] = {
    "Items": _shown_items,
    **dict.fromkeys(("AllOf", "OneOf", "AnyOf"), _shown_list),
    "Not": shown_schema,
    **dict.fromkeys(("Properties", "PatternProperties", "Definitions"), _shown_map),
    **dict.fromkeys(("AdditionalProperties", "AdditionalItems"), _shown_extra),
    "XValidations": lambda rules: [_shown(rule, _RULE) for rule in rules],
    "ExternalDocs": lambda docs: _shown(docs, _DOCS),
}
"""What in a schema has a form of its own."""


def shown_subresources(subresources: Struct) -> dict[str, Any]:
    scale, status = subresources.get("scale"), subresources.get("status")
    return {"Status": None if status is None else {}, "Scale": None if scale is None else _shown(scale, _SCALE)}


def shown_columns(columns: Sequence[Struct]) -> list[dict[str, Any]]:
    return [_shown(column, _COLUMN) for column in columns]


def shown_selectable(fields: Sequence[Struct]) -> list[dict[str, Any]]:
    return [_shown(field, (("JSONPath", "jsonPath", ""),)) for field in fields]


def _shown(struct: Struct, fields: Sequence[tuple[str, str, Any]]) -> dict[str, Any]:
    return {name: struct.get(field, absent) for name, field, absent in fields}
