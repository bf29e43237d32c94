"""The request as a webhook or policy sees it: at the version of the resource that its rules name.

Follows: staging/src/k8s.io/apiserver/pkg/admission/plugin/webhook/generic/{webhook,conversion}.go
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from apiserver.admission.plugin import Attributes
from openapi.catalog import Resource
from openapi.schema.decode import decode
from openapi.schema.defaults import apply_defaults
from openapi.schema.node import Node

Object = dict[str, Any]


class Versions(Protocol):
    """The versions that a resource is served at."""

    def others(self, row: Resource) -> Sequence[Resource]:
        """The same objects' other versions, also those in other groups."""

    def node(self, row: Resource) -> Node:
        """The schema of a version."""

    async def convert(self, obj: Object, have: Resource, want: Resource) -> Object:
        """An object at another version. Raises StatusError."""


async def view_of(attributes: Attributes, row: Resource, versions: Versions) -> Attributes:
    """The same question with its objects at the version of `row`. Raises StatusError."""
    have, form = attributes.resource, attributes.form
    if form is None and row is have:
        return attributes

    async def shown(obj: Object | None) -> Object | None:
        if obj is None or form is not None:
            return obj if obj is None or form is None else form.show(obj)
        return await versions.convert(obj, have, row)

    return replace(
        attributes,
        obj=await shown(attributes.obj),
        old=await shown(attributes.old),
        resource=row,
        requested=attributes.requested or have,
    )


async def take_back(attributes: Attributes, view: Attributes, changed: Object, versions: Versions) -> bool:
    """Change the question's object as `changed` says, which was made of the view's; whether that made a difference.

    Raises DecodeError and StatusError.
    """
    assert attributes.obj is not None
    before = view.obj
    _complete(view, changed, versions)
    if attributes.form is not None:
        attributes.obj = attributes.form.take(attributes.obj, changed)
    elif view.resource is attributes.resource:
        attributes.obj = changed
    else:
        attributes.obj = await versions.convert(changed, view.resource, attributes.resource)
    view.obj = changed
    if changed != before:
        attributes.is_changed = True
    return bool(changed != before)


def _complete(view: Attributes, changed: Object, versions: Versions) -> None:
    row = view.resource
    if view.form is not None or changed.get("kind") != row.kind:
        return
    decode(changed, versions.node(row), row.gvk)
    if not row.custom:
        apply_defaults(changed, row.gvk)
