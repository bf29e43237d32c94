"""What pods ask for."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.scheduler.pod import Templates
from controllers.scheduler.resources import HostPort, host_ports, pod_requests, scoring_requests


def container(cpu: str, **more: Any) -> dict[str, Any]:
    return {"name": f"c{cpu}", "resources": {"requests": {"cpu": cpu}}, **more}


SIDECAR = {"restartPolicy": "Always"}


@pytest.mark.parametrize(
    ("spec", "milli"),
    [
        pytest.param({"containers": [container("1"), container("500m")]}, 1500, id="containers add up"),
        pytest.param(
            {"containers": [container("1")], "initContainers": [container("3")]}, 3000, id="the larger counts"
        ),
        pytest.param(
            {"containers": [container("1")], "initContainers": [container("2", **SIDECAR)]}, 3000, id="sidecars stay"
        ),
        pytest.param(
            {"containers": [container("1")], "initContainers": [container("1", **SIDECAR), container("3")]},
            4000,
            id="an init container runs beside earlier sidecars",
        ),
        pytest.param(
            {"containers": [container("1")], "initContainers": [container("3"), container("1", **SIDECAR)]},
            3000,
            id="but not beside later ones",
        ),
        pytest.param({"containers": [container("1")], "overhead": {"cpu": "250m"}}, 1250, id="overhead is added"),
        pytest.param(
            {"containers": [container("1")], "resources": {"requests": {"cpu": "2"}}},
            2000,
            id="the pod's own word counts",
        ),
    ],
)
def test_requests(spec: dict[str, Any], milli: int) -> None:
    assert pod_requests(spec)["cpu"] == milli


def test_a_container_that_shrinks_counts_with_what_it_still_has() -> None:
    statuses = {"c1": {"resources": {"requests": {"cpu": "2"}}, "allocatedResources": {"cpu": "1500m"}}}
    assert pod_requests({"containers": [container("1")]}, statuses) == {"cpu": 2000}


def resizing(reason: str = "Deferred", **status: Any) -> dict[str, Any]:
    """A pod that asks for 3 CPUs and has 1."""
    conditions = [{"type": "PodResizePending", "status": "True", "reason": reason}]
    spec = {"containers": [container("3")], **({"resources": {"requests": {"cpu": "3"}}} if status else {})}
    of_container = {"name": "c3", "resources": {"requests": {"cpu": "1"}}, "allocatedResources": {"cpu": "1"}}
    metadata = {"name": "p", "namespace": "n", "uid": "u"}
    return {
        "metadata": metadata,
        "spec": spec,
        "status": {"conditions": conditions, "containerStatuses": [of_container], **status},
    }


@pytest.mark.parametrize(
    ("pod", "milli"),
    [
        pytest.param(resizing(), 3000, id="what is asked for counts"),
        pytest.param(resizing("Infeasible"), 1000, id="unless it cannot be"),
        pytest.param(resizing("Infeasible", resources={"requests": {"cpu": "2"}}), 2000, id="also of the pod itself"),
        pytest.param(resizing(resources={"requests": {"cpu": "4"}}), 4000, id="which counts with what it has"),
    ],
)
def test_a_pod_that_is_being_resized(pod: dict[str, Any], milli: int) -> None:
    assert Templates().info(pod).template.requests["cpu"] == milli


def test_containers_without_requests_count_in_scores() -> None:
    assert scoring_requests({"containers": [{"name": "a"}, {"name": "b"}]}) == (200, 2 * 200 * 1024**2)


def test_host_ports_are_those_of_running_containers_only() -> None:
    ports = [{"containerPort": 80, "hostPort": 8080}, {"containerPort": 81}]
    spec = {
        "containers": [container("1", ports=ports)],
        "initContainers": [container("1", ports=[{"hostPort": 1}]), container("1", ports=[{"hostPort": 2}], **SIDECAR)],
    }
    assert host_ports(spec) == (HostPort("0.0.0.0", "TCP", 2), HostPort("0.0.0.0", "TCP", 8080))
