"""What an admission plugin is: it may change an object on its way in, or refuse it.

Plugins run in the order of the chain's tuple, first everybody's `mutate` (once more for all, where a webhook or a
policy has changed the object), then, once the object is final, everybody's `validate`. They deny by raising a
StatusError.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from apiserver.resources.strategy import User
from openapi.catalog import GroupResource, GroupVersionKind, Resource
from openapi.meta import status

Object = dict[str, Any]

CREATE, UPDATE, DELETE, CONNECT = "CREATE", "UPDATE", "DELETE", "CONNECT"


class Form(Protocol):
    """How webhooks and policies see an object that is written through a subresource of another kind."""

    gvk: GroupVersionKind

    def show(self, obj: Object) -> Object:
        """The object as that kind."""

    def take(self, obj: Object, shown: Object) -> Object:
        """A copy of the object, changed as its shown form was."""


@dataclass(slots=True)
class Attributes:
    """One admission question. `obj` is None on DELETE, `old` None on CREATE; both are at the version of `resource`,
    which is that of the store unless a webhook converts. `requested` is the version that was asked for, if another.

    `options` are the request's CreateOptions, UpdateOptions or DeleteOptions. Texts put into `warnings` are sent as
    Warning headers; `annotations` go to the audit log.
    """

    operation: str
    resource: Resource
    subresource: str
    namespace: str
    name: str
    obj: Object | None
    old: Object | None
    user: User
    now: datetime
    options: Object = field(default_factory=dict)
    dry_run: bool = False
    warnings: list[str] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)
    requested: Resource | None = None
    form: Form | None = None
    round: int = 0
    """1 while the mutating plugins run for the second time."""
    is_changed: bool = False
    """Whether a webhook or policy has changed the object, so that all are asked once more."""
    memory: dict[str, Any] = field(default_factory=dict)
    """What plugins keep from their first round to the second."""


class Plugin:
    """Base of all plugins. Class data says what it wants to see; None means everything."""

    name: str = ""
    operations: frozenset[str] = frozenset((CREATE, UPDATE))
    resources: frozenset[GroupResource] | None = None
    subresources: frozenset[str] | None = frozenset(("",))

    async def mutate(self, attributes: Attributes) -> None:
        """Change `attributes.obj` in place, or raise a StatusError."""

    async def validate(self, attributes: Attributes) -> None:
        """Raise a StatusError to refuse."""


def wants(plugin: Plugin, operation: str, gr: GroupResource, subresource: str) -> bool:
    """Whether the plugin's class data matches a question."""
    return (
        operation in plugin.operations
        and (plugin.resources is None or gr in plugin.resources)
        and (plugin.subresources is None or subresource in plugin.subresources)
    )


def forbidden(attributes: Attributes, why: str) -> status.StatusError:
    """The refusal of a plugin, in the name of the object; of its generateName while the name is not there yet."""
    name = attributes.name
    if not name and attributes.obj is not None:
        meta = attributes.obj.get("metadata") or {}
        name = meta.get("name") or meta.get("generateName") or ""
    row = attributes.resource
    return status.forbidden(row.group, row.resource, name or "Unknown", why)
