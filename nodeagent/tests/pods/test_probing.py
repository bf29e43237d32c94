"""Probes against servers on the loopback interface."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from nodeagent.pods.plan import Verdict
from nodeagent.pods.probing import Target, http_get, probe

TARGET = Target("c", {"name": "c"}, "127.0.0.1")


class Health(grpc.GenericRpcHandler):
    """Answers the health service's one method by the name of the service that is asked about."""

    ANSWERS = {b"": b"\x08\x01", b"\x0a\x03bad": b"\x08\x02"}

    def service(self, details: Any) -> Any:
        if details.method != "/grpc.health.v1.Health/Check":
            return None

        async def check(request: bytes, context: Any) -> bytes:
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
        ("none", Verdict.FAILURE, "error: health rpc probe failed: unknown service"),
    ],
)
async def test_a_grpc_service_says_how_it_is(port: int, service: str, verdict: Verdict, output: str) -> None:
    runtime: Any = None
    found = await probe(runtime, {"grpc": {"port": port, "service": service}}, TARGET, 5)
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
