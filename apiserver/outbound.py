"""Requests that the server itself sends: to nodes, pods, services and webhooks, over plain asyncio connections."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import httptools

CONNECT_TIMEOUT_S = 10.0
HEAD_TIMEOUT_S = 30.0
CHUNK_BYTES = 1 << 16
MOST_BYTES = 16 << 20
"""Of an answer that is read whole."""

_NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST")
_UNKNOWN_ISSUERS = ("unable to get local issuer certificate", "self-signed certificate", "self signed certificate")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request is carried to. `tls` None is plain HTTP; `path` has its query.

    `server_name` is what the server's certificate must be for, where that is not its host.
    """

    host: str
    port: int
    path: str
    tls: ssl.SSLContext | None
    server_name: str = ""

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{self.path}"


class Response:
    """Parses an answer as it comes."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
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


class Unreached(Exception):
    """A server gave no answer; the text is why, in the words of a Go client. `dialed` is whether it was connected."""

    def __init__(self, why: str, *, dialed: bool = False) -> None:
        super().__init__(why)
        self.dialed = dialed


async def connect(target: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection. Raises Unreached."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            name = target.server_name or None if target.tls is not None else None
            return await asyncio.open_connection(target.host, target.port, ssl=target.tls, server_hostname=name)
    except (OSError, ssl.SSLError) as err:
        raise Unreached(dial_error(target, err)) from err


def dial_error(target: Target, error: Exception) -> str:
    """Why a server was not reached, in the words of a Go client."""
    if isinstance(error, ssl.SSLError):
        if getattr(error, "reason", "") in _NOT_TLS:
            return "tls: first record does not look like a TLS handshake"
        why = getattr(error, "verify_message", "") or str(error)
        if any(text in why for text in _UNKNOWN_ISSUERS):
            why = "certificate signed by unknown authority"
        return f"tls: failed to verify certificate: x509: {why}"
    if isinstance(error, socket.gaierror):
        return f"dial tcp: lookup {target.host}: no such host"
    host = f"[{target.host}]" if ":" in target.host else target.host
    if isinstance(error, TimeoutError):
        why = "i/o timeout"
    else:
        number = error.errno if isinstance(error, OSError) else None
        if not number:
            return str(error) or "EOF"
        why = f"connect: {os.strerror(number).lower()}"
    return f"dial tcp {host}:{target.port}: {why}"


async def read_head(reader: asyncio.StreamReader) -> tuple[Response, bytes]:
    """An answer up to its body, and what follows an upgrade. Raises Unreached."""
    response = Response()
    rest = b""
    try:
        async with asyncio.timeout(HEAD_TIMEOUT_S):
            while not response.has_head:
                data = await reader.read(CHUNK_BYTES)
                if not data:
                    raise Unreached("EOF", dialed=True)
                rest = response.feed(data)
    except (TimeoutError, httptools.HttpParserError, OSError) as err:
        raise Unreached(str(err) or "timed out waiting for an answer", dialed=True) from err
    return response, rest


async def post(
    target: Target, body: bytes, *, server_name: str = "", headers: Sequence[tuple[bytes, bytes]] = ()
) -> tuple[int, bytes]:
    """POST a JSON body and read the whole answer. Raises OSError and ValueError; the caller sets the time limit."""
    content = ((b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)))
    return await _ask("POST", target, (*headers, *content), body, server_name)


async def get(target: Target, headers: Sequence[tuple[bytes, bytes]] = ()) -> tuple[int, bytes]:
    """GET JSON; raises as `post` does."""
    return await _ask("GET", target, headers, b"", target.server_name)


async def _ask(
    method: str, target: Target, headers: Sequence[tuple[bytes, bytes]], body: bytes, server_name: str
) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection(
        target.host, target.port, ssl=target.tls, server_hostname=server_name or None if target.tls else None
    )
    try:
        host = server_name or target.host
        lines = (
            b"%b %b HTTP/1.1" % (method.encode(), target.path.encode()),
            b"host: %b:%d" % (host.encode(), target.port),
            b"accept: application/json, */*",
            *(b"%b: %b" % header for header in headers),
            b"connection: close",
        )
        writer.write(b"\r\n".join((*lines, b"", b"")) + body)
        await writer.drain()
        return await _read_answer(reader)
    finally:
        writer.close()


async def _read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    response, parts, size = Response(), [], 0
    while not response.is_complete:
        data = await reader.read(CHUNK_BYTES)
        if not data:
            break
        try:
            response.feed(data)
        except httptools.HttpParserError as err:
            raise ValueError(f"malformed HTTP response: {err}") from err
        parts.append(response.take_body())
        size += len(parts[-1])
        if size > MOST_BYTES:
            raise ValueError("the answer is too long")
    if not response.has_head:
        raise ConnectionError("EOF")
    return response.code, b"".join(parts)


def path_text(path: str) -> str:
    """A decoded path as it is sent, with what has no place in one escaped (as Go's URL.EscapedPath does)."""
    return quote(path, safe="/$&+,:;=@")


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
