"""When the node runs short of memory, disk or process numbers, and which pod has to go first. Pure.

Follows: pkg/kubelet/eviction/{helpers.go,eviction_manager.go}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nodeagent.pods import spec
from nodeagent.pods.spec import View
from openapi.meta.quantity import BINARY, Quantity

MEMORY, NODEFS, IMAGEFS, NODEFS_INODES, PIDS = (
    "memory.available",
    "nodefs.available",
    "imagefs.available",
    "nodefs.inodesFree",
    "pid.available",
)
SIGNALS = (MEMORY, NODEFS, IMAGEFS, NODEFS_INODES, PIDS)
_CONDITIONS = {MEMORY: "MemoryPressure", PIDS: "PIDPressure"}
_RESOURCES = {MEMORY: "memory", PIDS: "pids", NODEFS_INODES: "inodes"}
CRITICAL_PRIORITY = 2_000_000_000
PRESSURE_LASTS_S = 300.0
"""A pressure condition stays for this long after its cause has gone, so that it does not flutter."""


@dataclass(frozen=True, slots=True)
class Signal:
    """What is left of something, of how much."""

    available: int
    capacity: int


@dataclass(frozen=True, slots=True)
class Threshold:
    """The least that must be left: an amount, or a share of the capacity."""

    signal: str
    amount: int = 0
    share: float = 0.0

    def __str__(self) -> str:
        """What must be left, as a kubelet's configuration has it."""
        return f"{self.share:.0%}" if self.share else str(Quantity.of(self.amount, BINARY))

    def least(self, signal: Signal) -> int:
        return max(self.amount, int(signal.capacity * self.share))


HARD: tuple[Threshold, ...] = (
    Threshold(MEMORY, amount=100 * 1024 * 1024),
    Threshold(NODEFS, share=0.10),
    Threshold(NODEFS_INODES, share=0.05),
    Threshold(IMAGEFS, share=0.15),
)


def parse_thresholds(text: str) -> tuple[Threshold, ...]:
    """`signal<amount` or `signal<share%`, separated by commas. Raises ValueError."""
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        signal, sign, least = part.partition("<")
        if not sign or signal not in SIGNALS:
            raise ValueError(f"no eviction threshold: {part}")
        if least.endswith("%"):
            found.append(Threshold(signal, share=float(least[:-1]) / 100))
        else:
            found.append(Threshold(signal, amount=Quantity.parse(least).value))
    return tuple(found)


def crossed(signals: Mapping[str, Signal], thresholds: Sequence[Threshold]) -> list[Threshold]:
    """The thresholds below which the node has fallen, memory first."""
    return [t for t in thresholds if t.signal in signals and signals[t.signal].available < t.least(signals[t.signal])]


def pressures(thresholds: Sequence[Threshold]) -> frozenset[str]:
    """The node conditions that these thresholds stand for."""
    return frozenset(_CONDITIONS.get(threshold.signal, "DiskPressure") for threshold in thresholds)


def victims(pods: Sequence[View], threshold: Threshold, use: Mapping[str, int]) -> list[View]:
    """The pods that may be evicted, the first to go first: over their request, of low priority, with much over it.

    `use` is what each pod uses of what is short, by uid.
    """
    resource = _RESOURCES.get(threshold.signal, "ephemeral-storage")

    def rank(pod: View) -> tuple[bool, int, int]:
        over = use.get(spec.uid_of(pod), 0) - spec.pod_requests(pod).get(resource, 0) // 1000
        return over <= 0, int(pod["spec"].get("priority") or 0), -over

    return sorted((pod for pod in pods if not _is_critical(pod)), key=rank)


def message(pod: View, threshold: Threshold, signal: Signal, use: Mapping[str, int]) -> str:
    """Why the pod is evicted, as its status says it."""
    resource = _RESOURCES.get(threshold.signal, "ephemeral-storage")
    least, left = (str(Quantity.of(n, BINARY)) for n in (threshold.least(signal), signal.available))
    text = f"The node was low on resource: {resource}. Threshold quantity: {least}, available: {left}. "
    used = use.get(spec.uid_of(pod))
    names = [container["name"] for container in spec.containers(pod)]
    if used is not None and len(names) == 1:
        request = spec.resources_of(spec.containers(pod)[0], "requests").get(resource, "0")
        amounts = f"using {Quantity.of(used // 1024 * 1024, BINARY)}, request is {request}"
        text += f"Container {names[0]} was {amounts}, has larger consumption of {resource}. "
    return text


def _is_critical(pod: View) -> bool:
    return spec.is_static(pod) or int(pod["spec"].get("priority") or 0) >= CRITICAL_PRIORITY
