"""A small HTTP server for `/healthz`, `/livez`, `/readyz` and `/metrics` of a client process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from controllers.runtime.metrics import Metrics

Check = Callable[[], str]
"""Says what is wrong; '' when nothing is."""

_LIMIT_BYTES = 8192
_TIMEOUT_S = 5.0


class HealthServer:
    """Serves GET on one address; `checks` by name make up the health."""

    def __init__(self, checks: Mapping[str, Check], metrics: Metrics) -> None:
        self._checks = checks
        self._metrics = metrics
        self._server: asyncio.Server | None = None

    async def start(self, address: str, port: int) -> int:
        """Listen, and answer the port (given 0, any free one). Raises OSError when the port is taken."""
        self._server = await asyncio.start_server(self._serve, address, port, limit=_LIMIT_BYTES)
        return int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
                status, body = self._answer(head.split(b"\r\n", 1)[0].decode("latin-1").split(" "))
                lines = [f"HTTP/1.1 {status}", "Content-Type: text/plain; charset=utf-8"]
                lines += [f"Content-Length: {len(body)}", "Connection: close", "", ""]
                writer.write("\r\n".join(lines).encode() + body)
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return
        finally:
            writer.close()

    def _answer(self, request: list[str]) -> tuple[str, bytes]:
        path = request[1].partition("?")[0] if len(request) == 3 else ""
        if request[0] != "GET":
            return "405 Method Not Allowed", b"method not allowed\n"
        if path == "/metrics":
            return "200 OK", self._metrics.text()
        if path in ("/healthz", "/livez", "/readyz"):
            problems = {name: problem for name, check in self._checks.items() if (problem := check())}
            if not problems:
                return "200 OK", b"ok"
            lines = [f"[-]{name} failed: {problem}\n" for name, problem in problems.items()]
            return "500 Internal Server Error", "".join(lines).encode()
        return "404 Not Found", b"404 page not found\n"
