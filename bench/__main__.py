"""`python -m bench`: what the API server's operations, scheduling a pod and the controllers cost, beside their budgets.

The figures are CPU time of the process that does the work, per operation, on this machine; compare only runs of one
machine. They are kept as JSON under `bench/results/`. They are figures, not a test: the exit code is 0 whatever they
are.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from bench.cluster import measure_cluster
from bench.load import Request, Result, has_wrk, measure
from bench.row import Row, Show
from bench.server import Server, running
from bench.watchers import fan_out
from bench.yardstick import bare

PODS = 3_900
FIRST_PODS = 1_000
WATCHERS = 500
CHANGES = 100
STARTS = 5
NAMESPACE = "/api/v1/namespaces/bench"
RESULTS = Path(__file__).parent / "results"

CONTAINER = {
    "name": "main",
    "image": "registry.example.com/team/service:1.27.3",
    "args": ["--listen=:8080", "--log-level=info", "--config=/etc/service/config.yaml"],
    "env": [{"name": f"SETTING_{number}", "value": f"value-{number}"} for number in range(6)],
    "ports": [{"name": "http", "containerPort": 8080}],
    "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
    "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 5},
    "volumeMounts": [{"name": "config", "mountPath": "/etc/service"}],
}
SPEC = {"containers": [CONTAINER], "volumes": [{"name": "config", "configMap": {"name": "service"}}]}
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p%d", "labels": {"app": "service", "number": "n%d"}},
    "spec": SPEC,
}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measure the cluster's parts against their budgets."
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="of load for each row (default: 5)")
    parser.add_argument("--pods", type=int, default=PODS, help=f"in the lists (default: {PODS})")
    parser.add_argument("--etcd-servers", default="", help="measure on etcd instead of the embedded store")
    parser.add_argument("--part", choices=["apiserver", "cluster"], help="only the API server, or only the others")
    parser.add_argument("--only", default="", help="only rows whose text contains this")
    arguments = parser.parse_args()
    options = ["--etcd-servers", arguments.etcd_servers] if arguments.etcd_servers else []
    load = "wrk" if has_wrk() else "a client of our own (wrk is not installed)"
    print(f"Python {platform.python_version()}, load by {load}\n", flush=True)
    rows: list[Row] = []

    def show(row: Row) -> None:
        rows.append(row)
        print(row.line(), flush=True)

    if arguments.part in (None, "apiserver"):
        with tempfile.TemporaryDirectory(prefix="wherry-bench-") as home:
            _measure(Path(home), options, arguments, show)
    if arguments.part in (None, "cluster"):
        measure_cluster(arguments.only, show)
    _keep(rows, arguments)
    return 0


def _measure(home: Path, options: list[str], arguments: argparse.Namespace, show: Show) -> None:
    starts = []
    for _ in range(STARTS):
        with running(home, options) as server:
            starts.append(server.start_s)
    show(Row("first start to readyz (makes the PKI)", starts[0], "s", None))
    show(Row("start to readyz", statistics.median(starts[1:]), "s", 0.8))
    with bare(home) as server:
        answer = measure(server, Request("GET", "/"), arguments.seconds)
    show(_row("yardstick: an answer of the bare web server", answer, None))
    with running(home, options) as server:
        time.sleep(1)
        show(Row("memory, idle", server.memory_mib(), "MiB", 90))
        _stock(server)
        for work, request, budget in _writes(arguments.pods, on_etcd=bool(options)):
            if arguments.only in work:
                show(_row(work, measure(server, request, arguments.seconds), budget))
        _fill(server, arguments.pods)
        show(Row(f"memory, {arguments.pods:,} pods", server.memory_mib(), "MiB", 200))
        for work, request, budget in _reads(arguments.pods):
            if arguments.only in work:
                show(_row(work, measure(server, request, arguments.seconds), budget))
        show(Row(f"memory, {arguments.pods:,} pods, after all lists", server.memory_mib(), "MiB", None))
        events, cpu_s, seconds = fan_out(server, WATCHERS, CHANGES)
        show(Row(f"watch event to one of {WATCHERS} watchers", cpu_s / events * 1e6, "µs", 25, events / seconds))
    with running(home, options) as server:
        time.sleep(1)
        show(Row(f"memory, {arguments.pods:,} pods, restarted", server.memory_mib(), "MiB", None))


Operation = tuple[str, Request, float | None]


def _writes(pods: int, *, on_etcd: bool) -> list[Operation]:
    """etcd's own work is not counted, the call to it is: that has its own budget, and none for PATCH."""
    merge, label = "application/merge-patch+json", '{"metadata":{"labels":{"round":"r%n"}}}'
    patch = Request("PATCH", f"{NAMESPACE}/pods/p%d", label, merge, wrap=min(pods, FIRST_PODS))
    return [
        ("CREATE a pod", Request("POST", f"{NAMESPACE}/pods", json.dumps(POD), first=10_000), 1.0 if on_etcd else 0.8),
        ("PATCH (merge) a pod's label", patch, None if on_etcd else 0.9),
    ]


def _reads(pods: int) -> list[Operation]:
    return [
        ("GET a pod", Request("GET", f"{NAMESPACE}/pods/p0"), 0.15),
        (f"LIST {pods:,} pods", Request("GET", f"{NAMESPACE}/pods"), 30),
        ("LIST limit=500", Request("GET", f"{NAMESPACE}/pods?limit=500"), 4),
        (f"LIST by label, 1 of {pods:,}", Request("GET", f"{NAMESPACE}/pods?labelSelector=number%3Dn7"), 1.5),
    ]


def _row(work: str, result: Result, budget: float | None) -> Row:
    return Row(work, result.cpu_ms, "ms", budget, result.rate, result.failed)


def _stock(server: Server) -> None:
    """The namespace, its account, and the first pods to read and patch."""
    server.request("POST", "/api/v1/namespaces", {"metadata": {"name": "bench"}})
    server.request("POST", f"{NAMESPACE}/serviceaccounts", {"metadata": {"name": "default"}})
    _make(server, FIRST_PODS)


def _make(server: Server, pods: int, first: int = 0) -> None:
    template = json.dumps(POD)
    for number in range(first, first + pods):
        server.request("POST", f"{NAMESPACE}/pods", json.loads(template.replace("%d", str(number))))


def _fill(server: Server, pods: int) -> None:
    """Bring the namespace to exactly so many pods, whatever creating under load has left."""
    listed = server.request("GET", f"{NAMESPACE}/pods")
    names = sorted((item["metadata"]["name"] for item in listed["items"]), key=lambda name: int(name[1:]))
    for name in names[pods:]:
        server.request("DELETE", f"{NAMESPACE}/pods/{name}")
    if len(names) < pods:
        _make(server, pods - len(names), first=1_000_000)


def _keep(rows: list[Row], arguments: argparse.Namespace) -> None:
    RESULTS.mkdir(exist_ok=True)
    taken = time.strftime("%Y-%m-%dT%H%M%S")
    facts = {
        "taken": taken,
        "commit": _commit(),
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load": "wrk" if has_wrk() else "own client",
        "store": "etcd" if arguments.etcd_servers else "sqlite",
        "seconds": arguments.seconds,
        "rows": [asdict(row) for row in rows],
    }
    path = RESULTS / f"{taken}.json"
    path.write_text(json.dumps(facts, indent=2) + "\n")
    print(f"\nkept in {path}")


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=RESULTS.parent, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


if __name__ == "__main__":
    raise SystemExit(main())
