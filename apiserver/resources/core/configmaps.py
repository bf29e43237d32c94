"""ConfigMaps: keys that can be file names, one namespace of keys for text and bytes, and an immutable mode.

Follows: pkg/registry/core/configmap/strategy.go, pkg/apis/core/validation/validation.go ValidateConfigMap
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from apiserver.resources.age import age
from apiserver.resources.core import columns
from apiserver.resources.field_rules import unchanged_when_locked
from apiserver.resources.object_meta import validate_object_meta, validate_object_meta_update
from apiserver.resources.strategy import Object, Strategy, WriteContext
from openapi.meta import names
from openapi.meta.field import FieldError, invalid, too_long

MAX_BYTES = 1 << 20


class ConfigMaps(Strategy):
    columns = columns.CONFIG_MAP

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        if old is not None:
            yield from validate_object_meta_update(obj["metadata"], old["metadata"])
            yield from unchanged_when_locked(obj, old, ("data", "binaryData"))
        yield from validate_object_meta(obj["metadata"], namespaced=True, name=names.name_is_dns_subdomain)
        data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
        total = 0
        for key in sorted(data):
            for text in names.is_config_map_key(key):
                yield invalid(f"data[{key}]", key, text)
            if key in binary:
                yield invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
            total += names.size(data[key])
        for key in sorted(binary):
            for text in names.is_config_map_key(key):
                yield invalid(f"binaryData[{key}]", key, text)
            total += decoded_size(binary[key])
        if total > MAX_BYTES:
            yield too_long("[]", MAX_BYTES)

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta = obj["metadata"]
        count = len(obj.get("data") or ()) + len(obj.get("binaryData") or ())
        return [meta["name"], count, age(meta.get("creationTimestamp"), now)]


def decoded_size(text: str) -> int:
    """How many bytes a base64 text stands for."""
    return len(text) // 4 * 3 - text.count("=", -2) if text else 0
