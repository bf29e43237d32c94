"""Bindings: the wish that a pod run on a node.

Follows: pkg/apis/core/validation/validation.go ValidatePodBinding
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from openapi.meta.field import FieldError, invalid, not_supported_listed, required
from openapi.meta.names import is_dns1123_subdomain

_NODE_KINDS = ("Node", "<empty>")


def validate_binding(binding: Mapping[str, Any]) -> Iterator[FieldError]:
    target = binding.get("target") or {}
    kind, name = target.get("kind", ""), target.get("name", "")
    if kind not in ("", "Node"):
        yield not_supported_listed("target.kind", kind, _NODE_KINDS)
    if not name:
        yield required("target.name")
    elif kind in ("", "Node"):
        for problem in is_dns1123_subdomain(name):
            yield invalid("target.name", name, problem)
