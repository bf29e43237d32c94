"""Leaders die in the middle of a roll-out, and the API server too: nobody else notices, no pod too many is made."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from conformance.conftest import GIVEN
from conformance.kubelets import Kubelets, make_node
from conformance.processes import ApiServer, Process, eventually
from conformance.wire import Wire

REPLICAS = 200
SURGE = 10
LEASE_S = 7.0
RETRY_S = 1.0
LEASE = (
    *("--leader-elect-lease-duration", f"{LEASE_S:g}s"),
    *("--leader-elect-renew-deadline", "5s"),
    *("--leader-elect-retry-period", f"{RETRY_S:g}s"),
)
LEASES = {"controllers": "kube-controller-manager", "scheduler": "kube-scheduler"}
PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENT = "/apis/apps/v1/namespaces/default/deployments/web"
MERGE = "application/merge-patch+json"


class Cluster:
    """An API server with two controllers and two schedulers; of each the one that began first leads."""

    def __init__(self, home: Path) -> None:
        self.apiserver = ApiServer(home)
        arguments = ("--kubeconfig", str(self.apiserver.kubeconfig), *LEASE, "--health-port", "-1")
        self.parts = {
            name: [Process(home, f"{name}-{number}", name, *arguments) for number in range(2)] for name in LEASES
        }

    def start(self) -> Wire:
        self.wire = self.apiserver.start_and_wait()
        for part in self.parts.values():
            part[0].start()
        for name in self.parts:
            eventually(lambda name=name: self.leader(name))
            self.parts[name][1].start()
        return self.wire

    def kill_leaders(self) -> dict[str, str]:
        """kill -9 of both; the result is who led. Started again, they stand by."""
        leaders = {name: self.leader(name) for name in self.parts}
        for part in self.parts.values():
            part[0].kill()
            part.reverse()
        return leaders

    def leader(self, name: str) -> str:
        """The holder of the lease, or nothing."""
        path = f"/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/{LEASES[name]}"
        answer = self.wire.request("GET", path)
        return str(answer.object["spec"].get("holderIdentity") or "") if answer.status == 200 else ""

    def stop(self) -> None:
        for part in (*self.parts["controllers"], *self.parts["scheduler"], self.apiserver):
            part.kill()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    if GIVEN:
        pytest.skip("only a cluster of our own may be killed")
    with ExitStack() as stack:
        found = Cluster(tmp_path)
        stack.callback(found.stop)
        found.start()
        yield found


@pytest.fixture
def kubelets(cluster: Cluster) -> Iterator[Kubelets]:
    nodes = [f"n{number}" for number in range(4)]
    for name in nodes:
        make_node(cluster.wire, name, "failover")
    found = Kubelets(cluster.wire, *nodes)
    found.start()
    yield found
    found.stop()


def _deployment(image: str) -> Any:
    spec = {"containers": [{"name": "c", "image": image}], "automountServiceAccountToken": False}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": REPLICAS,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"rollingUpdate": {"maxSurge": SURGE, "maxUnavailable": "25%"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": spec},
        },
    }


def _status(wire: Wire) -> Any:
    """The Deployment's status where it is that of its spec."""
    try:
        found = wire.request("GET", DEPLOYMENT).object
    except OSError:
        return {}
    status = found.get("status", {})
    return status if status.get("observedGeneration") == found["metadata"]["generation"] else {}


def _is_rolled_out(wire: Wire) -> bool:
    status = _status(wire)
    counts = {status.get(field) for field in ("replicas", "updatedReplicas", "availableReplicas")}
    return counts == {REPLICAS}


def _set_image(wire: Wire, image: str) -> None:
    """Change the template, and wait until an eighth of the pods are of the new one."""
    template = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}}
    assert wire.request("PATCH", DEPLOYMENT, template, MERGE).status == 200
    eventually(lambda: _status(wire).get("updatedReplicas", 0) >= REPLICAS // 8)
    assert not _is_rolled_out(wire), "too late to kill anything"


def _images(wire: Wire) -> list[str]:
    pods = wire.request("GET", PODS).object["items"]
    return [p["spec"]["containers"][0]["image"] for p in pods if "deletionTimestamp" not in p["metadata"]]


def test_a_roll_out_survives_its_leaders_and_the_api_server(cluster: Cluster, kubelets: Kubelets) -> None:
    wire = cluster.wire
    assert wire.request("POST", "/apis/apps/v1/namespaces/default/deployments", _deployment("i:1")).status == 201
    eventually(lambda: _is_rolled_out(wire), 90)
    assert kubelets.most == REPLICAS

    _set_image(wire, "i:2")
    killed_at, leaders = time.monotonic(), cluster.kill_leaders()
    for name, before in leaders.items():
        eventually(lambda name=name, before=before: cluster.leader(name) != before)
    assert time.monotonic() - killed_at < LEASE_S + 2 * RETRY_S + 1
    for standby in cluster.parts.values():
        standby[1].start()
    eventually(lambda: _is_rolled_out(wire), 90)
    assert kubelets.most <= REPLICAS + SURGE
    assert _images(wire) == ["i:2"] * REPLICAS

    _set_image(wire, "i:3")
    cluster.apiserver.kill()
    cluster.apiserver.start_and_wait()
    eventually(lambda: _is_rolled_out(wire), 90)
    assert kubelets.most <= REPLICAS + SURGE
    assert _images(wire) == ["i:3"] * REPLICAS
    # A leader that could not renew in time has ended, as it must; the other one leads then.
    for part in cluster.parts.values():
        assert any(process.runs for process in part)
