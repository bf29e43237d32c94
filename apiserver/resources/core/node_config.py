"""The retired dynamic kubelet configuration: what an old node still says of it stays checked.

Follows: pkg/apis/core/validation/validation.go validateNodeConfigSourceSpec, validateNodeConfigStatus
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from openapi.meta import names
from openapi.meta.field import FieldError, forbidden, invalid, required

Object = dict[str, Any]

_ONE = "exactly one reference subfield must be non-nil"


def validate_config_source(source: Object, path: str) -> Iterator[FieldError]:
    reference = source.get("configMap")
    if reference is None:
        yield invalid(path, source, _ONE)
        return
    where = f"{path}.configMap"
    for field in ("uid", "resourceVersion"):
        if reference.get(field):
            yield forbidden(f"{where}.{field}", f"{field} must not be set in spec")
    yield from _reference(reference, where)


def validate_config_status(status: Object, path: str) -> Iterator[FieldError]:
    for name in ("assigned", "active", "lastKnownGood"):
        source = status.get(name)
        if source is None:
            continue
        reference = source.get("configMap")
        if reference is None:
            yield invalid(f"{path}.{name}", source, _ONE)
            continue
        where = f"{path}.{name}.configMap"
        for field in ("uid", "resourceVersion"):
            if not reference.get(field):
                yield required(f"{where}.{field}", f"{field} must be set in status")
        yield from _reference(reference, where)


def _reference(reference: Object, path: str) -> Iterator[FieldError]:
    checks = (
        ("namespace", names.is_dns1123_label),
        ("name", names.is_dns1123_subdomain),
        ("kubeletConfigKey", names.is_config_map_key),
    )
    for field, check in checks:
        value = reference.get(field, "")
        if not value:
            yield required(f"{path}.{field}", f"{field} must be set")
            continue
        for text in check(value):
            yield invalid(f"{path}.{field}", value, text)
