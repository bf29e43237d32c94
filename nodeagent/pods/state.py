"""What the runtime knows of one pod, read once per look so that planning and status see the same picture."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from nodeagent.runtime.protocol import Container, Missing, Runtime, Sandbox, State


@dataclass(frozen=True, slots=True)
class PodState:
    """Sandboxes and containers of one pod, the newest first."""

    sandboxes: Sequence[Sandbox] = ()
    containers: Sequence[Container] = ()

    def latest(self, name: str) -> Container | None:
        """The newest container of that name."""
        return next((container for container in self.containers if container.name == name), None)

    def attempts(self, name: str) -> Sequence[Container]:
        return [container for container in self.containers if container.name == name]

    @property
    def sandbox(self) -> Sandbox | None:
        """The newest sandbox, ready or not."""
        return self.sandboxes[0] if self.sandboxes else None

    @property
    def ips(self) -> Sequence[str]:
        sandbox = self.sandbox
        return sandbox.ips if sandbox is not None and sandbox.is_ready else ()

    @property
    def running(self) -> Sequence[Container]:
        """What may still have a process."""
        return [container for container in self.containers if container.state in (State.RUNNING, State.UNKNOWN)]


class Observer:
    """Reads the state of pods. What cannot change any more, ended containers, is asked for only once."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._ended: dict[str, Container] = {}

    async def observe(self, uid: str) -> PodState:
        sandboxes, listed = await asyncio.gather(self._runtime.sandboxes(uid), self._runtime.containers(uid))
        newest_first = sorted(sandboxes, key=lambda sandbox: sandbox.created_ns, reverse=True)
        if newest_first:
            try:
                newest_first[0] = await self._runtime.sandbox(newest_first[0].id)
            except Missing:
                newest_first = newest_first[1:]
        containers = [container for container in [await self._container(c) for c in listed] if container is not None]
        containers.sort(key=lambda container: (container.created_ns, container.attempt), reverse=True)
        return PodState(newest_first, containers)

    async def _container(self, listed: Container) -> Container | None:
        known = self._ended.get(listed.id)
        if known is not None:
            return known
        try:
            found = await self._runtime.container(listed.id)
        except Missing:
            return None
        whole = Container(**{name: getattr(found, name) for name in Container.__slots__ if name != "sandbox_id"}
                          | {"sandbox_id": listed.sandbox_id})
        if whole.state is State.EXITED:
            self._ended[whole.id] = whole
        return whole

    def forget(self, id: str) -> None:
        self._ended.pop(id, None)
