"""Ends a node's pods in time when its machine is about to shut down, and holds the shutdown back until then.

Follows: pkg/kubelet/nodeshutdown/nodeshutdown_manager_linux.go
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from nodeagent.node.shutdown import ENDED, PROBLEM, REFUSAL, ShutdownPeriods, plan_shutdown
from nodeagent.pods import spec
from nodeagent.pods.admit import Rejection

if TYPE_CHECKING:
    from nodeagent.node.logind import Logind

log = logging.getLogger(__name__)

RECONNECT_S = 1.0


class Ending(Protocol):
    """A pod as far as ending it goes; a `PodWorker`."""

    finished: asyncio.Event

    @property
    def pod(self) -> Mapping[str, Any]: ...

    def fail(self, reason: str, message: str, grace_s: int | None = None, disruption: str = "") -> None: ...


class NodeShutdown:
    """One node. `on_change` is called when `problem` has changed; `tell` records an event about the node."""

    def __init__(
        self,
        periods: ShutdownPeriods,
        workers: Callable[[], Sequence[Ending]],
        on_change: Callable[[], None],
        tell: Callable[[str, str], None],
    ) -> None:
        self._periods = periods
        self._workers = workers
        self._on_change = on_change
        self._tell = tell
        self._is_near = False

    @property
    def problem(self) -> str:
        """Why the node is not ready; '' while no shutdown is near."""
        return PROBLEM if self._is_near else ""

    def refusal(self) -> Rejection | None:
        """Why no pod is taken any more; None while no shutdown is near."""
        return REFUSAL if self._is_near else None

    async def run(self) -> None:
        """Until cancelled. Returns at once where shutdowns are not waited for, or cannot be."""
        if not self._periods.total_s:
            return
        from nodeagent.node.logind import LogindFailure

        try:
            await self._follow()
        except LogindFailure as failure:
            log.warning("pods will not be ended in time when the machine shuts down: %s", failure)
            return
        while True:
            log.warning("the connection to logind has ended; trying again")
            await asyncio.sleep(RECONNECT_S)
            try:
                await self._follow()
            except LogindFailure as failure:
                log.debug("logind: %s", failure)

    async def _follow(self) -> None:
        """Until the connection ends. Raises LogindFailure when there never was a useful one."""
        from nodeagent.node.logind import LogindFailure, connect

        async with connect() as logind:
            longest_s, wanted_s = await logind.max_delay_s(), self._periods.total_s
            if wanted_s > longest_s:
                text = f"InhibitDelayMaxSec of logind.conf is {longest_s:g}s, less than the {wanted_s}s that pods get"
                raise LogindFailure(text)
            await logind.inhibit()
            try:
                async for is_near in logind.announcements():
                    await self._on_announcement(logind, is_near)
            except LogindFailure as failure:
                log.warning("the next shutdown is not held back: %s", failure)

    async def _on_announcement(self, logind: Logind, is_near: bool) -> None:
        self._is_near = is_near
        self._on_change()
        what = "event" if is_near else "cancellation"
        self._tell("Shutdown", f"Shutdown manager detected shutdown {what}")
        if not is_near:
            await logind.inhibit()
            return
        try:
            await self._end_pods()
        finally:
            logind.release()

    async def _end_pods(self) -> None:
        """End the groups, one after the other; each has at most its own time."""
        workers = {spec.uid_of(worker.pod): worker for worker in self._workers() if not worker.finished.is_set()}
        for group in plan_shutdown([worker.pod for worker in workers.values()], self._periods):
            reason, message = ENDED
            for uid, grace_s in group.graces_s.items():
                workers[uid].fail(reason, message, grace_s, disruption=message)
            try:
                async with asyncio.timeout(group.period_s):
                    await asyncio.gather(*(workers[uid].finished.wait() for uid in group.graces_s))
            except TimeoutError:
                log.warning("pods have not ended within their %d s", group.period_s)
