"""The rules of the schemas of custom resources: what a schema may say, and that it is structural.

Follows: apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go
ValidateCustomResourceDefinitionOpenAPISchema, pkg/apiserver/schema/{validation,complete}.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openapi.custom.decoding import is_pruned
from openapi.custom.patterns import pattern_problem
from openapi.custom.rule_costs import validate_costs
from openapi.custom.rules import validate_rule_texts, validate_rules
from openapi.custom.structural import EMBEDDED, INT_OR_STRING, LIST_KEYS, LIST_TYPE, MAP_TYPE, PRESERVE, RULES, Schema
from openapi.custom.validation import validate_value
from openapi.meta.field import FieldError, forbidden, invalid, not_supported, not_supported_listed, required

TYPES = ("array", "boolean", "integer", "number", "object", "string")
_UNSUPPORTED = ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref")
_LOGIC = ("allOf", "oneOf", "anyOf")
_META_FIELDS = frozenset(("metadata", "kind", "apiVersion"))
_LIST_TYPES = ("atomic", "set", "map")
_MAP_TYPES = ("atomic", "granular")
_INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]
_STRUCTURAL = "to be structural"
_NO_METADATA = "must not specify anything other than name and generateName, but metadata is implicitly specified"
_EMPTY = {"root": "at the root", "item": "for specified array items", "field": "for specified object fields"}
# What logic may not say, and how that is put.
_NOT_NESTED = (
    ("type", "empty"),
    ("additionalProperties", "undefined"),
    ("default", "undefined"),
    ("title", "empty"),
    ("description", "empty"),
    ("nullable", "false"),
    ("externalDocs", "undefined"),
    (PRESERVE, "false"),
    (EMBEDDED, "false"),
    (INT_OR_STRING, "false"),
    (LIST_KEYS, "empty"),
    (LIST_TYPE, "undefined"),
    (MAP_TYPE, "undefined"),
    (RULES, "empty"),
)


def validate_schema(schema: Schema, path: str) -> Iterator[FieldError]:
    """A whole `openAPIV3Schema`. Defaults are judged only once it is structural, rules once all of it is sound.

    A schema with words that structural ones cannot have is told of those alone.
    """
    if schema.get("nullable"):
        yield forbidden(f"{path}.nullable", "nullable cannot be true at the root")
    structural: list[FieldError] = []
    is_readable = not _has_unsupported(schema)
    if is_readable:
        structural = sorted([*_invariants(schema, "root", path), *_complete(schema, schema, path, path)], key=str)
        structural = structural or list(_validate_defaults(schema, path))
    yield from structural
    errors = list(_validate_part(schema, path, _Place(is_root=True)))
    yield from errors
    if is_readable and not structural:
        problems = list(validate_rules(schema, path, [error.path for error in errors]))
        yield from problems
        if not errors and not problems:
            yield from validate_costs(schema, path)


def _has_unsupported(schema: Schema) -> bool:
    if schema.get("type") == "null" or isinstance(schema.get("items"), list) or any(map(schema.get, _UNSUPPORTED)):
        return True
    parts = [*(schema.get("properties") or {}).values(), *(part for word in _LOGIC for part in schema.get(word) or ())]
    below = map(schema.get, ("not", "items", "additionalProperties"))
    parts += [part for part in below if isinstance(part, Mapping)]
    return any(map(_has_unsupported, parts))


# -- what a schema may say ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in an object a part is: why a default may not be there ('' allows it), and whether it is metadata."""

    is_root: bool = False
    no_defaults: str = ""
    in_meta: bool = False

    def below(self, name: str, schema: Schema) -> _Place:
        """The place of a property."""
        if name not in _META_FIELDS or not (self.is_root or schema.get(EMBEDDED)):
            return _Place(False, self.no_defaults, self.in_meta)
        return _Place(False, f"in top-level {name}" if self.is_root else self.no_defaults, True)

    def inside(self) -> _Place:
        return _Place(False, self.no_defaults, self.in_meta)

    def extra(self) -> _Place:
        text = "inside additionalProperties applying to object metadata"
        return _Place(False, text if self.in_meta else self.no_defaults, self.in_meta)


def _validate_part(schema: Schema, path: str, place: _Place) -> Iterator[FieldError]:
    yield from _validate_keywords(schema, path, place)
    extra, properties = schema.get("additionalProperties"), schema.get("properties") or {}
    if extra is not None and properties and (extra is False or isinstance(extra, Mapping)):
        yield forbidden(f"{path}.additionalProperties", "additionalProperties and properties are mutual exclusive")
    if isinstance(extra, Mapping):
        yield from _validate_part(extra, f"{path}.additionalProperties", place.extra())
    for name in sorted(properties):
        yield from _validate_part(properties[name], f"{path}.properties[{name}]", place.below(name, schema))
    if isinstance(schema.get("not"), Mapping):
        yield from _validate_part(schema["not"], f"{path}.not", place.inside())
    for word in _LOGIC:
        for i, part in enumerate(schema.get(word) or ()):
            yield from _validate_part(part, f"{path}.{word}[{i}]", place.inside())
    items = schema.get("items")
    if isinstance(items, Mapping):
        yield from _validate_part(items, f"{path}.items", place.inside())
    yield from _validate_extensions(schema, path)
    if isinstance(items, Mapping):
        yield from _validate_keys(schema, items, f"{path}.items")
    yield from validate_rule_texts(schema, path)


def _validate_keywords(schema: Schema, path: str, place: _Place) -> Iterator[FieldError]:
    kind = schema.get("type", "")
    if kind and kind not in TYPES:
        yield not_supported(f"{path}.type", kind, TYPES)
    if schema.get("default") is not None and place.no_defaults:
        yield forbidden(f"{path}.default", f"must not be set {place.no_defaults}")
    for word in _UNSUPPORTED:
        if schema.get(word):
            yield forbidden(f"{path}.{word}", f"{word} is not supported")
    if kind == "null":
        yield forbidden(f"{path}.type", "type cannot be set to null, use nullable as an alternative")
    if isinstance(schema.get("items"), list):
        yield forbidden(f"{path}.items", "items must be a schema object and not an array")
    if place.in_meta and schema.get(EMBEDDED):
        yield forbidden(f"{path}.{EMBEDDED}", "must not be used inside of resource meta")
    if schema.get("uniqueItems"):
        text = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield forbidden(f"{path}.uniqueItems", text)


def _validate_extensions(schema: Schema, path: str) -> Iterator[FieldError]:
    kind, map_type, list_type = schema.get("type", ""), schema.get(MAP_TYPE), schema.get(LIST_TYPE)
    if schema.get(PRESERVE) is False:
        yield invalid(f"{path}.{PRESERVE}", False, "must be true or undefined")
    if map_type is not None:
        yield from _needs_type(kind, "object", MAP_TYPE, path)
        if map_type not in _MAP_TYPES:
            yield not_supported_listed(f"{path}.{MAP_TYPE}", map_type, _MAP_TYPES)
    keys = schema.get(LIST_KEYS) or ()
    if list_type is not None:
        yield from _needs_type(kind, "array", LIST_TYPE, path)
        if list_type == "set" and kind == "array" and isinstance(schema.get("items"), Mapping):
            yield from _validate_set_items(schema["items"], f"{path}.items")
        if list_type not in _LIST_TYPES:
            yield not_supported_listed(f"{path}.{LIST_TYPE}", list_type, _LIST_TYPES)
    if keys and list_type != "map":
        text = f"must be map if {LIST_KEYS} is non-empty"
        yield (
            required(f"{path}.{LIST_TYPE}", text)
            if list_type is None
            else invalid(f"{path}.{LIST_TYPE}", list_type, text)
        )
    if list_type == "map":
        yield from _validate_map_list(schema, keys, path)


def _needs_type(kind: str, wanted: str, extension: str, path: str) -> Iterator[FieldError]:
    text = f"must be {wanted} if {extension} is specified"
    if not kind:
        yield required(f"{path}.type", text)
    elif kind != wanted:
        yield invalid(f"{path}.type", kind, text)


def _validate_map_list(schema: Schema, keys: Sequence[str], path: str) -> Iterator[FieldError]:
    items, parent = schema.get("items"), "if parent array's x-kubernetes-list-type is map"
    if not keys:
        yield required(f"{path}.{LIST_KEYS}", "must not be empty if x-kubernetes-list-type is map")
    if items is None:
        yield required(f"{path}.items", "must have a schema if x-kubernetes-list-type is map")
        return
    if not isinstance(items, Mapping):
        return
    kind = items.get("type", "")
    if kind != "object":
        yield invalid(f"{path}.items.type", kind, f"must be object {parent}")
        return
    properties = items.get("properties") or {}
    seen: set[str] = set()
    for key in keys:
        found = properties.get(key)
        if found is None:
            yield invalid(f"{path}.{LIST_KEYS}", list(keys), "entries must all be names of item properties")
        elif found.get("type") in ("array", "object"):
            yield invalid(f"{path}.items.properties[{key}].type", kind, f"must be a scalar type {parent}")
        if key in seen:
            yield invalid(f"{path}.{LIST_KEYS}", list(keys), "must not contain duplicate entries")
        seen.add(key)


def _validate_set_items(items: Schema, path: str) -> Iterator[FieldError]:
    text = "must be atomic as item of a list with x-kubernetes-list-type=set"
    if items.get("type") == "array" and items.get(LIST_TYPE, "atomic") != "atomic":
        yield invalid(f"{path}.{LIST_TYPE}", items[LIST_TYPE], text)
    elif items.get("type") == "object" and items.get(MAP_TYPE) != "atomic":
        yield invalid(f"{path}.{MAP_TYPE}", items.get(LIST_TYPE), text)  # The value shown is the API's own slip.


def _validate_keys(schema: Schema, items: Schema, path: str) -> Iterator[FieldError]:
    """Items of sets and maps are never null, and the keys of maps are always there."""
    kind = schema.get(LIST_TYPE)
    if kind in ("map", "set") and items.get("nullable"):
        yield forbidden(f"{path}.nullable", f"cannot be nullable when x-kubernetes-list-type is {kind}")
    if kind != "map":
        return
    needed, properties = items.get("required") or (), items.get("properties") or {}
    text = "this property is in x-kubernetes-list-map-keys, so it"
    for key in schema.get(LIST_KEYS) or ():
        found = properties.get(key)
        if found is None:
            continue
        if key not in needed and found.get("default") is None:
            problem = f"{text} must have a default or be a required property"
            yield required(f"{path}.properties[{key}].default", problem)
        if found.get("nullable"):
            yield forbidden(f"{path}.properties[{key}].nullable", f"{text} cannot be nullable")


# -- structural --------------------------------------------------------------------------------------------------


def _invariants(schema: Schema, level: str, path: str) -> Iterator[FieldError]:
    kind, items, extra = schema.get("type", ""), schema.get("items"), schema.get("additionalProperties")
    properties = schema.get("properties") or {}
    if kind == "array" and items is None:
        yield required(f"{path}.items", "must be specified")
    if isinstance(items, Mapping):
        yield from _invariants(items, "item", f"{path}.items")
    for name, below in properties.items():
        yield from _invariants(below, "field", f"{path}.properties[{name}]")
    if extra is not None:
        if level == "root":
            yield forbidden(f"{path}.additionalProperties", "must not be used at the root")
        if isinstance(extra, Mapping):
            yield from _invariants(extra, "field", f"{path}.additionalProperties")
    if schema.get(INT_OR_STRING):
        for word in (PRESERVE, EMBEDDED):
            if schema.get(word):
                yield invalid(f"{path}.{word}", True, f"must be false if {INT_OR_STRING} is true")
    skip_first = bool(schema.get("allOf")) and schema["allOf"][0].get("anyOf") == _INT_OR_STRING
    yield from _values(schema, path, skip_any=schema.get("anyOf") == _INT_OR_STRING, skip_first=skip_first)
    yield from _typed(schema, level, path)
    yield from _envelope(schema, level, path)


def _typed(schema: Schema, level: str, path: str) -> Iterator[FieldError]:
    kind, embedded = schema.get("type", ""), schema.get(EMBEDDED)
    if embedded and kind != "object":
        text = f"must be object if {EMBEDDED} is true"
        yield required(f"{path}.type", text) if not kind else invalid(f"{path}.type", kind, text)
    elif not kind and not schema.get(INT_OR_STRING) and not schema.get(PRESERVE):
        yield required(f"{path}.type", f"must not be empty {_EMPTY[level]}")
    if embedded and schema.get("additionalProperties") is not None:
        yield forbidden(f"{path}.additionalProperties", f"must not be used if {EMBEDDED} is set")
    if level == "root" and kind and kind != "object":
        yield invalid(f"{path}.type", kind, "must be object at the root")


def _envelope(schema: Schema, level: str, path: str) -> Iterator[FieldError]:
    """Kind, apiVersion and metadata are every object's own."""
    properties, embedded = schema.get("properties") or {}, schema.get(EMBEDDED)
    is_object = level == "root" or bool(embedded)
    for name in ("kind", "apiVersion"):
        if is_object and name in properties and properties[name].get("type") != "string":
            where = f"{path}.properties[{name}].type"
            yield invalid(where, properties[name].get("type", ""), "must be string")
    metadata = properties.get("metadata")
    if metadata is not None:
        where = f"{path}.properties[metadata]"
        if is_object and metadata.get("type") != "object":
            yield invalid(f"{where}.type", metadata.get("type", ""), "must be object")
        if level == "root" and not _is_name_only(metadata):
            yield forbidden(where, _NO_METADATA)
    if embedded and not schema.get(PRESERVE) and not properties:
        text = f"must not be empty if {EMBEDDED} is true without {PRESERVE}"
        yield required(f"{path}.properties", text)


def _is_name_only(metadata: Schema) -> bool:
    rest = {k: v for k, v in metadata.items() if k not in ("type", "default", "properties") and v}
    return not rest and set(metadata.get("properties") or ()) <= {"name", "generateName"}


def _values(schema: Schema, path: str, *, skip_any: bool, skip_first: bool) -> Iterator[FieldError]:
    if not skip_any:
        for i, part in enumerate(schema.get("anyOf") or ()):
            yield from _nested(part, f"{path}.anyOf[{i}]")
    for i, part in enumerate(schema.get("allOf") or ()):
        yield from _nested(part, f"{path}.allOf[{i}]", skip_any=skip_first and i == 0)
    for i, part in enumerate(schema.get("oneOf") or ()):
        yield from _nested(part, f"{path}.oneOf[{i}]")
    if isinstance(schema.get("not"), Mapping):
        yield from _nested(schema["not"], f"{path}.not")
    pattern = schema.get("pattern")
    problem = pattern_problem(pattern) if pattern else ""
    if problem:
        yield invalid(f"{path}.pattern", pattern, f"must be a valid regular expression, but isn't: {problem}")


def _nested(schema: Schema, path: str, *, skip_any: bool = False) -> Iterator[FieldError]:
    """What stands below logic may only restrict values."""
    yield from _values(schema, path, skip_any=skip_any, skip_first=False)
    if isinstance(schema.get("items"), Mapping):
        yield from _nested(schema["items"], f"{path}.items")
    properties = schema.get("properties") or {}
    for name, below in properties.items():
        yield from _nested(below, f"{path}.properties[{name}]")
    for word, state in _NOT_NESTED:
        value = schema.get(word)
        if value or (value is not None and word == "default"):
            yield forbidden(f"{path}.{word}", f"must be {state} {_STRUCTURAL}")
    if "metadata" in properties:
        yield forbidden(f"{path}.properties[metadata]", "must not be specified in a nested context")


def _complete(logic: Schema, schema: Schema, place: str, path: str) -> Iterator[FieldError]:
    """Every field that the root's logic speaks of is also specified outside of it."""
    parts = [(f"{path}.{word}[{i}]", part) for word in _LOGIC for i, part in enumerate(logic.get(word) or ())]
    if isinstance(logic.get("not"), Mapping):
        parts.insert(0, (f"{path}.not", logic["not"]))
    for where, part in parts:
        yield from _complete_part(part, schema, place, where)


def _complete_part(part: Schema, schema: Schema | None, place: str, path: str) -> Iterator[FieldError]:
    if schema is None:
        yield required(place, f"because it is defined in {path}")
        return
    yield from _complete(part, schema, place, path)
    if isinstance(part.get("items"), Mapping):
        items = schema.get("items")
        below = items if isinstance(items, Mapping) else None
        yield from _complete_part(part["items"], below, f"{place}.items", f"{path}.items")
    known = schema.get("properties") or {}
    for name, value in (part.get("properties") or {}).items():
        where = f"{path}.properties[{name}]"
        yield from _complete_part(value, known.get(name), f"{place}.properties[{name}]", where)


# -- defaults ----------------------------------------------------------------------------------------------------


def _validate_defaults(schema: Schema, path: str) -> Iterator[FieldError]:
    default: Any = schema.get("default")
    if default is not None:
        if not is_pruned(default, schema):
            yield invalid(f"{path}.default", default, "must not have unknown fields")
        yield from validate_value(default, schema, f"{path}.default")
    if isinstance(schema.get("items"), Mapping):
        yield from _validate_defaults(schema["items"], f"{path}.items")
    for name, below in (schema.get("properties") or {}).items():
        yield from _validate_defaults(below, f"{path}.properties[{name}]")
