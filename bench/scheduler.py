"""`python -m bench.scheduler`: what scheduling a pod costs, beside its budget of 0.7 ms.

Two tables. Decisions: filter, score, choose and count the pod, in this process, for several kinds of pods. Whole: the
CPU time of a scheduler process from the watch event to the bound pod and its event, against a real API server.
Figures, not a test: the exit code is 0 whatever they are.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.server import TICKS, TOKEN, Server, running
from controllers.scheduler.config import SchedulerConfiguration
from controllers.scheduler.cycle import choose, feasible_rows
from controllers.scheduler.framework import Cycle, Diagnosis
from controllers.scheduler.nomination import Nominations
from controllers.scheduler.pod import Templates
from controllers.scheduler.world import World

BUDGET_MS = 0.7
NODES = (100, 1_000, 5_000)
HOSTNAME, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
NAMESPACE = "bench"
WAIT_S = 60.0
_ALIKE = {"labelSelector": {"matchLabels": {"app": "a"}}}

KINDS: Mapping[str, Mapping[str, Any]] = {
    "plain": {},
    "of a replica set": {},
    "spread over zones and hosts": {
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": ZONE, "whenUnsatisfiable": "DoNotSchedule", **_ALIKE},
            {"maxSkew": 5, "topologyKey": HOSTNAME, "whenUnsatisfiable": "ScheduleAnyway", **_ALIKE},
        ]
    },
    "rather not two on a host": {
        "affinity": {
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {"weight": 100, "podAffinityTerm": {"topologyKey": HOSTNAME, **_ALIKE}}
                ]
            }
        }
    },
}


def node(number: int) -> dict[str, Any]:
    labels = {HOSTNAME: f"n{number}", ZONE: f"z{number % 3}"}
    offered = {"cpu": "32", "memory": "64Gi", "ephemeral-storage": "100Gi", "pods": "250"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"n{number}", "labels": labels},
        "spec": {},
        "status": {"capacity": offered, "allocatable": offered, "conditions": [{"type": "Ready", "status": "True"}]},
    }


def pod(number: int, kind: str) -> dict[str, Any]:
    requests = {"cpu": "100m", "memory": "128Mi"}
    container = {
        "name": "main",
        "image": "registry.example.com/team/service:1.27.3",
        "resources": {"requests": requests},
    }
    metadata: dict[str, Any] = {"name": f"p{number}", "namespace": NAMESPACE, "labels": {"app": "a"}}
    if kind == "of a replica set":
        owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "a", "uid": "a", "controller": True}
        metadata["ownerReferences"] = [owner]
    spec = {"containers": [container], "tolerations": [{"operator": "Exists"}], **KINDS[kind]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def decisions(nodes: int, pods: int, kind: str) -> float:
    """Milliseconds of CPU time per pod, from the pod's JSON to its place in the snapshot."""
    world = World()
    profile = SchedulerConfiguration().build_profiles(world)["default-scheduler"]
    nominations, templates, rng = Nominations(), Templates(), random.Random(1)
    for number in range(nodes):
        world.snapshot.set_node(node(number))
    selector = {"matchLabels": {"app": "a"}}
    world.replica_sets.put({"metadata": {"namespace": NAMESPACE, "name": "a"}, "spec": {"selector": selector}})
    waiting = [pod(number, kind) for number in range(pods)]
    for number, obj in enumerate(waiting):
        obj["metadata"]["uid"] = f"u{number}"
    started = time.process_time()
    for obj in waiting:
        info = templates.info(obj)
        cycle = Cycle(info, world, profile, nominations)
        rows = feasible_rows(cycle)
        if isinstance(rows, Diagnosis):
            raise RuntimeError(rows.message())
        info.node = world.snapshot.names[choose(cycle, rows, None, rng)]
        world.snapshot.add_pod(info)
    return (time.process_time() - started) / pods * 1000


def whole(home: Path, nodes: int, pods: int) -> tuple[float, float]:
    """Milliseconds of the scheduler's CPU time per pod, and pods bound per second."""
    with running(home) as server:
        server.request("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        server.request("POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", {"metadata": {"name": "default"}})
        for number in range(nodes):
            server.request("POST", "/api/v1/nodes", node(number))
        with _scheduler(_kubeconfig(home, server)) as pid:
            before, started = _cpu_s(pid), time.perf_counter()
            for number in range(pods):
                server.request("POST", f"/api/v1/namespaces/{NAMESPACE}/pods", pod(number, "plain"))
            _until_bound(server)
            seconds = time.perf_counter() - started
            time.sleep(1)  # the last events
            return (_cpu_s(pid) - before) / pods * 1000, pods / seconds


def _kubeconfig(home: Path, server: Server) -> Path:
    """A file by which a scheduler finds the server, as an administrator."""
    authority = {"server": server.url, "certificate-authority": str(home / "pki" / "ca.crt")}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "bench",
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
        "clusters": [{"name": "bench", "cluster": authority}],
        "users": [{"name": "bench", "user": {"token": TOKEN}}],
    }
    path = home / "scheduler.conf"
    path.write_text(json.dumps(document))
    path.chmod(0o600)
    return path


@contextmanager
def _scheduler(kubeconfig: Path) -> Iterator[int]:
    options = ["--kubeconfig", str(kubeconfig), "--health-port", "-1", "--no-leader-elect"]
    process = subprocess.Popen([sys.executable, "-m", "controllers.scheduler.main", *options])
    try:
        time.sleep(4)  # its stores are filled
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _until_bound(server: Server) -> None:
    deadline = time.perf_counter() + WAIT_S
    while time.perf_counter() < deadline:
        waiting = server.request("GET", f"/api/v1/namespaces/{NAMESPACE}/pods?fieldSelector=spec.nodeName%3D&limit=1")
        if not waiting["items"]:
            return
        time.sleep(0.05)
    raise RuntimeError("pods are left without a node")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.scheduler", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pods", type=int, default=2_000, help="for each row (default: 2000)")
    parser.add_argument("--decisions-only", action="store_true", help="leave out the rows against an API server")
    arguments = parser.parse_args()
    for kind in KINDS:
        for nodes in NODES:
            cost_ms = decisions(nodes, arguments.pods, kind)
            print(f"decision, {kind:<28} {nodes:>6,} nodes {cost_ms:>8.3f} ms", flush=True)
    for nodes in () if arguments.decisions_only else NODES:
        with tempfile.TemporaryDirectory(prefix="wherry-bench-") as home:
            cost_ms, rate = whole(Path(home), nodes, arguments.pods)
        verdict = "ok" if cost_ms <= BUDGET_MS else "over"
        print(
            f"whole pod {nodes:>38,} nodes {cost_ms:>8.3f} ms  budget {BUDGET_MS} {verdict} {rate:>8.0f}/s", flush=True
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
