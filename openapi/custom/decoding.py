"""Bodies of custom resources: metadata as in every object, the rest pruned and defaulted by the structural schema.

Wrong types are not refused here: validation names them all. Works in place.
Follows: staging/src/k8s.io/apiextensions-apiserver/pkg/apiserver/schema/{pruning,defaulting}/algorithm.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from openapi.catalog import GroupVersionKind, api_version
from openapi.custom.embedded import canonical_metadata, drop_malformed
from openapi.custom.structural import EMBEDDED, PRESERVE, Schema
from openapi.schema.copies import copied
from openapi.schema.decode import decode
from openapi.schema.load import OBJECT_META, node_for

Object = dict[str, Any]

ENVELOPE = ("apiVersion", "kind", "metadata")
_EXPONENT_FROM = 1e21
"""Go writes whole floats up to here without an exponent, so they read back as integers."""
_ANYTHING: Schema = {PRESERVE: True}


def decode_custom(obj: Any, schema: Schema | None, gvk: GroupVersionKind | None) -> list[str]:
    """Bring a parsed body to the form that is stored; gives `unknown field "spec.x"` texts. Raises DecodeError."""
    meta_node = node_for(OBJECT_META)
    unknown: list[str] = []
    if gvk is not None:
        obj["kind"] = obj.get("kind") or gvk.kind
        obj["apiVersion"] = obj.get("apiVersion") or api_version(gvk.group, gvk.version)
    meta = obj.get("metadata")
    if meta is None:
        obj["metadata"] = {}
    else:
        unknown += decode(meta, meta_node, at="metadata")
    for name, value in obj.items():
        if name not in ENVELOPE:
            obj[name] = _canonical(value)
    pruned = sorted(_prune_object(obj, schema or _ANYTHING, "", is_resource=True, is_stored=False))
    unknown += [f'unknown field "{path}"' for path in pruned]
    default_custom(obj, schema)
    return unknown


def default_custom(obj: Object, schema: Schema | None) -> None:
    """Fill in the schema's defaults, not those of metadata."""
    if schema is not None:
        _default_object(obj, schema, skip=frozenset(ENVELOPE))


def prune_custom(obj: Object, schema: Schema | None) -> None:
    """Drop what the schema does not know."""
    for _ in _prune_object(obj, schema or _ANYTHING, "", is_resource=True, is_stored=True):
        continue


def is_pruned(value: Any, schema: Schema) -> bool:
    """Whether a value (a default) has no unknown fields."""
    return not any(_prune(copied(value), schema, "", is_stored=True))


def _canonical(value: Any) -> Any:
    """Whole floats become integers, as Go would write them."""
    kind = value.__class__
    if kind is float:
        return int(value) if value.is_integer() and abs(value) < _EXPONENT_FROM else value
    if kind is dict:
        for name, item in value.items():
            if item.__class__ in (float, dict, list):
                value[name] = _canonical(item)
    elif kind is list:
        for index, item in enumerate(value):
            if item.__class__ in (float, dict, list):
                value[index] = _canonical(item)
    return value


def _prune(value: Any, schema: Schema, path: str, *, is_stored: bool) -> Iterator[str]:
    """Drop unknown fields, giving their paths, and nulls that stand for nothing.

    Raises DecodeError for malformed metadata unless it is stored.
    """
    if isinstance(value, dict):
        yield from _prune_object(value, schema, path, is_resource=bool(schema.get(EMBEDDED)), is_stored=is_stored)
    elif isinstance(value, list):
        items = schema.get("items")
        below = items if isinstance(items, Mapping) else (_ANYTHING if schema.get(PRESERVE) else {})
        for index, item in enumerate(value):
            yield from _prune(item, below, f"{path}[{index}]", is_stored=is_stored)


def _prune_object(obj: Object, schema: Schema, path: str, *, is_resource: bool, is_stored: bool) -> Iterator[str]:
    properties = schema.get("properties") or {}
    extra = schema.get("additionalProperties")
    keeps = bool(schema.get(PRESERVE)) or extra is True
    if is_resource and path:
        if is_stored:
            drop_malformed(obj)
        for text in canonical_metadata(obj, path):
            yield text.removeprefix('unknown field "').removesuffix('"')
    for name in list(obj):
        if is_resource and name in ENVELOPE:
            continue
        below = properties.get(name)
        if below is None and isinstance(extra, Mapping):
            below = extra
        where = f"{path}.{name}" if path else name
        if below is not None and obj[name] is None and not below.get("nullable") and below.get("default") is None:
            del obj[name]
        elif below is not None:
            yield from _prune(obj[name], below, where, is_stored=is_stored)
        elif not keeps:
            del obj[name]
            yield where


def _default(value: Any, schema: Schema) -> None:
    if isinstance(value, dict):
        skip = frozenset(ENVELOPE) if schema.get(EMBEDDED) else frozenset()
        _default_object(value, schema, skip=skip)
    elif isinstance(value, list):
        items = schema.get("items")
        if isinstance(items, Mapping):
            for index, item in enumerate(value):
                if item is None and not items.get("nullable") and items.get("default") is not None:
                    value[index] = copied(items["default"])
                _default(value[index], items)


def _default_object(obj: Object, schema: Schema, *, skip: frozenset[str]) -> None:
    """A null stands for nothing where it is not allowed and there is a default."""
    properties = schema.get("properties") or {}
    for name, below in properties.items():
        if name in skip:
            continue
        default = below.get("default")
        if default is not None and (name not in obj or (obj[name] is None and not below.get("nullable"))):
            obj[name] = copied(default)
        if name in obj:
            _default(obj[name], below)
    extra = schema.get("additionalProperties")
    if isinstance(extra, Mapping):
        for name, value in obj.items():
            if name not in properties and name not in skip:
                if value is None and not extra.get("nullable") and extra.get("default") is not None:
                    obj[name] = copied(extra["default"])
                _default(obj[name], extra)
