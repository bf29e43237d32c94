"""kill -9 of the API server while services are made: nothing acknowledged is lost, no address is given twice."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.conftest import GIVEN
from conformance.processes import ApiServer
from conformance.wire import Wire

SERVICES = "/api/v1/namespaces/default/services"
WRITERS = 8
ROUNDS = 2


@pytest.fixture
def apiserver(tmp_path: Path) -> Iterator[ApiServer]:
    if GIVEN:
        pytest.skip("only a cluster of our own may be killed")
    found = ApiServer(tmp_path)
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


def test_no_address_is_given_twice_and_none_is_lost(apiserver: ApiServer) -> None:
    acknowledged: dict[str, Any] = {}
    for turn in range(ROUNDS):
        wire, enough = apiserver.start_and_wait(), threading.Event()
        before = len(acknowledged)
        writers = [
            threading.Thread(target=_write, args=(wire, f"s{turn}{i}", acknowledged, enough)) for i in range(WRITERS)
        ]
        for writer in writers:
            writer.start()
        enough.wait(30)
        apiserver.kill()
        for writer in writers:
            writer.join()
        assert len(acknowledged) > before
    wire = apiserver.start_and_wait()
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
