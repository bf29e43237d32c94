"""Parts of a definition's version as messages show them: in the API's internal form, under its Go names.

Follows: apiextensions-apiserver/pkg/apis/apiextensions/{types,types_jsonschema}.go
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def shown_schema(schema: Struct) -> dict[str, Any]:
    shown = _shown(schema, _SCHEMA)
    if schema.get("items") is not None:
        items, several = schema["items"], isinstance(schema["items"], list)
        shown["Items"] = {
            "Schema": None if several else shown_schema(items),
            "JSONSchemas": [shown_schema(item) for item in items] if several else None,
        }
    for name in ("AllOf", "OneOf", "AnyOf"):
        if shown[name] is not None:
            shown[name] = [shown_schema(part) for part in shown[name]]
    if shown["Not"] is not None:
        shown["Not"] = shown_schema(shown["Not"])
    for name in ("Properties", "PatternProperties", "Definitions"):
        if shown[name] is not None:
            shown[name] = {key: shown_schema(part) for key, part in sorted(shown[name].items())}
    for name in ("AdditionalProperties", "AdditionalItems"):
        extra = shown[name]
        if extra is not None:
            below = shown_schema(extra) if isinstance(extra, Mapping) else None
            shown[name] = {"Allows": extra is not False, "Schema": below}
    if shown["XValidations"] is not None:
        shown["XValidations"] = [_shown(rule, _RULE) for rule in shown["XValidations"]]
    if shown["ExternalDocs"] is not None:
        shown["ExternalDocs"] = _shown(shown["ExternalDocs"], (("Description", "description", ""), ("URL", "url", "")))
    return shown


def shown_subresources(subresources: Struct) -> dict[str, Any]:
    scale, status = subresources.get("scale"), subresources.get("status")
    return {"Status": None if status is None else {}, "Scale": None if scale is None else _shown(scale, _SCALE)}


def shown_columns(columns: Sequence[Struct]) -> list[dict[str, Any]]:
    return [_shown(column, _COLUMN) for column in columns]


def shown_selectable(fields: Sequence[Struct]) -> list[dict[str, Any]]:
    return [_shown(field, (("JSONPath", "jsonPath", ""),)) for field in fields]


def _shown(struct: Struct, fields: Sequence[tuple[str, str, Any]]) -> dict[str, Any]:
    return {name: struct.get(field, absent) for name, field, absent in fields}
