from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator

import pytest

from nodeagent.server import spdy_frames as frames
from nodeagent.server.spdy import QUEUE_BYTES, Connection, Stream, StreamReset
from nodeagent.server.spdy_frames import DICTIONARY, HeaderReader, HeaderWriter, SpdyError

Pair = tuple[Connection, Connection]


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    """A client's and a server's end of one connection, both running."""
    accepted: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Future()
    server = await asyncio.start_server(lambda reader, writer: accepted.set_result((reader, writer)), "127.0.0.1", 0)
    client = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
    ends = Connection(*client), Connection(*await accepted, is_server=True)
    tasks = [asyncio.create_task(end.run()) for end in ends]
    yield ends
    for end in ends:
        end.close()
    await asyncio.gather(*tasks, return_exceptions=True)
    server.close()
    await server.wait_closed()


async def opened(pair: Pair, headers: dict[str, str] | None = None) -> tuple[Stream, Stream]:
    near = await pair[0].open(headers or {})
    far = await pair[1].accept()
    assert far is not None
    return near, far


def test_the_dictionary_is_the_protocols_own() -> None:
    assert (len(DICTIONARY), zlib.adler32(DICTIONARY)) == (1423, 0xE3C6A7C2)


def test_header_blocks_share_their_compression() -> None:
    writer, reader = HeaderWriter(), HeaderReader()
    headers = {"streamtype": "stdout", "requestid": "1"}
    first, second = writer.pack(headers), writer.pack(headers)
    assert len(second) < len(first)
    assert [reader.unpack(first), reader.unpack(second)] == [headers, headers]


def test_frames_begin_as_the_protocol_says() -> None:
    assert frames.data_frame(5, b"hi", is_last=True) == b"\x00\x00\x00\x05\x01\x00\x00\x02hi"
    assert frames.control_frame(frames.PING, b"\0\0\0\1") == b"\x80\x03\x00\x06\x00\x00\x00\x04\0\0\0\1"
    assert frames.parse_head(b"\x00\x00\x00\x05\x01\x00\x00\x02") == (frames.DATA, 5, frames.FLAG_FIN, 2)


@pytest.mark.parametrize("head", [b"\x80\x02\x00\x01\0\0\0\0", b"\x80\x03\x00\x01\x00\xff\xff\xff"])
def test_other_versions_and_huge_control_frames_are_refused(head: bytes) -> None:
    with pytest.raises(SpdyError):
        frames.parse_head(head)


def test_broken_header_blocks_are_refused() -> None:
    with pytest.raises(SpdyError):
        HeaderReader().unpack(b"nonsense")


async def test_streams_carry_bytes_and_headers_both_ways(pair: Pair) -> None:
    near, far = await opened(pair, {"StreamType": "data"})
    assert far.headers == {"streamtype": "data"}
    await near.write(b"question")
    assert await far.read() == b"question"
    await far.write(b"answer")
    assert await near.read() == b"answer"


async def test_each_way_ends_on_its_own(pair: Pair) -> None:
    near, far = await opened(pair)
    await near.close()
    assert await far.read() == b""
    await far.write(b"still")
    await far.close()
    assert [await near.read(), await near.read()] == [b"still", b""]
    with pytest.raises(StreamReset):
        await near.write(b"late")


async def test_a_reset_keeps_what_came_before_it(pair: Pair) -> None:
    near, far = await opened(pair)
    await far.write(b"last words")
    await far.reset()
    assert [piece async for piece in near.pieces()] == [b"last words"]
    with pytest.raises(StreamReset):
        await near.read()


async def test_many_streams_do_not_mix(pair: Pair) -> None:
    streams = [await opened(pair) for _ in range(5)]
    for number, (near, _) in enumerate(streams):
        await near.write(b"%d" % number)
        await near.close()
    assert [b"".join([piece async for piece in far.pieces()]) for _, far in streams] == [b"0", b"1", b"2", b"3", b"4"]


async def test_a_stream_that_nobody_reads_holds_the_sender_up(pair: Pair) -> None:
    near, far = await opened(pair)
    size = 64 * QUEUE_BYTES
    writing = asyncio.create_task(near.write(bytes(size)))
    first = await far.read()
    assert not writing.done()
    received = len(first)
    while received < size:
        received += len(await far.read())
    await writing


async def test_the_end_of_the_connection_cuts_its_streams(pair: Pair) -> None:
    near, _ = await opened(pair)
    pair[1].close()
    with pytest.raises(StreamReset):
        await near.read()
    assert await pair[0].accept() is None
    with pytest.raises(SpdyError):
        await pair[0].open({})


async def test_pings_are_answered() -> None:
    reader = asyncio.StreamReader()

    class Writer:
        sent = b""

        def write(self, data: bytes) -> None:
            self.sent += data

        async def drain(self) -> None: ...

    writer = Writer()
    reader.feed_data(frames.control_frame(frames.PING, b"\0\0\0\2"))
    reader.feed_eof()
    await Connection(reader, writer).run()  # type: ignore[arg-type]
    assert writer.sent == frames.control_frame(frames.PING, b"\0\0\0\2")
