"""Pods' cgroups, version 1 and 2: what all containers of a pod together may use. The runtime makes those below.

Follows: pkg/kubelet/cm/{pod_container_manager_linux.go,helpers_linux.go}
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nodeagent.pods import resources, spec
from nodeagent.pods.spec import View
from openapi.meta.quantity import Quantity

log = logging.getLogger(__name__)

ROOT = Path("/sys/fs/cgroup")
_V2_CONTROLLERS = ("cpuset", "cpu", "hugetlb", "memory", "pids")
TIERS = ("", "burstable", "besteffort")
"""Where pods' cgroups are below the root of them all, by quality of service."""


@dataclass(frozen=True, slots=True)
class PodLimits:
    """Shares of the processor, and limits where every container has one (0: none)."""

    cpu_shares: int
    cpu_quota: int
    memory_bytes: int


def limits_of(pod: View) -> PodLimits:
    """What the pod's containers, or its own resources, amount to."""
    level = pod["spec"].get("resources") or {}
    regular = [*spec.containers(pod), *(c for c in spec.init_containers(pod) if spec.is_sidecar(c))]

    def limit(name: str) -> int:
        if (level.get("limits") or {}).get(name):
            return Quantity.parse(level["limits"][name]).milli
        each = [spec.resources_of(container, "limits").get(name) for container in regular]
        return sum(Quantity.parse(text).milli for text in each if text) if each and all(each) else 0

    return PodLimits(
        cpu_shares=resources.shares_of(spec.pod_requests(pod).get("cpu", 0)),
        cpu_quota=resources.quota_of(limit("cpu")),
        memory_bytes=-(-limit("memory") // 1000),
    )


def tier_limits(pods: Iterable[View], cpu: str, memory: str) -> Mapping[str, PodLimits]:
    """What the cgroups above those of pods get, by their names below the root ('' for the root itself).

    `cpu` and `memory` are what the node has for pods. Burstable pods share by what they have asked for together;
    best-effort ones take what is left.
    """
    burstable = sum(spec.pod_requests(pod).get("cpu", 0) for pod in pods if spec.qos_class(pod) == "Burstable")
    limits = (
        PodLimits(resources.shares_of(Quantity.parse(cpu).milli), 0, Quantity.parse(memory).value),
        PodLimits(resources.shares_of(burstable), 0, 0),
        PodLimits(resources.MIN_SHARES, 0, 0),
    )
    return dict(zip(TIERS, limits, strict=True))


def weight_of(shares: int) -> int:
    """The weight of cgroup version 2 for shares of version 1."""
    return 1 + (shares - 2) * 9999 // 262142 if shares else 1


def settings_v1(limits: PodLimits) -> Mapping[str, Mapping[str, str]]:
    """Files by controller."""
    cpu = {"cpu.shares": str(limits.cpu_shares)}
    if limits.cpu_quota:
        cpu |= {"cpu.cfs_period_us": str(resources.PERIOD_US), "cpu.cfs_quota_us": str(limits.cpu_quota)}
    memory = {"memory.limit_in_bytes": str(limits.memory_bytes)} if limits.memory_bytes else {}
    return {"cpu": cpu, "memory": memory}


def settings_v2(limits: PodLimits) -> Mapping[str, str]:
    found = {"cpu.weight": str(weight_of(limits.cpu_shares))}
    if limits.cpu_quota:
        found["cpu.max"] = f"{limits.cpu_quota} {resources.PERIOD_US}"
    if limits.memory_bytes:
        found["memory.max"] = str(limits.memory_bytes)
    return found


class Cgroups:
    """The cgroups of pods below `root`. What cannot be set is told once in the log; pods run all the same."""

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        self._is_v2 = (root / "cgroup.controllers").exists()

    def apply(self, parent: str, limits: PodLimits) -> None:
        """Make the pod's cgroup, or bring its limits up to date."""
        if self._is_v2:
            self._write(self._make_v2(parent), settings_v2(limits))
            return
        for controller, files in settings_v1(limits).items():
            if (self._root / controller).is_dir():
                folder = self._root / controller / parent.lstrip("/")
                self._attempt(folder.mkdir, parents=True, exist_ok=True)
                self._write(folder, files)

    def remove(self, parent: str) -> None:
        """Remove the pod's cgroup and those below it, in every hierarchy."""
        for hierarchy in self._hierarchies():
            folder = hierarchy / parent.lstrip("/")
            for path, _, _ in os.walk(folder, topdown=False):
                try:
                    os.rmdir(path)
                except OSError:
                    continue

    def pods(self, root: str) -> set[str]:
        """The uids of the pods that have a cgroup below `root`."""
        found = set()
        for hierarchy in self._hierarchies():
            for tier in TIERS:
                try:
                    names = os.listdir(hierarchy / root / tier)
                except FileNotFoundError:
                    continue
                found |= {name.removeprefix("pod") for name in names if name.startswith("pod")}
        return found

    def remove_pod(self, root: str, uid: str) -> None:
        """Remove a pod's cgroup, of whatever quality of service it was."""
        for tier in TIERS:
            self.remove(f"{root}/{tier}/pod{uid}")

    def _hierarchies(self) -> Sequence[Path]:
        if self._is_v2:
            return [self._root]
        return [entry for entry in self._root.iterdir() if entry.is_dir() and not entry.is_symlink()]

    def _make_v2(self, parent: str) -> Path:
        """Every cgroup on the way hands down what it has of the controllers, which version 2 wants to be told."""
        folder = self._root
        for part in Path(parent.lstrip("/")).parts:
            try:
                has = (folder / "cgroup.controllers").read_text().split()
            except OSError:
                has = []
            for controller in (name for name in _V2_CONTROLLERS if name in has):
                self._attempt((folder / "cgroup.subtree_control").write_text, f"+{controller}")
            folder = folder / part
            self._attempt(folder.mkdir, exist_ok=True)
        return folder

    def _write(self, folder: Path, files: Mapping[str, str]) -> None:
        for name, value in files.items():
            self._attempt((folder / name).write_text, value)

    @staticmethod
    def _attempt(action: Callable[..., object], *given: object, **named: object) -> None:
        try:
            action(*given, **named)
        except OSError as error:
            log.debug("cgroup not changed: %s", error)
