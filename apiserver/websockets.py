"""WebSockets over which the server alone speaks: a stream sent as messages to clients that ask for one.

What the client sends is ignored, but for pings and its goodbye.
Follows: staging/src/k8s.io/streaming/pkg/httpstream/wsstream/stream.go, golang.org/x/net/websocket/hybi.go
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from enum import Enum
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from apiserver.streams import Connection, Exchange

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x1, 0x2, 0x8, 0x9, 0xA
_RECEIVED_LIMIT_BYTES = 1 << 16
_NORMAL_END = (1000).to_bytes(2, "big")

_BEARER = "base64url.bearer.authorization.k8s.io."
"""A protocol that is none: browsers can send a token in no other way."""


class Mode(Enum):
    """How data becomes a message."""

    BINARY = "binary"
    BASE64 = "base64"
    TEXT = "text"


_STREAMS = {"": Mode.BINARY, "binary.k8s.io": Mode.BINARY, "base64.binary.k8s.io": Mode.BASE64}


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

    def __init__(self, mode: Mode) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._mode = mode
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._can_write = asyncio.Event()
        self._can_write.set()

    async def send(self, data: bytes) -> None:
        """Send one message, once the client has taken most of those before."""
        await self._can_write.wait()
        content = base64.b64encode(data) if self._mode is Mode.BASE64 else data
        self._write(_BINARY if self._mode is Mode.BINARY else _TEXT, content)

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


def open_stream(context: Exchange) -> Messages:
    """Shake hands for a stream of bytes. Whoever opens must `close_messages`. Raises BadHandshake."""
    chosen = next((name for name in _offered(context) or [""] if name in _STREAMS), None)
    if chosen is None:
        _check(context)
        raise BadHandshake(403)
    return _open(context, chosen, _STREAMS[chosen])


def open_events(context: Exchange, *, is_text: bool) -> Messages:
    """Shake hands for events, each a message; the client must say whence it comes, as browsers do.

    Whoever opens must `close_messages`. Raises BadHandshake.
    """
    _check(context)
    if not context.headers.get(b"origin"):
        raise BadHandshake(403)
    offered = _offered(context)
    if len(offered) > 1:
        raise BadHandshake(400)
    return _open(context, offered[0] if offered else "", Mode.TEXT if is_text else Mode.BINARY)


def _offered(context: Exchange) -> list[str]:
    text = context.headers.get(b"sec-websocket-protocol", b"").decode("latin-1")
    names = [name.strip() for name in text.split(",")]
    return [name for name in names if name and not name.startswith(_BEARER)]


def _check(context: Exchange) -> None:
    headers = context.headers
    if not headers.get(b"sec-websocket-key") or headers.get(b"sec-websocket-version") != b"13":
        raise BadHandshake(400)


def _open(context: Exchange, protocol: str, mode: Mode) -> Messages:
    """Take the client's connection over and answer its handshake. Raises BadHandshake before anything is taken."""
    _check(context)
    accept = base64.b64encode(hashlib.sha1(context.headers[b"sec-websocket-key"] + _GUID).digest())
    lines = [b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket", b"Connection: Upgrade"]
    lines.append(b"Sec-WebSocket-Accept: " + accept)
    if protocol:
        lines.append(b"Sec-WebSocket-Protocol: " + protocol.encode("latin-1"))
    messages = Messages(mode)
    connection: Connection = context.connection
    connection.take_over(messages).write(b"\r\n".join((*lines, b"", b"")))
    return messages


async def refuse(context: Exchange, failure: BadHandshake) -> None:
    """Answer a handshake that has failed."""
    await context.send({"type": "http.response.start", "status": failure.code, "headers": []})
    await context.send({"type": "http.response.body", "body": b""})


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
