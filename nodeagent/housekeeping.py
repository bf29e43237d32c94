"""Removes what is left of pods that nobody knows any more, and sandboxes that pods have no more use for.

An agent, or the runtime, may have been killed at any moment, and a pod may have been removed from the API meanwhile.
Follows: pkg/kubelet/kubelet_pods.go HandlePodCleanups, pkg/kubelet/kuberuntime/kuberuntime_gc.go
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Sequence

from nodeagent.pods.apply import Tools
from nodeagent.runtime.protocol import Container, RuntimeFailure, Sandbox, State
from nodeagent.volumes.setup import TAKE_DOWN_FAILURES, Volumes

log = logging.getLogger(__name__)

PERIOD_S = 2.0
LAZY_PERIOD_S = 20.0
"""Where nothing of what runs can outlive this process."""
ORPHAN_AGE_S = 5.0
"""How long a pod must have been unknown: one that has just come may have a sandbox before it is listed here."""


class Housekeeping:
    """Of one node. `known` are the uids of the pods that it has."""

    def __init__(self, tools: Tools, volumes: Volumes, known: Callable[[], Collection[str]]) -> None:
        self._tools = tools
        self._volumes = volumes
        self._known = known
        self._orphans: dict[str, float] = {}

    async def run(self) -> None:
        while True:
            await asyncio.sleep(LAZY_PERIOD_S if self._tools.runtime.tells_all else PERIOD_S)
            try:
                await self.once()
            except (RuntimeFailure, OSError) as failure:
                log.warning("housekeeping failed: %s", failure)

    async def once(self) -> None:
        """One round. Raises RuntimeFailure, OSError."""
        runtime = self._tools.runtime
        sandboxes, containers = await runtime.sandboxes(), await runtime.containers()
        found = {s.uid for s in sandboxes} | {c.labels.get("io.kubernetes.pod.uid", "") for c in containers}
        found |= set(self._volumes.known_pods()) | set(self._with_cgroups()) | set(self._with_logs())
        known, moment = self._known(), time.monotonic()
        self._orphans = {uid: self._orphans.get(uid, moment) for uid in found if uid not in known}
        for uid in [uid for uid, since in self._orphans.items() if moment - since > ORPHAN_AGE_S]:
            await self._remove(uid, sandboxes)
        for sandbox in superseded(sandboxes, containers):
            if sandbox.uid in known:
                await runtime.stop_sandbox(sandbox.id)
                await runtime.remove_sandbox(sandbox.id)
        await self._volumes.collect()

    async def _remove(self, uid: str, sandboxes: Sequence[Sandbox]) -> None:
        """Stop and remove all that a pod has left."""
        log.info("removing what is left of a pod", extra={"uid": uid})
        runtime = self._tools.runtime
        for container in await runtime.containers(uid):
            await runtime.stop_container(container.id, _kept_grace_s(container))
            await runtime.remove_container(container.id)
        for sandbox in sandboxes:
            if sandbox.uid == uid:
                await runtime.stop_sandbox(sandbox.id)
                await runtime.remove_sandbox(sandbox.id)
        try:
            await self._volumes.try_take_down(uid)
        except TAKE_DOWN_FAILURES as failure:
            log.warning("volumes not taken down: %s", failure, extra={"uid": uid})
            return
        if self._tools.cgroups is not None:
            self._tools.cgroups.remove_pod(self._tools.settings.cgroup_root, uid)
        if self._tools.settings.has_files:
            for folder in self._tools.settings.logs.glob(f"*_{uid}"):
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        del self._orphans[uid]

    def _with_cgroups(self) -> Collection[str]:
        cgroups = self._tools.cgroups
        return cgroups.pods(self._tools.settings.cgroup_root) if cgroups is not None else ()

    def _with_logs(self) -> Iterator[str]:
        """The uids of pods that have folders for logs."""
        if self._tools.settings.has_files and self._tools.settings.logs.is_dir():
            yield from (entry.name.rpartition("_")[2] for entry in self._tools.settings.logs.iterdir())


def superseded(sandboxes: Sequence[Sandbox], containers: Sequence[Container]) -> list[Sandbox]:
    """Those that do not run, have no containers, and are not the newest of their pod."""
    used = {container.sandbox_id for container in containers}
    newest = {s.uid: s.id for s in sorted(sandboxes, key=lambda sandbox: sandbox.created_ns)}
    return [s for s in sandboxes if not s.is_ready and s.id not in used and newest[s.uid] != s.id]


def _kept_grace_s(container: Container) -> int:
    if container.state is not State.RUNNING:
        return 0
    return int(container.annotations.get("io.kubernetes.pod.terminationGracePeriod", "30"))
