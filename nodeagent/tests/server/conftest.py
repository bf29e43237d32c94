"""A node's server with a runtime that runs nothing, but streams like a real one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from nodeagent.runtime.protocol import Container, ExecResult, Missing, RuntimeFailure, Sandbox, State, Usage
from nodeagent.server.app import NodeServer
from nodeagent.server.spdy import Connection, Stream

UID = "uid-1"
Script = Callable[[Mapping[str, Stream], Connection], Awaitable[None]]
LABELS = {"io.kubernetes.pod.uid": UID}


@dataclass
class FakeRuntime:
    """Answers one pod's container `c`; `script` plays the process behind its streams."""

    log_path: str = ""
    url: str = ""
    failure: RuntimeFailure | None = None
    asked: list[Any] = field(default_factory=list)
    state: State = State.RUNNING

    name = "fake"

    def _c(self) -> Container:
        return Container(
            "c1", "s1", "c", 0, self.state, "image", "image", 1, labels=LABELS, log_path=self.log_path
        )

    async def containers(self, uid: str = "") -> Sequence[Container]:
        return [self._c()]

    async def container(self, id: str) -> Container:
        if id != "c1":
            raise Missing("no such container")
        return self._c()

    async def sandboxes(self, uid: str = "") -> Sequence[Sandbox]:
        return [Sandbox("s1", "p", "ns", UID, 0, True, 1)]

    async def usage(self) -> Sequence[Usage]:
        return [Usage(self._c(), 10**18, 5 * 10**9, None, 100, 200, 50, 1, 0, None, None)]

    async def exec(self, id: str, command: Sequence[str], timeout_s: int) -> ExecResult:
        return ExecResult(0, " ".join(command).encode(), b"")

    async def _give(self, *asked: Any) -> str:
        self.asked.append(asked)
        if self.failure is not None:
            raise self.failure
        return self.url

    async def exec_url(self, id: str, command: Sequence[str], *, streams: Mapping[str, bool]) -> str:
        return await self._give("exec", id, list(command), dict(streams))

    async def attach_url(self, id: str, *, streams: Mapping[str, bool]) -> str:
        return await self._give("attach", id, dict(streams))

    async def forward_url(self, sandbox_id: str, ports: Sequence[int]) -> str:
        return await self._give("forward", sandbox_id, list(ports))


class FakeHost:
    node_name = "n"

    def __init__(self, runtime: FakeRuntime) -> None:
        self.runtime: Any = runtime
        self.problem = ""
        self.tty = False

    def pods(self) -> list[dict[str, Any]]:
        found = self.pod("ns", "p")
        return [found] if found is not None else []

    def pod(self, namespace: str, name: str) -> dict[str, Any] | None:
        if (namespace, name) != ("ns", "p"):
            return None
        status = {"name": "c", "containerID": "fake://c1", "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}
        return {
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": {"name": "p", "namespace": "ns", "uid": UID},
            "spec": {"containers": [{"name": "c", "image": "image", "tty": self.tty}]},
            "status": {"startTime": "2026-01-01T00:00:00Z", "containerStatuses": [status]},
        }

    async def volume_usage(self) -> dict[str, Any]:
        return {}

    async def pod_usage(self) -> dict[str, Any]:
        return {}

    def configuration(self) -> dict[str, Any]:
        return {"kind": "KubeletConfiguration"}

    def metrics(self) -> bytes:
        return b"kubelet_running_pods 1\n"

    def health(self) -> str:
        return self.problem


class FakeGate:
    """Lets everyone in who is somebody."""

    def __init__(self) -> None:
        self.allowed = True

    async def user(self, certificate: object, authorization: str) -> Any:
        from nodeagent.server.auth import User

        return User("u") if authorization else None

    async def allows(self, user: object, method: str, path: str) -> bool:
        return self.allowed


class StreamingServer:
    """A runtime's streaming server: upgrades to SPDY, waits for the expected streams, then plays the script."""

    url: str

    def __init__(self) -> None:
        self.script: Script | None = None
        self.expected = 3
        self.requests: list[bytes] = []
        self.refusal = b""
        self.failures: list[BaseException] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            if self.refusal:
                writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n" % len(self.refusal))
                writer.write(self.refusal)
                return
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n")
            connection = Connection(reader, writer, is_server=True)
            running = asyncio.create_task(connection.run())
            streams = {}
            for _ in range(self.expected):
                stream = await connection.accept()
                if stream is None:
                    return
                streams[stream.headers["streamtype"]] = stream
            assert self.script is not None
            await self.script(streams, connection)
            running.cancel()
        except Exception as err:
            self.failures.append(err)
        finally:
            writer.close()


@pytest.fixture
async def streaming() -> AsyncIterator[StreamingServer]:
    fake = StreamingServer()
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    fake.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/exec/token"
    yield fake
    server.close()
    await server.wait_closed()
    assert fake.failures == []


@pytest.fixture
def runtime(streaming: StreamingServer, tmp_path: Path) -> FakeRuntime:
    return FakeRuntime(url=streaming.url, log_path=str(tmp_path / "0.log"))


@pytest.fixture
def host(runtime: FakeRuntime) -> FakeHost:
    return FakeHost(runtime)


@pytest.fixture
def gate() -> FakeGate:
    return FakeGate()


@pytest.fixture
async def client(host: FakeHost, gate: FakeGate) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    app = NodeServer(host, gate).application()  # type: ignore[arg-type]
    async with TestClient(TestServer(app), headers={"Authorization": "Bearer x"}) as client:
        yield client
