"""The node's HTTPS server: every request is authenticated, authorized, and answered by one handler.

The paths are those of a kubelet, for the API server and for monitoring. Follows: pkg/kubelet/server/server.go
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from controllers.runtime.errors import ApiError
from nodeagent.server.answers import Refusal, plain
from nodeagent.server.auth import Gate, denial
from nodeagent.server.container_logs import ContainerLogs
from nodeagent.server.facts import Facts
from nodeagent.server.host import Host
from nodeagent.server.sessions import Sessions
from nodeagent.server.system_logs import SystemLogs

log = logging.getLogger(__name__)

PORT = 10250
SHUTDOWN_S = 2.0
BODY_LIMIT_BYTES = 1 << 20
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def server_tls(cert_file: str, key_file: str, client_ca_file: str) -> ssl.SSLContext:
    """TLS that asks for client certificates of the cluster's CA and takes callers without one, who may have a token."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    tls.load_cert_chain(cert_file, key_file)
    tls.load_verify_locations(client_ca_file)
    tls.verify_mode = ssl.CERT_OPTIONAL
    return tls


class NodeServer:
    """Serves one node until it is closed."""

    def __init__(self, host: Host, gate: Gate, folder: Path = Path("/")) -> None:
        """`folder` is on the file system that holds the node's data."""
        self._host = host
        self._gate = gate
        self._folder = folder
        self._runner: web.AppRunner | None = None

    async def start(self, address: str, port: int, tls: ssl.SSLContext | None) -> int:
        """Listen, and answer the port (given 0, any free one). Raises OSError when the port is taken."""
        runner = web.AppRunner(self.application(), access_log=None, handler_cancellation=True)
        await runner.setup()
        self._runner = runner
        site = web.TCPSite(runner, address, port, ssl_context=tls, shutdown_timeout=SHUTDOWN_S)
        await site.start()
        return int(runner.addresses[0][1])

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._guard], client_max_size=BODY_LIMIT_BYTES)
        app.on_response_prepare.append(_drop_server_header)
        _add_facts(app.router, Facts(self._host, self._folder))
        _add_streams(app.router, Sessions(self._host), ContainerLogs(self._host))
        logs = SystemLogs()
        for path in ("/logs", "/logs/", "/logs/{path:.+}"):
            app.router.add_get(path, logs.serve)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let through who may, and say in plain text why not."""
        try:
            await self._admit(request)
            return await handler(request)
        except Refusal as refusal:
            return plain(refusal.code, refusal.text)
        except web.HTTPException as err:
            return plain(err.status, "404 page not found\n" if err.status == 404 else err.reason)

    async def _admit(self, request: web.Request) -> None:
        certificate = request.transport.get_extra_info("peercert") if request.transport is not None else None
        try:
            user = await self._gate.user(certificate, request.headers.get("Authorization", ""))
            if user is None:
                raise Refusal(401, "Unauthorized")
            is_allowed = await self._gate.allows(user, request.method, request.path)
        except ApiError as err:
            log.warning("cannot ask the API server about a request", extra={"path": request.path, "error": str(err)})
            raise Refusal(500, "Internal Error") from err
        if not is_allowed:
            raise Refusal(403, denial(user, request.method, request.path, self._host.node_name))


async def _drop_server_header(request: web.Request, response: web.StreamResponse) -> None:
    """What software answers is nobody's business."""
    response.headers.pop("Server", None)


def _add_facts(router: web.UrlDispatcher, facts: Facts) -> None:
    for path in ("/pods", "/pods/"):
        router.add_get(path, facts.pods)
    for path in ("/runningpods", "/runningpods/"):
        router.add_get(path, facts.running_pods)
    for path in ("/healthz", "/healthz/", "/healthz/ping", "/healthz/log", "/healthz/syncloop"):
        router.add_get(path, facts.health)
    router.add_get("/configz", facts.configuration)
    router.add_get("/stats/summary", facts.summary)
    router.add_get("/metrics", facts.metrics)
    router.add_get("/metrics/resource", facts.resource_metrics)
    router.add_get("/metrics/cadvisor", facts.cadvisor_metrics)


def _add_streams(router: web.UrlDispatcher, sessions: Sessions, logs: ContainerLogs) -> None:
    router.add_get("/containerLogs/{namespace}/{pod}/{container}", logs.serve)
    for path in ("/{namespace}/{pod}/{container}", "/{namespace}/{pod}/{uid}/{container}"):
        _add_both(router, "/exec" + path, sessions.execute)
        _add_both(router, "/attach" + path, sessions.attach)
        router.add_post("/run" + path, sessions.run)
    for path in ("/{namespace}/{pod}", "/{namespace}/{pod}/{uid}"):
        _add_both(router, "/portForward" + path, sessions.forward)


def _add_both(router: web.UrlDispatcher, path: str, handler: Handler) -> None:
    """SPDY asks by POST, WebSockets by GET."""
    router.add_get(path, handler, allow_head=False)
    router.add_post(path, handler)
