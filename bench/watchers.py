"""Many watches of one namespace, and the CPU time that an event costs for each."""

from __future__ import annotations

import asyncio

from bench.server import TOKEN, Server

DELIVERY_TIMEOUT_S = 60.0
HANDSHAKES = 50


def fan_out(server: Server, watchers: int, changes: int) -> tuple[int, float, float]:
    """Change pods one after the other under so many watches: events delivered, CPU seconds, seconds."""
    return asyncio.run(_fan_out(server, watchers, changes))


async def _fan_out(server: Server, watchers: int, changes: int) -> tuple[int, float, float]:
    version = server.request("GET", "/api/v1/namespaces/bench/pods?limit=1")["metadata"]["resourceVersion"]
    path = f"/api/v1/namespaces/bench/pods?watch=1&resourceVersion={version}"
    seats = asyncio.Semaphore(HANDSHAKES)
    opened = await asyncio.gather(*(_open(server, path, seats) for _ in range(watchers)))
    loop = asyncio.get_running_loop()
    cpu, started = server.cpu_s(), loop.time()
    counting = [asyncio.create_task(_count(reader, changes)) for reader, _ in opened]
    await asyncio.to_thread(_change, server, changes)
    async with asyncio.timeout(DELIVERY_TIMEOUT_S):
        await asyncio.gather(*counting)
    spent, elapsed = server.cpu_s() - cpu, loop.time() - started
    for _, writer in opened:
        writer.transport.abort()
    return watchers * changes, spent, elapsed


async def _open(
    server: Server, path: str, seats: asyncio.Semaphore
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    async with seats:
        reader, writer = await asyncio.open_connection(
            server.host, server.port, ssl=server.tls, ssl_handshake_timeout=60
        )
        writer.write(f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head[:16]:
            raise RuntimeError(f"watch refused: {head[:80]!r}")
        return reader, writer


async def _count(reader: asyncio.StreamReader, events: int) -> None:
    """Read until so many lines have come; every event is one line."""
    seen = 0
    while seen < events:
        data = await reader.read(1 << 16)
        if not data:
            raise RuntimeError("a watch ended early")
        seen += data.count(b'{"type":')


def _change(server: Server, changes: int) -> None:
    for number in range(changes):
        patch = {"metadata": {"labels": {"round": f"w{number}"}}}
        server.request("PATCH", f"/api/v1/namespaces/bench/pods/p{number}", patch, "application/merge-patch+json")
