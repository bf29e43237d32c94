"""A custom kind at one version, compiled: its node, its decoder, its validation, where its scale and fields are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from openapi.catalog import GroupVersionKind
from openapi.custom.checks import Check, compile_check
from openapi.custom.decoding import ENVELOPE, decode_custom, default_custom, prune_custom
from openapi.custom.embedded import has_embedded, validate_embedded
from openapi.custom.rules import has_rules, run_rules
from openapi.custom.scale import validate_scale
from openapi.custom.structural import Schema, compile_schema
from openapi.custom.validation import ABSENT, NOWHERE, validate_lists, validate_value
from openapi.meta.field import NOT_SUPPORTED, REQUIRED, TOO_LONG, TOO_MANY, TYPE_INVALID, FieldError, invalid
from openapi.meta.jsonpath import compile_path, find
from openapi.schema.decode import CUSTOM_DECODER

Object = dict[str, Any]

_BLOCKING = frozenset((NOT_SUPPORTED, REQUIRED, TOO_LONG, TOO_MANY, TYPE_INVALID))
"""Rules are not run on objects that do not have the form they were written for."""
_NOT_CHECKED = (
    "some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation"
)


class CustomKind:
    """Made from one of the `spec.versions` of a definition; `node.memo` knows how bodies are decoded."""

    def __init__(self, version: Mapping[str, Any]) -> None:
        self.version = version
        self.schema: Schema | None = (version.get("schema") or {}).get("openAPIV3Schema")
        self.node = compile_schema(self.schema)
        self.node.memo[CUSTOM_DECODER] = self.decode
        subresources = version.get("subresources") or {}
        self.has_status = subresources.get("status") is not None
        self.scale: Mapping[str, str] | None = subresources.get("scale")
        self.has_defaults = schema_has_defaults(self.schema)
        self._open: Schema = {}
        self._is_sound: Check | None = None
        self._has_embedded = has_embedded(self.schema)
        self._has_rules = self.schema is not None and has_rules(self.schema)
        self._fields = {
            path.removeprefix("."): compile_path(path) for path in selectable_paths(version.get("selectableFields"))
        }

    def decode(self, obj: Any, gvk: GroupVersionKind | None) -> list[str]:
        return decode_custom(obj, self.schema, gvk)

    def complete(self, obj: Object) -> Object:
        """A stored object as this version shows it: without what it does not know, with its defaults; in place."""
        prune_custom(obj, self.schema)
        default_custom(obj, self.schema)
        return obj

    def validate(self, obj: Object, old: Object | None, *, of_status: bool = False) -> Iterator[FieldError]:
        """What is wrong with an object besides its metadata; `of_status` for the subresource."""
        if self.schema is None:
            return
        value = {name: part for name, part in obj.items() if name not in ENVELOPE}
        if self._is_sound is None:
            self._open = _without_envelope(self.schema)
            self._is_sound = compile_check(self._open)
        is_sound = self._is_sound(value)
        errors: list[FieldError] = []
        if not is_sound:
            errors += _validate_status(obj, self.schema, old) if of_status else self._validate_form(value, old)
        if self.scale is not None:
            errors += validate_scale(obj, self.scale, with_spec=not of_status)
        if self._has_embedded:
            errors += validate_embedded(value, self.schema)
        if not is_sound and (old is None or not any(validate_lists(old, self.schema))):
            errors += validate_lists(value, self.schema)
        yield from errors
        if self._has_rules:
            if any(error.type in _BLOCKING for error in errors):
                yield invalid(NOWHERE, None, _NOT_CHECKED)
            else:
                yield from run_rules(obj, self.schema, old)

    def tolerated(self, obj: Object, old: Object) -> Iterator[str]:
        """What rules have against parts that an update did not change, to be told as warnings."""
        if self._has_rules and self.schema is not None:
            yield from map(str, run_rules(obj, self.schema, old, of_unchanged=True))

    def _validate_form(self, value: Object, old: Object | None) -> Iterator[FieldError]:
        before: Any = ABSENT if old is None else {k: v for k, v in old.items() if k not in ENVELOPE}
        return validate_value(value, self._open, old=before)

    def fields(self, obj: Object) -> dict[str, str]:
        """The selectable fields of an object."""
        return {name: _text(find(obj, steps)) for name, steps in self._fields.items()}


def _validate_status(obj: Object, schema: Schema, old: Object | None) -> Iterator[FieldError]:
    """The subresource judges the status by its own schema, so that messages name fields from there on."""
    form = (schema.get("properties") or {}).get("status")
    if form is None or "status" not in obj:
        return iter(())
    return validate_value(obj["status"], form, "status", old=(old or {}).get("status", ABSENT))


def selectable_paths(fields: Sequence[Mapping[str, Any]] | None) -> tuple[str, ...]:
    return tuple(field.get("jsonPath", "") for field in fields or ())


def _text(found: list[Any]) -> str:
    if not found or found[0] is None:
        return ""
    value = found[0]
    return str(value).lower() if isinstance(value, bool) else str(value)


def _without_envelope(schema: Schema) -> Schema:
    """Metadata, kind and apiVersion are there already and are judged elsewhere."""
    properties = schema.get("properties") or {}
    return {
        **schema,
        "properties": {name: part for name, part in properties.items() if name not in ENVELOPE},
        "required": [name for name in schema.get("required") or () if name not in ENVELOPE],
    }


def schema_has_defaults(schema: Any) -> bool:
    """Whether any part of a schema has a default."""
    if not isinstance(schema, Mapping):
        return False
    if schema.get("default") is not None:
        return True
    parts = list((schema.get("properties") or {}).values())
    return any(schema_has_defaults(part) for part in (*parts, schema.get("items"), schema.get("additionalProperties")))
