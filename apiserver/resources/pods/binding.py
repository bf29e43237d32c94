"""Bindings: the wish that a pod run on a node.

Follows: pkg/apis/core/validation/validation.go ValidatePodBinding
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from openapi.meta.field import FieldError, not_supported_listed, required

_NODE_KINDS = ("Node", "<empty>")


def validate_binding(binding: Mapping[str, Any]) -> Iterator[FieldError]:
    target = binding.get("target") or {}
    kind = target.get("kind", "")
    if kind not in ("", "Node"):
        yield not_supported_listed("target.kind", kind, _NODE_KINDS)
    if not target.get("name"):
        yield required("target.name")
