"""The API server under measurement: a process started by its command line, watched through /proc."""

from __future__ import annotations

import http.client
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from bench.process import Measured

TOKEN = "bench-token"
START_TIMEOUT_S = 30.0


@dataclass(slots=True)
class Server(Measured):
    """A running API server. Requests carry the token of an administrator."""

    url: str
    tls: ssl.SSLContext
    start_s: float
    _connection: http.client.HTTPSConnection | None = None

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 443

    def request(self, method: str, path: str, body: object = None, content_type: str = "application/json") -> Any:
        """One request on a connection that is kept; the answer's object. Raises RuntimeError when it is refused."""
        data = orjson.dumps(body) if body is not None else None
        return orjson.loads(self._ask(method, path, data, content_type))

    def text(self, path: str) -> str:
        """What is no JSON, as text."""
        return self._ask("GET", path, None, "").decode()

    def _ask(self, method: str, path: str, data: bytes | None, content_type: str) -> bytes:
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": content_type}
        if self._connection is None:
            self._connection = http.client.HTTPSConnection(self.host, self.port, context=self.tls, timeout=30)
        self._connection.request(method, path, data, headers)
        answer = self._connection.getresponse()
        found = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {found[:500].decode(errors='replace')}")
        return found

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


@contextmanager
def running(home: Path, options: Sequence[str] = ()) -> Iterator[Server]:
    """An API server with its data in `home`; `start_s` is the time from its exec to the first ok of /readyz."""
    tokens = home / "tokens"
    tokens.write_text(f'{TOKEN},bench,bench,"system:masters"\n')
    command = [sys.executable, "-m", "cluster.main", "apiserver", "--port", "0", "--data-dir", str(home)]
    # As it starts for users: with the modules compiled once, whatever this shell says.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--token-auth-file", str(tokens), *options],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline().decode()
        if "https://" not in said:
            raise RuntimeError("the API server has not started")
        url = said[said.index("https://") :].strip()
        tls = ssl.create_default_context(cafile=str(home / "pki" / "ca.crt"))
        _until_ready(url, tls, started + START_TIMEOUT_S)
        server = Server(process.pid, url, tls, time.perf_counter() - started)
        yield server
        server.close()
    finally:
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _until_ready(url: str, tls: ssl.SSLContext, deadline: float) -> None:
    where = urlsplit(url)
    while time.perf_counter() < deadline:
        with closing(http.client.HTTPSConnection(where.hostname or "", where.port, context=tls, timeout=5)) as asking:
            asking.request("GET", "/readyz")
            if asking.getresponse().status == 200:
                return
        time.sleep(0.005)
    raise RuntimeError("the API server is not ready")
