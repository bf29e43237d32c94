"""Content negotiation: the first type that the client lists and the server has."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from apiserver.response import (
    JSON,
    PROTOBUF,
    YAML,
    Negotiated,
    Reply,
    negotiate,
    send_reply,
    status_reply,
    warning_headers,
)
from openapi.meta.status import StatusError
from openapi.schema.protobuf import open_envelope

PARTIAL = ";as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
TABLE = ";as=Table;g=meta.k8s.io;v=v1"


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("", JSON),
        ("*/*", JSON),
        (YAML, YAML),
        (PROTOBUF, PROTOBUF),
        (f"{PROTOBUF},{JSON}", PROTOBUF),
        (f"{PROTOBUF}, */*", PROTOBUF),
        (f"{JSON},{PROTOBUF}", JSON),
        (f"{PROTOBUF};q=0.5,{JSON}", JSON),
    ],
)
def test_the_first_type_accepted_is_sent(accept: str, media: str) -> None:
    assert negotiate(accept) == Negotiated(media)


def test_kinds_without_protobuf_are_sent_as_json_where_that_is_accepted_too() -> None:
    assert negotiate(f"{PROTOBUF},{JSON}", has_protobuf=False) == Negotiated(JSON)
    assert negotiate(PROTOBUF + PARTIAL, has_protobuf=False) == Negotiated(PROTOBUF, "PartialObjectMetadata", "v1")


def test_tables_are_never_protobuf() -> None:
    assert negotiate(f"{PROTOBUF}{TABLE},{JSON}{TABLE}") == Negotiated(JSON, "Table", "v1")


def test_what_has_no_columns_is_no_table() -> None:
    assert negotiate(f"{JSON}{TABLE},{JSON}", has_table=False) == Negotiated(JSON)
    with pytest.raises(StatusError):
        negotiate(JSON + TABLE, has_table=False)


def test_a_custom_object_as_protobuf_alone_is_refused_in_protobuf() -> None:
    with pytest.raises(StatusError) as caught:
        negotiate(PROTOBUF, has_protobuf=False)
    text = f"only the following media types are accepted: {JSON}, {YAML}, {PROTOBUF}"
    assert (caught.value.code, caught.value.message) == (406, text)
    reply = status_reply(caught.value, Negotiated(PROTOBUF))
    envelope = open_envelope(b"".join(reply.parts))
    assert (reply.content_type, envelope.api_version, envelope.kind) == (PROTOBUF, "v1", "Status")
    assert envelope.raw.endswith(b"\x1at" + text.encode() + b'"\rNotAcceptable0\x96\x03')
    assert b"\x12\x07Failure" in envelope.raw


def test_watches_stream_json_or_protobuf() -> None:
    assert negotiate(f"{PROTOBUF};stream=watch", watching=True) == Negotiated(PROTOBUF)
    with pytest.raises(StatusError):
        negotiate(YAML, watching=True)


@pytest.mark.parametrize(
    ("texts", "shown"),
    [
        (["a", "b", "a", "", "c\nd"], ["a", "b"]),
        (['x"\\'], ['x\\"\\\\']),
        (["x" * 4096], ["x" * 4096]),
        (["x" * 4097], ["x" * 256]),
        (["a", "x" * 4096, "b"], ["a", "x" * 256, "b"]),
        ([f"{n:04}" + "x" * 1000 for n in range(20)], [f"{n:04}" + "x" * 252 for n in range(16)]),
    ],
    ids=["once and clean", "quoted", "at the limit", "over it", "all are cut", "the rest is left out"],
)
def test_warnings_have_limits(texts: list[str], shown: list[str]) -> None:
    assert warning_headers(texts) == [f'299 - "{text}"'.encode() for text in shown]


async def sent(reply: Reply, **how: bool) -> tuple[dict[bytes, bytes], bytes]:
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    await send_reply(send, reply, **how)
    return dict(messages[0]["headers"]), b"".join(m["body"] for m in messages[1:])


async def test_long_answers_are_zipped_for_who_takes_that() -> None:
    parts = [b'{"items":['] + [b'{"metadata":{"name":"x"}},'] * 100_000 + [b"]}"]
    headers, body = await sent(Reply(200, parts), accepts_gzip=True)
    assert headers[b"content-encoding"] == b"gzip"
    assert gzip.decompress(body) == b"".join(parts)
    assert len(body) < sum(map(len, parts)) / 10


async def test_short_answers_and_other_clients_get_them_as_they_are() -> None:
    headers, body = await sent(Reply(200, (b"{}",)), accepts_gzip=True)
    assert b"content-encoding" not in headers and body == b"{}"
    long = b"x" * 3_000_000
    headers, body = await sent(Reply(200, (long,)))
    assert headers[b"content-length"] == b"3000000" and body == long
