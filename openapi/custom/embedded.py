"""Objects inside objects: `x-kubernetes-embedded-resource`. They say what they are and have sound metadata.

Follows: staging/src/k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta/{algorithm,validation}.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from openapi.custom.structural import EMBEDDED, Schema
from openapi.meta.field import FieldError, invalid, required
from openapi.meta.metadata import validate_object_meta
from openapi.meta.names import is_dns1035_label, name_is_path_segment
from openapi.schema.copies import copied
from openapi.schema.decode import DecodeError, decode
from openapi.schema.load import OBJECT_META, node_for

Object = Mapping[str, Any]

_CASE = "may have mixed case, but should otherwise match: "


def canonical_metadata(obj: dict[str, Any], path: str) -> list[str]:
    """Bring the metadata of an embedded object to its form, in place; gives unknown fields. Raises DecodeError."""
    for name in ("apiVersion", "kind"):
        if name in obj and not isinstance(obj[name], str):
            raise DecodeError(str(invalid(f"{path}.{name}", obj[name], "must be a string")))
    meta = obj.get("metadata")
    if meta is None:
        return []
    shown = copied(meta)
    try:
        return decode(meta, node_for(OBJECT_META), at=f"{path}.metadata")
    except DecodeError as err:
        raise DecodeError(str(invalid(f"{path}.metadata", shown, str(err)))) from None


def drop_malformed(obj: dict[str, Any]) -> None:
    """Stored objects lose what is malformed in the metadata of embedded ones, in place."""
    for name in ("apiVersion", "kind"):
        if not isinstance(obj.get(name, ""), str):
            del obj[name]
    meta = obj.get("metadata")
    if not isinstance(meta, dict):
        obj.pop("metadata", None)
        return
    for name in list(meta):
        part = {name: meta.pop(name)}
        with suppress(DecodeError):
            decode(part, node_for(OBJECT_META))
            meta.update(part)


def has_embedded(schema: Any) -> bool:
    if not isinstance(schema, Mapping):
        return False
    parts = (*(schema.get("properties") or {}).values(), schema.get("items"), schema.get("additionalProperties"))
    return bool(schema.get(EMBEDDED)) or any(has_embedded(part) for part in parts)


def validate_embedded(value: Any, schema: Schema, path: str = "") -> Iterator[FieldError]:
    """What is wrong with the objects inside a value."""
    if isinstance(value, dict):
        if schema.get(EMBEDDED):
            yield from _validate_object(value, path)
        properties, extra = schema.get("properties") or {}, schema.get("additionalProperties")
        for name in sorted(value):
            where = f"{path}.{name}" if path else name
            if name in properties:
                yield from validate_embedded(value[name], properties[name], where)
            elif isinstance(extra, Mapping):
                yield from validate_embedded(value[name], extra, f"{path}[{name}]")
    elif isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        for index, item in enumerate(value):
            yield from validate_embedded(item, schema["items"], f"{path}[{index}]")


def _validate_object(obj: Object, path: str) -> Iterator[FieldError]:
    for name in ("apiVersion", "kind"):
        text = obj.get(name)
        if name not in obj or text == "":
            yield required(f"{path}.{name}")
        elif not isinstance(text, str):
            yield invalid(f"{path}.{name}", text, "must be a string")
        elif name == "apiVersion" and text.count("/") > 1:
            yield invalid(f"{path}.{name}", text, f"unexpected GroupVersion string: {text}")
        elif name == "kind":
            for problem in is_dns1035_label(text.lower()):
                yield invalid(f"{path}.{name}", text, _CASE + problem)
    meta = obj.get("metadata")
    if meta is None:
        return
    if not isinstance(meta, Mapping):
        yield invalid(f"{path}.metadata", meta, "must be an object")
        return
    named = meta if meta.get("name") else {**meta, "name": "fakename"}
    namespaced = bool(meta.get("namespace"))
    yield from validate_object_meta(named, namespaced=namespaced, name=name_is_path_segment, path=f"{path}.metadata")
