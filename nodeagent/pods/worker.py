"""One pod on the node, from its first sight to its end: look, report, plan, act; and again when something happens.

Three phases: syncing (the pod is to run), terminating (its containers are stopped), terminated (nothing of it runs
and it is let go). A pod that has been rejected, or has ended by itself, keeps its containers for their logs until it
is deleted. All decisions are made from the runtime's state, so a restarted agent goes on where it stopped.
Follows: pkg/kubelet/{kubelet.go,pod_workers.go}
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Mapping
from datetime import datetime

from nodeagent.pods import config, spec
from nodeagent.pods.apply import Applier, Tools
from nodeagent.pods.conditions import OWNED, SHARED
from nodeagent.pods.last_words import last_words
from nodeagent.pods.plan import plan_pod, restarts_all
from nodeagent.pods.probes import PodProbes, Running
from nodeagent.pods.publish import Publisher, status_patch
from nodeagent.pods.resizing import Resizing, Room
from nodeagent.pods.spec import Object, View
from nodeagent.pods.state import Observer, PodState
from nodeagent.pods.status import StatusFacts, make_status, rejected_status, terminated_status
from nodeagent.runtime.protocol import RuntimeFailure, State
from nodeagent.volumes.problem import VolumesNotReady
from nodeagent.volumes.setup import Volumes
from nodeagent.volumes.volume import Volume
from openapi.meta.times import now, parse_time

log = logging.getLogger(__name__)

RESYNC_S = (60.0, 90.0)
"""Without news a pod is looked at again after a random time in this range."""
FAILURE_PAUSE_S = 10.0
SHORTEST_GRACE_S = 1
"""What is left to a pod that was removed from the API without any grace."""
VOLUME_RETRY_S = (0.5, 122.0)
SETTLE_S = 1.0
"""Between the end of an ended pod's containers and its last status, in which what never ran counts as lost."""
DEADLINE = ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")



class PodWorker:
    """Runs one pod. Everything but `run` may be called at any time and returns at once."""

    def __init__(self, pod: View, tools: Tools, volumes: Volumes, publisher: Publisher, room: Room) -> None:
        self.pod = pod
        self.finished = asyncio.Event()
        """Set once nothing of the pod runs any more, and nothing will."""
        self._tools = tools
        self._volumes = volumes
        self._resizing = Resizing(pod, tools, room)
        self._publisher = publisher
        self._observer = Observer(tools.runtime)
        self._applier = Applier(tools, self._show_sandbox)
        self._probes = PodProbes(tools.runtime, self._warn, self._on_verdict)
        self._status: Object = dict(pod.get("status") or {})
        self._state = PodState()
        self._failure: tuple[str, str] | None = None
        self._kill_grace_s: int | None = None
        self._disruption = ""
        self._is_gone = False
        self._wake = asyncio.Event()
        self._wake.set()
        self._interrupt = asyncio.Event()
        self._volume_wait_s = VOLUME_RETRY_S[0]
        self._last_words: dict[str, str] = {}

    # -- news --------------------------------------------------------------------------------------------------

    def update(self, pod: View) -> None:
        """The pod has changed in the API."""
        is_news = _wants_look(self.pod, pod)
        self.pod = pod
        if self._status.get("phase") and status_patch(pod, self._status):
            # Somebody else has written what is the agent's to say, or this is older than what it has written last.
            self._publisher.publish(pod, self._status)
        if is_news:
            self.wake()
        if spec.is_deleting(pod):
            self._interrupt.set()

    def gone(self, pod: View, grace_s: int = SHORTEST_GRACE_S) -> None:
        """The pod is not in the API any more, nor in a file; `grace_s` holds if it was not being deleted before."""
        self.pod = pod if spec.is_deleting(pod) or self.is_finished else _deleted(pod, grace_s)
        self._is_gone = True
        self._interrupt.set()
        self.wake()

    def fail(self, reason: str, message: str, grace_s: int | None = None, disruption: str = "") -> None:
        """End the pod: it is evicted. `disruption` says why, where that is for the sake of the node."""
        self._failure, self._kill_grace_s, self._disruption = (reason, message), grace_s, disruption
        self._interrupt.set()
        self.wake()

    def reject(self, reason: str, message: str) -> None:
        """The node does not take the pod; nothing of it is ever started."""
        self._status = rejected_status(self.pod, reason, message, now())
        self._publisher.publish(self.pod, self._status)
        self.finished.set()

    def wake(self) -> None:
        self._wake.set()

    @property
    def is_gone(self) -> bool:
        """Whether there is no object of the pod any more; its containers may still be ending."""
        return self._is_gone

    @property
    def is_finished(self) -> bool:
        return self.finished.is_set()

    @property
    def state(self) -> PodState:
        """As the last look has found it."""
        return self._state

    @property
    def status(self) -> View:
        """The status last made."""
        return self._status

    # -- the loop ----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until the pod is gone from the API and from the node."""
        try:
            while not self._must_end():
                await self._pass()
            await self._end()
        finally:
            self._probes.stop()

    def _must_end(self) -> bool:
        return (
            self._is_gone
            or self._failure is not None
            or self.is_finished
            or spec.is_deleting(self.pod)
            or spec.is_terminal(self.pod)
            or self._status.get("phase") in ("Failed", "Succeeded")
        )

    async def _pass(self) -> None:
        """One look and what follows from it, then wait for the next occasion. Ends early when the pod is to end."""
        self._wake.clear()
        syncing = asyncio.ensure_future(self._sync())
        interrupted = asyncio.ensure_future(self._interrupt.wait())
        try:
            await asyncio.wait({syncing, interrupted}, return_when=asyncio.FIRST_COMPLETED)
            if self._must_end() and not syncing.done():
                syncing.cancel()
            wait_s = await _result_of(syncing)
        finally:
            interrupted.cancel()
            syncing.cancel()
        if wait_s is not None and not self._must_end():
            await self._sleep(min(wait_s, self._deadline_s()))

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _sync(self) -> float:
        """Look, report, plan, act. The result: after how long to look again if nothing happens."""
        try:
            await self._look()
            self._check_deadline()
            self._resizing.allocate(self.pod, self._state)
            self._report()
            if self._must_end():
                return 0.0
            return await self._act()
        except RuntimeFailure as failure:
            log.warning("pod not synced: %s", failure, extra={"key": spec.full_name(self.pod)})
            return FAILURE_PAUSE_S

    async def _act(self) -> float:
        try:
            volumes = await self._set_up_volumes()
        except VolumesNotReady as problem:
            for text in problem.texts():
                self._tools.events.pod(self.pod, "Warning", "FailedMount", text)
            if problem.only_waits:
                return VOLUME_RETRY_S[0]
            wait_s, self._volume_wait_s = self._volume_wait_s, min(self._volume_wait_s * 2, VOLUME_RETRY_S[1])
            return wait_s
        self._volume_wait_s = VOLUME_RETRY_S[0]
        for text in self._volumes.troubles(spec.uid_of(self.pod)):
            self._tools.events.pod(self.pod, "Warning", "FailedMount", text)
        pod = self.allocated_pod
        all_anew = restarts_all(pod, self._state, self._status)
        plan = plan_pod(pod, self._state, self._probes.verdict, all_anew=all_anew)
        is_resized = await self._resizing.apply(pod, self._state, plan)
        before = dict(self._applier.reasons)
        await self._applier.apply(pod, self._state, plan, volumes)
        if plan.reset or plan.kill_pod or plan.kill or plan.start or plan.start_init or plan.start_ephemeral:
            if not plan.kill and (pause_s := self._applier.pause_s(before)) is not None:
                # What holds a container up is told with the next look: how it came to that is seen until then.
                return pause_s
            if self._applier.retry_s is not None and before == self._applier.reasons and not plan.kill:
                await self._look()
                self._report()
                return self._applier.retry_s
            return 0.0
        if is_resized:
            return 0.0
        return random.uniform(*RESYNC_S) if self._applier.retry_s is None else self._applier.retry_s

    async def _set_up_volumes(self) -> Mapping[str, Volume]:
        ips = self._tools.node.host_ips if spec.is_host_network(self.pod) else self._state.ips
        return await self._volumes.set_up(self.pod, ips)

    async def _look(self) -> None:
        self._state = await self._observer.observe(spec.uid_of(self.pod))
        for container in self._state.containers:
            if container.state is State.EXITED and container.id not in self._last_words:
                self._last_words[container.id] = last_words(container)
        ip = self._state.ips[0] if self._state.ips else ""
        if spec.is_host_network(self.pod) and self._tools.node.host_ips:
            ip = self._tools.node.host_ips[0]
        running = {
            container.name: Running(container, ip)
            for container in reversed(self._state.containers)
            if container.state is State.RUNNING
        }
        self._probes.observe(self.pod, running)

    async def _show_sandbox(self) -> None:
        await self._look()
        self._report()

    @property
    def allocated_pod(self) -> View:
        """The pod with the resources that the node has agreed to."""
        return self._resizing.pod(self.pod)

    @property
    def waits_for_room(self) -> bool:
        """Whether other resources are asked for than the node has room for now."""
        return self._resizing.is_deferred

    # -- the status --------------------------------------------------------------------------------------------

    def _report(self, *, is_terminal: bool = False) -> None:
        """Make the status from the last look, and have it written if it says something new."""
        status = make_status(self.pod, self._state, self._facts(is_terminal=is_terminal))
        self._publish(status)

    def _publish(self, status: Object) -> None:
        shown = dict(status)
        old_phase = self._status.get("phase") or "Pending"
        if shown["phase"] in ("Failed", "Succeeded") and self._state.running:
            # A pod has not ended while one of its containers may still run.
            shown["phase"] = old_phase
            for name in ("reason", "message"):
                shown.pop(name, None)
            shown["conditions"] = [c for c in status["conditions"] if c["type"] not in SHARED or c in self._shared()]
            self._pending_failure(status)
        if shown != self._status:
            self._status = shown
            self._publisher.publish(self.pod, shown)

    def _shared(self) -> list[Object]:
        return [c for c in (self.pod.get("status") or {}).get("conditions") or () if c["type"] in SHARED]

    def _pending_failure(self, status: View) -> None:
        if self._failure is None and status.get("phase") == "Failed" and status.get("reason"):
            self._failure = (status["reason"], status.get("message", ""))

    def _facts(self, *, is_terminal: bool) -> StatusFacts:
        return StatusFacts(
            runtime_name=self._tools.runtime.name,
            old=self._old_status(),
            verdict=self._probes.verdict,
            now=now(),
            reasons=self._applier.reasons,
            last_words=self._last_words,
            failure=self._failure,
            is_terminal=is_terminal,
            host_ips=self._tools.node.host_ips,
            allocated=self._resizing.allocated,
            applied=self._resizing.applied,
            resize=self._resizing.conditions(),
            disruption=self._disruption,
        )

    def _old_status(self) -> Object:
        """What was last made here, with the conditions that others have set meanwhile."""
        known = (self.pod.get("status") or {}).get("conditions") or ()
        foreign = [item for item in known if item["type"] not in OWNED]
        own = [item for item in self._status.get("conditions") or () if item["type"] in OWNED]
        return {**self._status, "conditions": foreign + own}

    def _on_verdict(self) -> None:
        """A probe has found something out: show it at once, and see what follows."""
        if not self.is_finished:
            self._report()
        self.wake()

    def _warn(self, container: View, reason: str, message: str) -> None:
        self._tools.events.container(self.pod, container, "Warning", reason, message)

    # -- deadline ----------------------------------------------------------------------------------------------

    def _deadline_s(self) -> float:
        """How much of the pod's time is left."""
        limit = self.pod["spec"].get("activeDeadlineSeconds")
        started = self._status.get("startTime")
        if limit is None or not started:
            return RESYNC_S[1]
        start: datetime = parse_time(started)
        return max(0.0, start.timestamp() + int(limit) - time.time())

    def _check_deadline(self) -> None:
        if self._failure is None and self._deadline_s() <= 0:
            self._failure = DEADLINE
            self._tools.events.pod(self.pod, "Normal", *DEADLINE)

    # -- the end -----------------------------------------------------------------------------------------------

    async def _end(self) -> None:
        """Stop what runs, report, clean up; and keep the rest until the pod is gone from the API."""
        if not self.is_finished:
            if not await self._is_over():
                await self._terminate()
            self.finished.set()
        if not self._is_gone and spec.is_deleting(self.pod):
            self._publisher.release(self.pod, self._status)
        while not self._is_gone:
            self._wake.clear()
            await self._wake.wait()
            if not self._is_gone and spec.is_deleting(self.pod):
                self._publisher.release(self.pod, self._refreshed())
        await self._remove()

    def _refreshed(self) -> Object:
        generation = self.pod["metadata"].get("generation")
        if generation and self._status.get("observedGeneration") != generation:
            self._status = {**self._status, "observedGeneration": generation}
        return self._status

    async def _is_over(self) -> bool:
        """Whether an earlier agent has seen the pod to its end already."""
        if not spec.is_terminal(self.pod):
            return False
        try:
            await self._look()
        except RuntimeFailure:
            return False
        return not self._state.running and not any(sandbox.is_ready for sandbox in self._state.sandboxes)

    async def _terminate(self) -> None:
        """Until nothing runs: the runtime may need several tries."""
        while True:
            try:
                await self._look()
                if not self._is_gone:
                    self._report()
                self._probes.stop(keep_readiness=True)
                await self._stop_within_grace()
                await self._look()
                if not self._state.running:
                    break
            except* RuntimeFailure as failures:
                log.warning("pod not stopped: %s", failures.exceptions[0], extra={"key": spec.full_name(self.pod)})
            await asyncio.sleep(1)
        self._probes.stop()
        if not self._is_gone:
            self._report(is_terminal=True)
        await self._volumes.take_down(spec.uid_of(self.pod))
        self._remove_cgroup()
        if terminated_status(self.pod, self._status) != self._status:
            await asyncio.sleep(SETTLE_S)
        if not self._is_gone:
            self._publish(terminated_status(self.pod, self._status))

    def _remove_cgroup(self) -> None:
        cgroups = self._tools.cgroups
        if cgroups is not None:
            cgroups.remove(config.cgroup_parent(self._tools.settings, self.pod))

    async def _stop_within_grace(self) -> None:
        """Stop all; a deletion that shortens the grace period meanwhile is followed."""
        grace_s = self._kill_grace_s if self._failure else None
        while True:
            stopping = asyncio.ensure_future(self._tools.stopper.stop_all(self.pod, self._state, grace_s=grace_s))
            shortened = asyncio.ensure_future(self._grace_shortened(spec.grace_s(self.pod)))
            try:
                await asyncio.wait({stopping, shortened}, return_when=asyncio.FIRST_COMPLETED)
                if stopping.done():
                    await stopping
                    return
            finally:
                shortened.cancel()
                stopping.cancel()
            await asyncio.wait({stopping})
            await self._look()

    async def _grace_shortened(self, grace_s: int) -> None:
        """Until the pod is to end sooner than after so long."""
        while spec.grace_s(self.pod) >= grace_s:
            self._wake.clear()
            await self._wake.wait()

    async def _remove(self) -> None:
        """Remove the containers, their logs and the sandboxes."""
        uid = spec.uid_of(self.pod)
        runtime = self._tools.runtime
        try:
            state = await self._observer.observe(uid)
            for container in state.containers:
                await runtime.remove_container(container.id)
            for sandbox in state.sandboxes:
                await runtime.stop_sandbox(sandbox.id)
                await runtime.remove_sandbox(sandbox.id)
        except RuntimeFailure as failure:
            log.warning("pod not removed: %s", failure, extra={"key": spec.full_name(self.pod)})
        await self._volumes.take_down(uid)
        self._remove_cgroup()
        if self._tools.settings.has_files:
            folder = config.log_folder(self._tools.settings, self.pod)
            await asyncio.to_thread(_remove_folder, str(folder))
        metadata = self.pod["metadata"]
        self._tools.backoff.forget(f"{metadata['name']}_{metadata['namespace']}_{uid}_")


async def _result_of(task: asyncio.Future[float]) -> float | None:
    try:
        return await task
    except asyncio.CancelledError:
        if task.cancelled() and (current := asyncio.current_task()) is not None and not current.cancelling():
            return None
        raise


def _remove_folder(path: str) -> None:
    import shutil

    shutil.rmtree(path, ignore_errors=True)


def _deleted(pod: View, grace_s: int) -> View:
    metadata = {**pod["metadata"], "deletionTimestamp": "now", "deletionGracePeriodSeconds": grace_s}
    return {**pod, "metadata": metadata}


def _wants_look(old: View, new: View) -> bool:
    """Whether a change of the pod is more than the status that this agent has written itself."""
    if old["spec"] != new["spec"]:
        return True
    before, after = old["metadata"], new["metadata"]
    watched = ("generation", "labels", "annotations", "deletionTimestamp", "deletionGracePeriodSeconds", "finalizers")
    if any(before.get(name) != after.get(name) for name in watched):
        return True
    return _foreign(old) != _foreign(new)


def _foreign(pod: View) -> list[Object]:
    return [item for item in (pod.get("status") or {}).get("conditions") or () if item["type"] not in OWNED]
