"""`/exec`, `/attach` and `/portForward`: the client's connection joined with the runtime's streaming server.

SPDY and the older WebSocket protocols are the runtime's to speak: their bytes pass through. Two it does not know are
spoken here: channels of version 5, and SPDY tunnelled through a WebSocket.
Follows: pkg/kubelet/server/server.go getExec, getAttach, getPortForward
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiohttp import WSMsgType, web

from nodeagent.pods import spec
from nodeagent.runtime.protocol import RuntimeFailure, State
from nodeagent.server import channels
from nodeagent.server.answers import Refusal, refused
from nodeagent.server.channels import Channels, Wanted
from nodeagent.server.container_logs import find_pod
from nodeagent.server.dial import CHUNK_BYTES, DialError, Line, join, upgrade
from nodeagent.server.host import Host, View
from nodeagent.server.spdy import Connection
from nodeagent.server.takeover import TakenOver, take_over

TUNNEL_PROTOCOL = "SPDY/3.1+portforward.k8s.io"
FORWARD_PROTOCOL = "portforward.k8s.io"
RUN_TIMEOUT_S = 120
_DROPPED_HEADERS = frozenset(("host", "authorization", "content-length", "connection"))

T = TypeVar("T")


class Sessions:
    """Finds what a client means, asks the runtime for a place to connect to, and joins the two."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def execute(self, request: web.Request) -> web.StreamResponse:
        wanted, id = wanted_streams(request), await self._container(request)
        command = request.query.getall("command", [])
        return await self._session(
            request, wanted, lambda: self._host.runtime.exec_url(id, command, streams=wanted.streams())
        )

    async def attach(self, request: web.Request) -> web.StreamResponse:
        wanted, id = wanted_streams(request), await self._container(request)
        found = spec.container_named(find_pod(self._host, request), request.match_info["container"])
        # Whether there is a terminal was decided when the container was made.
        wanted = Wanted(wanted.stdin, wanted.stdout, wanted.stderr, bool((found or {}).get("tty")))
        return await self._session(request, wanted, lambda: self._host.runtime.attach_url(id, streams=wanted.streams()))

    async def forward(self, request: web.Request) -> web.StreamResponse:
        is_tunnel = TUNNEL_PROTOCOL in _protocols(request)
        ports = [] if is_tunnel or not _is_web_socket(request) else forward_ports(request.query.getall("port", []))
        pod = find_pod(self._host, request)
        url = await _asked(self._host.runtime.forward_url(await self._sandbox(pod), ports))
        return await self._tunnel(request, url) if is_tunnel else await self._pass(request, url)

    async def run(self, request: web.Request) -> web.StreamResponse:
        """A command run to its end, answered with all it wrote."""
        id = await self._container(request)
        result = await _asked(self._host.runtime.exec(id, request.query.get("cmd", "").split(" "), RUN_TIMEOUT_S))
        if result.exit_code:
            raise Refusal(500, f"command '{request.query['cmd']}' exited with {result.exit_code}: {result.output}")
        return web.Response(body=result.stdout + result.stderr, content_type="application/json")

    async def _container(self, request: web.Request) -> str:
        """The running container that a path names."""
        pod, name = find_pod(self._host, request), request.match_info["container"]
        listed = await _asked(self._host.runtime.containers(pod["metadata"]["uid"]))
        running = [item for item in listed if item.name == name and item.state is State.RUNNING]
        if not running:
            raise Refusal(500, f'container not found ("{name}")')
        return max(running, key=lambda item: item.attempt).id

    async def _sandbox(self, pod: View) -> str:
        metadata = pod["metadata"]
        listed = await _asked(self._host.runtime.sandboxes(metadata["uid"]))
        ready = [item for item in listed if item.is_ready]
        if not ready:
            raise Refusal(500, f'pod not found ("{metadata["name"]}_{metadata["namespace"]}")')
        return max(ready, key=lambda item: item.created_ns).id

    async def _session(
        self, request: web.Request, wanted: Wanted, ask: Callable[[], Awaitable[str]]
    ) -> web.StreamResponse:
        url = await _asked(ask())
        return await (self._channels(request, url, wanted) if _is_channels(request) else self._pass(request, url))

    async def _channels(self, request: web.Request, url: str, wanted: Wanted) -> web.StreamResponse:
        socket = web.WebSocketResponse(
            protocols=(channels.PROTOCOL,), compress=False, max_msg_size=channels.MAX_MESSAGE_BYTES
        )
        await socket.prepare(request)
        client = Channels(socket)
        try:
            line = await upgrade(url, "POST", _spdy_headers(channels.RUNTIME_PROTOCOL))
        except DialError as err:
            await client.finish(channels.internal_error(str(err)))
            return socket
        await client.greet(wanted)
        connection = Connection(line.reader, line.writer, received=line.received)
        await client.finish(await channels.run_session(client, connection, wanted))
        return socket

    async def _pass(self, request: web.Request, url: str) -> web.StreamResponse:
        if "Upgrade" not in request.headers:
            raise Refusal(400, "Upgrade request required")
        # Clients name the protocols that they know in a header each.
        headers = [(n, v) for n, v in request.headers.items() if n.lower() not in _DROPPED_HEADERS]
        line = await _dialled(url, request.method, [*headers, ("Connection", "Upgrade")])
        await join(take_over(request, line.headers, line.received), line)
        return TakenOver()

    async def _tunnel(self, request: web.Request, url: str) -> web.StreamResponse:
        line = await _dialled(url, "POST", _spdy_headers(FORWARD_PROTOCOL))
        try:
            socket = web.WebSocketResponse(
                protocols=(TUNNEL_PROTOCOL,), compress=False, max_msg_size=channels.MAX_MESSAGE_BYTES
            )
            await socket.prepare(request)
            await _join_tunnel(socket, line)
            return socket
        finally:
            line.writer.close()


async def _join_tunnel(socket: web.WebSocketResponse, line: Line) -> None:
    """Move the bytes of the runtime's connection through the messages of a WebSocket, until either side ends."""
    tasks = (asyncio.create_task(_from_tunnel(socket, line)), asyncio.create_task(_into_tunnel(socket, line)))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await socket.close()


async def _from_tunnel(socket: web.WebSocketResponse, line: Line) -> None:
    async for message in socket:
        if message.type is WSMsgType.BINARY:
            line.writer.write(message.data)
            await line.writer.drain()


async def _into_tunnel(socket: web.WebSocketResponse, line: Line) -> None:
    data = line.received or await line.reader.read(CHUNK_BYTES)
    while data:
        await socket.send_bytes(data)
        data = await line.reader.read(CHUNK_BYTES)


async def _asked(question: Awaitable[T]) -> T:
    try:
        return await question
    except RuntimeFailure as failure:
        raise refused(failure) from failure


async def _dialled(url: str, method: str, headers: list[tuple[str, str]]) -> Line:
    try:
        return await upgrade(url, method, headers)
    except DialError as err:
        raise Refusal(500, str(err)) from err


def _spdy_headers(protocol: str) -> list[tuple[str, str]]:
    return [("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1"), ("X-Stream-Protocol-Version", protocol)]


def wanted_streams(request: web.Request) -> Wanted:
    """The streams that a request asks for. Raises 400 when there are none."""
    query = request.query
    tty = query.get("tty") == "1"
    found = Wanted(
        stdin=query.get("input") == "1",
        stdout=query.get("output") == "1",
        # A terminal has one output.
        stderr=query.get("error") == "1" and not tty,
        tty=tty,
    )
    if not (found.stdin or found.stdout or found.stderr):
        raise Refusal(400, "you must specify at least 1 of stdin, stdout, stderr")
    return found


def forward_ports(texts: list[str]) -> list[int]:
    """The ports that the older WebSocket protocol names in advance. Raises 400."""
    if not texts:
        raise Refusal(400, 'query parameter "port" is required')
    ports = []
    for text in ",".join(texts).split(","):
        if not text.isdecimal() or int(text) > 65535:
            raise Refusal(400, f'unable to parse "{text}" as a port')
        if int(text) < 1:
            raise Refusal(400, f'port "{text}" must be > 0')
        ports.append(int(text))
    return ports


def _is_web_socket(request: web.Request) -> bool:
    return request.headers.get("Upgrade", "").lower() == "websocket"


def _protocols(request: web.Request) -> list[str]:
    if not _is_web_socket(request):
        return []
    offered = ",".join(request.headers.getall("Sec-WebSocket-Protocol", []))
    return [protocol.strip() for protocol in offered.split(",")]


def _is_channels(request: web.Request) -> bool:
    return channels.PROTOCOL in _protocols(request)
