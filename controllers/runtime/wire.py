"""HTTP/1.1 to one server, as lean as calls of the API need: kept connections, one call at a time on each.

A call costs a quarter of what a general client takes (`bench/scheduler.py`). Connections that were idle for long are
not used again: the server may be closing them, and a call that may have been lost must not be sent twice.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Mapping
from typing import cast
from urllib.parse import urlsplit

import httptools

MAX_IDLE_S = 30.0
"""Less than servers keep idle connections for (kube-apiserver 90 s, ours 120 s): each new one costs a handshake."""
CONNECT_TIMEOUT_S = 10.0


class Lost(OSError):
    """The connection ended before the answer did."""


class _Connection(asyncio.Protocol):
    """One connection; `call` must not be used again before it has returned."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._body: list[bytes] = []
        self.is_open = True
        self.idle_since = 0.0

    async def call(self, request: bytes) -> tuple[int, bytes]:
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._answer
        except BaseException:
            self.close()  # what comes later belongs to nobody
            raise

    def close(self) -> None:
        self.is_open = False
        if self._transport is not None:
            self._transport.close()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(Lost(f"no HTTP answer: {error}"))
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        self.is_open = False
        self._fail(Lost(str(error or "connection closed by the server")))

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    # httptools

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            return  # only a promise of the answer
        body, self._body = b"".join(self._body), []
        if not self._parser.should_keep_alive():
            self.close()
        self._parser = httptools.HttpResponseParser(self)
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((status, body))


class Wire:
    """Connections to the server at `base` (`https://host:port`), whose certificate is for `tls_name` if given."""

    def __init__(self, base: str, tls: ssl.SSLContext, tls_name: str | None) -> None:
        where = urlsplit(base)
        self._host = where.hostname or ""
        self._port = where.port or (443 if where.scheme == "https" else 80)
        self._tls = tls if where.scheme == "https" else None
        self._tls_name = tls_name if self._tls is not None else None
        self._prefix = where.path.rstrip("/")
        self._tail = f" HTTP/1.1\r\nHost: {where.netloc}\r\n"
        self._heads: dict[tuple[tuple[str, str], ...], str] = {}
        self._idle: list[_Connection] = []

    async def call(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer. Raises OSError where none comes."""
        request = f"{method} {self._prefix}{path}{self._tail}{self._head(headers)}Content-Length: {len(body)}\r\n\r\n"
        connection = self._kept() or await self._connect()
        answer = await connection.call(request.encode("latin-1") + body)
        if connection.is_open:
            connection.idle_since = time.monotonic()
            self._idle.append(connection)
        return answer

    def close(self) -> None:
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    def _head(self, headers: Mapping[str, str]) -> str:
        """The header lines; callers send the same few sets of headers again and again."""
        key = tuple(headers.items())
        head = self._heads.get(key)
        if head is None:
            if len(self._heads) > 256:
                self._heads.clear()
            head = self._heads[key] = "".join(f"{name}: {value}\r\n" for name, value in key)
        return head

    def _kept(self) -> _Connection | None:
        """The connection that was used last, if it still may be."""
        oldest = time.monotonic() - MAX_IDLE_S
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open and connection.idle_since > oldest:
                return connection
            connection.close()
        return None

    async def _connect(self) -> _Connection:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, connection = await asyncio.get_running_loop().create_connection(
                _Connection, self._host, self._port, ssl=self._tls, server_hostname=self._tls_name or None
            )
        return connection
