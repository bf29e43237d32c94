from __future__ import annotations

from typing import Any

import pytest

from nodeagent.node.machine import Machine
from nodeagent.node.shutdown import make_periods, plan_shutdown
from nodeagent.node.status import NodeState, make_node_status
from nodeagent.runtime.protocol import Readiness
from nodeagent.tests.pods.samples import make_pod
from openapi.meta.times import now

CRITICAL = 2_000_000_000
MACHINE = Machine("n", "amd64", "6.1", "Linux", "m", "u", "b", 2, 1 << 30, 1 << 30, ("10.0.0.1",))


def pod_of(uid: str, priority: int | None = None, grace_s: int | None = None) -> dict[str, Any]:
    pod = make_pod([{"name": "c"}], priority=priority, terminationGracePeriodSeconds=grace_s)
    pod["metadata"]["uid"] = uid
    return pod


@pytest.mark.parametrize(
    "pods, planned",
    [
        ([], []),
        ([pod_of("a", None, 5), pod_of("b", -7, 60), pod_of("c", CRITICAL - 1)], [(20, {"a": 5, "b": 20, "c": 20})]),
        ([pod_of("a", CRITICAL, 30), pod_of("b", CRITICAL + 1000, 0)], [(10, {"a": 10, "b": 0})]),
        ([pod_of("a", CRITICAL, 1), pod_of("b", 0, 30)], [(20, {"b": 20}), (10, {"a": 1})]),
    ],
    ids=["nobody", "normal", "critical", "normal first"],
)
def test_who_ends_when(pods: list[Any], planned: list[Any]) -> None:
    found = plan_shutdown(pods, make_periods(30.5, 10))
    assert [(group.period_s, group.graces_s) for group in found] == planned


@pytest.mark.parametrize(
    "total_s, critical_s, said", [(10, 11, "must not exceed"), (0.5, 0, "at least 1s"), (5, -1, "at least 1s")]
)
def test_periods_that_make_no_sense(total_s: float, critical_s: float, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make_periods(total_s, critical_s)
    assert make_periods(0, 0).total_s == 0


@pytest.mark.parametrize(
    "network, message",
    [(True, "node is shutting down"), (False, "[container runtime network not ready: NetworkReady=false "
     "reason:NetworkPluginNotReady message:none, node is shutting down]")],
)  # fmt: skip
def test_a_node_that_shuts_down_is_not_ready(network: bool, message: str) -> None:
    state = NodeState(Readiness(True, network, network_message="none"), "r", shutdown="node is shutting down")
    ready = make_node_status("n", MACHINE, state, {}, now())["conditions"][-1]
    assert (ready["type"], ready["status"], ready["reason"]) == ("Ready", "False", "KubeletNotReady")
    assert ready["message"] == message
