"""What a pod uses besides processors, memory and volumes: its network, its logs, its processes.

Read from the kernel and from the pod's folders; what is not there is None, or left out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nodeagent.node.cgroups import ROOT
from nodeagent.pods import config, spec
from nodeagent.pods.config import NodeSettings
from nodeagent.pods.spec import View

_HIERARCHIES = ("", "pids", "memory", "cpu")
"""Where processes are found: version 2 of cgroups has one hierarchy, version 1 one for each controller."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """The counters of an interface, in bytes and numbers of errors."""

    interface: str
    rx_bytes: int
    rx_errors: int
    tx_bytes: int
    tx_errors: int


@dataclass(frozen=True, slots=True)
class Tree:
    """What a folder takes on disk."""

    used_bytes: int
    inodes: int


@dataclass(frozen=True, slots=True)
class PodUsage:
    """`logs` are by container; `traffic` is empty where the pod has the node's network."""

    traffic: Sequence[Traffic] = ()
    processes: int | None = None
    logs: Mapping[str, Tree] = field(default_factory=dict)


def measure_pod(pod: View, settings: NodeSettings) -> PodUsage:
    """It walks through the pod's folders, which may take a moment."""
    pids = list(_processes(config.cgroup_parent(settings, pod)))
    logs = config.log_folder(settings, pod)
    return PodUsage(
        traffic=() if spec.is_host_network(pod) or not pids else read_traffic(Path(f"/proc/{pids[0]}/net/dev")),
        processes=len(pids) or None,
        logs={c["name"]: measure_tree(logs / c["name"]) for c in spec.all_containers(pod)},
    )


def read_traffic(file: Path = Path("/proc/net/dev")) -> list[Traffic]:
    """All interfaces but the loopback one and the ends of pods' links."""
    try:
        lines = file.read_text().splitlines()[2:]
    except OSError:
        return []
    found = []
    for name, _, rest in (line.strip().partition(":") for line in lines):
        numbers = [int(number) for number in rest.split()]
        if name != "lo" and not name.startswith("veth"):
            found.append(Traffic(name, numbers[0], numbers[2], numbers[8], numbers[10]))
    return found


def measure_tree(folder: Path) -> Tree:
    used = inodes = 0
    for parent, _, names in os.walk(folder):
        for name in (".", *names):
            try:
                used += os.lstat(os.path.join(parent, name)).st_blocks * 512
            except FileNotFoundError:
                continue
            inodes += 1
    return Tree(used, inodes)


def _processes(parent: str) -> Iterator[int]:
    for hierarchy in _HIERARCHIES:
        folder = ROOT / hierarchy / parent.lstrip("/")
        if folder.is_dir():
            for file in sorted(folder.glob("**/cgroup.procs")):
                try:
                    yield from map(int, file.read_text().split())
                except OSError:
                    continue
            return
