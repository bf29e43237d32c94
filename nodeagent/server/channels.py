"""Exec and attach over a WebSocket with channels, carried on to the runtime's streams (SPDY).

A message is one byte, the channel, and data. The client sends stdin, terminal sizes and, in version 5, the end of a
channel; it gets stdout, stderr and at the end one Status that tells how it went.
Follows: staging/src/k8s.io/apimachinery/pkg/util/remotecommand/constants.go;
staging/src/k8s.io/streaming/pkg/httpstream (translation of version 5)
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from nodeagent.server.spdy import Connection, Stream
from nodeagent.server.spdy_frames import SpdyError
from openapi.meta import status

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
PROTOCOL = "v5.channel.k8s.io"
RUNTIME_PROTOCOL = "v4.channel.k8s.io"
"""What runtimes' streaming servers speak over SPDY; the end of a stream is SPDY's own there."""
MAX_STATUS_BYTES = 1 << 16
MAX_MESSAGE_BYTES = 1 << 25

Status = Mapping[str, Any]
SUCCESS: Status = {"metadata": {}, "status": "Success"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which streams a session has."""

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool

    def streams(self) -> dict[str, bool]:
        """As the runtime takes them."""
        return {"stdin": self.stdin, "stdout": self.stdout, "stderr": self.stderr, "tty": self.tty}


class Channels:
    """The client's end of one session."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket

    async def greet(self, wanted: Wanted) -> None:
        """An empty message that tells the client that the session has begun."""
        await self.send(STDOUT if wanted.stdout else STDERR if wanted.stderr else ERROR, b"")

    async def send(self, channel: int, data: bytes) -> None:
        await self._socket.send_bytes(bytes((channel,)) + data)

    async def finish(self, outcome: Status) -> None:
        """Tell how it went and close."""
        try:
            await self.send(ERROR, orjson.dumps(outcome))
            await self._socket.close()
        except (OSError, RuntimeError):
            return

    async def receive(self) -> tuple[int, bytes] | None:
        """The next message; None when the client has gone."""
        while True:
            message = await self._socket.receive()
            if message.type in (WSMsgType.BINARY, WSMsgType.TEXT):
                # Some clients send what they hold as text as text.
                data: bytes = message.data.encode() if message.type is WSMsgType.TEXT else message.data
                if data:
                    return data[0], data[1:]
            elif message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
                return None


async def run_session(channels: Channels, connection: Connection, wanted: Wanted) -> Status:
    """Carry one session from its beginning to its end; the answer is its outcome. Ends early when the client goes."""
    reading = asyncio.create_task(connection.run())
    try:
        return await _Session(channels, connection, wanted).run()
    except (SpdyError, TimeoutError) as err:
        return internal_error(str(err) or "timed out")
    finally:
        connection.close()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


class _Session:
    """The streams of one session."""

    def __init__(self, channels: Channels, connection: Connection, wanted: Wanted) -> None:
        self._channels = channels
        self._connection = connection
        self._wanted = wanted

    async def run(self) -> Status:
        # The order in which a runtime expects them, the error stream first.
        error = await self._open("error")
        inputs: dict[int, Stream] = {}
        if self._wanted.stdin:
            inputs[STDIN] = await self._open("stdin")
        outputs: dict[int, Stream] = {}
        if self._wanted.stdout:
            outputs[STDOUT] = await self._open("stdout")
        if self._wanted.stderr and not self._wanted.tty:
            outputs[STDERR] = await self._open("stderr")
        if self._wanted.tty:
            inputs[RESIZE] = await self._open("resize")
        client = asyncio.create_task(self._carry_in(inputs))
        outcome = asyncio.create_task(self._carry_out(error, outputs))
        try:
            await asyncio.wait((client, outcome), return_when=asyncio.FIRST_COMPLETED)
            # A client that has gone leaves nobody to tell; otherwise its input only ends with the session.
            return outcome.result() if outcome.done() else SUCCESS
        finally:
            client.cancel()
            outcome.cancel()
            await asyncio.gather(client, outcome, return_exceptions=True)

    async def _open(self, kind: str) -> Stream:
        return await self._connection.open({"streamtype": kind})

    async def _carry_in(self, inputs: Mapping[int, Stream]) -> None:
        """From the client to the runtime, until the client goes. Input that the process no longer takes is dropped."""
        while (message := await self._channels.receive()) is not None:
            channel, data = message
            try:
                if channel == CLOSE:
                    if data and (ended := inputs.get(data[0])) is not None:
                        await ended.close()
                elif (stream := inputs.get(channel)) is not None:
                    await stream.write(data)
            except SpdyError:
                continue

    async def _carry_out(self, error: Stream, outputs: Mapping[int, Stream]) -> Status:
        """From the runtime to the client, until all streams have ended; the answer is what the error stream tells."""
        async with asyncio.TaskGroup() as group:
            for channel, stream in outputs.items():
                group.create_task(self._copy(channel, stream))
            told = b""
            async for piece in error.pieces():
                told = (told + piece)[:MAX_STATUS_BYTES]
        return outcome_of(told)

    async def _copy(self, channel: int, stream: Stream) -> None:
        async for piece in stream.pieces():
            try:
                await self._channels.send(channel, piece)
            except (OSError, RuntimeError):
                return


def outcome_of(told: bytes) -> Status:
    """The Status for the client from what the runtime wrote to the error stream, which it always does."""
    if not told:
        return internal_error("the runtime ended the session without telling how it went")
    try:
        found = orjson.loads(told)
    except orjson.JSONDecodeError:
        return internal_error(told.decode(errors="replace"))
    if found.get("reason") == "NonZeroExitCode":
        causes = (found.get("details") or {}).get("causes") or ()
        code = next((cause.get("message") for cause in causes if cause.get("reason") == "ExitCode"), "")
        found["message"] = f"command terminated with non-zero exit code: command terminated with exit code {code}"
    return found  # type: ignore[no-any-return]


def internal_error(why: str) -> Status:
    """The Status for what failed around a session."""
    return status.internal_error(why).body()
