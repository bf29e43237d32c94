"""Kinds that are answered and not stored: reviews and token requests. Created, never read."""

from __future__ import annotations

from typing import Any, Protocol

from apiserver.admission.plugin import CREATE, Attributes
from apiserver.registry.actions.services import Services
from apiserver.registry.bodies import judge_problems
from apiserver.registry.call import Call
from apiserver.registry.context import Context
from apiserver.registry.tables import transformed_object
from apiserver.registry.writes import check_namespace
from apiserver.resources.strategy import WriteContext
from apiserver.response import Reply, object_reply
from openapi.catalog import GroupVersionKind
from openapi.schema.load import schema_for
from openapi.schema.ownership import track_update

Object = dict[str, Any]

_SYSTEM_FIELDS = ("creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "selfLink", "uid")
"""What only the system sets."""


class Creator(Protocol):
    """From a decoded object to the answered one. Raises StatusError."""

    async def create(self, obj: Object, context: WriteContext) -> Object: ...


class UnstoredAction:
    """create of a kind that `creator` answers; `gvk` is the body's."""

    def __init__(self, services: Services, creator: Creator, gvk: GroupVersionKind) -> None:
        self._services = services
        self._creator = creator
        self._gvk = gvk

    async def create(self, context: Context) -> Reply:
        raw, gvk = await context.body(), self._gvk
        call = self._services.verbs.call(context, "CreateOptions")
        obj, problems = self._services.bodies.read_kind(raw, context.content_type, gvk, schema_for(gvk))
        judge_problems(problems, call.options.validation, gvk, call.warnings)
        meta = obj.setdefault("metadata", {})
        if not call.subresource:
            for name in _SYSTEM_FIELDS:
                meta.pop(name, None)
        check_namespace(call, meta)
        track_update(
            obj,
            None,
            manager=call.manager,
            node=schema_for(gvk),
            api_version=f"{gvk.group}/{gvk.version}",
            subresource=call.subresource,
            now=call.now_text,
        )
        await self._admit(context, call, obj)
        made = await self._creator.create(obj, call.context())
        shown = transformed_object(context.endpoint, made, context.negotiated, context.info, context.now)
        return object_reply(201, shown, context.negotiated, pretty=context.pretty)

    async def _admit(self, context: Context, call: Call, obj: Object) -> None:
        at = context.info.at
        attributes = Attributes(
            CREATE, context.endpoint.resource, at.subresource, context.namespace, at.name, obj, None, context.user,
            context.now, call.options.wire("CreateOptions"), call.options.dry_run, call.warnings, call.annotations,
        )  # fmt: skip
        await self._services.chain.mutate(attributes)
        await self._services.chain.validate(attributes)
