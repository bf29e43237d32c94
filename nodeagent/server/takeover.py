"""Takes a client's connection from the HTTP server, to move bytes on it that are no HTTP any more."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from aiohttp import web

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.web_request import BaseRequest


class _ClientSide(asyncio.StreamReaderProtocol):
    """The client's connection as a stream; tells the HTTP server when it ends, which still counts it."""

    def __init__(self, reader: asyncio.StreamReader, server: asyncio.Protocol) -> None:
        super().__init__(reader)
        self._server = server

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._server.connection_lost(exc)


class TakenOver(web.StreamResponse):
    """What a handler returns that has answered on the connection itself."""

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


def take_over(
    request: web.Request, headers: Sequence[tuple[bytes, bytes]], received: bytes
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Answer 101 with `headers` and the bytes that follow; from then on the connection is the caller's."""
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client has gone")
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 17, loop=loop)
    protocol = _ClientSide(reader, request.protocol)
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    # uvloop's transports have the methods of asyncio's, but not its classes.
    writer = asyncio.StreamWriter(cast(asyncio.WriteTransport, transport), protocol, reader, loop)
    lines = [b"HTTP/1.1 101 Switching Protocols", *(name + b": " + value for name, value in headers), b"", b""]
    writer.write(b"\r\n".join(lines) + received)
    return reader, writer
