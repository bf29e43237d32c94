"""Pod templates, as every workload carries one: what is wrong with them and what they should warn of.

`old` is the template as stored, or None on create: some rules are laxer for a value that was already there.
Follows: pkg/apis/core/validation/validation.go ValidatePodTemplateSpec, pkg/api/pod/util.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from openapi.meta.field import FieldError

Object = dict[str, Any]
Template = Mapping[str, Any]


def drop_disabled_template_fields(template: Object, old: Template | None = None) -> None:
    """Remove in place what only features that are off would use, unless the stored template already uses it."""


def validate_pod_template(template: Template, path: str, old: Template | None = None) -> Iterator[FieldError]:
    """All that is wrong with a template at `path` (`spec.template`): labels, annotations, spec."""
    yield from ()


def pod_template_warnings(template: Template, path: str, old: Template | None = None) -> list[str]:
    """The Warning texts of a template at `path`."""
    return []
