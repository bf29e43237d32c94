"""Watches: the present state if asked for, then events as ready frames, bookmarks, and an end at the time-out.

Follows: staging/src/k8s.io/apiserver/pkg/endpoints/handlers/watch.go and storage/cacher/cache_watcher.go
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from sys import intern
from typing import Any

import orjson

from apiserver.registry.context import Context
from apiserver.registry.endpoint import Endpoint
from apiserver.registry.list_options import ListOptions, list_options
from apiserver.registry.reads import Reads
from apiserver.registry.tables import column_definitions, include_object, transformed_object
from apiserver.response import JSON, PROTOBUF, Reply, encode, head
from apiserver.storage.backend import Compacted
from apiserver.storage.entry import Entry
from apiserver.storage.store import Store
from apiserver.storage.watcher import WatchEnded, Watcher
from apiserver.websockets import BadHandshake, Messages, close_messages, open_events, refuse, wants_websocket
from openapi.meta import status
from openapi.schema.protobuf import encode_event

Object = dict[str, Any]
Frame = Callable[[str, Entry, int], bytes]
Convert = Callable[[list[bytes]], Awaitable[list[bytes]]]

MIN_TIMEOUT_S = 1800.0
"""A watch without a time-out lasts this long, up to twice as long."""
BOOKMARK_EVERY_S = 60.0
BOOKMARK_BEFORE_END_S = 2.0
INITIAL_END = "k8s.io/initial-events-end"
QUEUE_LIMIT = 4096
_LENGTH_BYTES = 4
STORED_FORM = "stored"
INITIAL_BATCH = 200
"""Initial events are sent so many at a time, so that others get the loop in between."""


class Watches:
    """Streams watches to clients."""

    def __init__(self, store: Store, reads: Reads) -> None:
        self._store = store
        self._reads = reads
        self.open = 0

    async def watch(self, context: Context) -> int:
        """Send the whole stream; returns when it ends, with the answer's code."""
        options = list_options(context.info, context.endpoint, watching=True)
        if context.info.at.name:
            options.name = options.name or context.info.at.name
        if context.negotiated.form == "Table":
            include_object(context.info)
        stream = (_Socket if wants_websocket(context) else _Stream)(context, self._frame(context))
        stream.is_unshowable = context.negotiated.form == "PartialObjectMetadataList"
        if context.endpoint.conversion is not None:
            stream.convert = _converter(context)
        self.open += 1
        try:
            await self._run(context, options, stream)
        finally:
            self.open -= 1
            stream.close()
        return 200

    async def _run(self, context: Context, options: ListOptions, stream: _Stream) -> None:
        initial = options.resource_version in (None, 0)
        if options.initial_events is not None:
            initial = options.initial_events
        entries: list[Entry] = []
        after = options.resource_version
        if initial or not after:
            wanted = ListOptions(
                options.labels, options.fields, options.name, options.namespace, after, "", 0, "", None, False, None
            )
            listed = await self._reads.list(context.endpoint, context.namespace, wanted)
            after = listed.revision
            entries = list(listed.entries) if initial else []
        assert after is not None
        watcher = self._watcher(context, options, after, _stored_frame if stream.convert else stream.frame)
        gone: asyncio.Future[None] | None = None
        try:
            if not await stream.start():
                return
            gone = asyncio.ensure_future(stream.until_gone())
            gone.add_done_callback(lambda _: watcher.close())
            if stream.is_unshowable and entries:
                await stream.end()
                return
            watcher.sink = stream.sink()
            for begin in range(0, len(entries), INITIAL_BATCH):
                await stream.send(
                    [stream.frame("ADDED", e, e.revision) for e in entries[begin : begin + INITIAL_BATCH]]
                )
            if options.initial_events and options.bookmarks:
                await stream.bookmark(after, initial_end=True)
            await self._follow(options, watcher, stream)
        except status.StatusError as err:
            await stream.error(err)
        except WatchEnded as err:
            if isinstance(err.cause, Compacted):
                await stream.error(status.expired(f"too old resource version: {after} ({err.cause.oldest})"))
                return
        finally:
            if gone is not None:
                gone.cancel()
            watcher.close()
        await stream.end()

    async def _follow(self, options: ListOptions, watcher: Watcher, stream: _Stream) -> None:
        lasts = options.timeout_s if options.timeout_s else MIN_TIMEOUT_S * (1 + random.random())
        end = time.monotonic() + lasts
        mark = _next_mark(end)
        marked = 0
        while True:
            now = time.monotonic()
            if now >= end:
                return
            until = min(mark, end) if options.bookmarks else end
            frames = await watcher.next(max(until - now, 0.0))
            if frames and stream.is_unshowable:
                return
            if frames and stream.convert is not None:
                frames = await stream.convert(frames)
            if frames:
                await stream.send(frames)
                continue
            if options.bookmarks and time.monotonic() >= mark:
                if watcher.revision > marked:
                    marked = watcher.revision
                    await stream.bookmark(marked)
                mark = _next_mark(end) if mark < end - BOOKMARK_BEFORE_END_S else end + 1

    def _watcher(self, context: Context, options: ListOptions, after: int, frame: Frame) -> Watcher:
        endpoint, form = context.endpoint, context.negotiated
        index = None
        if options.fields is not None:
            node = options.fields.exact("spec.nodeName")
            index = ("spec.nodeName", node) if node is not None else None
        included = context.info.first("includeObject")
        names = (endpoint.resource.api_version, form.media, form.form, form.form_version, included)
        if frame is _stored_frame:
            names = (STORED_FORM, "", "", "", "")
        return self._store.cache(endpoint.stored).watch(
            namespace=context.namespace or options.namespace,
            name=options.name,
            predicate=options.predicate(),
            after=after,
            frame=frame,
            form=intern("/".join(names)),
            index=index,
            queue_limit=QUEUE_LIMIT,
        )

    def _frame(self, context: Context) -> Frame:
        endpoint = context.endpoint
        if context.negotiated.form == "PartialObjectMetadataList":
            return _unshown_frame
        if context.negotiated.media == PROTOBUF:
            return _protobuf_frame(context)
        opening = endpoint.object_head
        if not context.negotiated.form:
            tail = endpoint.tail

            def plain(kind: str, entry: Entry, revision: int) -> bytes:
                return b'{"type":"%b","object":%b%b}\n' % (kind.encode(), opening, tail(entry))

            return plain

        def transformed(kind: str, entry: Entry, revision: int) -> bytes:
            obj = transformed_object(
                endpoint, endpoint.object(entry), context.negotiated, context.info, context.now, with_columns=False
            )
            return orjson.dumps({"type": kind, "object": obj}) + b"\n"

        return transformed


def _protobuf_frame(context: Context) -> Frame:
    endpoint = context.endpoint

    def whole(kind: str, entry: Entry, revision: int) -> bytes:
        return encode_event(kind, endpoint.sealed(entry))

    def transformed(kind: str, entry: Entry, revision: int) -> bytes:
        shown = transformed_object(endpoint, endpoint.object(entry), context.negotiated, context.info, context.now)
        return encode_event(kind, encode(shown, PROTOBUF))

    return transformed if context.negotiated.form else whole


def _unshown_frame(kind: str, entry: Entry, revision: int) -> bytes:
    """Of an event that ends the stream instead."""
    return b"\n"


def _stored_frame(kind: str, entry: Entry, revision: int) -> bytes:
    """What waits for a webhook's conversion."""
    return b'{"type":"%b","object":%b}' % (kind.encode(), entry.document())


def _converter(context: Context) -> Convert:
    """Turns events of objects as they are stored into the frames of a watch, asking a webhook."""
    endpoint, form = context.endpoint, context.negotiated
    assert endpoint.from_storage is not None
    shown = endpoint.from_storage

    async def convert(frames: list[bytes]) -> list[bytes]:
        assert endpoint.conversion is not None
        events = [orjson.loads(frame) for frame in frames]
        made = await endpoint.conversion([event["object"] for event in events], endpoint.resource.api_version)
        return [finished(event["type"], shown(obj)) for event, obj in zip(events, made, strict=True)]

    def finished(kind: str, obj: Object) -> bytes:
        if form.form:
            obj = transformed_object(endpoint, obj, form, context.info, context.now, with_columns=False)
        if form.media == PROTOBUF:
            return encode_event(kind, encode(obj, PROTOBUF))
        return orjson.dumps({"type": kind, "object": obj}) + b"\n"

    return convert


_last_chunk: tuple[bytes, bytes] = (b"", b"")
"""A frame, and what it is as a chunk of HTTP: all watchers of an event get it one after the other."""


def _next_mark(end: float) -> float:
    """Bookmarks come every minute, and once shortly before the end."""
    soon, last = time.monotonic() + BOOKMARK_EVERY_S, end - BOOKMARK_BEFORE_END_S
    return min(soon, last) if last > time.monotonic() else end


class _Stream:
    """The answer of one watch."""

    def __init__(self, context: Context, frame: Frame) -> None:
        self._context = context
        self._send = context.send
        self._needs_columns = context.negotiated.form == "Table"
        self.frame = frame
        self.convert: Convert | None = None
        """Set where a webhook has to convert objects before their events can be sent."""
        self.is_unshowable = False
        """Set where no object has the form that is asked for: the stream ends at its first event."""

    async def start(self) -> bool:
        """False where the answer is another one, which is sent already."""
        media = PROTOBUF + ";stream=watch" if self._context.negotiated.media == PROTOBUF else JSON
        await self._send(head(Reply(200, (), media, warnings=self._context.warnings), length=None))
        await self._send({"type": "http.response.body", "body": b"", "more_body": True})
        return True

    async def until_gone(self) -> None:
        while (await self._context.receive())["type"] != "http.disconnect":
            continue

    def close(self) -> None:
        """What is left to do however the watch has ended."""

    async def send(self, frames: list[bytes]) -> None:
        if self._needs_columns:
            frames = [self._with_columns(frames[0]), *frames[1:]]
            self._needs_columns = False
        body = frames[0] if len(frames) == 1 else b"".join(frames)
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    def sink(self) -> Callable[[bytes], bool] | None:
        """Writes a frame straight to the connection: an event to many watchers costs each of them little more than
        its encryption. None where a frame has to be looked at, or nothing is known of the connection.
        """
        connection = self._context.connection
        if (
            connection is None
            or self._needs_columns
            or self.is_unshowable
            or self.convert is not None
            or not connection.cycle.chunked_encoding
        ):
            return None
        flow, send, is_closing = connection.flow, connection.transport.write, connection.transport.is_closing

        def write(frame: bytes) -> bool:
            global _last_chunk
            if flow.write_paused or is_closing():
                return False
            known, chunk = _last_chunk
            if known is not frame:
                chunk = b"%x\r\n%b\r\n" % (len(frame), frame)
                _last_chunk = frame, chunk
            send(chunk)
            return True

        return write

    def _with_columns(self, frame: bytes) -> bytes:
        """Only the first table of a stream says what its columns are."""
        event = orjson.loads(frame)
        event["object"]["columnDefinitions"] = column_definitions(self._context.endpoint)
        return orjson.dumps(event) + b"\n"

    async def bookmark(self, revision: int, *, initial_end: bool = False) -> None:
        obj = bookmark_object(self._context.endpoint, revision, initial_end=initial_end)
        form = self._context.negotiated
        if form.form == "Table":
            obj = {
                "kind": "Table",
                "apiVersion": f"meta.k8s.io/{form.form_version}",
                "metadata": {"resourceVersion": str(revision)},
                "columnDefinitions": None,
                "rows": [],
            }
        elif form.form:
            obj = {
                "kind": "PartialObjectMetadata",
                "apiVersion": f"meta.k8s.io/{form.form_version}",
                "metadata": obj["metadata"],
            }
        data = self._event("BOOKMARK", obj)
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def error(self, error: status.StatusError) -> None:
        await self._send({"type": "http.response.body", "body": self._event("ERROR", error.body())})

    def _event(self, kind: str, obj: Object) -> bytes:
        if self._context.negotiated.media == PROTOBUF:
            return encode_event(kind, encode(obj, PROTOBUF))
        return orjson.dumps({"type": kind, "object": obj}) + b"\n"

    async def end(self) -> None:
        await self._send({"type": "http.response.body", "body": b""})


class _Socket(_Stream):
    """The answer of a watch over a WebSocket: each event is a message."""

    _messages: Messages | None = None
    _is_binary = False

    async def start(self) -> bool:
        self._is_binary = self._context.negotiated.media == PROTOBUF
        try:
            self._messages = open_events(self._context, is_text=not self._is_binary)
        except BadHandshake as err:
            await refuse(self._context, err)
            return False
        self._send = self._say
        return True

    async def until_gone(self) -> None:
        assert self._messages is not None
        await asyncio.wait((self._messages.done,))

    def close(self) -> None:
        if self._messages is not None:
            close_messages(self._context, self._messages)

    async def send(self, frames: list[bytes]) -> None:
        for frame in frames:
            await super().send([frame])

    def sink(self) -> None:
        return None

    async def _say(self, message: Mapping[str, Any]) -> None:
        data = message["body"]
        if data and self._messages is not None:
            # In protobuf the length goes before each event, which a message has of its own.
            await self._messages.send(data[_LENGTH_BYTES:] if self._is_binary else data)


def bookmark_object(endpoint: Endpoint, revision: int, *, initial_end: bool) -> Object:
    meta: Object = {"resourceVersion": str(revision)}
    if initial_end:
        meta["annotations"] = {INITIAL_END: "true"}
    return {"kind": endpoint.resource.kind, "apiVersion": endpoint.resource.api_version, "metadata": meta}
