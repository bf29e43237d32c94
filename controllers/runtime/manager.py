"""Running controllers: stores first, then the lease, then the workers; and the way back when told to stop.

Losing the lease ends the process (`LeadershipLost`): what was in the air must not go on beside the next leader.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from controllers.runtime.controller import Controller, Runtime
from controllers.runtime.leader import Elector, LeadershipLost
from controllers.runtime.worker import Worker

log = logging.getLogger(__name__)

GRACE_S = 5.0


class _Stop(Exception):
    """Told to stop."""


class Manager:
    """Runs `controllers` as long as this process leads."""

    def __init__(self, runtime: Runtime, controllers: Sequence[Controller], elector: Elector | None) -> None:
        self._runtime = runtime
        self._controllers = controllers
        self._elector = elector
        self._workers: list[Worker] = []
        self.is_synced = False

    async def run(self, stop: asyncio.Event, on_ready: Callable[[], None]) -> None:
        """Run until `stop` is set. `on_ready` is called once the stores are filled. Raises LeadershipLost."""
        try:
            async with asyncio.TaskGroup() as group:
                self._runtime.informers.start(group)
                group.create_task(self._runtime.events.run(), name="events")
                group.create_task(self._work(group, on_ready), name="manager")
                await stop.wait()
                await self._wind_down()
                raise _Stop
        except* _Stop:
            log.info("stopped")
        except* LeadershipLost as lost:
            raise LeadershipLost("the lease could not be renewed in time") from lost

    async def _work(self, group: asyncio.TaskGroup, on_ready: Callable[[], None]) -> None:
        await self._runtime.informers.synced()
        self.is_synced = True
        on_ready()
        if self._elector is not None:
            lease = await self._elector.acquire()
            self._runtime.metrics.leader.labels(self._elector.name).set(1)
            recorder = self._runtime.events.recorder(self._elector.name)
            recorder.normal(lease, "LeaderElection", f"{self._elector.identity} became leader")
            group.create_task(self._elector.hold(), name="lease")
        self._workers = [Worker(controller) for controller in self._controllers]
        for worker in self._workers:
            worker.start(group)

    async def _wind_down(self) -> None:
        """Let reconciles finish, write the last events, give the lease back."""
        await asyncio.gather(*(worker.stop(GRACE_S) for worker in self._workers))
        await self._runtime.events.flush(GRACE_S)
        if self._elector is not None:
            await self._elector.release()
