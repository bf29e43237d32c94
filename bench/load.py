"""Load on one server over TLS: by wrk where it is installed, else by a small client of our own.

Both keep 16 connections busy for a bounded time, on the loopback interface only.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.server import TOKEN, Server

CONNECTIONS = 16


@dataclass(frozen=True, slots=True)
class Request:
    """What to send again and again; `%d` in path and body stands for a number that counts up from `first`."""

    method: str
    path: str
    body: str = ""
    content_type: str = "application/json"
    first: int = 0
    wrap: int = 1_000_000_000

    def render(self, number: int) -> bytes:
        value = str(self.first + number % self.wrap)
        body = self.body.replace("%d", value).replace("%n", str(number)).encode()
        head = [
            f"{self.method} {self.path.replace('%d', value)} HTTP/1.1",
            "Host: bench",
            f"Authorization: Bearer {TOKEN}",
            f"Content-Type: {self.content_type}",
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join(head).encode() + b"\r\n\r\n" + body


@dataclass(frozen=True, slots=True)
class Result:
    """`failed` counts answers that are not 2xx."""

    requests: int
    failed: int
    seconds: float
    cpu_s: float

    @property
    def cpu_ms(self) -> float:
        return self.cpu_s / max(1, self.requests) * 1000

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


def has_wrk() -> bool:
    return shutil.which("wrk") is not None


def measure(server: Server, request: Request, seconds: float) -> Result:
    """Send `request` for `seconds`; the CPU time is that of the server's process."""
    send: Callable[[Server, Request, float], tuple[int, int]] = _wrk if has_wrk() else _own
    cpu, started = server.cpu_s(), time.perf_counter()
    requests, failed = send(server, request, seconds)
    elapsed = time.perf_counter() - started
    return Result(requests, failed, elapsed, server.cpu_s() - cpu)


SCRIPT = """
local number = -1
local body, path = [==[{body}]==], [==[{path}]==]
local headers = {{["Authorization"] = "Bearer {token}", ["Content-Type"] = "{content_type}"}}
request = function()
  number = number + 1
  local value = tostring({first} + number % {wrap})
  local b = nil
  if body ~= "" then b = body:gsub("%%d", value):gsub("%%n", tostring(number)) end
  local p = path:gsub("%%d", value)
  return wrk.format("{method}", p, headers, b)
end
done = function(summary, latency, requests)
  io.write(string.format("RESULT %d %d\\n", summary.requests, summary.errors.status))
end
"""


def _wrk(server: Server, request: Request, seconds: float) -> tuple[int, int]:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(
            SCRIPT.format(
                body=request.body,
                path=request.path,
                token=TOKEN,
                content_type=request.content_type,
                first=request.first,
                wrap=request.wrap,
                method=request.method,
            )
        )
        script.flush()
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", "--timeout", "30s"]
        done = subprocess.run(
            [*command, "-s", script.name, server.url], capture_output=True, text=True, check=True, timeout=seconds + 60
        )
    found = re.search(r"RESULT (\d+) (\d+)", done.stdout)
    if found is None:
        raise RuntimeError(f"wrk: {done.stdout}{done.stderr}")
    return int(found[1]), int(found[2])


def _own(server: Server, request: Request, seconds: float) -> tuple[int, int]:
    return asyncio.run(_own_connections(server, request, seconds))


async def _own_connections(server: Server, request: Request, seconds: float) -> tuple[int, int]:
    until = time.perf_counter() + seconds
    counts = [0, 0]
    numbers = iter(range(request.wrap))

    async def connection() -> None:
        reader, writer = await asyncio.open_connection(server.host, server.port, ssl=server.tls)
        while time.perf_counter() < until:
            writer.write(request.render(next(numbers)))
            counts[0] += 1
            counts[1] += not await _read_answer(reader)
        writer.close()

    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
    return counts[0], counts[1]


async def _read_answer(reader: asyncio.StreamReader) -> bool:
    """Read one answer to its end; whether it is a 2xx."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    if length is not None:
        await reader.readexactly(int(length[1]))
    else:
        while size := int(await reader.readline(), 16):
            await reader.readexactly(size + 2)
        await reader.readline()
    return head.split(b" ", 2)[1].startswith(b"2")
