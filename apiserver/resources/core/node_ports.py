"""Which ports of every node are taken: a bitmap in the store that all servers change by compare-and-swap.

A write plans on a snapshot of the bitmap and stores the result only if nobody was faster, else it plans again; so no
port is ever given twice. A crash between the bitmap and the service leaks a bit: `repair` finds bits without a service
and clears those it has seen so for several rounds in a row, since a write under way looks the same at first.
Follows: pkg/registry/core/service/{allocator,portallocator}; the stored form is a RangeAllocation, as there.
"""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any

import orjson

from apiserver.storage.backend import Backend, KeyExists, KeyValue, RevisionConflict

KEY = "/registry/ranges/servicenodeports"
ROUNDS_BEFORE_CLEANUP = 3
_MIN_STATIC, _MAX_STATIC, _STATIC_STEP = 16, 128, 32
FULL = "range is full"
TAKEN = "provided port is already allocated"
_DRY_PORT = 32768


class PortError(Exception):
    """A port cannot be had, in the words of the API."""


@dataclass(frozen=True, slots=True)
class PortRange:
    first: int
    last: int

    @staticmethod
    def parse(text: str) -> PortRange:
        """`30000-32767`."""
        first, _, last = text.partition("-")
        return PortRange(int(first), int(last))

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"

    @property
    def size(self) -> int:
        return self.last - self.first + 1

    @property
    def static_size(self) -> int:
        """The lower ports are for those who ask for one; others get them only when the rest is taken."""
        if self.size <= _MIN_STATIC:
            return 0
        return min(max(_MIN_STATIC, self.size // _STATIC_STEP), _MAX_STATIC)


class PortPlan:
    """Ports taken and given back on a snapshot; nothing is stored yet."""

    def __init__(self, ports: PortRange, bits: int, rng: random.Random) -> None:
        self._ports = ports
        self._rng = rng
        self.bits = bits
        self.taken: list[int] = []

    def take(self, port: int) -> None:
        """Raises PortError."""
        if not self._ports.first <= port <= self._ports.last:
            raise PortError(f"provided port is not in the valid range. The range of valid ports is {self._ports}")
        self._set(port - self._ports.first)

    def take_any(self) -> int:
        static, size = self._ports.static_size, self._ports.size
        for low, high in ((static, size), (0, static)):
            offset = self._free(low, high)
            if offset is not None:
                self._set(offset)
                return self._ports.first + offset
        raise PortError(FULL)

    def _free(self, low: int, high: int) -> int | None:
        if high <= low:
            return None
        start = self._rng.randrange(low, high)
        for offset in chain(range(start, high), range(low, start)):
            if not self.bits >> offset & 1:
                return offset
        return None

    def _set(self, offset: int) -> None:
        if self.bits >> offset & 1:
            raise PortError(TAKEN)
        self.bits |= 1 << offset
        self.taken.append(self._ports.first + offset)


class DryPlan(PortPlan):
    """For dry runs: any port will do that nobody has, and free ones are numbers that no real service gets."""

    def take(self, port: int) -> None:
        if port in self.taken or self._is_taken(port):
            raise PortError(TAKEN)
        self.taken.append(port)

    def take_any(self) -> int:
        self.taken.append(max(self.taken, default=_DRY_PORT) + 1)
        return self.taken[-1]

    def _is_taken(self, port: int) -> bool:
        return self._ports.first <= port <= self._ports.last and bool(self.bits >> (port - self._ports.first) & 1)


class NodePorts:
    """The bitmap of one cluster."""

    def __init__(self, backend: Backend, ports: PortRange, rng: random.Random) -> None:
        self.ports = ports
        self._backend = backend
        self._rng = rng
        self._lock = asyncio.Lock()
        self._known: tuple[int, int] | None = None
        self._unused: dict[int, int] = {}

    async def change(self, plan: Callable[[PortPlan], None]) -> list[int]:
        """Run `plan` on the present bitmap, again if another server changed it; returns the ports taken."""
        made = PortPlan(self.ports, 0, self._rng)

        def update(bits: int) -> int:
            nonlocal made
            made = PortPlan(self.ports, bits, self._rng)
            plan(made)
            return made.bits

        await self._swap(update)
        return made.taken

    async def trial(self, plan: Callable[[PortPlan], None]) -> None:
        """Run `plan` as a dry run."""
        bits, _ = await self._read()
        plan(DryPlan(self.ports, bits, self._rng))

    async def give_back(self, ports: Iterable[int]) -> None:
        mask = self._mask(ports)
        if mask:
            await self._swap(lambda bits: bits & ~mask)

    async def repair(self, used: Iterable[int], *, rounds: int = ROUNDS_BEFORE_CLEANUP) -> None:
        """`used` are the ports of all services, read before this call; bits unused for `rounds` calls are cleared."""
        wanted = self._mask(used)
        bits, _ = await self._read()
        leaked = bits & ~wanted
        seen = {n: self._unused.get(n, 0) + 1 for n in range(self.ports.size) if leaked >> n & 1}
        expired = sum(1 << n for n, times in seen.items() if times >= rounds)
        self._unused = {n: times for n, times in seen.items() if times < rounds}
        if expired or wanted & ~bits:
            await self._swap(lambda present: (present & ~expired) | wanted)

    def _mask(self, ports: Iterable[int]) -> int:
        mask = 0
        for port in ports:
            if self.ports.first <= port <= self.ports.last:
                mask |= 1 << (port - self.ports.first)
        return mask

    async def _swap(self, update: Callable[[int], int]) -> None:
        async with self._lock:
            bits, revision = self._known or await self._read()
            while True:
                changed = update(bits)
                if changed == bits:
                    return
                try:
                    if revision:
                        revision = await self._backend.update(KEY, self._encode(changed), expected=revision)
                    else:
                        revision = await self._backend.create(KEY, self._encode(changed))
                except (RevisionConflict, KeyExists):
                    self._known = None
                    bits, revision = await self._read()
                except BaseException:
                    self._known = None
                    raise
                else:
                    self._known = changed, revision
                    return

    async def _read(self) -> tuple[int, int]:
        found = await self._backend.get(KEY)
        return (0, 0) if found is None else (self._decode(found), found.revision)

    def _encode(self, bits: int) -> bytes:
        data = bits.to_bytes((bits.bit_length() + 7) // 8, "big")
        return orjson.dumps(
            {
                "kind": "RangeAllocation",
                "apiVersion": "v1",
                "metadata": {},
                "range": str(self.ports),
                "data": base64.b64encode(data).decode(),
            }
        )

    def _decode(self, found: KeyValue) -> int:
        """The bits, moved to their places if the range is another one now."""
        stored: dict[str, Any] = orjson.loads(found.value)
        bits = int.from_bytes(base64.b64decode(stored.get("data") or ""), "big")
        if stored.get("range") == str(self.ports):
            return bits
        old = PortRange.parse(stored["range"])
        return self._mask(old.first + n for n in range(old.size) if bits >> n & 1)
