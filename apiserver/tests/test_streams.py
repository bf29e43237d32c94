from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from apiserver.outbound import Target, Unreached, dial_error
from apiserver.registry.actions.pod_streams import _join, _log_refusal
from apiserver.streams import carry, fetch_text
from openapi.meta.status import StatusError


class Node:
    """Answers every request with the same bytes."""

    def __init__(self) -> None:
        self.answer = b""
        self.head = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.head = await reader.readuntil(b"\r\n\r\n")
        writer.write(self.answer)
        writer.close()

    def says(self, code: int, text: str) -> None:
        head = f"HTTP/1.1 {code} X\r\nContent-Length: {len(text)}\r\nServer: secret\r\n\r\n"
        self.answer = (head + text).encode()


@pytest.fixture
async def node() -> AsyncIterator[tuple[Node, Target]]:
    fake = Node()
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    yield fake, Target("127.0.0.1", server.sockets[0].getsockname()[1], "/x", None)
    server.close()
    await server.wait_closed()


class Request:
    """What of a context the streams use."""

    def __init__(self, *headers: tuple[bytes, bytes]) -> None:
        self.info = SimpleNamespace(method="GET")
        self.headers = dict(headers)
        self.all_headers = headers
        self.sent: list[dict[str, Any]] = []

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    async def receive(self) -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


async def test_repeated_headers_are_carried_on_and_credentials_are_not(node: tuple[Node, Target]) -> None:
    node[0].says(200, "fine")
    name = b"x-stream-protocol-version"
    request = Request((name, b"v4"), (name, b"v3"), (b"authorization", b"Bearer t"), (b"impersonate-user", b"u"))
    await carry(request, node[1])  # type: ignore[arg-type]
    assert request.body == b"fine"
    assert node[0].head.count(name) == 2
    assert b"Bearer" not in node[0].head and b"impersonate" not in node[0].head


async def test_fetched_text_is_plain(node: tuple[Node, Target]) -> None:
    node[0].says(200, "a line\n")
    request = Request()
    await fetch_text(request, node[1], lambda code, text: _log_refusal("p", code, text))  # type: ignore[arg-type]
    assert (request.sent[0]["headers"], request.body) == ([(b"content-type", b"text/plain")], b"a line\n")


@pytest.mark.parametrize(
    ("code", "reason", "message"),
    [
        (400, "BadRequest", "why"),
        (500, "InternalError", "Internal error occurred: why"),
        (404, "NotFound", "the server could not find the requested resource ( pods/log p)"),
        (403, "Forbidden", "why ( pods/log p)"),
        (422, "Invalid", "the server rejected our request due to an error in our request ( pods/log p)"),
        (502, "InternalError", 'an error on the server ("why") has prevented the request from succeeding ( pods/log p)'),  # noqa: E501
    ],
)
async def test_a_nodes_refusal_is_told_as_a_status(
    node: tuple[Node, Target], code: int, reason: str, message: str
) -> None:
    node[0].says(code, "why")
    with pytest.raises(StatusError) as refused:
        await fetch_text(Request(), node[1], lambda c, text: _log_refusal("p", c, text))  # type: ignore[arg-type]
    assert (refused.value.code, refused.value.reason, refused.value.message) == (code, reason, message)


UPGRADE = ((b"connection", b"keep-alive, Upgrade"), (b"upgrade", b"SPDY/3.1"))


@pytest.mark.parametrize(
    ("headers", "code", "message"),
    [
        ((), 400, "Upgrade request required"),
        (UPGRADE, 500, "error dialing backend: dial tcp 127.0.0.1:1: connect: connection refused"),
    ],
)
async def test_streams_are_joined_or_refused(headers: Any, code: int, message: str) -> None:
    with pytest.raises(StatusError) as refused:
        await _join(Request(*headers), Target("127.0.0.1", 1, "/exec", None))  # type: ignore[arg-type]
    assert (refused.value.code, refused.value.message) == (code, message)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (OSError(errno.ECONNREFUSED, "x"), "dial tcp [::1]:1: connect: connection refused"),
        (OSError(errno.EHOSTUNREACH, "x"), "dial tcp [::1]:1: connect: no route to host"),
        (TimeoutError(), "dial tcp [::1]:1: i/o timeout"),
        (socket.gaierror(-2, "x"), "dial tcp: lookup ::1: no such host"),
    ],
)
def test_why_a_server_was_not_reached(error: OSError, why: str) -> None:
    assert dial_error(Target("::1", 1, "/x", None), error) == why


def test_what_is_no_tls_is_told_from_what_is_not_trusted() -> None:
    error = ssl.SSLError(1, "x")
    error.reason = "WRONG_VERSION_NUMBER"
    assert dial_error(Target("a", 1, "/x", None), error) == "tls: first record does not look like a TLS handshake"


async def test_a_server_may_hang_up_instead_of_an_answer(node: tuple[Node, Target]) -> None:
    with pytest.raises(Unreached, match="EOF") as failed:
        await carry(Request(), node[1])  # type: ignore[arg-type]
    assert failed.value.dialed
