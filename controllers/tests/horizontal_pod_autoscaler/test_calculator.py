"""How many replicas a metric calls for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controllers.horizontal_pod_autoscaler.calculator import (
    CannotCompute,
    Measurement,
    Tolerance,
    by_average,
    by_share,
    by_total,
    by_utilization,
    requests_of,
)
from controllers.horizontal_pod_autoscaler.metrics import measured

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LONG_AGO, JUST_NOW = "2026-01-01T00:00:00Z", "2026-01-01T11:59:50Z"


def pod(
    name: str, phase: str = "Running", ready: str = "True", since: str = LONG_AGO, cpu: str = "1"
) -> dict[str, Any]:
    container = {"name": "c", "resources": {"requests": {"cpu": cpu} if cpu else {}}}
    conditions = [{"type": "Ready", "status": ready, "lastTransitionTime": since}]
    status = {"phase": phase, "startTime": since, "conditions": conditions}
    return {"metadata": {"name": name}, "spec": {"containers": [container]}, "status": status}


def uses(**values: int) -> Mapping[str, Measurement]:
    return {name: Measurement(value, NOW, timedelta(seconds=30)) for name, value in values.items()}


def utilization(pods: list[dict[str, Any]], found: Mapping[str, Measurement], target: int = 50) -> int:
    proposal = by_utilization(
        pods,
        found,
        lambda: requests_of(pods, "cpu", ""),
        resource="cpu",
        target=target,
        current=len(pods),
        tolerance=Tolerance(),
        now=NOW,
    )
    return proposal.replicas


THREE = [pod("a"), pod("b"), pod("c")]


@pytest.mark.parametrize(
    ("found", "replicas"),
    [
        (uses(a=500, b=500, c=500), 3),
        (uses(a=540, b=540, c=540), 3),
        (uses(a=1000, b=1000, c=1000), 6),
        (uses(a=100, b=100, c=100), 1),
    ],
)
def test_replicas_follow_utilization_beyond_the_tolerance(found: Mapping[str, Measurement], replicas: int) -> None:
    assert utilization(THREE, found) == replicas


def test_pod_without_measurement_holds_back_scaling_in_both_directions() -> None:
    assert utilization(THREE, uses(a=1000, b=1000)) == 4
    assert utilization(THREE, uses(a=100, b=100)) == 3


def test_starting_pod_counts_as_idle_when_scaling_up() -> None:
    pods = [pod("a"), pod("b"), pod("c", ready="False", since=JUST_NOW)]
    assert utilization(pods, uses(a=1000, b=1000, c=9000)) == 4


def test_pods_that_go_or_failed_do_not_count() -> None:
    pods = [pod("a"), pod("b", phase="Failed")]
    assert utilization(pods, uses(a=1000, b=9000)) == 2


@pytest.mark.parametrize(
    ("pods", "found", "problem"),
    [
        ([], {}, "no pods returned by selector while calculating replica count"),
        ([pod("a", phase="Pending")], {}, "did not receive metrics for targeted pods (pods might be unready)"),
        ([pod("a", cpu="")], uses(a=1), "missing request for cpu in container c of Pod a"),
    ],
)
def test_nothing_follows_from_nothing(pods: list[dict[str, Any]], found: Any, problem: str) -> None:
    with pytest.raises(CannotCompute) as raised:
        utilization(pods, found)
    assert str(raised.value) == problem


def test_average_value() -> None:
    proposal = by_average(
        THREE, uses(a=300, b=300, c=600), resource="", target=200, current=3, tolerance=Tolerance(), now=NOW
    )
    assert (proposal.replicas, proposal.usage) == (6, 400)


def test_one_value_for_all() -> None:
    assert by_total(THREE, 3000, target=1000, current=3, tolerance=Tolerance()).replicas == 9
    assert by_total(THREE, 1050, target=1000, current=3, tolerance=Tolerance()).replicas == 3
    assert by_share(3000, target=1000, current=2, tolerance=Tolerance()).replicas == 3
    assert by_share(2100, target=1000, current=2, tolerance=Tolerance()).replicas == 2
    assert by_share(2100, target=1000, current=2, tolerance=Tolerance(up=0.0)).replicas == 3


def test_usage_of_a_pod_is_that_of_all_its_containers() -> None:
    containers = [{"name": "c", "usage": {"cpu": "100m"}}, {"name": "d", "usage": {"cpu": "50m", "memory": "1Mi"}}]
    item = {"metadata": {"name": "p"}, "timestamp": JUST_NOW, "window": "1m0.5s", "containers": containers}
    found = measured([item], "cpu", "")["p"]
    assert (found.value, found.window) == (150, timedelta(seconds=60.5))
    assert measured([item], "cpu", "d")["p"].value == 50
    assert measured([item], "memory", "") == {}
    assert measured([item], "cpu", "e") == {}
