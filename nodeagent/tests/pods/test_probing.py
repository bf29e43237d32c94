"""Probes against servers on the loopback interface."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from nodeagent.pods.plan import Verdict
from nodeagent.pods.probing import HookFailed, Target, http_get, probe, run_hook
from nodeagent.runtime.protocol import ExecResult, RuntimeFailure

TARGET = Target("c", {"name": "c"}, "127.0.0.1")


class Health(grpc.GenericRpcHandler):
    """Answers the health service's one method by the name of the service that is asked about."""

    ANSWERS = {b"": b"\x08\x01", b"\x0a\x03bad": b"\x08\x02", b"\x0a\xc8\x01" + b"long" * 50: b"\x08\x01"}

    def service(self, details: Any) -> Any:
        if details.method != "/grpc.health.v1.Health/Check":
            return None

        async def check(request: bytes, context: Any) -> bytes:
            if request.endswith(b"slow"):
                await asyncio.Event().wait()
            if request not in self.ANSWERS:
                await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
            return self.ANSWERS[request]

        return grpc.unary_unary_rpc_method_handler(check)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Health(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield port
    await server.stop(None)


@pytest.mark.parametrize(
    ("service", "verdict", "output"),
    [
        ("", Verdict.SUCCESS, "service healthy"),
        ("bad", Verdict.FAILURE, 'service unhealthy (responded with "NOT_SERVING")'),
        ("none", Verdict.FAILURE, "error: health rpc probe failed: rpc error: code = NotFound desc = unknown service"),
        ("long" * 50, Verdict.SUCCESS, "service healthy"),
        ("slow", Verdict.FAILURE, "timeout: health rpc did not complete within 1s"),
    ],
)
async def test_a_grpc_service_says_how_it_is(port: int, service: str, verdict: Verdict, output: str) -> None:
    runtime: Any = None
    found = await probe(runtime, {"grpc": {"port": port, "service": service}}, TARGET, 1 if service == "slow" else 5)
    assert found.verdict is verdict and found.output.startswith(output)


async def test_where_nobody_listens_a_grpc_probe_fails_in_time() -> None:
    runtime: Any = None
    found = await probe(runtime, {"grpc": {"port": 1}}, TARGET, 1)
    expected = 'timeout: failed to connect service "127.0.0.1:1" within 1s: context deadline exceeded'
    assert (found.verdict, found.output) == (Verdict.FAILURE, expected)


async def test_redirects_lead_on_only_on_the_same_host() -> None:
    async def serve(request: web.Request) -> web.Response:
        if request.path == "/there":
            return web.Response(status=404)
        place = {"/here": "/there", "/away": "http://other.example.com/"}[request.path]
        return web.Response(status=302, headers={"Location": place}, text="moved")

    app = web.Application()
    app.router.add_get("/{path}", serve)
    async with TestServer(app, host="127.0.0.1") as server:
        here = await http_get({"path": "/here", "port": server.port}, TARGET, 5)
        assert (here.verdict, here.output) == (Verdict.FAILURE, "HTTP probe failed with statuscode: 404")
        away = await http_get({"path": "/away", "port": server.port}, TARGET, 5)
        assert away.verdict is Verdict.SUCCESS
        assert away.warning == "Probe terminated redirects, Response body: moved"


async def test_what_fails_a_probe_is_told_in_the_words_of_the_kubelet() -> None:
    runtime: Any = None
    async with TestServer(web.Application(), host="127.0.0.1") as server:
        mixed_up = await http_get({"port": server.port, "scheme": "HTTPS"}, TARGET, 5)
        url = f"https://127.0.0.1:{server.port}/"
    assert mixed_up.output == f'Get "{url}": http: server gave HTTP response to HTTPS client'
    unnamed = await probe(runtime, {"tcpSocket": {"port": "web"}}, TARGET, 5)
    assert (unnamed.verdict, unnamed.output) == (Verdict.UNKNOWN, 'strconv.Atoi: parsing "web": invalid syntax')


class Commands:
    """A runtime in which commands end as their first word says, or cannot be run at all."""

    async def exec(self, id: str, command: list[str], timeout_s: int) -> ExecResult:
        if command[0] == "none":
            raise RuntimeFailure("not found")
        return ExecResult(int(command[0]), b"out\n", b"err\n")


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (["3", "a b"], "error: command '3 a b' exited with 3: err\n, message: \"out\\nerr\\n\""),
        (["none"], 'error: rpc error: code = Unknown desc = not found, message: ""'),
    ],
)
async def test_what_failed_in_a_hook_is_told(command: list[str], text: str) -> None:
    runtime: Any = Commands()
    await run_hook(runtime, {"exec": {"command": ["0"]}}, TARGET)
    with pytest.raises(HookFailed) as failure:
        await run_hook(runtime, {"exec": {"command": command}}, TARGET)
    hook = f'Exec lifecycle hook ([{" ".join(command)}]) for Container "c" in Pod "p_ns(u1)" failed - '
    assert failure.value.told_of("c", "p_ns(u1)") == hook + text


async def test_a_hook_wants_an_answer_whichever_it_is() -> None:
    runtime: Any = None
    async with TestServer(web.Application(), host="127.0.0.1") as server:
        plain = {"port": server.port, "path": "/none"}
        assert await run_hook(runtime, {"httpGet": plain}, TARGET) == ""
        note = await run_hook(runtime, {"httpGet": {**plain, "scheme": "HTTPS"}}, TARGET)
        where = f"127.0.0.1:{server.port}"
        assert note == f"request to HTTPS lifecycle hook {where} got HTTP response, retry with HTTP succeeded"
    with pytest.raises(HookFailed, match="connection refused") as failure:
        await run_hook(runtime, {"httpGet": {"port": 1, "path": "/none"}}, TARGET)
    assert failure.value.hook == "HTTP lifecycle hook (/none)"


async def test_a_hook_by_tcp_is_none() -> None:
    runtime: Any = None
    with pytest.raises(HookFailed) as failure:
        await run_hook(runtime, {"tcpSocket": {"port": 80}}, TARGET)
    assert failure.value.told_of("c", "p_ns(u1)") == (
        "Cannot run handler: invalid handler: &LifecycleHandler{Exec:nil,HTTPGet:nil,"
        "TCPSocket:&TCPSocketAction{Port:{0 80 },Host:,},Sleep:nil,}"
    )
