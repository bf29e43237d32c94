"""A node's machine is about to shut down: its pods end in order, new ones are turned away, and it can be called off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.api import Object
from conformance.conftest import GIVEN, start_cluster
from conformance.logind import Bus, PlayedLogind, played
from conformance.processes import eventually
from conformance.wire import Wire

NODE = "node-0"
SYSTEM, OTHERS = "/api/v1/namespaces/kube-system/pods", "/api/v1/namespaces/default/pods"
ENDED = "Pod was terminated in response to imminent node shutdown."
LIMIT_S = 40.0


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bus]:
    if GIVEN:
        pytest.skip("this node comes with a cluster of our own")
    found = Bus(tmp_path)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", found.address)
    found.start()
    yield found
    found.stop()


def _make(wire: Wire, pods: str, name: str, **spec: Any) -> None:
    annotations = {"simulated.wherry.dev/stop-seconds": "1"}
    whole = {"nodeName": NODE, "automountServiceAccountToken": False, "containers": [{"name": "c", "image": "web:1"}]}
    answer = wire.request("POST", pods, {"metadata": {"name": name, "annotations": annotations}, "spec": whole | spec})
    assert answer.status == 201, answer.message


def _status(wire: Wire, path: str) -> Object:
    found: Object = wire.request("GET", path).object.get("status") or {}
    return found


def _ready(wire: Wire) -> tuple[str, str]:
    conditions = _status(wire, f"/api/v1/nodes/{NODE}").get("conditions") or ()
    return next(((c["status"], c["message"]) for c in conditions if c["type"] == "Ready"), ("", ""))


async def _until(holds: Callable[[], bool]) -> None:
    """Wait elsewhere: logind is played on this test's own loop."""
    await asyncio.to_thread(eventually, holds, LIMIT_S)


async def test_a_nodes_pods_end_before_its_machine_does(bus: Bus, tmp_path: Path) -> None:
    """The node asks once, at its start, whether shutdowns can be waited for."""
    periods = ["--shutdown-grace-period", "40s", "--shutdown-grace-period-critical-pods", "20s"]
    async with played(bus) as logind:
        clusters = start_cluster(tmp_path, ["--ephemeral", *periods])
        kubeconfig = await asyncio.to_thread(next, clusters)
        try:
            await _shut_down(Wire.of(kubeconfig), logind)
        finally:
            await asyncio.to_thread(next, clusters, None)


async def _shut_down(wire: Wire, logind: PlayedLogind) -> None:
    def phases() -> list[str]:
        return [_status(wire, path).get("phase", "") for path in (f"{OTHERS}/normal", f"{SYSTEM}/critical")]

    await _until(lambda: logind.locks == [True] and _has_account(wire, OTHERS) and _has_account(wire, SYSTEM))
    _make(wire, OTHERS, "normal")
    _make(wire, SYSTEM, "critical", priorityClassName="system-node-critical")
    await _until(lambda: phases() == ["Running", "Running"])

    await logind.announce(True)
    await _until(lambda: _ready(wire) == ("False", "node is shutting down"))
    _make(wire, OTHERS, "late")
    await _until(lambda: logind.locks == [False])
    assert phases() == ["Failed", "Failed"]
    statuses = [_status(wire, path) for path in (f"{OTHERS}/normal", f"{SYSTEM}/critical")]
    ends = [status["containerStatuses"][0]["state"]["terminated"]["finishedAt"] for status in statuses]
    assert ends[0] < ends[1]
    for status in statuses:
        assert (status["reason"], status["message"]) == ("Terminated", ENDED)
        why = [c["reason"] for c in status["conditions"] if c["type"] == "DisruptionTarget" and c["status"] == "True"]
        assert why == ["TerminationByKubelet"]
    late = _status(wire, f"{OTHERS}/late")
    assert (late["phase"], late["reason"]) == ("Failed", "NodeShutdown")

    await logind.announce(False)
    await _until(lambda: _ready(wire)[0] == "True" and logind.locks == [False, True])


def _has_account(wire: Wire, pods: str) -> bool:
    return wire.request("GET", f"{pods.removesuffix('pods')}serviceaccounts/default").status == 200
