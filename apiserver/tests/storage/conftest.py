"""Real etcd servers for tests, on free loopback ports."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def peer_url() -> str:
    return f"http://127.0.0.1:{free_port()}"


class EtcdServer:
    """One member; its data outlive `kill`. `peers` are the names and peer URLs of all members."""

    def __init__(
        self,
        binary: str,
        data: Path,
        *,
        name: str = "default",
        peers: Mapping[str, str] | None = None,
        flags: tuple[str, ...] = (),
        scheme: str = "http",
    ) -> None:
        self.port = free_port()
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        peers = peers or {name: peer_url()}
        self._command = [
            *(binary, "--name", name, "--data-dir", str(data), "--log-level", "error", "--logger", "zap"),
            *("--listen-client-urls", self.url, "--advertise-client-urls", self.url),
            *("--listen-peer-urls", peers[name], "--initial-advertise-peer-urls", peers[name]),
            *("--initial-cluster", ",".join(f"{peer}={url}" for peer, url in peers.items())),
            *flags,
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.launch()
        self.wait()

    def launch(self) -> None:
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)

    def wait(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + 20
        while True:
            try:
                if self._is_ready():
                    return
            except OSError:
                assert self._process.poll() is None, "etcd does not start"
            assert time.monotonic() < deadline, "etcd is not ready in time"
            time.sleep(0.02)

    def _is_ready(self) -> bool:
        """With TLS only whether it listens."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
            if self.url.startswith("https"):
                return True
            connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            answer = b""
            while part := connection.recv(4096):
                answer += part
            return b'"health":"true"' in answer

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None


@pytest.fixture(scope="session")
def etcd_binary() -> str:
    binary = shutil.which("etcd")
    if binary is None:
        pytest.skip("no etcd is installed")
    return binary


@pytest.fixture(scope="module")
def etcd(etcd_binary: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdServer]:
    server = EtcdServer(etcd_binary, tmp_path_factory.mktemp("etcd"))
    server.start()
    yield server
    server.kill()
