"""A custom kind at one version, compiled: its node, its decoder, its validation, where its scale and fields are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from openapi.catalog import GroupVersionKind
from openapi.custom.checks import Check, compile_check
from openapi.custom.decoding import ENVELOPE, decode_custom, default_custom, prune_custom
from openapi.custom.embedded import has_embedded, validate_embedded
from openapi.custom.rules import has_rules, run_rules
from openapi.custom.structural import Schema, compile_schema
from openapi.custom.validation import ABSENT, validate_lists, validate_value
from openapi.meta.field import FieldError
from openapi.meta.jsonpath import compile_path, find
from openapi.schema.decode import CUSTOM_DECODER

Object = dict[str, Any]


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
        self.has_defaults = _has_defaults(self.schema)
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

    def validate(self, obj: Object, old: Object | None) -> Iterator[FieldError]:
        """What is wrong with an object besides its metadata."""
        if self.schema is None:
            return
        value = {name: part for name, part in obj.items() if name not in ENVELOPE}
        if self._is_sound is None:
            self._open = _without_envelope(self.schema)
            self._is_sound = compile_check(self._open)
        errors: list[FieldError] = []
        if not self._is_sound(value):
            before: Any = ABSENT if old is None else {k: v for k, v in old.items() if k not in ENVELOPE}
            errors = list(validate_value(value, self._open, old=before))
            yield from errors
            yield from validate_lists(value, self.schema)
        if self._has_embedded:
            yield from validate_embedded(value, self.schema)
        if self._has_rules and not errors:
            yield from run_rules(obj, self.schema, old)

    def fields(self, obj: Object) -> dict[str, str]:
        """The selectable fields of an object."""
        return {name: _text(find(obj, steps)) for name, steps in self._fields.items()}


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


def _has_defaults(schema: Any) -> bool:
    if not isinstance(schema, Mapping):
        return False
    if schema.get("default") is not None:
        return True
    parts = list((schema.get("properties") or {}).values())
    return any(_has_defaults(part) for part in (*parts, schema.get("items"), schema.get("additionalProperties")))
