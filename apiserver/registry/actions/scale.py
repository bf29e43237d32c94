"""The scale subresource of workloads: read, replaced and patched as a Scale, stored in the workload.

Follows: pkg/registry/apps/deployment/storage/storage.go ScaleREST
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from apiserver.registry.actions.services import Services
from apiserver.registry.bodies import decode_object, judge_problems
from apiserver.registry.call import Call
from apiserver.registry.context import Context
from apiserver.registry.patch import apply_change, patch_change
from apiserver.registry.patch_bodies import APPLY_PATCH, patch_type
from apiserver.registry.tables import transformed_object
from apiserver.registry.writes import Change, check_name, check_namespace
from apiserver.resources.scale import ScaleFields, apply_scale, has_replicas, to_scale, validate_scale
from apiserver.response import Reply, object_reply
from openapi.catalog import GroupVersionKind
from openapi.meta import status
from openapi.schema.load import schema_for
from openapi.schema.ownership import scale_entries, track_update, with_scale_entries

Object = dict[str, Any]

SCALE = GroupVersionKind("autoscaling", "v1", "Scale")


class ScaleForm:
    """A workload as webhooks and policies see it when its scale is written."""

    gvk = SCALE

    def __init__(self, fields: ScaleFields) -> None:
        self._fields = fields

    def show(self, obj: Object) -> Object:
        """The object's Scale."""
        return to_scale(obj, self._fields)

    def take(self, obj: Object, shown: Object) -> Object:
        """A copy of the object with the replicas that the Scale asks for."""
        taken = copy.deepcopy(obj)
        apply_scale(taken, shown, self._fields)
        return taken


class ScaleAction:
    """get, update and patch of `<resource>/scale` for one kind."""

    def __init__(self, services: Services, fields: ScaleFields) -> None:
        self._services = services
        self._fields = fields

    @property
    def _is_custom(self) -> bool:
        """A custom kind's own validation judges the replicas."""
        return bool(self._fields.needs_spec)

    async def get(self, context: Context) -> Reply:
        at = context.info.at
        entry = await self._services.reads.get(context.endpoint, context.namespace, at.name, context.info)
        return self._reply(context, context.endpoint.object(entry))

    async def update(self, context: Context) -> Reply:
        raw = await context.body()
        call = self._services.verbs.call(context, "UpdateOptions")
        scale, problems = self._services.bodies.read_kind(raw, context.content_type, SCALE, schema_for(SCALE))
        judge_problems(problems, call.options.validation, SCALE, call.warnings)
        check_namespace(call, scale["metadata"])
        check_name(call, scale["metadata"])

        def change(current: Object | None) -> Object:
            assert current is not None
            self._check(scale)
            before, wanted = to_scale(current, self._fields), copy.deepcopy(scale)
            self._own(call, current, wanted, before)
            self._without_version(current)
            apply_scale(current, scale, self._fields)
            return current

        return await self._write(context, call, change, uid=scale["metadata"].get("uid", ""))

    async def patch(self, context: Context) -> Reply:
        media = patch_type(context.content_type, custom=context.endpoint.resource.custom)
        raw = await context.body()
        call = self._services.verbs.call(context, "PatchOptions", is_apply=media == APPLY_PATCH)
        if media == APPLY_PATCH:
            return await self._write(context, call, self._applied(call, raw))
        patched = patch_change(self._as_scale(call), media, raw)

        def change(current: Object | None) -> Object:
            assert current is not None
            scale = patched(to_scale(current, self._fields))
            decode_object(scale, schema_for(SCALE), SCALE)
            self._check(scale)
            self._own(call, current, copy.deepcopy(scale), to_scale(current, self._fields))
            self._without_version(current)
            apply_scale(current, scale, self._fields)
            return current

        reply = await self._write(context, call, change)
        return reply

    def _applied(self, call: Call, raw: bytes) -> Change:
        """The change of a workload that an applied Scale asks for; who applies it owns the replicas."""
        applied = apply_change(self._as_scale(call), raw)

        def change(current: Object | None) -> Object:
            assert current is not None
            owners = current["metadata"].get("managedFields")
            before = to_scale(current, self._fields)
            before["metadata"]["managedFields"] = scale_entries(owners, self._paths(call))
            scale = applied(before)
            self._check(scale)
            self._return_owners(call, current, owners, scale)
            self._without_version(current)
            apply_scale(current, scale, self._fields)
            return current

        return change

    def _without_version(self, current: Object) -> None:
        """The Scale's own resourceVersion counts; custom kinds are never updated without one."""
        if not self._is_custom:
            current["metadata"].pop("resourceVersion", None)

    def _as_scale(self, call: Call) -> Call:
        """The same call as seen by the patch: on an object of kind Scale."""
        return replace(call, endpoint=self._services.scale_endpoint(call.endpoint))

    def _check(self, scale: Object) -> None:
        if self._is_custom:
            return
        errors = list(validate_scale(scale))
        if errors:
            raise status.invalid(SCALE.group, SCALE.kind, scale["metadata"].get("name", ""), errors)

    def _own(self, call: Call, parent: Object, scale: Object, before: Object) -> None:
        """Carry the ownership of replicas from the Scale over to the workload."""
        paths = self._paths(call)
        owners = parent["metadata"].get("managedFields")
        before["metadata"]["managedFields"] = scale_entries(owners, paths)
        scale["metadata"]["managedFields"] = scale_entries(owners, paths)
        track_update(
            scale,
            before,
            manager=call.manager,
            node=schema_for(SCALE),
            api_version="autoscaling/v1",
            subresource="scale",
            now=call.now_text,
        )
        self._return_owners(call, parent, owners, scale)

    def _return_owners(self, call: Call, parent: Object, owners: Any, scale: Object) -> None:
        parent["metadata"]["managedFields"] = with_scale_entries(
            owners,
            scale["metadata"].get("managedFields"),
            api_version=call.endpoint.resource.api_version,
            paths=self._paths(call),
        )

    def _paths(self, call: Call) -> dict[str, tuple[str, ...]]:
        return {call.endpoint.resource.api_version: self._fields.spec_replicas}

    async def _write(self, context: Context, call: Call, change: Any, *, uid: str = "") -> Reply:
        call.tracks_ownership = False
        call.form = ScaleForm(self._fields)
        written = await self._services.writes.update(call, change, uid=uid)
        obj = written.obj if written.entry is None else context.endpoint.object(written.entry)
        reply = self._reply(context, obj)
        return reply

    def _reply(self, context: Context, obj: Object) -> Reply:
        if self._is_custom and not has_replicas(obj, self._fields):
            text = f'the spec replicas field "{self._fields.needs_spec}" does not exist'
            raise status.internal_error(text)
        scale = to_scale(obj, self._fields)
        endpoint = self._services.scale_endpoint(context.endpoint)
        shown = transformed_object(endpoint, scale, context.negotiated, context.info, context.now)
        return object_reply(200, shown, context.negotiated, pretty=context.pretty)


class CustomScale:
    """The scale of any custom kind, whose definition says where its numbers are at each version."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def get(self, context: Context) -> Reply:
        return await self._action(context).get(context)

    async def update(self, context: Context) -> Reply:
        return await self._action(context).update(context)

    async def patch(self, context: Context) -> Reply:
        return await self._action(context).patch(context)

    def _action(self, context: Context) -> ScaleAction:
        fields: ScaleFields = context.endpoint.strategy.scale  # type: ignore[attr-defined]
        return ScaleAction(self._services, fields)
