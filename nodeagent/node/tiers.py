"""Keeps the cgroups of the classes of quality up to date with the pods that are on the node.

Follows: pkg/kubelet/cm/qos_container_manager_linux.go, pkg/kubelet/cm/node_container_manager_linux.go
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from nodeagent.node.cgroups import Cgroups, PodLimits, tier_limits
from nodeagent.pods.spec import View

LOOK_S = 10.0


class Tiers:
    """`pods` are those on the node, `capacity` is what it has for them; eviction sees to
    what is to stay free of that. `run` it."""

    def __init__(
        self, cgroups: Cgroups, root: str, pods: Callable[[], Sequence[View]], capacity: Mapping[str, str]
    ) -> None:
        self._cgroups = cgroups
        self._root = root
        self._pods = pods
        self._capacity = capacity
        self._known: Mapping[str, PodLimits] = {}

    async def run(self) -> None:
        while True:
            limits = tier_limits(self._pods(), self._capacity["cpu"], self._capacity["memory"])
            for name, limit in limits.items():
                if self._known.get(name) != limit:
                    await asyncio.to_thread(self._cgroups.apply, f"/{self._root}/{name}".rstrip("/"), limit)
            self._known = limits
            await asyncio.sleep(LOOK_S)
