"""The scheduler at work: takes pods from the queue, decides, and carries out in the background what was decided.

Decisions are made one after the other without waiting for anything (but extenders), each seeing all earlier ones:
a pod counts on its node from the moment it is chosen. Binding, preempting and telling why not run beside that.
Follows: pkg/scheduler/schedule_one.go
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from controllers.runtime.client import Client
from controllers.runtime.errors import ApiError, Conflict, NotFound
from controllers.runtime.informer import Informer, Informers
from controllers.runtime.kinds import NAMESPACES, NODES, PODS
from controllers.runtime.objects import Object
from controllers.scheduler.api import ApiBinder, condition_patch, remove_object
from controllers.scheduler.config import SchedulerConfiguration
from controllers.scheduler.cycle import NO_NODES, choose, explained, feasible_rows, rows_anywhere
from controllers.scheduler.events import EventRecorder
from controllers.scheduler.extender import NAME as EXTENDER
from controllers.scheduler.extender import Extenders
from controllers.scheduler.framework import (
    Bind,
    ClusterEvent,
    Cycle,
    Diagnosis,
    Ints,
    PostFilter,
    PostFilterResult,
    PreBind,
    Reserve,
    SchedulingError,
    Victims,
    fit_message,
)
from controllers.scheduler.intake import Intake
from controllers.scheduler.kinds import COLLECTIONS, RESOURCE_CLAIMS
from controllers.scheduler.metrics import SchedulerMetrics
from controllers.scheduler.nomination import Nominations
from controllers.scheduler.plugins.default_preemption import BY_SCHEDULER, NO_CANDIDATE, PREFIX, cost
from controllers.scheduler.pod import PodInfo
from controllers.scheduler.profile import Profile
from controllers.scheduler.queue import QueuedPod, SchedulingQueue
from controllers.scheduler.world import World
from openapi.meta.times import Clock

log = logging.getLogger(__name__)

MAX_BACKGROUND = 256
"""So many pods may be on their way at once; more would only fill memory while the API server is the limit."""
FLUSH_S = 30.0


class Scheduler:
    """One scheduler process. `start` fills its stores, `run` schedules for ever."""

    def __init__(
        self,
        client: Client,
        informers: Informers,
        configuration: SchedulerConfiguration,
        metrics: SchedulerMetrics,
        clock: Clock,
        host: str,
    ) -> None:
        self._client = client
        self._clock = clock
        self._rng = random.Random()
        self.metrics = metrics
        self.world = World()
        self.profiles: Mapping[str, Profile] = configuration.build_profiles(self.world)
        self.nominations = Nominations()
        self.queue = SchedulingQueue(
            self.profiles, time.monotonic, configuration.initial_backoff_s, configuration.max_backoff_s
        )
        self.intake = Intake(self.world, self.queue, self.nominations, frozenset(self.profiles))
        self.recorder = EventRecorder(client, clock, host)
        self._extenders = Extenders(configuration.extenders)
        self._informers = self._listen(informers)
        self._wake = asyncio.Event()
        self.queue.on_ready = self._wake.set
        self._background: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()
        self._writing: dict[str, asyncio.Future[None]] = {}

    def _listen(self, informers: Informers) -> Mapping[str, Informer]:
        """Attach the handlers: namespaces and nodes first, pods last, so that pods find their nodes."""
        found = {name: informers.get(resource) for name, resource in COLLECTIONS.items()}
        for name, informer in found.items():
            informer.add_handler(partial(self.intake.on_object, name))
        informers.get(NAMESPACES).add_handler(self.intake.on_namespace)
        informers.get(NODES).add_handler(self.intake.on_node)
        pods = informers.get(PODS)
        pods.add_handler(self.intake.on_pod)
        return {**found, "pods": pods}

    async def run(self) -> None:
        """Schedule until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.recorder.run(), name="events")
            group.create_task(self._flush(), name="flush")
            group.create_task(self._schedule(), name="schedule")

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            self.queue.flush()

    async def _schedule(self) -> None:
        while True:
            queued = self.queue.pop()
            if queued is None:
                await self._wait()
                continue
            try:
                await self._attempt(queued)
            except SchedulingError as error:
                self._failed(queued, self._profile(queued.info), "SchedulerError", str(error), "", is_error=True)
            except Exception as error:
                log.exception("scheduling failed", extra={"pod": queued.info.key})
                self._failed(queued, self._profile(queued.info), "SchedulerError", str(error), "", is_error=True)
            while len(self._background) >= MAX_BACKGROUND:
                self._room.clear()
                await self._room.wait()
            # Changes that have arrived must not wait for the end of a long queue.
            await asyncio.sleep(0)

    async def _wait(self) -> None:
        """Until a pod may be popped."""
        self._wake.clear()
        due = self.queue.next_due()
        pause_s = None if due is None else max(due - time.monotonic(), 0.001)
        try:
            async with asyncio.timeout(pause_s):
                await self._wake.wait()
        except TimeoutError:
            return

    def _profile(self, pod: PodInfo) -> Profile:
        return self.profiles[pod.template.scheduler]

    # one attempt

    async def _attempt(self, queued: QueuedPod) -> None:
        pod, profile = queued.info, self._profile(queued.info)
        if pod.is_terminating:
            self.queue.remove(pod.uid)
            note = f"skip schedule deleting pod: {pod.key}"
            self.recorder.record(pod.obj, "Warning", "FailedScheduling", "Scheduling", note, profile.scheduler_name)
            return
        started = time.perf_counter()
        cycle = Cycle(pod, self.world, profile, self.nominations)
        rows = feasible_rows(cycle)
        extra: Ints | None = None
        if not isinstance(rows, Diagnosis) and self._extenders.care_for(pod):
            rows = await self._ask_extenders(cycle, rows)
            if not isinstance(rows, Diagnosis) and len(rows) > 1:
                extra = await self._extenders.prioritize(cycle, rows)
            if self.queue.get(pod.uid) is not queued:
                return  # it has gone meanwhile
        if isinstance(rows, Diagnosis):
            await self._unschedulable(queued, cycle, rows)
            self.metrics.attempt("unschedulable", profile.scheduler_name, time.perf_counter() - started)
            return
        node = self.world.snapshot.names[choose(cycle, rows, extra, self._rng)]
        self._assume(pod, node)
        try:
            refused = _reserve(cycle, node)
        except BaseException:
            self._forget(cycle, node)
            raise
        if refused is not None:
            self._forget(cycle, node)
            name, reason = refused
            self._failed(queued, profile, "Unschedulable", fit_message(1, {reason: 1}), "", plugins={name})
            return
        self.queue.decided(queued)
        self._start(self._bind(queued, cycle, node, started))

    async def _ask_extenders(self, cycle: Cycle, rows: Ints) -> Ints | Diagnosis:
        """The rows that extenders leave, or why none; if they do not like the nominated node, of all nodes."""
        kept, refusals = await self._extenders.filter(cycle, rows)
        if not len(kept) and cycle.pod.nominated:
            anywhere = rows_anywhere(cycle)
            if isinstance(anywhere, Diagnosis):
                return anywhere
            rows = anywhere
            kept, refusals = await self._extenders.filter(cycle, rows)
        kept = kept[self.world.snapshot.alive[kept]]  # nodes may have gone while they were asked
        if len(kept):
            return kept
        diagnosis = explained(cycle, rows)
        diagnosis.findings += refusals
        diagnosis.plugins.add(EXTENDER)
        return diagnosis

    def _assume(self, pod: PodInfo, node: str) -> None:
        self.nominations.drop(pod.uid)
        pod.node = node
        self.intake.assumed.add(pod.uid)
        self.world.snapshot.add_pod(pod)

    def _forget(self, cycle: Cycle, node: str) -> None:
        """Take back what was assumed."""
        pod = cycle.pod
        for plugin in cycle.profile.of(Reserve):  # type: ignore[type-abstract]
            plugin.unreserve(cycle, node)
        self.intake.assumed.discard(pod.uid)
        if self.world.snapshot.pods.get(pod.uid) is pod:
            self.world.snapshot.remove_pod(pod.uid)
        pod.node = ""

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        self._room.set()
        if not task.cancelled() and task.exception() is not None:
            log.error("background work failed", exc_info=task.exception())

    # binding

    async def _bind(self, queued: QueuedPod, cycle: Cycle, node: str, started: float) -> None:
        pod, profile = cycle.pod, cycle.profile
        binder = ApiBinder(self._client, self._informers, self.recorder)
        preparing = [plugin for plugin in profile.of(PreBind) if plugin.will_act(cycle)]  # type: ignore[type-abstract]
        try:
            await self._carry_out(cycle, node, binder, preparing)
        except Exception as error:
            is_expected = isinstance(error, SchedulingError)
            log.info("pod not bound: %s", error, exc_info=not is_expected, extra={"pod": pod.key, "node": node})
            for plugin in preparing:
                await plugin.roll_back(cycle, node, binder)
            self._forget(cycle, node)
            self.queue.react(ClusterEvent("pods", "delete", old=pod.obj, pod=pod))  # its room is free again
            self._failed(queued, profile, "SchedulerError", str(error), "", is_error=True)
            self.metrics.attempt("error", profile.scheduler_name, time.perf_counter() - started)
            return
        self.queue.remove(pod.uid)
        self.metrics.attempt("scheduled", profile.scheduler_name, time.perf_counter() - started)
        note = f"Successfully assigned {pod.namespace}/{pod.name} to {node}"
        self.recorder.record(pod.obj, "Normal", "Scheduled", "Binding", note, profile.scheduler_name)

    async def _carry_out(self, cycle: Cycle, node: str, binder: ApiBinder, preparing: Sequence[PreBind]) -> None:
        """Prepare the pod's way and bind it. Raises SchedulingError."""
        pod = cycle.pod
        if pod.uid in self._writing:
            await self._writing[pod.uid]  # an earlier failure must not be told after the success
        if preparing and pod.nominated != node:
            await self._announce(pod, node)
        for plugin in preparing:
            with named_errors(f'running PreBind plugin "{plugin.name}"'):
                await plugin.pre_bind(cycle, node, binder)
        if await self._extenders.bind(pod, node):
            return
        for binding in cycle.profile.of(Bind):  # type: ignore[type-abstract]
            with named_errors(f'running Bind plugin "{binding.name}"'):
                if await binding.bind(cycle, node, binder):
                    return

    async def _announce(self, pod: PodInfo, node: str) -> None:
        """Show where the pod will run, for it may take long until it is bound."""
        patch = {"metadata": {"uid": pod.uid}, "status": {"nominatedNodeName": node}}
        await self._patch_status(pod, patch)

    # failing

    async def _unschedulable(self, queued: QueuedPod, cycle: Cycle, diagnosis: Diagnosis) -> None:
        """Try to make room, then put the pod back and say why."""
        profile = cycle.profile
        if diagnosis.refusal == NO_NODES:
            self._failed(queued, profile, "Unschedulable", NO_NODES, "", plugins=_EVERY_NODE_EVENT)
            return
        result = await self._post_filter(cycle, diagnosis)
        diagnosis.post_filter = result.message
        if result.deallocate is not None:
            self._start(self._deallocate(result.deallocate))
        if result.remove is not None:
            self._start(remove_object(self._client, RESOURCE_CLAIMS, result.remove))
        if result.victims is not None and not all(pod.is_terminating for pod in result.victims.pods):
            self.world.preempting.add(cycle.pod.uid)
            self._start(self._preempt(cycle.pod, result.victims, profile))
        self._failed(queued, profile, "Unschedulable", diagnosis.message(), result.nominate, plugins=diagnosis.plugins)

    async def _post_filter(self, cycle: Cycle, diagnosis: Diagnosis) -> PostFilterResult:
        """Ask the plugins in order; the first success ends it, and so does an error."""
        plugins = cycle.profile.of(PostFilter)  # type: ignore[type-abstract]
        messages: list[str] = []
        nominate: str | None = None if plugins else ""
        deallocate: Mapping[str, Any] | None = None
        remove: Mapping[str, Any] | None = None
        for plugin in plugins:
            result = plugin.post_filter(cycle, diagnosis)
            if result.candidates and self._extenders.care_for(cycle.pod):
                result = await self._agreed(cycle, result)
            if result.success or result.failed:
                return result
            messages.append(result.message)
            deallocate, remove = deallocate or result.deallocate, remove or result.remove
            nominate = result.nominate if result.nominate is not None else nominate
        text = ", ".join(message for message in messages if message)
        return PostFilterResult(False, text, nominate=nominate, deallocate=deallocate, remove=remove)

    async def _agreed(self, cycle: Cycle, result: PostFilterResult) -> PostFilterResult:
        """The best of the candidates that extenders agree to."""
        try:
            candidates = await self._extenders.preempt(cycle, result.candidates)
        except SchedulingError as error:
            return PostFilterResult(False, f"{PREFIX}{error}", failed=True)
        if not candidates:
            return PostFilterResult(False, PREFIX + NO_CANDIDATE)
        best = min(candidates, key=cost)
        return PostFilterResult(True, nominate=best.node, victims=best)

    def _failed(
        self,
        queued: QueuedPod,
        profile: Profile,
        reason: str,
        message: str,
        nominate: str | None,
        *,
        plugins: set[str] | frozenset[str] = frozenset(),
        is_error: bool = False,
    ) -> None:
        """Put the pod back into the queue and tell why. `nominate`: as in PostFilterResult."""
        pod = queued.info
        self.recorder.record(pod.obj, "Warning", "FailedScheduling", "Scheduling", message, profile.scheduler_name)
        if self.queue.get(pod.uid) is not queued:
            return  # it was deleted, or is on a node already
        if nominate is not None:
            self.nominations.set(pod, nominate)
        self.queue.put_back(queued, plugins, is_error=is_error)
        patch = self._failure_patch(pod.obj, reason, message, nominate)
        if patch is None:
            return
        if is_error:  # the pod may have been bound although no answer, or a bad one, came
            patch["metadata"]["resourceVersion"] = pod.obj["metadata"].get("resourceVersion", "")
        self._start(self._patch_status(pod, patch))

    def _failure_patch(self, pod: Mapping[str, Any], reason: str, message: str, nominate: str | None) -> Object | None:
        """The change of the pod's status; None where it says all that already."""
        status = pod.get("status") or {}
        wanted = {
            "type": "PodScheduled",
            "status": "False",
            "reason": reason,
            "message": message,
            "observedGeneration": pod["metadata"].get("generation", 1),
        }
        patch = condition_patch(pod, wanted, self._clock)
        if nominate is not None and nominate != (status.get("nominatedNodeName") or ""):
            patch = patch or {"metadata": {"uid": pod["metadata"]["uid"]}, "status": {}}
            patch["status"]["nominatedNodeName"] = nominate or None
        return patch

    async def _patch_status(self, pod: PodInfo, patch: Object) -> None:
        """Write a change of a pod's status, after all that was to be written about it before."""
        previous, mine = self._writing.get(pod.uid), asyncio.get_running_loop().create_future()
        self._writing[pod.uid] = mine
        try:
            if previous is not None:
                await previous
            await self._write_status(pod, patch)
        finally:
            mine.set_result(None)
            if self._writing.get(pod.uid) is mine:
                del self._writing[pod.uid]

    async def _write_status(self, pod: PodInfo, patch: Object) -> None:
        """One that names a version of the pod is not for pods that have got a node since."""
        write = partial(self._client.patch, PODS, pod.namespace, pod.name, type="strategic", subresource="status")
        try:
            try:
                await write(patch)
            except Conflict:
                current = await self._client.get(PODS, pod.namespace, pod.name)
                if patch["metadata"].pop("resourceVersion", None) is None or current["spec"].get("nodeName"):
                    return
                await write(patch)
        except NotFound:
            return
        except ApiError as error:
            log.info("status not written: %s", error, extra={"pod": pod.key})

    async def _deallocate(self, claim: Mapping[str, Any]) -> None:
        try:
            await self._client.update(RESOURCE_CLAIMS, claim, "status")
        except ApiError as error:
            log.info("claim not deallocated: %s", error, extra={"claim": claim["metadata"]["name"]})

    # preempting

    async def _preempt(self, pod: PodInfo, victims: Victims, profile: Profile) -> None:
        """Delete the victims that are not going already, the last one after the others.

        The pod is not tried again before that is under way; if it fails, at once.
        """
        staying = [victim for victim in victims.pods if not victim.is_terminating]
        self.world.evicted.update(victim.uid for victim in staying)
        try:
            for lesser in self.nominations.on(victims.node):
                if lesser.uid != pod.uid and lesser.priority < pod.priority:
                    await self._take_promise_back(lesser)
            *others, last = (partial(self._evict, victim, pod, victims.node, profile) for victim in staying)
            await asyncio.gather(*(evict() for evict in others))
            await last()
        except ApiError as error:
            log.info("preemption failed: %s", error, extra={"pod": pod.key, "node": victims.node})
            self.world.evicted.difference_update(victim.uid for victim in staying)
            self.world.preempting.discard(pod.uid)
            self.queue.activate(pod.uid)
        finally:
            self.world.preempting.discard(pod.uid)
            self.queue.recheck_gated()

    async def _take_promise_back(self, pod: PodInfo) -> None:
        self.nominations.drop(pod.uid)
        patch = {"metadata": {"uid": pod.uid}, "status": {"nominatedNodeName": None}}
        await self._patch_status(pod, patch)

    async def _evict(self, victim: PodInfo, pod: PodInfo, node: str, profile: Profile) -> None:
        wanted = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": BY_SCHEDULER,
            "message": f"{profile.scheduler_name}: preempting to accommodate a higher priority pod",
            "observedGeneration": victim.obj["metadata"].get("generation", 1),
        }
        patch = condition_patch(victim.obj, wanted, self._clock)
        try:
            if patch is not None:
                await self._client.patch(
                    PODS, victim.namespace, victim.name, patch, type="strategic", subresource="status"
                )
            await self._client.delete(PODS, victim.namespace, victim.name, uid=victim.uid)
        except NotFound:
            self.world.evicted.discard(victim.uid)
            return
        note = f"Preempted by pod {pod.uid} on node {node}"
        self.recorder.record(victim.obj, "Normal", "Preempted", "Preempting", note, profile.scheduler_name)
        self.metrics.victims(1)


_EVERY_NODE_EVENT = frozenset(("NodeUnschedulable",))
"""Who answers for a pod that found no node at all: any usable one helps."""


def _reserve(cycle: Cycle, node: str) -> tuple[str, str] | None:
    """Let the plugins note what the pod takes; who refused, and why. Raises SchedulingError."""
    for plugin in cycle.profile.of(Reserve):  # type: ignore[type-abstract]
        with named_errors(f'running Reserve plugin "{plugin.name}"'):
            refusal = plugin.reserve(cycle, node)
        if refusal is not None:
            return plugin.name, refusal.reason
    return None


@contextmanager
def named_errors(doing: str) -> Iterator[None]:
    """Errors of the API become those of scheduling, and all of them tell what was being done."""
    try:
        yield
    except (SchedulingError, ApiError) as error:
        raise SchedulingError(f"{doing}: {error}") from error
