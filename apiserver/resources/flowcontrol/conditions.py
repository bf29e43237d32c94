"""Conditions of flow control objects: each type once, none without a type.

Follows: pkg/apis/flowcontrol/validation/validation.go ValidateFlowSchemaStatus
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from apiserver.resources.field_rules import first_use
from apiserver.resources.spec_rules import EMPTY
from openapi.meta.field import FieldError, required


def validate_conditions(obj: Mapping[str, Any]) -> Iterator[FieldError]:
    seen: set[str] = set()
    for i, condition in enumerate((obj.get("status") or EMPTY).get("conditions") or ()):
        path = f"status.conditions[{i}].type"
        yield from first_use(condition.get("type", ""), seen, path)
        if not condition.get("type"):
            yield required(path, "must not be empty")
