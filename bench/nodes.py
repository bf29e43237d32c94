"""`python -m bench.nodes`: how long pods take to run on a node, and what its agent costs meanwhile and at rest.

Two parts: a node with real containers (root, containerd and a static busybox are needed, else it is left out), and a
thousand simulated nodes in one process. Figures, not a test: the exit code is 0 whatever they are.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

TICKS = os.sysconf("SC_CLK_TCK")
IMAGE = "wherry.local/pause:1"
NAMESPACE = "bench"
REST_S = 15.0
WAIT_S = 150.0


class Cluster:
    """A running `wherry up`, asked by kubectl; the agent's process is watched through /proc."""

    def __init__(self, home: Path, agent: int) -> None:
        self._kubeconfig = home / "kubeconfig"
        self._agent = agent

    def kubectl(self, *arguments: str, given: str = "") -> str:
        command = ["kubectl", f"--kubeconfig={self._kubeconfig}", "--namespace", NAMESPACE, *arguments]
        return subprocess.run(command, input=given, capture_output=True, text=True, check=True).stdout

    def pods(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.kubectl("get", "pods", "-o", "json"))["items"]
        return found

    def run(self, first: int, count: int) -> list[float]:
        """Make so many pods; seconds from when each was bound to when its container ran, as the API tells them."""
        names = {f"p{number}" for number in range(first, first + count)}
        listed = {"apiVersion": "v1", "kind": "List", "items": [_pod(name) for name in sorted(names)]}
        started = time.perf_counter()
        self.kubectl("create", "-f", "-", given=json.dumps(listed))
        while time.perf_counter() - started < WAIT_S:
            pods = [pod for pod in self.pods() if pod["metadata"]["name"] in names]
            if sum(pod["status"]["phase"] == "Running" for pod in pods) == count:
                return [time.perf_counter() - started, *(_seconds_to_run(pod) for pod in pods)]
            time.sleep(0.2)
        raise RuntimeError(f"{count} pods do not run within {WAIT_S:.0f} s")

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self._agent}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory_mib(self) -> float:
        lines = Path(f"/proc/{self._agent}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024

    def rest(self) -> float:
        """The share of one processor that the agent takes when nothing happens, in percent."""
        time.sleep(5)
        before = self.cpu_s()
        time.sleep(REST_S)
        return (self.cpu_s() - before) / REST_S * 100


def _pod(name: str) -> dict[str, Any]:
    main = {"name": "main", "image": IMAGE, "imagePullPolicy": "IfNotPresent"}
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [main], "terminationGracePeriodSeconds": 0},
    }  # fmt: skip


def _seconds_to_run(pod: dict[str, Any]) -> float:
    """To the second, as these times are kept."""
    bound = next(c["lastTransitionTime"] for c in pod["status"]["conditions"] if c["type"] == "PodScheduled")
    ran = pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
    return (datetime.fromisoformat(ran) - datetime.fromisoformat(bound)).total_seconds()


@contextmanager
def _up(*options: str) -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="wherry-bench-") as name:
        home = Path(name)
        command = [sys.executable, "-m", "cluster.main", "up", "--ephemeral", "--port", "0"]
        command += ["--kubeconfig", str(home / "kubeconfig"), *options]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if "export KUBECONFIG" in line:
                    break
            cluster = Cluster(home, _agent_of(process.pid))
            cluster.kubectl("create", "namespace", NAMESPACE)
            while "default" not in cluster.kubectl("get", "serviceaccounts", "-o", "name"):
                time.sleep(0.1)
            yield cluster
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()


def _agent_of(pid: int) -> int:
    """The node agent among the processes of a cluster."""
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, file.read_text().split()):
            if b"nodeagent" in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0"):
                return child
    raise RuntimeError("the cluster has no node agent")


def show(work: str, measured: float, unit: str) -> None:
    print(f"{work:<50} {measured:>9.2f} {unit}", flush=True)


def measure_containers(pods: int) -> None:
    with _up("--runtime", "containerd", "--containerd", shutil.which("containerd") or "") as cluster:
        show("memory of the agent, no pods", cluster.memory_mib(), "MiB")
        cluster.run(0, 1)
        show("create to Running, 1 pod (images warm)", min(cluster.run(number, 1)[0] for number in range(1, 4)), "s")
        before = cluster.cpu_s()
        whole, *each = cluster.run(10, pods)
        show(f"create to Running, {pods} pods at once, the last", whole, "s")
        show(f"bind to Running, {pods} pods at once, the median", sorted(each)[len(each) // 2], "s")
        show("CPU of the agent, for each of them", (cluster.cpu_s() - before) / pods * 1000, "ms")
        show(f"CPU of the agent at rest, {pods + 4} pods", cluster.rest(), "%")
        show(f"memory of the agent, {pods + 4} pods", cluster.memory_mib(), "MiB")
        cluster.kubectl("delete", "pods", "--all")


def measure_simulated(nodes: int) -> None:
    started = time.perf_counter()
    with _up("--runtime", "simulated", "--nodes", str(nodes)) as cluster:
        show(f"{nodes:,} simulated nodes, start to ready", time.perf_counter() - started, "s")
        show(f"memory of their process, {nodes:,} nodes", cluster.memory_mib(), "MiB")
        show(f"CPU of their process at rest, {nodes:,} nodes", cluster.rest(), "%")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.nodes", description="Measure nodes and their agent.")
    parser.add_argument("--pods", type=int, default=50, help="real ones at once (default: 50)")
    parser.add_argument("--nodes", type=int, default=1000, help="simulated ones (default: 1000)")
    parser.add_argument("--only", choices=["containers", "simulated"], help="one part alone")
    arguments = parser.parse_args()
    if arguments.only != "simulated":
        if os.geteuid() == 0 and shutil.which("containerd"):
            measure_containers(arguments.pods)
        else:
            print("real containers are left out: they need root and containerd")
    if arguments.only != "containers":
        measure_simulated(arguments.nodes)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
