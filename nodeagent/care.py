"""Looks after the node itself: evicts pods that write too much or for whom there is no room, and clears what is unused.

Follows: pkg/kubelet/eviction/eviction_manager.go, pkg/kubelet/images/image_gc_manager.go
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from nodeagent.node import eviction, image_gc, scratch
from nodeagent.node.eviction import Signal, Threshold
from nodeagent.node.machine import available_memory_bytes
from nodeagent.pods import config, spec
from nodeagent.pods.apply import Tools
from nodeagent.pods.worker import PodWorker
from nodeagent.runtime.protocol import RuntimeFailure, State, Usage
from nodeagent.server.machine_usage import read_machine_usage
from nodeagent.volumes.setup import Volumes

log = logging.getLogger(__name__)

LOOK_S = 10.0
COLLECT_S = 300.0
GRACE_S = 1
"""What is left to a pod that is evicted at once."""


class NodeCare:
    """One node with real containers. `workers` are its pods; `on_pressure` is called when pressures have changed."""

    def __init__(
        self,
        tools: Tools,
        volumes: Volumes,
        workers: Callable[[], Sequence[PodWorker]],
        on_pressure: Callable[[], None],
        thresholds: Sequence[Threshold],
    ) -> None:
        self._thresholds = thresholds
        self._tools = tools
        self._volumes = volumes
        self._workers = workers
        self._on_pressure = on_pressure
        self._pressed: dict[str, float] = {}
        self._last_used: dict[str, float] = {}
        self._collected_at = time.monotonic()

    @property
    def pressures(self) -> frozenset[str]:
        """The pressure conditions that hold now."""
        moment = time.monotonic()
        return frozenset(kind for kind, until in self._pressed.items() if until > moment)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self._look()
            except (RuntimeFailure, OSError) as failure:
                log.warning("the node was not looked after: %s", failure)

    async def _look(self) -> None:
        usage = {item.container.id: item for item in await self._tools.runtime.usage()}
        running = [worker for worker in self._workers() if not worker.is_finished and worker.state.running]
        for worker in running:
            if scratch.has_limits(worker.pod):
                await self._check_scratch(worker, usage)
        signals = await asyncio.to_thread(self._signals)
        crossed = eviction.crossed(signals, self._thresholds)
        self._note_pressures(crossed)
        if any(threshold.signal != eviction.MEMORY for threshold in crossed):
            await self._collect_images(need=max(1, self._missing(crossed, signals)))
        if crossed:
            self._evict_one(running, crossed[0], signals[crossed[0].signal], usage)
        if time.monotonic() - self._collected_at > COLLECT_S:
            self._collected_at = time.monotonic()
            disk = signals[eviction.IMAGEFS]
            await self._collect_images(need=image_gc.bytes_to_free(disk.capacity, disk.available))
            await self._collect_sandboxes()

    # -- disk of one pod ---------------------------------------------------------------------------------------

    async def _check_scratch(self, worker: PodWorker, usage: Mapping[str, Usage]) -> None:
        pod = worker.pod
        uid = spec.uid_of(pod)
        folders = {
            volume["name"]: self._volumes.folder(uid, "emptyDir", volume["name"])
            for volume in pod["spec"].get("volumes") or ()
            if "emptyDir" in volume and (volume["emptyDir"] or {}).get("medium") != "Memory"
        }
        logs = config.log_folder(self._tools.settings, pod)
        log_folders = {container["name"]: logs / container["name"] for container in spec.containers(pod)}
        volumes, containers = await asyncio.gather(
            asyncio.to_thread(scratch.measure, folders), asyncio.to_thread(scratch.measure, log_folders)
        )
        for container in worker.state.running:
            found = usage.get(container.id)
            layer = (found.root_used_bytes or 0) if found is not None else 0
            containers[container.name] = containers.get(container.name, 0) + layer
        message = scratch.excess(pod, scratch.ScratchUse(volumes, containers))
        if message:
            self._evict(worker, message)

    def _evict(self, worker: PodWorker, message: str, *, for_the_node: bool = False) -> None:
        self._tools.events.pod(worker.pod, "Warning", scratch.EVICTED, message)
        worker.fail(scratch.EVICTED, message, GRACE_S, disruption=message if for_the_node else "")

    # -- the whole node ----------------------------------------------------------------------------------------

    def _signals(self) -> dict[str, Signal]:
        machine = read_machine_usage()
        disk = os.statvfs(_existing(self._tools.settings.root))
        space = Signal(disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize)
        return {
            eviction.MEMORY: Signal(available_memory_bytes(), self._tools.settings.memory_bytes),
            eviction.NODEFS: space,
            eviction.IMAGEFS: space,
            eviction.NODEFS_INODES: Signal(disk.f_favail, disk.f_files),
            eviction.PIDS: Signal(machine.process_limit - machine.processes, machine.process_limit),
        }

    def _note_pressures(self, crossed: Sequence[Threshold]) -> None:
        before = self.pressures
        until = time.monotonic() + eviction.PRESSURE_LASTS_S
        self._pressed |= {kind: until for kind in eviction.pressures(crossed)}
        if self.pressures != before:
            self._on_pressure()

    def _evict_one(
        self, running: Sequence[PodWorker], threshold: Threshold, signal: Signal, usage: Mapping[str, Usage]
    ) -> None:
        use = {spec.uid_of(worker.pod): _used(worker, threshold, usage) for worker in running}
        by_uid = {spec.uid_of(worker.pod): worker for worker in running}
        for pod in eviction.victims([worker.pod for worker in running], threshold, use)[:1]:
            self._evict(by_uid[spec.uid_of(pod)], eviction.message(pod, threshold, signal, use), for_the_node=True)

    @staticmethod
    def _missing(crossed: Sequence[Threshold], signals: Mapping[str, Signal]) -> int:
        disk = [t for t in crossed if t.signal in (eviction.NODEFS, eviction.IMAGEFS)]
        return max((t.least(signals[t.signal]) - signals[t.signal].available for t in disk), default=0)

    # -- what is unused ----------------------------------------------------------------------------------------

    async def _collect_images(self, need: int) -> None:
        runtime = self._tools.runtime
        moment = time.time()
        images, containers = await asyncio.gather(runtime.images(), runtime.containers())
        in_use = {container.image_id for container in containers} | {container.image for container in containers}
        for image in images:
            if image.id in in_use:
                self._last_used[image.id] = moment
            self._last_used.setdefault(image.id, moment)
        for image in image_gc.images_to_remove(images, in_use, self._last_used, moment, need) if need else ():
            log.info("removing an unused image", extra={"image": image.id, "bytes": image.size})
            await runtime.remove_image(image.id)

    async def _collect_sandboxes(self) -> None:
        """Remove the sandboxes that a pod has had before its present one, with what ended in them."""
        runtime = self._tools.runtime
        for worker in self._workers():
            state = worker.state
            alive = {container.sandbox_id for container in state.containers if container.state is not State.EXITED}
            newest = [state.latest(container["name"]) for container in spec.all_containers(worker.pod)]
            kept = {container.sandbox_id for container in newest if container is not None}
            for sandbox in state.sandboxes[1:]:
                if not sandbox.is_ready and sandbox.id not in alive | kept:
                    await runtime.remove_sandbox(sandbox.id)


def _used(worker: PodWorker, threshold: Threshold, usage: Mapping[str, Usage]) -> int:
    found = [usage[container.id] for container in worker.state.running if container.id in usage]
    if threshold.signal == eviction.MEMORY:
        return sum(item.memory_working_set or 0 for item in found)
    return sum(item.root_used_bytes or 0 for item in found)


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
