"""One request and its answer on a connection of HTTP/1.1: ASGI's `receive` and `send` over uvicorn's protocol.

The head of an answer leaves together with the first piece of its body, as ASGI has it: one record of TLS and one write
to the socket for most answers. Who streams sends an empty piece first.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterable, MutableMapping
from http import HTTPStatus
from typing import Any, Protocol

log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Headers = Iterable[tuple[bytes, bytes]]

_STATUS_LINES = {code.value: f"HTTP/1.1 {code.value} {code.phrase}\r\n".encode() for code in HTTPStatus}
_NOT_IN_NAMES = re.compile(rb'[\x00-\x1f\x7f()<>@,;:\[\]={} \t\\"]')
_NOT_IN_HEADS = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_MOST_NAMES = 1_000
_names: set[bytes] = set()
"""Header names that have been found sound; those of proxied answers may be anything."""


class Connection(Protocol):
    """What an exchange needs of the protocol that it runs on."""

    transport: asyncio.Transport
    flow: Any

    def on_response_complete(self) -> None: ...


class HttpExchange:
    """The protocol sets `body` and `more_body`, what has come of the request, and tells so by `message_event`."""

    __slots__ = (
        "_connection",
        "_default_headers",
        "_head",
        "_is_continue_awaited",
        "_is_head_request",
        "_left",
        "body",
        "chunked_encoding",
        "disconnected",
        "keep_alive",
        "message_event",
        "more_body",
        "response_complete",
        "response_started",
        "scope",
    )

    def __init__(
        self,
        connection: Connection,
        scope: Message,
        *,
        default_headers: Headers,
        keep_alive: bool,
        is_continue_awaited: bool,
    ) -> None:
        self.scope = scope
        self.keep_alive = keep_alive
        self.message_event = asyncio.Event()
        self.body = bytearray()
        self.more_body = True
        self.disconnected = False
        self.response_started = False
        self.response_complete = False
        self.chunked_encoding = False
        self._connection = connection
        self._default_headers = default_headers
        self._is_continue_awaited = is_continue_awaited
        self._is_head_request = scope["method"] == "HEAD"
        self._head = b""
        self._left = 0
        """How much of the body is still to come, by its content-length."""

    async def run_asgi(self, app: Any) -> None:
        """Have the application answer. An answer that it leaves unfinished ends the connection."""
        try:
            await app(self.scope, self.receive, self.send)
        except BaseException:
            log.exception("the application failed")
        if self.response_complete or self.disconnected:
            return
        if self.response_started:
            self._connection.transport.close()
            return
        text = b"Internal Server Error"
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(text)).encode()),
            (b"connection", b"close"),
        ]
        await self.send({"type": "http.response.start", "status": 500, "headers": headers})
        await self.send({"type": "http.response.body", "body": text})

    # -- the request -------------------------------------------------------------------------------------------

    async def receive(self) -> Message:
        transport = self._connection.transport
        if self._is_continue_awaited and not transport.is_closing():
            transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._is_continue_awaited = False
        if not self.disconnected and not self.response_complete:
            self._connection.flow.resume_reading()
            await self.message_event.wait()
            self.message_event.clear()
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        body = bytes(self.body)
        self.body.clear()
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    # -- the answer --------------------------------------------------------------------------------------------

    async def send(self, message: Message) -> None:
        """Waits while the client takes no more. Raises RuntimeError for what is no sound answer."""
        flow = self._connection.flow
        if flow.write_paused and not self.disconnected:
            await flow.drain()
        if self.disconnected:
            return
        wanted = "http.response.body" if self.response_started else "http.response.start"
        if self.response_complete or message["type"] != wanted:
            raise RuntimeError(f"{message['type']} where {wanted} was expected")
        if self.response_started:
            self._write(message.get("body", b""), more=message.get("more_body", False))
        else:
            self.response_started = True
            self._is_continue_awaited = False
            self._head = self._begin(message["status"], message.get("headers", ()))

    def _begin(self, code: int, headers: Headers) -> bytes:
        """The head of the answer."""
        lines = [_STATUS_LINES.get(code) or b"HTTP/1.1 %d \r\n" % code]
        is_measured = is_chunked = is_closed = False
        for name, value in (*self._default_headers, *headers):
            name = name.lower()
            if name not in _names:
                _check_name(name)
            if name == b"content-length" and not is_measured and not is_chunked:
                self._left, is_measured = int(value), True
            elif name == b"transfer-encoding" and value.lower() == b"chunked":
                self._left, is_chunked = 0, True
            elif name == b"connection" and b"close" in [token.strip() for token in value.lower().split(b",")]:
                self.keep_alive, is_closed = False, True
            lines.append(b"%b: %b\r\n" % (name, value))
        if not self.keep_alive and not is_closed:
            lines.append(b"connection: close\r\n")
        if not is_measured and not is_chunked and not self._is_head_request and code not in (204, 304):
            lines.append(b"transfer-encoding: chunked\r\n")
            is_chunked = True
        self.chunked_encoding = is_chunked
        head = b"".join(lines)
        if head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines) or _NOT_IN_HEADS.search(head):
            raise RuntimeError("a header's value cannot be sent")
        return head + b"\r\n"

    def _write(self, body: bytes, *, more: bool) -> None:
        """Send a piece of the body, and the head before the first one."""
        head, self._head = self._head, b""
        if self._is_head_request:
            self._left, body = 0, b""
        elif self.chunked_encoding:
            body = b"".join((b"%x\r\n" % len(body), body, b"\r\n") if body else ()) + (b"" if more else b"0\r\n\r\n")
        else:
            self._left -= len(body)
            if self._left < 0:
                raise RuntimeError("the body is longer than its content-length")
        connection = self._connection
        if head or body:
            connection.transport.write(head + body if head else body)
        if more:
            return
        if self._left:
            raise RuntimeError("the body is shorter than its content-length")
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            connection.transport.close()
        connection.on_response_complete()


def _check_name(name: bytes) -> None:
    if _NOT_IN_NAMES.search(name):
        raise RuntimeError("a header's name cannot be sent")
    if len(_names) < _MOST_NAMES:
        _names.add(name)
