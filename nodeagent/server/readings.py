"""What the machine and the containers use, read when asked for, at most once in a moment.

Rates (nanocores) come from two readings some time apart; until then it is the runtime's, where that tells.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nodeagent.runtime.protocol import Runtime, RuntimeFailure, Usage
from nodeagent.server.machine_usage import DiskUsage, MachineUsage, read_disk_usage, read_machine_usage
from nodeagent.server.pod_usage import Traffic, read_traffic

FRESH_S = 1.0
RATE_WINDOW_NS = 5_000_000_000
"""The least time between two readings that make a rate; shorter ones would show noise."""
_NANOS = 1_000_000_000
MACHINE = ""
"""The machine's place among the containers' rates."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One look. `rates` are nanocores by container id; `failed` where the runtime did not tell."""

    machine: MachineUsage
    disk: DiskUsage
    containers: Sequence[Usage] = ()
    rates: Mapping[str, int] = field(default_factory=dict)
    failed: bool = False
    traffic: Sequence[Traffic] = ()


@dataclass(slots=True)
class _Counter:
    """A cumulative time: where the window of its rate begins, and the rate of the window before."""

    at_ns: int
    value_ns: int
    rate: int | None = None


class Readings:
    """The readings of one node."""

    def __init__(self, runtime: Runtime, folder: Path) -> None:
        self._runtime = runtime
        self._folder = folder
        self._counters: dict[str, _Counter] = {}
        self._latest: Reading | None = None
        self._read_at = 0.0
        self._lock = asyncio.Lock()
        machine = read_machine_usage()
        self._rates({MACHINE: (machine.timestamp_ns, machine.cpu_core_ns)})

    async def read(self) -> Reading:
        """A reading that is not older than a moment."""
        async with self._lock:
            if self._latest is None or time.monotonic() - self._read_at > FRESH_S:
                self._latest = await self._read()
                self._read_at = time.monotonic()
            return self._latest

    async def _read(self) -> Reading:
        try:
            usages, failed = await self._runtime.usage(), False
        except RuntimeFailure:
            usages, failed = (), True
        machine = read_machine_usage()
        counters = {usage.container.id: (usage.timestamp_ns, usage.cpu_core_ns) for usage in usages}
        counters[MACHINE] = (machine.timestamp_ns, machine.cpu_core_ns)
        told = {usage.container.id: usage.cpu_nano_cores for usage in usages if usage.cpu_nano_cores is not None}
        rates = told | self._rates(counters)
        return Reading(machine, read_disk_usage(self._folder), usages, rates, failed, read_traffic())

    def _rates(self, counters: Mapping[str, tuple[int, int | None]]) -> dict[str, int]:
        self._counters = {id: known for id, known in self._counters.items() if id in counters}
        rates = {}
        for id, (at_ns, value_ns) in counters.items():
            if value_ns is None:
                continue
            known = self._counters.setdefault(id, _Counter(at_ns, value_ns))
            if at_ns - known.at_ns >= RATE_WINDOW_NS:
                rate = max(0, value_ns - known.value_ns) * _NANOS // (at_ns - known.at_ns)
                known = self._counters[id] = _Counter(at_ns, value_ns, rate)
            if known.rate is not None:
                rates[id] = known.rate
        return rates
