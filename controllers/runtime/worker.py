"""The only worker loop: takes keys from a controller's queue and reconciles them.

Guarantees: one key is in one hand at a time; a key is not touched before the stores have seen its last own writes; a
failure is logged once and tried again, later each time; stopping lets reconciles that are under way finish.
"""

from __future__ import annotations

import asyncio
import logging
import time

from controllers.runtime import consistency
from controllers.runtime.controller import Controller, Requeue
from controllers.runtime.errors import ApiError, Conflict, Unavailable
from controllers.runtime.objects import Key

log = logging.getLogger(__name__)

LONGEST_OUTAGE_DELAY_S = 2.0
"""How long a key waits at most after the server was away: its failures say nothing about the key."""

CATCH_UP_S = 30.0


class StoreLags(Exception):
    """The watch of a resource does not deliver."""


class Worker:
    """Runs one controller from `run` to `stop`."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._queue = controller.queue
        self._find = controller.runtime.informers.find
        self._writes: dict[Key, consistency.Writes] = {}
        metrics = controller.runtime.metrics
        self._depth = metrics.queue_depth.labels(controller.name)
        self._retries = metrics.queue_retries.labels(controller.name)
        self._work_s = metrics.work_s.labels(controller.name)
        self._busy: set[asyncio.Task[None]] = set()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, group: asyncio.TaskGroup) -> None:
        name = self._controller.name
        self._tasks = [group.create_task(self._loop(), name=name) for _ in range(self._controller.workers)]
        self._tasks += [group.create_task(job, name=name) for job in self._controller.background()]

    async def stop(self, grace_s: float) -> None:
        """End the loops; those in the middle of a reconcile get `grace_s` to finish it."""
        self._queue.close()
        busy = set(self._busy)
        for task in self._tasks:
            if task not in busy:
                task.cancel()
        self._tasks = []
        if busy:
            await asyncio.wait(busy, timeout=grace_s)
            for task in busy:
                task.cancel()

    async def _loop(self) -> None:
        me = asyncio.current_task()
        assert me is not None
        while me in self._tasks:
            key = await self._queue.get()
            self._busy.add(me)
            try:
                await self._process(key)
            finally:
                self._busy.discard(me)
                self._queue.done(key)

    async def _process(self, key: Key) -> None:
        self._depth.set(len(self._queue))
        started = time.monotonic()
        writes = consistency.Writes()
        try:
            await self._catch_up(key)
            consistency.current.set(writes)
            outcome = await self._controller.reconcile(key)
        except Unavailable as error:
            delay_s = self._queue.add_rate_limited(key, LONGEST_OUTAGE_DELAY_S)
            self._note(logging.INFO, "server unavailable: %s", key, error, delay_s)
        except ApiError as error:
            level = logging.DEBUG if isinstance(error, Conflict) else logging.WARNING
            self._note(level, "reconcile refused: %s", key, error, self._queue.add_rate_limited(key))
        except StoreLags as error:
            self._note(logging.WARNING, "%s", key, error, self._queue.add_rate_limited(key))
        except Exception as error:
            log.exception("reconcile failed", extra={"controller": self._controller.name, "key": str(key)})
            self._note(logging.DEBUG, "retry after: %s", key, error, self._queue.add_rate_limited(key))
        else:
            self._settle(key, outcome)
        finally:
            consistency.current.set(None)
            self._work_s.observe(time.monotonic() - started)
            if writes:
                self._writes[key] = writes

    def _settle(self, key: Key, outcome: Requeue | None) -> None:
        """What a reconcile asked for."""
        if outcome is not None and outcome.after_s is None:
            self._queue.add_rate_limited(key)
            self._retries.inc()
            return
        self._queue.forget(key)
        if outcome is not None and outcome.after_s is not None:
            self._queue.add_after(key, outcome.after_s)

    async def _catch_up(self, key: Key) -> None:
        """Wait until the stores have seen what the key's last reconcile wrote. Raises StoreLags, ApiError."""
        writes = self._writes.get(key)
        if writes is None:
            return
        await self._ask(writes)
        try:
            async with asyncio.timeout(CATCH_UP_S):
                while lagging := writes.forget_seen(self._find):
                    await lagging[0].until(lambda: not writes.forget_seen(self._find))
        except TimeoutError:
            raise StoreLags("the store has not seen the last writes yet") from None
        del self._writes[key]

    async def _ask(self, writes: consistency.Writes) -> None:
        """Learn how far the stores must come to know the outcome of writes that got no answer."""
        for resource, namespace in list(writes.unknown):
            if self._find(resource.gvr) is not None:
                answer = await self._controller.runtime.client.list(resource, namespace)
                revisions = (int(item["metadata"]["resourceVersion"]) for item in answer.get("items") or ())
                writes.note(resource.gvr, max(revisions, default=0))
            writes.unknown.discard((resource, namespace))

    def _note(self, level: int, message: str, key: Key, error: Exception, delay_s: float) -> None:
        self._retries.inc()
        extra = {"controller": self._controller.name, "key": str(key), "delay_s": delay_s}
        log.log(level, message, error, extra=extra)
