"""The parts of a definition's versions: schemas, subresources, columns, selectable fields; and its conversion.

Follows: apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from apiserver.resources.admissionregistration.client_config import validate_client_config
from apiserver.resources.apiextensions.internal_form import AT_ROOT_WITH_STATUS, set_fields, shown_schema
from apiserver.resources.field_rules import each
from apiserver.resources.spec_rules import EMPTY, verbatim
from openapi.custom.field_paths import InvalidFieldPath, resolve
from openapi.custom.schema_rules import validate_schema
from openapi.meta.field import FieldError, duplicate, forbidden, invalid, not_supported, required, too_many
from openapi.meta.names import is_dns1035_label

Struct = Mapping[str, Any]

REVIEW_VERSIONS = ("v1", "v1beta1")
MAX_FIELDS = 8
_WITH_STATUS = "at the root of the schema if the status subresource is enabled"
MAX_WARNING_BYTES = 256
_TYPES = ("boolean", "date", "integer", "number", "string")
_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
_FIELD_TYPES = (
    "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed."
)


def validate_version_schema(validation: Struct, path: str, *, has_status: bool) -> Iterator[FieldError]:
    schema = validation.get("openAPIV3Schema")
    if schema is None:
        return
    where = f"{path}.openAPIV3Schema"
    kind = schema.get("type", "")
    if has_status and kind not in ("", "object"):
        text = f'only "object" is allowed as the type {_WITH_STATUS}'
        yield invalid(f"{where}.type", kind, text)
    elif has_status and not set(set_fields(schema)) <= set(AT_ROOT_WITH_STATUS):
        text = f"only [{' '.join(AT_ROOT_WITH_STATUS)}] fields are allowed {_WITH_STATUS}"
        yield invalid(where, verbatim(shown_schema(schema)), text)
    yield from validate_schema(schema, where)


def validate_simple_path(text: str, path: str) -> Iterator[FieldError]:
    if not text:
        yield invalid(path, text, "must not be empty")
    elif not text.startswith("."):
        yield invalid(path, text, "must be a simple json path starting with .")


def validate_subresources(subresources: Struct, path: str) -> Iterator[FieldError]:
    scale = subresources.get("scale")
    if scale is None:
        return
    path = f"{path}.scale"
    for name, place in (("specReplicasPath", "spec"), ("statusReplicasPath", "status")):
        text = scale.get(name, "")
        if not text:
            yield required(f"{path}.{name}")
        else:
            yield from _path_below(text, f"{path}.{name}", (f".{place}.",), f"should be a json path under .{place}")
    labels = scale.get("labelSelectorPath")
    if labels:
        text = "should be a json path under either .spec or .status"
        yield from _path_below(labels, f"{path}.labelSelectorPath", (".spec.", ".status."), text)


def _path_below(text: str, path: str, places: tuple[str, ...], problem: str) -> Iterator[FieldError]:
    errors = list(validate_simple_path(text, path))
    yield from errors
    if not errors and not text.startswith(places):
        yield invalid(path, text, problem)


def validate_columns(columns: Sequence[Struct], path: str) -> Iterator[FieldError]:
    for i, column in enumerate(columns):
        where, kind, form = f"{path}[{i}]", column.get("type", ""), column.get("format", "")
        if not column.get("name"):
            yield required(f"{where}.name")
        one_of = f"must be one of {','.join(_TYPES)}"
        if not kind:
            yield required(f"{where}.type", one_of)
        elif kind not in _TYPES:
            yield invalid(f"{where}.type", kind, one_of)
        if form and form not in _FORMATS:
            yield invalid(f"{where}.format", form, f"must be one of {','.join(_FORMATS)}")
        if not column.get("jsonPath"):
            yield required(f"{where}.JSONPath")
        else:
            yield from validate_simple_path(column["jsonPath"], f"{where}.JSONPath")


def validate_selectable_fields(fields: Sequence[Struct], schema: Struct | None, path: str) -> Iterator[FieldError]:
    seen: set[tuple[str, ...]] = set()
    for i, field in enumerate(fields):
        text, where = field.get("jsonPath", ""), f"{path}[{i}].jsonPath"
        if not text:
            yield required(where)
            continue
        try:
            names, found = resolve(text, schema or EMPTY, brackets=False)
        except InvalidFieldPath as err:
            yield invalid(where, text, f"is an invalid path: {err}")
            continue
        if names[0] == "metadata":
            yield invalid(where, text, "must not point to fields in metadata")
        if found.get("type") not in ("string", "boolean", "integer"):
            yield invalid(where, text, _FIELD_TYPES)
        if names in seen:
            yield duplicate(where, text)
        seen.add(names)
    if len(seen) > MAX_FIELDS:
        yield too_many(path, len(seen), MAX_FIELDS)


def deprecation_problems(warning: str, *, deprecated: bool) -> Iterator[str]:
    """What is wrong with the warning of a version."""
    if not deprecated:
        yield "can only be set for deprecated versions"
        return
    if len(warning.encode()) > MAX_WARNING_BYTES:
        yield f"must be <= {MAX_WARNING_BYTES} characters long"
    if not warning:
        yield "must not be an empty string"
    for at, character in enumerate(warning):
        if character != " " and not character.isprintable():
            index = len(warning[:at].encode())
            yield f"must only contain printable UTF-8 characters; non-printable character found at index {index}"
            break


def validate_conversion(conversion: Struct, path: str, *, preserves: bool = False) -> Iterator[FieldError]:
    """`preserves`: unknown fields are kept everywhere."""
    strategy, webhook = conversion.get("strategy", ""), conversion.get("webhook") or EMPTY
    config, versions = webhook.get("clientConfig"), webhook.get("conversionReviewVersions") or ()
    if preserves and strategy != "None":
        yield invalid(f"{path}.strategy", strategy, "must be None if spec.preserveUnknownFields is true")
    if not strategy:
        yield required(f"{path}.strategy")
    elif strategy not in ("None", "Webhook"):
        yield not_supported(f"{path}.strategy", strategy, ("None", "Webhook"))
    if strategy == "Webhook":
        if config is None:
            yield required(f"{path}.webhookClientConfig", "required when strategy is set to Webhook")
        else:
            yield from validate_client_config(config, f"{path}.webhookClientConfig")
        yield from _validate_review_versions(versions, f"{path}.conversionReviewVersions")
        return
    text = "should not be set when strategy is not set to Webhook"
    if config is not None:
        yield forbidden(f"{path}.webhookClientConfig", text)
    if versions:
        yield forbidden(f"{path}.conversionReviewVersions", text)


def _validate_review_versions(versions: Sequence[str], path: str) -> Iterator[FieldError]:
    if not versions:
        yield required(path)
        return
    seen: set[str] = set()
    for i, version in enumerate(versions):
        if version in seen:
            yield invalid(f"{path}[{i}]", version, "duplicate version")
            continue
        seen.add(version)
        yield from each(is_dns1035_label(version), f"{path}[{i}]", version)
    if not seen & set(REVIEW_VERSIONS):
        yield invalid(path, list(versions), f"must include at least one of {', '.join(REVIEW_VERSIONS)}")
