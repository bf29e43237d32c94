"""The scheduler and the controllers under measurement: processes of their own against an API server.

Nodes and pods are made through the API; the nodes have no kubelets. Where pods must become ready, this process plays
them, and its own time is part of what the row says.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.process import Measured
from bench.row import Row, Show
from bench.scheduler import NAMESPACE, NODES, node, pod
from bench.server import TOKEN, Server, running

PODS = 5_000
CROWD_NODES = 1_000
REPLICAS = 500
SCHEDULING_BUDGET_MS = 0.7
WAIT_S = 120.0
IDLE_S = 5.0
RESTING_S = 0.03
"""CPU time in a second below which nothing is being worked on."""
IN_NAMESPACE = f"/api/v1/namespaces/{NAMESPACE}"
DEPLOYMENT = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
MERGE = "application/merge-patch+json"
_BINDINGS = re.compile(r'^apiserver_request_total\{[^}]*code="201"[^}]*subresource="binding"[^}]*\} ([0-9.e+]+)$', re.M)


def measure_cluster(only: str, show: Show) -> None:
    """Measure, and show the rows whose text contains `only`."""
    for nodes in NODES:
        work = f"schedule {PODS:,} pods on {nodes:,} nodes, per pod"
        if only in work:
            with _apiserver() as (home, server):
                cost_ms, rate = scheduling(home, server, nodes, PODS)
            show(Row(work, cost_ms, "ms", SCHEDULING_BUDGET_MS, rate))
    if only in f"deployment controllers {REPLICAS} replicas":
        with _apiserver() as (home, server):
            roll_out(home, server, show)
    if only in f"controllers memory {PODS:,} pods":
        with _apiserver() as (home, server):
            crowd(home, server, show)


def scheduling(home: Path, server: Server, nodes: int, pods: int) -> tuple[float, float]:
    """Milliseconds of the scheduler's CPU time per pod, and pods bound per second.

    The pods are there before the scheduler is, and are measured from the first that was bound to the last, so that
    neither its start nor the making of pods counts. The CPU time is that of all events too, of which many are written
    after the last pod was bound.
    """
    for number in range(nodes):
        server.request("POST", "/api/v1/nodes", node(number))
    for number in range(pods):
        server.request("POST", f"{IN_NAMESPACE}/pods", pod(number, "plain"))
    with _started(home, server, "scheduler", "--no-leader-elect") as scheduler:
        _until(lambda: _bound(server) > 0, pause_s=0.01)
        first, before, began = _bound(server), scheduler.cpu_s(), time.perf_counter()
        _until(lambda: _bound(server) >= pods)
        seconds = time.perf_counter() - began
        _until_at_rest(scheduler)
        return (scheduler.cpu_s() - before) / (pods - first) * 1000, (pods - first) / seconds


def roll_out(home: Path, server: Server, show: Show) -> None:
    """One Deployment from its creation to all pods made, and to all of them ready."""
    for number in range(NODES[0]):
        server.request("POST", "/api/v1/nodes", node(number))
    with (
        _started(home, server, "controllers", "--leader-elect", "false") as controllers,
        _started(home, server, "scheduler", "--no-leader-elect"),
    ):
        _until_controlled(server)
        before, began = controllers.cpu_s(), time.perf_counter()
        server.request("POST", DEPLOYMENT, _deployment("web", REPLICAS))
        kubelet = _Kubelet(server)
        made_s = 0.0
        while _available(server) < REPLICAS:
            kubelet.work()
            if not made_s and kubelet.seen >= REPLICAS:
                made_s = time.perf_counter() - began
            if time.perf_counter() - began > WAIT_S:
                raise RuntimeError("the Deployment does not get ready")
        ready_s = time.perf_counter() - began
        _until_at_rest(controllers)
        cost_ms = (controllers.cpu_s() - before) / REPLICAS * 1000
    show(Row(f"deployment of {REPLICAS}: all pods created", made_s, "s", None, REPLICAS / made_s))
    show(Row(f"deployment of {REPLICAS}: all pods ready", ready_s, "s", None, REPLICAS / ready_s))
    show(Row(f"deployment of {REPLICAS}: controllers, per pod", cost_ms, "ms", None))


def crowd(home: Path, server: Server, show: Show) -> None:
    """The controllers' memory when they start and with many nodes and pods, and what they use when nothing happens."""
    with _started(home, server, "controllers", "--leader-elect", "false") as controllers:
        _until_controlled(server)
        time.sleep(1)
        show(Row("controllers, memory, empty cluster", controllers.memory_mib(), "MiB", None))
        for number in range(CROWD_NODES):
            server.request("POST", "/api/v1/nodes", node(number))
        for number in range(PODS):
            bound = pod(number, "plain")
            bound["spec"]["nodeName"] = f"n{number % CROWD_NODES}"
            server.request("POST", f"{IN_NAMESPACE}/pods", bound)
        time.sleep(IDLE_S)
        size = f"{CROWD_NODES:,} nodes, {PODS:,} pods"
        show(Row(f"controllers, memory, {size}", controllers.memory_mib(), "MiB", None))
        with _started(home, server, "scheduler", "--no-leader-elect") as scheduler:
            time.sleep(IDLE_S)
            show(Row(f"scheduler, memory, {size}", scheduler.memory_mib(), "MiB", None))
            for name, part in (("controllers", controllers), ("scheduler", scheduler), ("API server", server)):
                before = part.cpu_s()
                time.sleep(IDLE_S)
                show(Row(f"{name}, idle, {size}", (part.cpu_s() - before) / IDLE_S * 100, "%", None))


class _Kubelet:
    """Makes bound pods ready, one request each."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._ready: set[str] = set()
        self.seen = 0

    def work(self) -> None:
        pods = self._server.request("GET", f"{IN_NAMESPACE}/pods")["items"]
        self.seen = len(pods)
        condition = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        for obj in pods:
            name = obj["metadata"]["name"]
            if obj["spec"].get("nodeName") and name not in self._ready:
                conditions = [*obj["status"].get("conditions", ()), condition]
                status = {"status": {"phase": "Running", "conditions": conditions}}
                self._server.request("PATCH", f"{IN_NAMESPACE}/pods/{name}/status", status, MERGE)
                self._ready.add(name)


def _deployment(name: str, replicas: int) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": name}}, "spec": pod(0, "plain")["spec"]}
    selector = {"matchLabels": {"app": name}}
    return {"metadata": {"name": name}, "spec": {"replicas": replicas, "selector": selector, "template": template}}


def _available(server: Server) -> int:
    status = server.request("GET", f"{DEPLOYMENT}/web").get("status", {})
    return int(status.get("availableReplicas", 0))


def _bound(server: Server) -> int:
    """How many bindings the API server has taken, by its own count."""
    found = _BINDINGS.search(server.text("/metrics"))
    return int(float(found[1])) if found else 0


def _until(holds: Callable[[], bool], pause_s: float = 0.1) -> None:
    deadline = time.perf_counter() + WAIT_S
    while not holds():
        if time.perf_counter() > deadline:
            raise RuntimeError(f"not within {WAIT_S:.0f} s")
        time.sleep(pause_s)


def _until_at_rest(part: Measured) -> None:
    """It has written what it still had to."""

    def rests() -> bool:
        before = part.cpu_s()
        time.sleep(1)
        return part.cpu_s() - before < RESTING_S

    _until(rests)


def _until_controlled(server: Server) -> None:
    """The controllers work: a namespace has been given its account."""
    server.request("POST", "/api/v1/namespaces", {"metadata": {"name": "probe"}})
    _until(lambda: bool(server.request("GET", "/api/v1/namespaces/probe/serviceaccounts")["items"]))


@contextmanager
def _apiserver() -> Iterator[tuple[Path, Server]]:
    """An API server of its own, with the namespace that is measured in."""
    with tempfile.TemporaryDirectory(prefix="wherry-bench-") as name, running(Path(name)) as server:
        server.request("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        server.request("POST", f"{IN_NAMESPACE}/serviceaccounts", {"metadata": {"name": "default"}})
        yield Path(name), server


@contextmanager
def _started(home: Path, server: Server, *command: str) -> Iterator[Measured]:
    """A component as an administrator, so that nothing is refused it."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    options = ["--kubeconfig", str(_kubeconfig(home, server)), "--health-port", "-1"]
    with (home / f"{command[0]}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cluster.main", *command, *options],
            env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield Measured(process.pid)
    finally:
        process.terminate()
        process.wait()


def _kubeconfig(home: Path, server: Server) -> Path:
    authority = {"server": server.url, "certificate-authority": str(home / "pki" / "ca.crt")}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "bench",
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
        "clusters": [{"name": "bench", "cluster": authority}],
        "users": [{"name": "bench", "user": {"token": TOKEN}}],
    }
    path = home / "component.conf"
    path.write_text(json.dumps(document))
    path.chmod(0o600)
    return path
