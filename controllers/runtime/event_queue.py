"""Events on their way to the server: queued at once, written in the background, whatever their API's version.

Queueing never waits and never fails the caller: with a full queue an event is dropped. While the server is away events
wait a while; what it refuses is lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from controllers.runtime.client import Client
from controllers.runtime.errors import ApiError, NotFound, Unavailable
from controllers.runtime.objects import Object
from openapi.catalog import Resource

log = logging.getLogger(__name__)

RETRY_S, MAX_TRIES = 2.0, 12


class EventQueue:
    """`run` it; `flush` before the end. `renew` makes an event a new one where the server has lost it."""

    def __init__(
        self, client: Client, resource: Resource, renew: Callable[[Object], None], *, limit: int, writers: int = 1
    ) -> None:
        self._client = client
        self._resource = resource
        self._renew = renew
        self._writers = writers
        self._queue: asyncio.Queue[tuple[Object, Sequence[str]]] = asyncio.Queue(limit)

    def put(self, event: Object, changed: Sequence[str] = ()) -> None:
        """Queue an event: a new one, or one that is there already and of which these fields have changed."""
        try:
            self._queue.put_nowait((event, changed))
        except asyncio.QueueFull:
            log.warning("event dropped, too many wait", extra={"reason": event["reason"]})

    async def run(self) -> None:
        """Write events for ever, with one writer in the order in which they came."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._writers):
                group.create_task(self._write_all())

    async def flush(self, timeout_s: float) -> None:
        """Wait until what was queued is written, at most so long."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._queue.join()
        except TimeoutError:
            log.info("events left unwritten", extra={"count": self._queue.qsize()})

    async def _write_all(self) -> None:
        while True:
            event, changed = await self._queue.get()
            try:
                await self._write(event, changed)
            except Exception:
                log.exception("event lost")
            finally:
                self._queue.task_done()

    async def _write(self, event: Object, changed: Sequence[str]) -> None:
        for _ in range(MAX_TRIES):
            try:
                await self._send(event, changed)
            except Unavailable:
                await asyncio.sleep(RETRY_S)
            except ApiError as error:
                log.debug("event refused: %s", error)
                return
            else:
                return

    async def _send(self, event: Object, changed: Sequence[str]) -> None:
        metadata = event["metadata"]
        if changed:
            patch = {field: event[field] for field in changed}
            try:
                await self._client.patch(
                    self._resource, metadata["namespace"], metadata["name"], patch, type="strategic"
                )
            except NotFound:
                self._renew(event)
            else:
                return
        await self._client.create(self._resource, event)
