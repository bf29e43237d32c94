from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp
import orjson
import pytest

from nodeagent.runtime.protocol import Missing, RuntimeFailure, State
from nodeagent.server.sessions import TUNNEL_PROTOCOL
from nodeagent.server.spdy import Connection, Stream

V5 = ("v5.channel.k8s.io",)
OK = b'{"metadata":{},"status":"Success"}'
EXEC = "/exec/ns/p/c?command=sh&command=-c&output=1&error=1"


async def end(streams: Mapping[str, Stream], status: bytes = OK) -> None:
    """As runtimes end a session: outputs, then the outcome, then everything."""
    for name in ("stdout", "stderr"):
        if name in streams:
            await streams[name].close()
    await streams["error"].write(status)
    for stream in streams.values():
        await stream.reset()


async def messages(socket: aiohttp.ClientWebSocketResponse) -> list[tuple[int, bytes]]:
    return [(message.data[0], message.data[1:]) async for message in socket]


async def test_output_and_outcome_come_on_their_channels(client: Any, streaming: Any, runtime: Any) -> None:
    async def script(streams: Mapping[str, Stream], _: Connection) -> None:
        assert list(streams) == ["error", "stdout", "stderr"]
        await streams["stdout"].write(b"out")
        await streams["stderr"].write(b"err")
        await end(streams)

    streaming.script = script
    socket = await client.ws_connect(EXEC, protocols=V5)
    got = await messages(socket)
    assert got[0] == (1, b"")
    assert sorted(got[1:]) == [(1, b"out"), (2, b"err"), (3, OK)]
    assert (socket.protocol, socket.close_code) == (V5[0], 1000)
    streams = {"stdin": False, "stdout": True, "stderr": True, "tty": False}
    assert runtime.asked == [("exec", "c1", ["sh", "-c"], streams)]
    assert b"X-Stream-Protocol-Version: v4.channel.k8s.io\r\n" in streaming.requests[0]


async def test_an_exit_code_is_told_as_a_status(client: Any, streaming: Any) -> None:
    status = {
        "metadata": {}, "status": "Failure", "message": "command terminated with non-zero exit code: exit status 3",
        "reason": "NonZeroExitCode", "details": {"causes": [{"reason": "ExitCode", "message": "3"}]},
    }  # fmt: skip

    async def script(streams: Mapping[str, Stream], _: Connection) -> None:
        await end(streams, orjson.dumps(status))

    streaming.script = script
    got = await messages(await client.ws_connect(EXEC, protocols=V5))
    told = orjson.loads(got[-1][1])
    assert told == status | {
        "message": "command terminated with non-zero exit code: command terminated with exit code 3"
    }


async def test_input_sizes_and_the_end_of_input_reach_the_process(client: Any, streaming: Any) -> None:
    async def script(streams: Mapping[str, Stream], _: Connection) -> None:
        assert list(streams) == ["error", "stdin", "stdout", "resize"]
        size = await streams["resize"].read()
        text = b"".join([piece async for piece in streams["stdin"].pieces()])
        await streams["stdout"].write(size + text)
        await end(streams)

    streaming.script, streaming.expected = script, 4
    socket = await client.ws_connect("/exec/ns/p/c?command=sh&input=1&output=1&error=1&tty=1", protocols=V5)
    await socket.send_bytes(b'\x04{"Width":80,"Height":24}')
    await socket.send_bytes(b"\x00typed ")
    await socket.send_str("\x00as text")
    await socket.send_bytes(b"\xff\x00")
    got = await messages(socket)
    assert b"".join(data for channel, data in got if channel == 1) == b'{"Width":80,"Height":24}typed as text'


async def test_the_runtimes_refusal_is_told_on_the_error_channel(client: Any, streaming: Any) -> None:
    streaming.refusal = b"no such token"
    got = await messages(await client.ws_connect(EXEC, protocols=V5))
    status = orjson.loads(got[0][1])
    assert (got[0][0], status["reason"], status["message"]) == (
        3, "InternalError", "Internal error occurred: no such token",
    )  # fmt: skip


async def test_a_session_without_an_outcome_has_failed(client: Any, streaming: Any) -> None:
    async def script(streams: Mapping[str, Stream], connection: Connection) -> None:
        connection.close()

    streaming.script = script
    got = await messages(await client.ws_connect(EXEC, protocols=V5))
    assert orjson.loads(got[-1][1])["reason"] == "InternalError"


async def test_a_client_that_goes_ends_the_session(client: Any, streaming: Any) -> None:
    ended = asyncio.Event()

    async def script(streams: Mapping[str, Stream], connection: Connection) -> None:
        assert await connection.accept() is None
        ended.set()

    streaming.script = script
    socket = await client.ws_connect(EXEC, protocols=V5)
    await socket.receive()
    await socket.close()
    await asyncio.wait_for(ended.wait(), 5)


async def test_attach_takes_the_terminal_from_the_container(client: Any, streaming: Any, host: Any) -> None:
    async def script(streams: Mapping[str, Stream], _: Connection) -> None:
        await end(streams)

    streaming.script, host.tty = script, True
    await messages(await client.ws_connect("/attach/ns/p/c?output=1", protocols=V5))
    assert host.runtime.asked == [("attach", "c1", {"stdin": False, "stdout": True, "stderr": False, "tty": True})]


@pytest.mark.parametrize(
    ("path", "code", "text"),
    [
        ("/exec/ns/p/c?command=sh", 400, "you must specify at least 1 of stdin, stdout, stderr"),
        ("/exec/ns/q/c?command=sh&output=1", 404, "pod does not exist"),
        ("/exec/ns/p/d?command=sh&output=1", 500, 'container not found ("d")'),
        ("/exec/ns/p/other-uid/c?command=sh&output=1", 404, "pod does not exist"),
        ("/exec/ns/p/uid-1/c?command=sh&output=1", 400, "Upgrade request required"),
        ("/portForward/ns/q", 404, "pod does not exist"),
    ],
)
async def test_what_cannot_be_is_refused(client: Any, path: str, code: int, text: str) -> None:
    answer = await client.post(path)
    assert (answer.status, await answer.text()) == (code, text)


@pytest.mark.parametrize(("failure", "code"), [(RuntimeFailure("simulated"), 500), (Missing("gone"), 404)])
async def test_what_the_runtime_cannot_do_is_refused(client: Any, runtime: Any, failure: Any, code: int) -> None:
    runtime.failure = failure
    answer = await client.post(EXEC, headers={"Connection": "Upgrade", "Upgrade": "SPDY/3.1"})
    assert (answer.status, await answer.text()) == (code, str(failure))


async def test_an_ended_container_takes_no_commands(client: Any, runtime: Any) -> None:
    runtime.state = State.EXITED
    assert (await client.post(EXEC)).status == 500


async def spdy_client(client: Any, path: str) -> Connection:
    """A client's end of an upgraded connection, as older clients open it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.server.port)
    head = [f"POST {path} HTTP/1.1", "Host: n", "Authorization: Bearer x", "Connection: Upgrade", "Upgrade: SPDY/3.1"]
    head += ["X-Stream-Protocol-Version: v4.channel.k8s.io", "X-Stream-Protocol-Version: channel.k8s.io", "", ""]
    writer.write("\r\n".join(head).encode())
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    return Connection(reader, writer)


async def test_spdy_passes_through_with_all_its_headers(client: Any, streaming: Any) -> None:
    async def script(streams: Mapping[str, Stream], _: Connection) -> None:
        await streams["stdout"].write(b"out")
        await end(streams)

    streaming.script = script
    connection = await spdy_client(client, EXEC)
    running = asyncio.create_task(connection.run())
    error, stdout, _ = [await connection.open({"streamtype": kind}) for kind in ("error", "stdout", "stderr")]
    assert b"".join([piece async for piece in stdout.pieces()]) == b"out"
    assert b"".join([piece async for piece in error.pieces()]) == OK
    await running
    connection.close()
    head = streaming.requests[0].lower()
    assert head.count(b"x-stream-protocol-version:") == 2 and b"authorization" not in head


async def test_a_tunnel_carries_spdy_in_messages(client: Any, streaming: Any, runtime: Any) -> None:
    async def script(streams: Mapping[str, Stream], _: Connection) -> None:
        await streams["data"].write(await streams["data"].read())
        await streams["data"].close()
        await streams["error"].close()

    streaming.script, streaming.expected = script, 2
    socket = await client.ws_connect("/portForward/ns/p", protocols=(TUNNEL_PROTOCOL,))
    reader = asyncio.StreamReader()

    class Writer:
        def write(self, data: bytes) -> None:
            self.data = data

        async def drain(self) -> None:
            await socket.send_bytes(self.data)

    async def receive() -> None:
        async for message in socket:
            reader.feed_data(message.data)
        reader.feed_eof()

    connection = Connection(reader, Writer())  # type: ignore[arg-type]
    tasks = asyncio.gather(receive(), connection.run())
    await connection.open({"streamtype": "error", "port": "80", "requestid": "0"})
    data = await connection.open({"streamtype": "data", "port": "80", "requestid": "0"})
    await data.write(b"ping")
    assert [piece async for piece in data.pieces()] == [b"ping"]
    await tasks
    assert runtime.asked == [("forward", "s1", [])]
    assert b"X-Stream-Protocol-Version: portforward.k8s.io\r\n" in streaming.requests[0]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("", 'query parameter "port" is required'),
        ("?port=x", 'unable to parse "x" as a port'),
        ("?port=0", 'port "0" must be > 0'),
    ],
)
async def test_older_web_sockets_name_their_ports(client: Any, query: str, text: str) -> None:
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Protocol": "v4.channel.k8s.io"}
    answer = await client.get("/portForward/ns/p" + query, headers=headers)
    assert (answer.status, await answer.text()) == (400, text)


async def test_run_answers_with_the_output(client: Any) -> None:
    answer = await client.post("/run/ns/p/c?cmd=echo+hi")
    assert (answer.status, await answer.text()) == (200, "echo hi")
