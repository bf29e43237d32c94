"""Keeps containers' logs from growing without end: a large one is put aside, older ones are compressed or removed.

The newest that was put aside stays as it is, for whoever is still reading it.
Follows: pkg/kubelet/logs/container_log_manager.go
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from nodeagent.node.old_logs import LogLimits, make_room
from nodeagent.pods.worker import PodWorker
from nodeagent.runtime.protocol import Container, Runtime, RuntimeFailure

log = logging.getLogger(__name__)

LOOK_S = 10.0


class LogRotation:
    """The logs of one node; `run` it."""

    def __init__(self, runtime: Runtime, workers: Callable[[], Sequence[PodWorker]], limits: LogLimits) -> None:
        self._runtime = runtime
        self._workers = workers
        self._limits = limits

    async def run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            for container in [container for worker in self._workers() for container in worker.state.running]:
                try:
                    await self._look_at(container)
                except (OSError, RuntimeFailure) as failure:
                    log.warning("log not rotated: %s", failure, extra={"path": container.log_path})

    async def _look_at(self, container: Container) -> None:
        path = Path(container.log_path)
        if not container.log_path or await asyncio.to_thread(_size, path) < self._limits.max_bytes:
            return
        await asyncio.to_thread(make_room, path, self._limits.max_files)
        aside = path.with_name(f"{path.name}.{datetime.now(UTC):%Y%m%d-%H%M%S}")
        await asyncio.to_thread(path.rename, aside)
        try:
            await self._runtime.reopen_log(container.id)
        except RuntimeFailure:
            await asyncio.to_thread(aside.rename, path)
            raise


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
