"""The command over an etcd that speaks TLS and asks for client certificates."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.pki import ensure_pki, load_authority

ROOT = Path(__file__).resolve().parents[2]
WHERRY = [sys.executable, "-m", "cluster.main"]
TIMEOUT_S = 60


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """The URL, and the options with the files for it."""
    binary = shutil.which("etcd")
    if binary is None:
        pytest.skip("etcd is not installed (apt-get install etcd-server)")
    pki = ensure_pki(tmp_path / "etcd-pki")
    cert, key = load_authority(pki.ca).client("wherry")
    (tmp_path / "client.crt").write_bytes(cert)
    (tmp_path / "client.key").write_bytes(key)
    ports = [free_port(), free_port()]
    url, peer = f"https://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}"
    command = [binary, "--data-dir", str(tmp_path / "etcd"), "--log-level", "error"]
    command += ["--listen-client-urls", url, "--advertise-client-urls", url, "--client-cert-auth"]
    command += ["--cert-file", str(pki.server.cert), "--key-file", str(pki.server.key)]
    command += ["--trusted-ca-file", str(pki.ca.cert), "--listen-peer-urls", peer]
    command += ["--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}"]
    files = ["--etcd-cafile", str(pki.ca.cert)]
    files += ["--etcd-certfile", str(tmp_path / "client.crt"), "--etcd-keyfile", str(tmp_path / "client.key")]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + TIMEOUT_S
        while not listens(ports[0]):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        yield url, files
        process.terminate()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


def listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def wherry(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*WHERRY, *words], cwd=ROOT, text=True, capture_output=True, timeout=TIMEOUT_S, check=False
    )


def test_a_cluster_keeps_its_objects_in_etcd_over_tls(tmp_path: Path, etcd: tuple[str, list[str]]) -> None:
    url, files = etcd
    data = ["--data-dir", str(tmp_path / "data")]
    given = ["--port", "0", "--store", "etcd", "--etcd-servers", url]
    up = wherry("up", "--detach", "--components", "apiserver", *given, *files, *data)
    try:
        assert up.returncode == 0, up.stderr
        assert wherry("status", *data).returncode == 0
        assert not (tmp_path / "data" / "state.db").exists()
    finally:
        wherry("down", *data)
    refused = wherry("up", *given, *files[:2], *data)
    assert refused.returncode == 1
    assert "no etcd member answers" in refused.stderr and refused.stderr.count("\n") == 1
