"""How fast this machine is just now: what the web server alone takes for an answer, with no API server in it.

Processors differ, and so do the hours of a shared one: a figure says more as a multiple of this. `python -m
bench.yardstick CERT KEY` is the server, with a certificate of the API server's.
"""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.server import Server

BODY = b"x" * 2_500
"""As long as a pod."""
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]


@contextmanager
def bare(home: Path) -> Iterator[Server]:
    """A server that answers every request alike, with the certificates that an API server has left in `home`."""
    pki = home / "pki"
    command = [sys.executable, "-m", "bench.yardstick", str(pki / "apiserver.crt"), str(pki / "apiserver.key")]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            yield Server(process.pid, url, ssl.create_default_context(cafile=str(pki / "ca.crt")), 0.0)
        finally:
            process.terminate()


async def _answer(scope: Any, receive: object, send: Callable[[Any], Awaitable[None]]) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


def _serve(certificate: str, key: str) -> None:
    import uvicorn

    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        _answer,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        log_level="warning",
        access_log=False,
    )
    print(f"https://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    uvicorn.Server(config).run([listening])


if __name__ == "__main__":
    _serve(*sys.argv[1:])
