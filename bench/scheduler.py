"""`python -m bench.scheduler`: what the decision costs alone, to filter, score, choose and count several kinds of pods.

In this process, without an API server; `python -m bench` has what a whole pod costs the scheduler's process.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Mapping
from typing import Any

from controllers.scheduler.config import SchedulerConfiguration
from controllers.scheduler.cycle import choose, feasible_rows
from controllers.scheduler.framework import Cycle, Diagnosis
from controllers.scheduler.nomination import Nominations
from controllers.scheduler.pod import Templates
from controllers.scheduler.world import World

NODES = (100, 1_000, 5_000)
HOSTNAME, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
NAMESPACE = "bench"
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


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.scheduler", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pods", type=int, default=2_000, help="for each row (default: 2000)")
    arguments = parser.parse_args()
    for kind in KINDS:
        for nodes in NODES:
            cost_ms = decisions(nodes, arguments.pods, kind)
            print(f"decision, {kind:<28} {nodes:>6,} nodes {cost_ms:>8.3f} ms", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
