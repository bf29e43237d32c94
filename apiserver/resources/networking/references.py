"""References to an object of any kind, by group, kind and name.

Follows: pkg/apis/networking/validation/validation.go validateIngressTypedLocalObjectReference
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from apiserver.resources.field_rules import named
from openapi.meta.field import FieldError, required
from openapi.meta.names import is_dns1123_subdomain, is_path_segment


def validate_typed_reference(reference: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    group = reference.get("apiGroup")
    if group is not None:
        yield from named(is_dns1123_subdomain, group, f"{path}.apiGroup")
    for name in ("kind", "name"):
        value = reference.get(name, "")
        if not value:
            yield required(f"{path}.{name}")
        else:
            yield from named(is_path_segment, value, f"{path}.{name}")
