"""Byte streams between clients and nodes: requests carried on to a node's server, and upgraded connections joined.

The API server looks at nothing in between: it authenticates, authorizes, finds the node, and then moves bytes. An
upgraded connection (WebSocket, SPDY) is taken from the HTTP server and joined with one to the node.
Follows: staging/src/k8s.io/apimachinery/pkg/util/proxy/upgradeaware.go
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Protocol, cast

from apiserver.outbound import CHUNK_BYTES, HEAD_TIMEOUT_S, Response, Target, Unreached, connect, read_head
from apiserver.registry.context import Receive
from apiserver.request import RequestInfo
from apiserver.response import Send
from apiserver.websockets import BadHandshake, close_messages, open_stream, refuse, wants_websocket
from openapi.meta import status

REFUSAL_LIMIT_BYTES = 50_000
"""How much of a node's refusal is told to the client."""
_HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"te", b"trailer",
     b"transfer-encoding", b"upgrade", b"host", b"content-length", b"authorization", b"accept-encoding")
)  # fmt: skip


class Connection(Protocol):
    """The client's connection, as the HTTP server hands it over for good."""

    def take_over(self, protocol: asyncio.Protocol) -> asyncio.Transport: ...

    def release(self) -> None: ...


class Exchange(Protocol):
    """A client's request and the way back to it. `headers` are by lower-case name, `all_headers` as they came."""

    @property
    def info(self) -> RequestInfo: ...
    @property
    def headers(self) -> Mapping[bytes, bytes]: ...
    @property
    def all_headers(self) -> Sequence[tuple[bytes, bytes]]: ...
    @property
    def receive(self) -> Receive: ...
    @property
    def send(self) -> Send: ...
    @property
    def connection(self) -> Any: ...


Headers = Sequence[tuple[bytes, bytes]]
Refusal = Callable[[int, str], status.StatusError]
"""What the API says instead of an answer with that code and text."""


async def carry(
    context: Exchange,
    target: Target,
    *,
    body: bytes | None = None,
    identity: Headers | None = None,
    revise: Callable[[Headers], Headers] = list,
) -> None:
    """Carry a request to `target` and its answer back as it comes; joins the connections when both sides upgrade.

    `identity` are the headers that say whom the request is from, instead of any that the client sent; `revise` makes
    the headers of an ordinary answer of those that came. Raises Unreached.
    """
    reader, writer = await connect(target)
    try:
        upgrade = context.headers.get(b"upgrade")
        writer.write(_request_head(context, target, upgrade, body, identity))
        if body:
            writer.write(body)
        await writer.drain()
        response, rest = await read_head(reader)
        if response.code == 101 and upgrade is not None:
            await _join(context, response, rest, reader, writer)
        else:
            response.headers = list(revise(response.headers))
            await _relay(context, response, reader)
    finally:
        writer.close()


async def fetch_text(context: Exchange, target: Target, refusal: Refusal) -> None:
    """Carry a request for plain text to `target` and its answer back: as messages, if the client wants a WebSocket.

    Raises Unreached, and what `refusal` makes of answers that are failures.
    """
    reader, writer = await connect(target)
    try:
        writer.write(_request_head(context, target, None, None))
        await writer.drain()
        response, _ = await read_head(reader)
        if not 200 <= response.code <= 206:
            raise refusal(response.code, await _text(response, reader))
        response.headers = [(b"content-type", b"text/plain")]
        await (_relay_messages if wants_websocket(context) else _relay)(context, response, reader)
    finally:
        writer.close()


def wants_upgrade(context: Exchange) -> bool:
    return b"upgrade" in context.headers.get(b"connection", b"").lower()


def upgrade_failure(error: Unreached) -> status.StatusError:
    """What a client is told whose connection could not be joined with that of a backend."""
    return status.StatusError(500, "", str(error) if error.dialed else f"error dialing backend: {error}")


def _request_head(
    context: Exchange, target: Target, upgrade: bytes | None, body: bytes | None, identity: Headers | None = None
) -> bytes:
    host = f"{target.host}:{target.port}".encode()
    lines = [b"%b %b HTTP/1.1" % (context.info.method.encode(), target.path.encode()), b"host: " + host]
    forbidden = (b"impersonate-",) if identity is None else (b"impersonate-", b"x-remote-")
    for name, value in context.all_headers:
        if name not in _HOP_BY_HOP and not name.startswith(forbidden):
            lines.append(name + b": " + value)
    lines += [name + b": " + value for name, value in identity or ()]
    if upgrade is not None:
        lines += [b"connection: Upgrade", b"upgrade: " + upgrade]
    else:
        lines.append(b"connection: close")
    if body is not None:
        lines.append(b"content-length: %d" % len(body))
    return b"\r\n".join((*lines, b"", b""))


async def _text(response: Response, reader: asyncio.StreamReader) -> str:
    """The body of a short answer."""
    body = response.take_body()
    async with asyncio.timeout(HEAD_TIMEOUT_S):
        while not response.is_complete and len(body) < REFUSAL_LIMIT_BYTES and (data := await reader.read(CHUNK_BYTES)):
            response.feed(data)
            body += response.take_body()
    return body[:REFUSAL_LIMIT_BYTES].decode(errors="replace")


async def _relay(context: Exchange, response: Response, reader: asyncio.StreamReader) -> None:
    """Send an ordinary answer on, piece by piece; ends early when the client goes away."""
    headers = [(n, v) for n, v in response.headers if n not in _HOP_BY_HOP]
    await context.send({"type": "http.response.start", "status": response.code, "headers": headers})
    await context.send({"type": "http.response.body", "body": b"", "more_body": True})
    gone = asyncio.ensure_future(_until_gone(context))
    try:
        async for piece in _pieces(response, reader, gone):
            await context.send({"type": "http.response.body", "body": piece, "more_body": True})
        await context.send({"type": "http.response.body", "body": b""})
    finally:
        gone.cancel()


async def _relay_messages(context: Exchange, response: Response, reader: asyncio.StreamReader) -> None:
    """Send the content of an ordinary answer as messages, an empty one first; ends early when the client goes away."""
    try:
        messages = open_stream(context)
    except BadHandshake as err:
        await refuse(context, err)
        return
    try:
        await messages.send(b"")
        async for piece in _pieces(response, reader, messages.done):
            await messages.send(piece)
    finally:
        close_messages(context, messages)


async def _pieces(response: Response, reader: asyncio.StreamReader, gone: asyncio.Future[None]) -> AsyncIterator[bytes]:
    while True:
        body = response.take_body()
        if body:
            yield body
        if response.is_complete:
            return
        read = asyncio.ensure_future(reader.read(CHUNK_BYTES))
        await asyncio.wait((read, gone), return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            read.cancel()
            return
        data = read.result()
        if not data:
            yield response.take_body()
            return
        response.feed(data)


async def _until_gone(context: Exchange) -> None:
    while (await context.receive())["type"] != "http.disconnect":
        continue


class _ClientSide(asyncio.Protocol):
    """The client's end of a joined connection: bytes go to the node's writer, with backpressure both ways."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._transport: asyncio.Transport | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.can_write = asyncio.Event()
        self.can_write.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods of asyncio's, but not its classes.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._writer.write(data)
        if self._writer.transport.get_write_buffer_size() > 4 * CHUNK_BYTES and self._transport is not None:
            self._transport.pause_reading()
            task = asyncio.ensure_future(self._writer.drain())
            task.add_done_callback(self._resume)

    def _resume(self, task: asyncio.Future[None]) -> None:
        if task.exception() is None and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        self.can_write.clear()

    def resume_writing(self) -> None:
        self.can_write.set()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.can_write.set()
        if not self.done.done():
            self.done.set_result(None)


async def _join(
    context: Exchange, response: Response, rest: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Hand the client's connection over and move bytes until either side closes."""
    connection: Connection = context.connection
    client = _ClientSide(writer)
    transport = connection.take_over(client)
    lines = [b"HTTP/1.1 101 Switching Protocols", *(n + b": " + v for n, v in response.headers), b"", b""]
    transport.write(b"\r\n".join(lines) + rest)
    try:
        while not client.done.done():
            read = asyncio.ensure_future(reader.read(CHUNK_BYTES))
            await asyncio.wait((read, client.done), return_when=asyncio.FIRST_COMPLETED)
            if not read.done():
                read.cancel()
                break
            data = read.result()
            if not data:
                break
            await client.can_write.wait()
            transport.write(data)
    except OSError:
        pass
    finally:
        transport.close()
        connection.release()
