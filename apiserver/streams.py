"""Byte streams between clients and nodes: requests carried on to a node's server, and upgraded connections joined.

The API server looks at nothing in between: it authenticates, authorizes, finds the node, and then moves bytes. An
upgraded connection (WebSocket, SPDY) is taken from the HTTP server and joined with one to the node.
Follows: staging/src/k8s.io/apimachinery/pkg/util/proxy/upgradeaware.go
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlencode

import httptools

from apiserver.registry.context import Context
from apiserver.response import Headers
from openapi.meta import status

CONNECT_TIMEOUT_S = 10.0
HEAD_TIMEOUT_S = 30.0
CHUNK_BYTES = 1 << 16
_HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"te", b"trailer",
     b"transfer-encoding", b"upgrade", b"host", b"content-length", b"authorization", b"accept-encoding")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request is carried to. `tls` None is plain HTTP; `path` has its query."""

    host: str
    port: int
    path: str
    tls: ssl.SSLContext | None

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{self.path}"


class Connection(Protocol):
    """The client's connection, as the HTTP server hands it over for good."""

    def take_over(self, protocol: asyncio.Protocol) -> asyncio.Transport: ...

    def release(self) -> None: ...


class _Response:
    """Parses an answer as it comes."""

    def __init__(self) -> None:
        self.headers: Headers = []
        self.has_head = False
        self.is_complete = False
        self._body: list[bytes] = []
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> bytes:
        """Returns what follows an upgrade."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            return data[upgrade.args[0] :]
        return b""

    def take_body(self) -> bytes:
        body, self._body = b"".join(self._body), []
        return body

    @property
    def code(self) -> int:
        return int(self._parser.get_status_code())

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.has_head = True

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        self.is_complete = True


async def connect(target: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection. Raises the 500 or 503 that a failed dial gives."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            return await asyncio.open_connection(target.host, target.port, ssl=target.tls)
    except TimeoutError:
        raise _unreachable(target, "i/o timeout") from None
    except (OSError, ssl.SSLError) as err:
        why = "connect: connection refused" if isinstance(err, ConnectionRefusedError) else str(err)
        raise _unreachable(target, why) from err


def _unreachable(target: Target, why: str) -> status.StatusError:
    host = f"[{target.host}]" if ":" in target.host else target.host
    return status.StatusError(
        500, "InternalError", f"error dialing backend: dial tcp {host}:{target.port}: {why}",
        details={"causes": [{"message": f"error dialing backend: dial tcp {host}:{target.port}: {why}"}]},
    )  # fmt: skip


async def carry(context: Context, target: Target, *, body: bytes | None = None) -> None:
    """Carry a request to `target` and its answer back as it comes; joins the connections when both sides upgrade."""
    reader, writer = await connect(target)
    try:
        upgrade = context.headers.get(b"upgrade")
        writer.write(_request_head(context, target, upgrade, body))
        if body:
            writer.write(body)
        await writer.drain()
        response, rest = await _read_head(reader, target)
        if response.code == 101 and upgrade is not None:
            await _join(context, response, rest, reader, writer)
        else:
            await _relay(context, response, reader)
    finally:
        writer.close()


def _request_head(context: Context, target: Target, upgrade: bytes | None, body: bytes | None) -> bytes:
    host = f"{target.host}:{target.port}".encode()
    lines = [b"%b %b HTTP/1.1" % (context.info.method.encode(), target.path.encode()), b"host: " + host]
    for name, value in context.headers.items():
        if name not in _HOP_BY_HOP and not name.startswith(b"impersonate-"):
            lines.append(name + b": " + value)
    if upgrade is not None:
        lines += [b"connection: Upgrade", b"upgrade: " + upgrade]
    else:
        lines.append(b"connection: close")
    if body is not None:
        lines.append(b"content-length: %d" % len(body))
    return b"\r\n".join((*lines, b"", b""))


async def _read_head(reader: asyncio.StreamReader, target: Target) -> tuple[_Response, bytes]:
    response = _Response()
    rest = b""
    try:
        async with asyncio.timeout(HEAD_TIMEOUT_S):
            while not response.has_head:
                data = await reader.read(CHUNK_BYTES)
                if not data:
                    raise _unreachable(target, "EOF")
                rest = response.feed(data)
    except (TimeoutError, httptools.HttpParserError, OSError) as err:
        raise _unreachable(target, str(err) or "timed out waiting for an answer") from err
    return response, rest


async def _relay(context: Context, response: _Response, reader: asyncio.StreamReader) -> None:
    """Send an ordinary answer on, piece by piece; ends early when the client goes away."""
    headers = [(n, v) for n, v in response.headers if n not in _HOP_BY_HOP]
    await context.send({"type": "http.response.start", "status": response.code, "headers": headers})
    gone = asyncio.ensure_future(_until_gone(context))
    try:
        async for piece in _pieces(response, reader, gone):
            await context.send({"type": "http.response.body", "body": piece, "more_body": True})
        await context.send({"type": "http.response.body", "body": b""})
    finally:
        gone.cancel()


async def _pieces(
    response: _Response, reader: asyncio.StreamReader, gone: asyncio.Future[None]
) -> AsyncIterator[bytes]:
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


async def _until_gone(context: Context) -> None:
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
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

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
    context: Context, response: _Response, rest: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
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


def query_text(query: Mapping[str, Sequence[str]]) -> str:
    """A query for a target's path, with its question mark; '' for none."""
    pairs = [(name, value) for name, values in query.items() for value in values]
    return "?" + urlencode(pairs) if pairs else ""


def node_tls(cert_file: str, key_file: str, ca_file: str) -> ssl.SSLContext:
    """TLS to nodes with the API server's client certificate; nodes are known by our CA, under whatever address."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname = False
    tls.load_verify_locations(ca_file)
    tls.load_cert_chain(cert_file, key_file)
    return tls


def insecure_tls() -> ssl.SSLContext:
    """TLS to pods and services that are asked for by https: their certificates are their own affair."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    return tls
