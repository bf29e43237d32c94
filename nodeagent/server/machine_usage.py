"""What the machine uses now, read from the kernel: processors, memory, disk, processes.

Memory is counted as for a cgroup, so that a node and its pods are counted alike: the working set is what is used
without the page cache that the kernel could drop at once.
Follows: k8s.io/kubelet/pkg/apis/stats/v1alpha1/types.go
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_NANOS = 1_000_000_000
_IDLE_FIELDS = (3, 4)
"""Of a line of processor times: idle, and waiting for disks."""
_CPU_FIELDS = 8
"""User to steal; guest times follow, which are part of user's already."""


@dataclass(frozen=True, slots=True)
class MachineUsage:
    """Cumulative processor time in nanoseconds, amounts in bytes, times in nanoseconds since 1970."""

    timestamp_ns: int
    boot_ns: int
    cpus: int
    cpu_core_ns: int
    memory_capacity: int
    memory_usage: int
    memory_working_set: int
    memory_rss: int
    swap_usage: int
    swap_available: int
    page_faults: int
    major_page_faults: int
    processes: int
    process_limit: int


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """A file system, in bytes and inodes."""

    capacity: int
    available: int
    used: int
    inodes: int
    inodes_free: int


def read_machine_usage(proc: Path = PROC) -> MachineUsage:
    """Raises OSError where the kernel does not tell."""
    memory = _table(proc / "meminfo", 1024)
    faults = _table(proc / "vmstat", 1)
    stat = (proc / "stat").read_text().splitlines()
    ticks = [int(number) for number in stat[0].split()[1 : 1 + _CPU_FIELDS]]
    busy = sum(ticks) - sum(ticks[at] for at in _IDLE_FIELDS)
    values = {name: rest for name, _, rest in (line.partition(" ") for line in stat)}
    usage = memory["MemTotal"] - memory["MemFree"]
    return MachineUsage(
        timestamp_ns=time.time_ns(),
        boot_ns=int(values["btime"]) * _NANOS,
        cpus=os.cpu_count() or 1,
        cpu_core_ns=busy * _NANOS // os.sysconf("SC_CLK_TCK"),
        memory_capacity=memory["MemTotal"],
        memory_usage=usage,
        memory_working_set=max(0, usage - memory.get("Inactive(file)", 0)),
        memory_rss=memory.get("AnonPages", 0),
        swap_usage=memory.get("SwapTotal", 0) - memory.get("SwapFree", 0),
        swap_available=memory.get("SwapFree", 0),
        page_faults=faults.get("pgfault", 0),
        major_page_faults=faults.get("pgmajfault", 0),
        processes=int((proc / "loadavg").read_text().split()[3].partition("/")[2]),
        process_limit=int((proc / "sys/kernel/pid_max").read_text()),
    )


def read_disk_usage(folder: Path) -> DiskUsage:
    """The file system that holds `folder`."""
    found = os.statvfs(folder)
    return DiskUsage(
        capacity=found.f_blocks * found.f_frsize,
        available=found.f_bavail * found.f_frsize,
        used=(found.f_blocks - found.f_bfree) * found.f_frsize,
        inodes=found.f_files,
        inodes_free=found.f_ffree,
    )


def _table(path: Path, unit: int) -> Mapping[str, int]:
    """Lines of a name and a number."""
    pairs = (line.replace(":", " ").split() for line in path.read_text().splitlines())
    return {pair[0]: int(pair[1]) * unit for pair in pairs if len(pair) > 1}
