"""HTTP/1.1 as bytes on a connection, without TLS: heads and bodies, keeping alive, pipelining, streaming."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from apiserver.serving import Server, listen

Messages = list[dict[str, Any]]


def _start(*headers: tuple[bytes, bytes], status: int = 200) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": headers}


def _body(piece: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": piece, "more_body": more}


ANSWERS: dict[str, Messages] = {
    "/whole": [_start((b"Content-Length", b"2")), _body(b"ok")],
    "/streamed": [_start(), _body(b"", more=True), _body(b"one", more=True), _body(b"")],
    "/injected": [_start((b"content-length", b"2"), (b"x", b"a\r\ny: b")), _body(b"ok")],
    "/named": [_start((b"content-length", b"2"), (b"x y", b"a")), _body(b"ok")],
    "/long": [_start((b"content-length", b"1")), _body(b"ok")],
    "/short": [_start((b"content-length", b"3")), _body(b"ok")],
    "/nothing": [],
}


async def _app(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] == "/é":
        await send(_start((b"content-length", str(len(scope["query_string"])).encode())))
        await send(_body(scope["query_string"]))
    elif scope["path"] == "/echo":
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        await send(_start((b"content-length", str(len(body)).encode())))
        await send(_body(body))
    for message in ANSWERS.get(scope["path"], ()):
        await send(message)
        await asyncio.sleep(0)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    sock = listen("127.0.0.1", 0)
    server = Server(_app, None, sock)
    await server.start()
    yield sock.getsockname()[1]
    await server.stop()


async def _talk(port: int, *sent: bytes) -> bytes:
    """All that comes until the server closes, without dates; each piece is sent once the last one is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    got = b""
    async with asyncio.timeout(30):
        for piece in sent:
            writer.write(piece)
            got += await reader.read(1 << 16)
        while more := await reader.read(1 << 16):
            got += more
    writer.close()
    return b"\r\n".join(line for line in got.split(b"\r\n") if not line.startswith(b"date: "))


def _ask(path: str, *headers: str, method: str = "GET", version: str = "1.1") -> bytes:
    return "\r\n".join((f"{method} {path} HTTP/{version}", "Host: a", *headers, "", "")).encode()


def _last(path: str) -> bytes:
    return _ask(path, "Connection: close")


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
LAST = OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n"


async def test_connections_are_kept_unless_someone_wants_them_closed(port: int) -> None:
    assert await _talk(port, _ask("/whole"), _last("/whole")) == OK + LAST
    assert await _talk(port, _ask("/whole", version="1.0")) == LAST


async def test_requests_in_one_piece_are_answered_one_after_the_other(port: int) -> None:
    assert await _talk(port, _ask("/streamed") + _ask("/whole") + _last("/whole")) == CHUNKED + OK + LAST
    assert await _talk(port, _ask("/whole", method="HEAD") + _last("/whole")) == OK[:-2] + LAST


async def test_paths_and_bodies_reach_the_application_whole(port: int) -> None:
    assert (await _talk(port, _last("/%C3%A9?a=%20b"))).endswith(b"a=%20b")
    head = _ask("/echo", "Content-Length: 4", "Connection: close", method="POST")
    assert (await _talk(port, head + b"bo" + b"dy")).endswith(b"\r\n\r\nbody")
    head = _ask("/echo", "Content-Length: 4", "Connection: close", "Expect: 100-continue", method="POST")
    told = await _talk(port, head, b"body")
    assert told.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n") and told.endswith(b"body")


@pytest.mark.parametrize("path", ["/injected", "/named", "/nothing", "/long", "/short"])
async def test_answers_that_cannot_be_sent_end_the_connection(port: int, path: str) -> None:
    got = await _talk(port, _ask(path))
    expected = {"/nothing": b"HTTP/1.1 500 Internal Server Error\r\n", "/short": OK.replace(b": 2", b": 3")}
    assert got.startswith(expected.get(path, b"")) and (path in expected or not got)
