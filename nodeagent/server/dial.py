"""The runtime's own streaming server: requests carried to it, and connections joined with it.

A runtime hands out a URL for each exec, attach or port-forward; whoever connects there gets the streams.
Follows: staging/src/k8s.io/apimachinery/pkg/util/proxy/upgradeaware.go
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import httptools

CONNECT_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 30.0
CHUNK_BYTES = 1 << 16
ERROR_LIMIT_BYTES = 1 << 16


class DialError(Exception):
    """The runtime's streaming server cannot be reached, or does not do what it was asked."""


@dataclass(frozen=True, slots=True)
class Line:
    """An upgraded connection with the runtime. `received` came after the answer's head already."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    headers: Sequence[tuple[bytes, bytes]]
    received: bytes


class _Answer:
    """Parses the head of an answer, and the text of one that refuses."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.has_head = False
        self.is_complete = False
        self.body = b""
        self._parser = httptools.HttpResponseParser(self)

    @property
    def code(self) -> int:
        return int(self._parser.get_status_code())

    def feed(self, data: bytes) -> bytes:
        """Returns what follows an upgrade."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            return data[upgrade.args[0] :]
        return b""

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.has_head = True

    def on_body(self, body: bytes) -> None:
        self.body = (self.body + body)[:ERROR_LIMIT_BYTES]

    def on_message_complete(self) -> None:
        self.is_complete = True


async def upgrade(url: str, method: str, headers: Iterable[tuple[str, str]]) -> Line:
    """Connect to `url` and change to the protocol that `headers` ask for. Raises DialError with the server's words."""
    target = urlsplit(url)
    reader, writer = await _connect(target.hostname or "127.0.0.1", target.port or 80)
    path = f"{target.path}?{target.query}" if target.query else target.path
    lines = [f"{method} {path} HTTP/1.1", f"Host: {target.netloc}", *(f"{n}: {v}" for n, v in headers), "", ""]
    try:
        writer.write("\r\n".join(lines).encode())
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            return await _upgraded(reader, writer)
    except (OSError, TimeoutError, httptools.HttpParserError) as err:
        writer.close()
        raise DialError(f"error dialing the runtime's streaming server: {err or 'timed out'}") from err
    except BaseException:
        writer.close()
        raise


async def _connect(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            return await asyncio.open_connection(host, port)
    except (OSError, TimeoutError) as err:
        raise DialError(f"error dialing backend: dial tcp {host}:{port}: {err or 'i/o timeout'}") from err


async def _upgraded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Line:
    answer = _Answer()
    rest = b""
    while not answer.has_head or (answer.code != 101 and not answer.is_complete):
        data = await reader.read(CHUNK_BYTES)
        if not data:
            break
        rest = answer.feed(data)
    if not answer.has_head:
        raise DialError("the runtime's streaming server closed the connection")
    if answer.code != 101:
        raise DialError(answer.body.decode(errors="replace").strip() or f"unexpected status code {answer.code}")
    return Line(reader, writer, answer.headers, rest)


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy bytes until the reader's end, at the writer's pace."""
    try:
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    except OSError:
        return


async def join(client: tuple[asyncio.StreamReader, asyncio.StreamWriter], line: Line) -> None:
    """Move bytes between a client and the runtime until either side ends; closes both."""
    reader, writer = client
    up = asyncio.create_task(pump(reader, line.writer))
    down = asyncio.create_task(pump(line.reader, writer))
    try:
        await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (up, down):
            task.cancel()
        await asyncio.gather(up, down, return_exceptions=True)
        line.writer.close()
        writer.close()
