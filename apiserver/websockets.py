"""WebSockets over which the server alone speaks: a stream sent as messages to clients that ask for one.

What the client sends is ignored, but for pings and its goodbye.
Follows: staging/src/k8s.io/streaming/pkg/httpstream/wsstream/stream.go, golang.org/x/net/websocket/hybi.go
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from apiserver.streams import Connection, Exchange

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x1, 0x2, 0x8, 0x9, 0xA
_RECEIVED_LIMIT_BYTES = 1 << 16
_NORMAL_END = (1000).to_bytes(2, "big")

STREAM_PROTOCOLS = {"": True, "binary.k8s.io": True, "base64.binary.k8s.io": False}
"""What a stream of bytes is sent in: binary messages, or (False) base64 in text."""


class BadHandshake(Exception):
    """The client cannot be answered with a WebSocket; `code` is what it gets instead, without a body."""

    def __init__(self, code: int) -> None:
        super().__init__(f"bad WebSocket handshake: {code}")
        self.code = code


def wants_websocket(context: Exchange) -> bool:
    upgrade, connection = (context.headers.get(name, b"").lower() for name in (b"upgrade", b"connection"))
    return upgrade == b"websocket" and b"upgrade" in connection


class Messages(asyncio.Protocol):
    """The server's side of a WebSocket. `done` is set once the client is gone, or has too much to say."""

    def __init__(self, *, is_binary: bool) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._is_binary = is_binary
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._can_write = asyncio.Event()
        self._can_write.set()

    async def send(self, data: bytes) -> None:
        """Send one message, once the client has taken most of those before."""
        await self._can_write.wait()
        if self._is_binary:
            self._write(_BINARY, data)
        else:
            self._write(_TEXT, base64.b64encode(data))

    def end(self) -> None:
        """Say goodbye and close."""
        self._write(_CLOSE, _NORMAL_END)
        if self._transport is not None:
            self._transport.close()

    def _write(self, kind: int, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(_head(kind, len(data)) + data)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods of asyncio's, but not its classes.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (frame := _take_frame(self._buffer)) is not None:
            kind, payload = frame
            if kind == _PING:
                self._write(_PONG, payload)
            elif kind == _CLOSE:
                self._finish()
        if len(self._buffer) > _RECEIVED_LIMIT_BYTES:
            self._buffer.clear()
            self._finish()

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self._can_write.clear()

    def resume_writing(self) -> None:
        self._can_write.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish()

    def _finish(self) -> None:
        self._can_write.set()
        if not self.done.done():
            self.done.set_result(None)


def open_messages(context: Exchange, protocols: Mapping[str, bool]) -> Messages:
    """Take the client's connection over and shake hands; `protocols` tells which are known, and what is binary.

    Whoever opens must `close_messages`. Raises BadHandshake before anything is taken.
    """
    headers = context.headers
    key = headers.get(b"sec-websocket-key", b"")
    if not key or headers.get(b"sec-websocket-version") != b"13":
        raise BadHandshake(400)
    offered = [name.strip() for name in headers.get(b"sec-websocket-protocol", b"").decode("latin-1").split(",")]
    chosen = next((name for name in offered if name in protocols), None)
    if chosen is None:
        raise BadHandshake(403)
    accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
    lines = [b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket", b"Connection: Upgrade"]
    lines.append(b"Sec-WebSocket-Accept: " + accept)
    if chosen:
        lines.append(b"Sec-WebSocket-Protocol: " + chosen.encode())
    messages = Messages(is_binary=protocols[chosen])
    connection: Connection = context.connection
    connection.take_over(messages).write(b"\r\n".join((*lines, b"", b"")))
    return messages


def close_messages(context: Exchange, messages: Messages) -> None:
    messages.end()
    connection: Connection = context.connection
    connection.release()


def _head(kind: int, length: int) -> bytes:
    first = bytes((0x80 | kind,))
    if length < 126:
        return first + bytes((length,))
    if length < 1 << 16:
        return first + b"\x7e" + length.to_bytes(2, "big")
    return first + b"\x7f" + length.to_bytes(8, "big")


def _take_frame(buffer: bytearray) -> tuple[int, bytes] | None:
    """Take the first whole frame out of the buffer: its kind and its unmasked content."""
    if len(buffer) < 2:
        return None
    kind, is_masked, length, at = buffer[0] & 0xF, bool(buffer[1] & 0x80), buffer[1] & 0x7F, 2
    extended = {126: 2, 127: 8}.get(length, 0)
    if extended:
        length, at = int.from_bytes(buffer[2 : 2 + extended], "big"), 2 + extended
    begin = at + (4 if is_masked else 0)
    if len(buffer) < begin + length:
        return None
    mask, content = bytes(buffer[at:begin]), bytes(buffer[begin : begin + length])
    del buffer[: begin + length]
    if is_masked:
        content = bytes(byte ^ mask[place % 4] for place, byte in enumerate(content))
    return kind, content
