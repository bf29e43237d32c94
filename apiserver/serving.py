"""TLS and HTTP/1.1: uvicorn on uvloop and httptools, with the client's certificate passed to the application.

`scope["state"]["peer"]` is the certificate (DER) that TLS has verified against the client CA, or None.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections import deque
from typing import Any, cast
from urllib.parse import unquote

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from apiserver.exchange import HttpExchange, Message

log = logging.getLogger(__name__)

BACKLOG = 2048
KEEP_ALIVE_S = 120
"""Longer than clients keep idle connections themselves, so that they close first."""
HEADER_TIMEOUT_S = 30.0
"""A connection that has not sent its first whole request head by then is closed."""
HEAD_LIMIT_BYTES = 1024 * 1024
"""Of a request's line and headers, as much as Go's server takes."""


class Protocol(HttpToolsProtocol):
    """One connection; knows the client's certificate, and gives up on heads sent too slowly or too long."""

    _head_timer: asyncio.TimerHandle | None = None
    _is_in_head = False
    _head_bytes = 0
    _idle_timer: asyncio.TimerHandle | None = None
    _idle_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        peer = tls.getpeercert(binary_form=True) if tls is not None else None
        self._waiting: deque[HttpExchange] = deque()
        self.app_state = {**self.app_state, "peer": peer, "connection": self}
        self._head_timer = self.loop.call_later(HEADER_TIMEOUT_S, transport.close)

    def data_received(self, data: bytes) -> None:
        self._idle_since = None
        super().data_received(data)
        if self._is_in_head:  # Seldom: most heads arrive in one piece.
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_LIMIT_BYTES and not self.transport.is_closing():
                self.transport.write(b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n\r\n")
                self.transport.close()

    def on_message_begin(self) -> None:
        self._is_in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Begin an exchange, behind the one that is under way."""
        self._is_in_head = False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        parser, scope = self.parser, cast(Message, self.scope)
        version, url = parser.get_http_version(), httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        scope["http_version"] = version
        scope["method"] = parser.get_method().decode("ascii")
        scope["path"] = unquote(path) if "%" in path else path
        scope["query_string"] = url.query or b""
        previous = self.cycle
        exchange = HttpExchange(
            self,
            scope,
            default_headers=self.server_state.default_headers,
            keep_alive=version != "1.0" and parser.should_keep_alive(),
            is_continue_awaited=self.expect_100_continue,
        )
        self.cycle = exchange  # type: ignore[assignment]
        if previous is None or previous.response_complete:
            self._begin(exchange)
        else:
            self.flow.pause_reading()
            self._waiting.append(exchange)

    def _begin(self, exchange: HttpExchange) -> None:
        task = self.loop.create_task(exchange.run_asgi(self.app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def on_response_complete(self) -> None:
        """Go on with the next request that is there, or else wait for one."""
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self._waiting:
            self._begin(self._waiting.popleft())
            return
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(KEEP_ALIVE_S, self._close_idle)

    def _close_idle(self) -> None:
        """Close a connection that has been idle for long: one timer serves many requests."""
        self._idle_timer = None
        if self._idle_since is None:
            return
        left = self._idle_since + KEEP_ALIVE_S - self.loop.time()
        if left > 0:
            self._idle_timer = self.loop.call_later(left, self._close_idle)
        else:
            self.transport.close()

    def take_over(self, protocol: asyncio.Protocol) -> asyncio.Transport:
        """Give the connection to `protocol` for good; HTTP says nothing on it any more, and nobody times it out."""
        self._idle_since = None
        cycle, transport = self.cycle, self.transport
        cycle.response_started = cycle.response_complete = cycle.disconnected = True
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        transport.resume_reading()
        return transport

    def release(self) -> None:
        """The connection that was taken over has ended."""
        self._cancel_timers()
        self.connections.discard(self)

    def _unsupported_upgrade_warning(self) -> None:
        """The application takes upgraded connections over itself."""

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timers()
        super().connection_lost(exc)

    def _cancel_timers(self) -> None:
        for timer in (self._head_timer, self._idle_timer):
            if timer is not None:
                timer.cancel()


def tls_context(cert_file: str, key_file: str, client_ca_file: str) -> ssl.SSLContext:
    """Server TLS that asks for a client certificate and refuses ones not signed by the client CA."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert_file, key_file)
    context.load_verify_locations(client_ca_file)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    return context


def listen(address: str, port: int) -> socket.socket:
    """A listening socket. Raises OSError when the port is taken."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((address, port))
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


class Server:
    """Serves an ASGI application on one socket until `stop`."""

    def __init__(self, app: Any, tls: ssl.SSLContext, sock: socket.socket) -> None:
        config = uvicorn.Config(
            app,
            http=Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            date_header=True,
            timeout_keep_alive=KEEP_ALIVE_S,
            h11_max_incomplete_event_size=None,
        )
        config.load()
        config.ssl = tls
        self._uvicorn = uvicorn.Server(config)
        self._uvicorn.lifespan = config.lifespan_class(config)
        self._socket = sock

    async def start(self) -> None:
        await self._uvicorn.startup(sockets=[self._socket])

    async def stop(self) -> None:
        """Close the listener and all connections; requests under way are cut off after a moment."""
        if not self._uvicorn.started:
            self._socket.close()
            return
        self._uvicorn.force_exit = True
        await self._uvicorn.shutdown(sockets=[self._socket])
