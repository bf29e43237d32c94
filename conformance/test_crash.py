"""kill -9 of the API server while services are made: nothing acknowledged is lost, no address is given twice."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.conftest import GIVEN, ROOT
from conformance.wire import Wire

SERVICES = "/api/v1/namespaces/default/services"
WRITERS = 8
ROUNDS = 2


class Cluster:
    """An API server alone, over a data directory that outlives it."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._kubeconfig = home / "kubeconfig"
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> Wire:
        command = [sys.executable, "-m", "cluster.main", "apiserver", "--port", "0"]
        command += ["--data-dir", str(self._home / "data"), "--kubeconfig", str(self._kubeconfig)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if "https://" in line or "KUBECONFIG" in line:
                break
        return Wire.of(self._kubeconfig)

    def kill(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    if GIVEN:
        pytest.skip("only a cluster of our own may be killed")
    found = Cluster(tmp_path)
    yield found
    found.kill()


def _service(name: str) -> bytes:
    spec = {"type": "NodePort", "ports": [{"port": 80}], "selector": {"a": "b"}}
    return json.dumps({"metadata": {"name": name}, "spec": spec}).encode()


def _write(wire: Wire, prefix: str, acknowledged: dict[str, Any], enough: threading.Event) -> None:
    """Create services until the server is gone."""
    for number in range(10_000):
        name = f"{prefix}-{number}"
        try:
            answer = wire.request("POST", SERVICES, _service(name))
        except (OSError, http.client.HTTPException):
            return
        if answer.status == 201:
            acknowledged[name] = answer.object["spec"]
            if len(acknowledged) > 60:
                enough.set()


def test_no_address_is_given_twice_and_none_is_lost(cluster: Cluster) -> None:
    acknowledged: dict[str, Any] = {}
    for turn in range(ROUNDS):
        wire, enough = cluster.start(), threading.Event()
        before = len(acknowledged)
        writers = [
            threading.Thread(target=_write, args=(wire, f"s{turn}{i}", acknowledged, enough)) for i in range(WRITERS)
        ]
        for writer in writers:
            writer.start()
        enough.wait(30)
        cluster.kill()
        for writer in writers:
            writer.join()
        assert len(acknowledged) > before
    wire = cluster.start()
    services = {s["metadata"]["name"]: s["spec"] for s in wire.request("GET", SERVICES).object["items"]}
    for name, spec in acknowledged.items():
        assert services[name]["clusterIP"] == spec["clusterIP"]
    for values in (
        [s["clusterIP"] for s in services.values()],
        [p["nodePort"] for s in services.values() for p in s["ports"] if "nodePort" in p],
    ):
        assert [v for v, n in Counter(values).items() if n > 1] == []
    claims = wire.request("GET", "/apis/networking.k8s.io/v1/ipaddresses").object["items"]
    assert {c["metadata"]["name"] for c in claims} == {s["clusterIP"] for s in services.values()}
