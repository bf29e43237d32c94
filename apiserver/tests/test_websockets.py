from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from apiserver.websockets import BadHandshake, Messages, close_messages, open_events, open_stream

KEY = (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ==")
VERSION = (b"sec-websocket-version", b"13")


class Wire:
    """The client's connection, and its transport."""

    def __init__(self) -> None:
        self.written = b""
        self.is_closed = False

    def take_over(self, protocol: asyncio.Protocol) -> Wire:
        protocol.connection_made(self)  # type: ignore[arg-type]
        return self

    def release(self) -> None: ...

    def write(self, data: bytes) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True


def opened(*headers: tuple[bytes, bytes]) -> tuple[Any, Wire, Messages]:
    wire = Wire()
    context: Any = SimpleNamespace(headers=dict((*headers, KEY, VERSION)), connection=wire)
    return context, wire, open_stream(context)


@pytest.mark.parametrize(
    ("offered", "answered", "message"),
    [
        (b"", b"", b"\x82\x02hi"),
        (b"x, binary.k8s.io", b"binary.k8s.io", b"\x82\x02hi"),
        (b"base64.binary.k8s.io", b"base64.binary.k8s.io", b"\x81\x04aGk="),
    ],
)
async def test_a_stream_is_sent_as_messages(offered: bytes, answered: bytes, message: bytes) -> None:
    context, wire, messages = opened(*(((b"sec-websocket-protocol", offered),) if offered else ()))
    head, _, rest = wire.written.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ") and b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
    assert (b"Sec-WebSocket-Protocol: " + answered in head) if answered else b"Sec-WebSocket-Protocol" not in head
    wire.written = rest
    await messages.send(b"hi")
    await messages.send(b"x" * 70_000) if not answered else None
    close_messages(context, messages)
    assert wire.written.startswith(message) and wire.written.endswith(b"\x88\x02\x03\xe8") and wire.is_closed
    assert answered or wire.written[len(message) :][:10] == b"\x82\x7f" + (70_000).to_bytes(8, "big")


async def test_of_what_the_client_says_only_pings_and_its_goodbye_matter() -> None:
    _, wire, messages = opened()
    wire.written = b""
    frames = bytes.fromhex("8183010203046067 66".replace(" ", "")) + bytes.fromhex("8982010203046869")
    for byte in frames:
        messages.data_received(bytes((byte,)))
    assert wire.written == b"\x8a\x02" + bytes((0x68 ^ 1, 0x69 ^ 2)) and not messages.done.done()
    messages.data_received(bytes.fromhex("888000000000"))
    assert messages.done.done()


async def test_a_client_that_has_too_much_to_say_is_let_go() -> None:
    _, _, messages = opened()
    messages.data_received(b"\x82\xff" + (1 << 40).to_bytes(8, "big") + b"mask" + b"x" * 70_000)
    assert messages.done.done()


@pytest.mark.parametrize(
    ("headers", "code"), [((VERSION,), 400), ((KEY,), 400), ((KEY, VERSION, (b"sec-websocket-protocol", b"x")), 403)]
)
async def test_handshakes_that_fail(headers: Any, code: int) -> None:
    context: Any = SimpleNamespace(headers=dict(headers), connection=None)
    with pytest.raises(BadHandshake) as failed:
        open_stream(context)
    assert failed.value.code == code


ORIGIN = (b"origin", b"https://here")


@pytest.mark.parametrize(
    ("headers", "code", "message"),
    [
        ((ORIGIN,), 101, b"\x81\x02hi"),
        ((ORIGIN, (b"sec-websocket-protocol", b"base64url.bearer.authorization.k8s.io.dA, a")), 101, b"\x81\x02hi"),
        ((ORIGIN, (b"sec-websocket-protocol", b"a, b")), 400, b""),
        ((), 403, b""),
    ],
)
async def test_events_are_sent_as_text_to_who_says_whence_it_comes(headers: Any, code: int, message: bytes) -> None:
    wire = Wire()
    context: Any = SimpleNamespace(headers=dict((*headers, KEY, VERSION)), connection=wire)
    try:
        messages = open_events(context, is_text=True)
    except BadHandshake as failure:
        assert failure.code == code
        return
    assert code == 101 and (b"Sec-WebSocket-Protocol: a\r\n" in wire.written) is (len(headers) > 1)
    wire.written = b""
    await messages.send(b"hi")
    assert wire.written == message
