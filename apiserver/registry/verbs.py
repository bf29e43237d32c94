"""The verbs on stored resources: from a context to an answer. Watches stream theirs in `watches.py`."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from apiserver.registry.bodies import Bodies, judge_problems
from apiserver.registry.call import Call
from apiserver.registry.context import Context
from apiserver.registry.deletes import Deletes, status_of
from apiserver.registry.list_options import ListOptions, list_options
from apiserver.registry.options import WriteOptions, delete_options, write_options
from apiserver.registry.patch import apply_change, patch_change
from apiserver.registry.patch_bodies import APPLY_PATCH, patch_type
from apiserver.registry.reads import Listed, Reads
from apiserver.registry.tables import transformed_list, transformed_object
from apiserver.registry.writes import Writes, Written, check_name, check_namespace
from apiserver.resources.strategy import Strategy
from apiserver.response import JSON, PROTOBUF, Reply, encode, object_reply
from apiserver.storage.entry import Entry
from openapi.catalog import GroupVersionKind
from openapi.schema.load import node_for
from openapi.schema.ownership import manager_from_user_agent
from openapi.schema.protobuf import encode_list

Object = dict[str, Any]

DELETE_OPTIONS = GroupVersionKind("", "v1", "DeleteOptions")
PROTOBUF_BATCH = 100
"""So many messages of a list are made before others get the loop."""
_DELETE_OPTIONS_SCHEMA = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"


class Verbs:
    """create, get, list, update, patch, delete and deletecollection of every stored resource."""

    def __init__(self, reads: Reads, writes: Writes, deletes: Deletes, bodies: Bodies) -> None:
        self.reads = reads
        self.writes = writes
        self.deletes = deletes
        self.bodies = bodies

    # -- reads -------------------------------------------------------------------------------------------------

    async def get(self, context: Context) -> Reply:
        at = context.info.at
        entry = await self.reads.get(context.endpoint, context.namespace, at.name, context.info)
        return self._entry_reply(context, 200, entry)

    async def list(self, context: Context) -> Reply:
        options = list_options(context.info, context.endpoint, watching=False)
        listed = await self.reads.list(context.endpoint, context.namespace, options)
        if context.negotiated.media == PROTOBUF and not context.negotiated.form:
            return await _protobuf_list(context, listed)
        return self._list_reply(context, listed, options)

    # -- writes ------------------------------------------------------------------------------------------------

    async def create(self, context: Context) -> Reply:
        raw = await context.body()
        call = self.call(context, "CreateOptions")
        obj, problems = self.bodies.read(raw, context.content_type, context.endpoint)
        judge_problems(problems, call.options.validation, context.endpoint.resource.gvk, call.warnings)
        return self._written_reply(context, call, await self.writes.create(call, obj))

    async def update(self, context: Context) -> Reply:
        raw = await context.body()
        call = self.call(context, "UpdateOptions")
        obj, problems = self.bodies.read(raw, context.content_type, context.endpoint)
        judge_problems(problems, call.options.validation, context.endpoint.resource.gvk, call.warnings)
        check_namespace(call, obj["metadata"])
        check_name(call, obj["metadata"])
        wanted = orjson.dumps(obj)
        first: list[Object] = [obj]
        uid = obj["metadata"].get("uid", "")

        def change(_: Object | None) -> Object:
            again: Object = first.pop() if first else orjson.loads(wanted)
            return again

        allow = call.strategy.allow_create_on_update and not call.subresource
        return self._written_reply(context, call, await self.writes.update(call, change, allow_create=allow, uid=uid))

    async def patch(self, context: Context) -> Reply:
        custom = context.endpoint.resource.custom
        media = patch_type(context.content_type, custom=custom)
        raw = await context.body()
        call = self.call(context, "PatchOptions", is_apply=media == APPLY_PATCH)
        if media == APPLY_PATCH:
            call.tracks_ownership = False
            change = apply_change(call, raw)
            written = await self.writes.update(call, change, allow_create=not call.subresource)
        else:
            written = await self.writes.update(call, patch_change(call, media, raw))
        return self._written_reply(context, call, written)

    # -- deletions ---------------------------------------------------------------------------------------------

    async def delete(self, context: Context) -> Reply:
        call = self._call_for(context, WriteOptions())
        options = delete_options(context.info, self._options_body(await context.body(), context.content_type))
        call.options.dry_run = options.dry_run
        deleted = await self.deletes.delete(call, options)
        code = 202 if not deleted.gone and options.orphan is False else 200
        if deleted.gone and not call.strategy.returns_deleted:
            reply = object_reply(code, status_of(call, deleted.obj), context.negotiated, pretty=context.pretty)
        else:
            reply = self._object_reply(context, code, deleted.obj)
        return reply

    async def deletecollection(self, context: Context) -> Reply:
        call = self._call_for(context, WriteOptions())
        options = delete_options(context.info, self._options_body(await context.body(), context.content_type))
        call.options.dry_run = options.dry_run
        selected = list_options(context.info, context.endpoint, watching=False)
        listed = await self.reads.list(context.endpoint, context.namespace, selected)
        objects = await self.deletes.delete_collection(call, options, listed.entries)
        meta = {"resourceVersion": str(listed.revision)}
        body = transformed_list(context.endpoint, objects, meta, context.negotiated, context.info, context.now)
        return object_reply(200, body, context.negotiated, pretty=context.pretty)

    def _options_body(self, raw: bytes, content_type: str) -> Object | None:
        if not raw:
            return None
        node = node_for(_DELETE_OPTIONS_SCHEMA)
        document, _ = self.bodies.read_options(raw, content_type, DELETE_OPTIONS, node)
        return document

    # -- calls and replies -------------------------------------------------------------------------------------

    def call(self, context: Context, kind: str, *, is_apply: bool = False) -> Call:
        return self._call_for(context, write_options(context.info, kind, is_apply=is_apply))

    def _call_for(self, context: Context, options: WriteOptions) -> Call:
        at, endpoint = context.info.at, context.endpoint
        return Call(
            endpoint=endpoint,
            strategy=strategy_of(endpoint.strategy, at.subresource),
            subresource=at.subresource,
            namespace=context.namespace,
            name=at.name,
            user=context.user,
            now=context.now,
            options=options,
            manager=options.manager or manager_from_user_agent(context.user_agent),
            warnings=context.warnings,
            annotations=context.annotations,
        )

    def _written_reply(self, context: Context, call: Call, written: Written) -> Reply:
        reply = self._object_reply(context, 201 if written.created else 200, written.obj, written.entry)
        return reply

    def _entry_reply(self, context: Context, code: int, entry: Entry) -> Reply:
        endpoint, form = context.endpoint, context.negotiated
        if form.media == PROTOBUF and not form.form:
            return Reply(code, (endpoint.sealed(entry),), PROTOBUF)
        if form.form or form.media != JSON or context.pretty:
            return self._object_reply(context, code, endpoint.object(entry))
        return Reply(code, (endpoint.object_head, endpoint.tail(entry)))

    def _object_reply(self, context: Context, code: int, obj: Object, entry: Entry | None = None) -> Reply:
        form = context.negotiated
        if entry is not None and not form.form and form.media == JSON and not context.pretty:
            return Reply(code, (context.endpoint.object_head, context.endpoint.tail(entry)))
        if entry is not None:
            if form.media == PROTOBUF and not form.form:
                return Reply(code, (context.endpoint.sealed(entry),), PROTOBUF)
            obj = context.endpoint.object(entry)
        shown = transformed_object(context.endpoint, obj, form, context.info, context.now)
        return object_reply(code, shown, form, pretty=context.pretty)

    def _list_reply(self, context: Context, listed: Listed, options: ListOptions) -> Reply:
        endpoint, form = context.endpoint, context.negotiated
        meta = _list_meta(listed)
        if form.form or form.media != JSON or context.pretty:
            objects = [endpoint.object(e) for e in listed.entries]
            body = transformed_list(endpoint, objects, meta, form, context.info, context.now)
            return Reply(200, (encode(body, form.media, pretty=context.pretty),), form.media)
        if endpoint.resource.custom:
            meta.setdefault("continue", "")
        parts = [endpoint.list_head, orjson.dumps(meta)[1:], b',"items":[']
        opening = endpoint.object_head if endpoint.resource.custom else b"{"
        glue = b"," + opening
        if endpoint.from_storage is None:
            parts += [part for entry in listed.entries for part in (glue, entry.tail)]
        else:
            parts += [part for entry in listed.entries for part in (glue, endpoint.tail(entry))]
        if listed.entries:
            parts[3] = opening
        parts.append(b"]}")
        return Reply(200, parts)


def _list_meta(listed: Listed) -> Object:
    meta: Object = {"resourceVersion": str(listed.revision)}
    if listed.token:
        meta["continue"] = listed.token
        if listed.remaining > 0:
            meta["remainingItemCount"] = listed.remaining
    return meta


async def _protobuf_list(context: Context, listed: Listed) -> Reply:
    """A list as protobuf; what was never asked for in that form is made now, with pauses for others."""
    endpoint = context.endpoint
    messages: list[bytes] = []
    for begin in range(0, len(listed.entries), PROTOBUF_BATCH):
        messages += map(endpoint.message, listed.entries[begin : begin + PROTOBUF_BATCH])
        await asyncio.sleep(0)
    row = endpoint.resource
    return Reply(200, (encode_list(row.api_version, row.list_kind, _list_meta(listed), messages),), PROTOBUF)


def strategy_of(strategy: Strategy, subresource: str) -> Strategy:
    """The strategy that writes through a subresource; the kind's own where the subresource has none."""
    return strategy.subresources.get(subresource, strategy) if subresource else strategy
