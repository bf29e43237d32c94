"""A SPDY/3.1 connection: many streams over one, opened by either side.

There is no flow control, as in the implementation that runtimes use: a stream that nobody reads holds up the whole
connection, so every stream is to be read or reset.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping

from nodeagent.server import spdy_frames as frames
from nodeagent.server.spdy_frames import Frame, HeaderReader, HeaderWriter, SpdyError

MAX_DATA_BYTES = 1 << 15
QUEUE_BYTES = 1 << 18
"""What a stream keeps unread before its connection stops reading."""
READ_BYTES = 1 << 16
OPEN_TIMEOUT_S = 30.0


class StreamReset(SpdyError):
    """The other side, or the end of the connection, cut the stream."""


class Stream:
    """One stream: ordered bytes both ways; each way ends on its own."""

    def __init__(self, connection: Connection, id: int, headers: Mapping[str, str]) -> None:
        self.id = id
        self.headers = headers
        self.replied = asyncio.get_running_loop().create_future()
        self._connection = connection
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._changed = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._is_ended = False
        self._is_reset = False
        self._is_closed = False

    async def read(self) -> bytes:
        """The next bytes; b'' at the end. Raises StreamReset."""
        while not self._pieces:
            if self._is_ended:
                return b""
            if self._is_reset:
                raise StreamReset(f"stream {self.id} was reset")
            self._changed.clear()
            await self._changed.wait()
        piece = self._pieces.popleft()
        self._size -= len(piece)
        if self._size < QUEUE_BYTES:
            self._has_room.set()
        return piece

    async def pieces(self) -> AsyncIterator[bytes]:
        """What comes until the end. A reset ends it too: runtimes reset streams that have served their purpose."""
        try:
            while piece := await self.read():
                yield piece
        except StreamReset:
            return

    async def write(self, data: bytes) -> None:
        """Raises StreamReset once the stream cannot take any more."""
        for at in range(0, len(data), MAX_DATA_BYTES):
            if self._is_reset or self._is_closed:
                raise StreamReset(f"stream {self.id} is closed")
            await self._connection.send(frames.data_frame(self.id, data[at : at + MAX_DATA_BYTES]))

    async def close(self) -> None:
        """End our side; the other's can go on."""
        if not (self._is_closed or self._is_reset):
            self._is_closed = True
            await self._connection.send(frames.data_frame(self.id, b"", is_last=True))
            self._connection.forget_if_over(self)

    async def reset(self, status: int = frames.CANCEL) -> None:
        """Cut the stream both ways."""
        if not self._is_reset:
            self.cut()
            await self._connection.send_reset(self.id, status)
            self._connection.forget_if_over(self)

    @property
    def is_over(self) -> bool:
        return self._is_reset or (self._is_ended and self._is_closed)

    async def feed(self, frame: Frame) -> None:
        """Take a data frame in; waits while too much is unread."""
        if frame.body and not self._is_reset:
            self._pieces.append(frame.body)
            self._size += len(frame.body)
        if frame.is_last:
            self._is_ended = True
        self._changed.set()
        if self._size >= QUEUE_BYTES:
            self._has_room.clear()
            await self._has_room.wait()

    def end(self) -> None:
        self._is_ended = True
        self._changed.set()

    def cut(self) -> None:
        self._is_reset = True
        self._has_room.set()
        self._changed.set()
        if not self.replied.done():
            self.replied.set_result(False)


class Connection:
    """Speaks SPDY over a connection that has been upgraded to it. `run` is to run for as long as streams are used."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        received: bytes = b"",
        is_server: bool = False,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._received = received
        self._next_id = 2 if is_server else 1
        self._streams: dict[int, Stream] = {}
        self._opened: asyncio.Queue[Stream | None] = asyncio.Queue()
        self._headers_in = HeaderReader()
        self._headers_out = HeaderWriter()
        self._is_lost = False

    async def open(self, headers: Mapping[str, str]) -> Stream:
        """Open a stream and wait until the other side has agreed. Raises SpdyError, TimeoutError."""
        if self._is_lost:
            raise SpdyError("the connection is gone")
        stream = Stream(self, self._next_id, headers)
        self._next_id += 2
        self._streams[stream.id] = stream
        body = stream.id.to_bytes(4) + bytes(6) + self._headers_out.pack(headers)
        await self.send(frames.control_frame(frames.SYN_STREAM, body))
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            if not await stream.replied:
                raise StreamReset(f"stream {stream.id} was refused")
        return stream

    async def accept(self) -> Stream | None:
        """The next stream that the other side opens; None when the connection has ended."""
        return await self._opened.get()

    async def run(self) -> None:
        """Read frames until the connection ends; then every stream is cut. Raises SpdyError for what is not SPDY."""
        try:
            while (frame := await self._read_frame()) is not None:
                await self._take(frame)
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            self._is_lost = True
            for stream in self._streams.values():
                stream.cut()
            self._opened.put_nowait(None)

    def close(self) -> None:
        self._writer.close()

    async def send(self, frame: bytes) -> None:
        try:
            self._writer.write(frame)
            await self._writer.drain()
        except (OSError, RuntimeError) as err:
            raise StreamReset(f"the connection is gone: {err}") from err

    async def send_reset(self, id: int, status: int) -> None:
        await self.send(frames.control_frame(frames.RST_STREAM, id.to_bytes(4) + status.to_bytes(4)))

    def forget_if_over(self, stream: Stream) -> None:
        if stream.is_over:
            self._streams.pop(stream.id, None)

    async def _read_frame(self) -> Frame | None:
        head = await self._read_exactly(frames.HEAD_BYTES)
        if head is None:
            return None
        type, stream, flags, length = frames.parse_head(head)
        body = await self._read_exactly(length) if length else b""
        return Frame(type, stream, flags, body) if body is not None else None

    async def _read_exactly(self, size: int) -> bytes | None:
        """None at the end of the connection, which has no good place to be other than between frames."""
        while len(self._received) < size:
            data = await self._reader.read(max(READ_BYTES, size - len(self._received)))
            if not data:
                return None
            self._received += data
        found, self._received = self._received[:size], self._received[size:]
        return found

    async def _take(self, frame: Frame) -> None:
        if frame.type == frames.DATA:
            await self._take_data(frame)
        elif frame.type == frames.SYN_STREAM:
            await self._take_opening(frame)
        elif frame.type == frames.SYN_REPLY:
            self._take_reply(frame)
        elif frame.type == frames.RST_STREAM:
            stream = self._streams.pop(frames.number(frame.body), None)
            if stream is not None:
                stream.cut()
        elif frame.type == frames.HEADERS:
            self._headers_in.unpack(frame.body[4:])
        elif frame.type == frames.PING and frames.number(frame.body) % 2 != self._next_id % 2:
            await self.send(frames.control_frame(frames.PING, frame.body))

    async def _take_data(self, frame: Frame) -> None:
        stream = self._streams.get(frame.stream)
        if stream is None:
            return
        await stream.feed(frame)
        self.forget_if_over(stream)

    async def _take_opening(self, frame: Frame) -> None:
        id, headers = frames.number(frame.body), self._headers_in.unpack(frame.body[10:])
        if id % 2 == self._next_id % 2 or id in self._streams:
            await self.send_reset(id, frames.PROTOCOL_ERROR)
            return
        stream = Stream(self, id, headers)
        self._streams[id] = stream
        if frame.is_last:
            stream.end()
        await self.send(frames.control_frame(frames.SYN_REPLY, id.to_bytes(4) + self._headers_out.pack({})))
        self._opened.put_nowait(stream)

    def _take_reply(self, frame: Frame) -> None:
        self._headers_in.unpack(frame.body[4:])
        stream = self._streams.get(frames.number(frame.body))
        if stream is not None:
            if not stream.replied.done():
                stream.replied.set_result(True)
            if frame.is_last:
                stream.end()
