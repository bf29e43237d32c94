"""One node: takes its pods from the API, gives each a worker, listens to the runtime, and keeps the Node object.

The agent itself keeps nothing that the API and the runtime do not have: one that starts again adopts what runs, and
ends what should not run any more.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from controllers.runtime.informer import Change
from nodeagent.housekeeping import Housekeeping
from nodeagent.node.keeper import NodeKeeper
from nodeagent.pods import preempt, resize, spec
from nodeagent.pods.admit import Rejection, admit, lacks
from nodeagent.pods.apply import Tools
from nodeagent.pods.fleet import Own
from nodeagent.pods.publish import Publisher
from nodeagent.pods.spec import CONFIG_MIRROR, CONFIG_SEEN, CONFIG_SOURCE, View
from nodeagent.pods.worker import PodWorker
from nodeagent.runtime.protocol import Container, RuntimeFailure, State
from nodeagent.sources import ApiSources
from nodeagent.volumes.setup import Volumes

log = logging.getLogger(__name__)

RELIST_S = 1.0
LAZY_RELIST_S = 30.0
"""Where the runtime tells of every change."""
STALE_S = 180.0
READY_S = 5.0


@dataclass(frozen=True, slots=True)
class NodeParts:
    """What an agent is put together from; `main` does that. `refusal` says why no pod at all is taken."""

    name: str
    tools: Tools
    volumes: Volumes
    sources: ApiSources
    publisher: Publisher
    keeper: NodeKeeper
    pods: Own
    refusal: Callable[[], Rejection | None]


class NodeAgent:
    """Runs the pods of one node."""

    def __init__(self, parts: NodeParts) -> None:
        self._parts = parts
        self._workers: dict[str, PodWorker] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._states: dict[str, tuple[str, State]] = {}
        self._news = asyncio.Event()
        self._housekeeping = Housekeeping(parts.tools, parts.volumes, lambda: self._workers)
        self._relisted_at = time.monotonic()
        parts.sources.add_listener(self._on_object)

    @property
    def workers(self) -> list[PodWorker]:
        return list(self._workers.values())

    def worker(self, namespace: str, name: str, uid: str = "") -> PodWorker | None:
        """The worker of a pod by name."""
        for worker in self._workers.values():
            metadata = worker.pod["metadata"]
            if (metadata["namespace"], metadata["name"]) == (namespace, name) and uid in ("", metadata["uid"]):
                return worker
        return None

    def problem(self) -> str:
        """What keeps the agent from its work; '' when nothing does."""
        late_s = time.monotonic() - self._relisted_at
        return f"containers were last listed {late_s:.0f} s ago" if late_s > STALE_S else ""

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Until cancelled. Containers go on running then."""
        parts = self._parts
        await parts.keeper.register()
        async with asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(parts.keeper.run(), name="node")
            group.create_task(parts.publisher.run(), name="statuses")
            group.create_task(parts.pods.run(), name="pods")
            await parts.pods.synced.wait()
            parts.pods.add_handler(self._on_change)
            group.create_task(self._listen(), name="runtime news")
            group.create_task(self._relist_for_ever(), name="relist")
            group.create_task(self._housekeeping.run(), name="housekeeping")
            await self._until_ready()
            on_ready()

    async def _until_ready(self) -> None:
        """Wait for the node to be ready, but not for ever: what it lacks may come much later."""
        try:
            async with asyncio.timeout(READY_S):
                await self._parts.keeper.ready.wait()
        except TimeoutError:
            log.warning("the node is not ready yet", extra={"node": self._parts.name})

    # -- pods --------------------------------------------------------------------------------------------------

    def add_static(self, pod: View) -> None:
        """Run a pod that comes from a file."""
        metadata = pod["metadata"]
        annotations = {**metadata["annotations"], CONFIG_SEEN: _seen_now()}
        self._add({**pod, "metadata": {**metadata, "annotations": annotations}})

    def remove_static(self, pod: View) -> None:
        """The file of a pod is gone."""
        worker = self._workers.get(spec.uid_of(pod))
        if worker is not None:
            worker.gone(worker.pod, grace_s=spec.grace_s(pod))

    def _on_change(self, change: Change) -> None:
        if spec.is_mirror(change.obj):
            self._on_mirror(change)
            return
        pod = _with_source(change.obj, self._workers.get(change.obj["metadata"]["uid"]))
        uid = spec.uid_of(pod)
        worker = self._workers.get(uid)
        if change.type == "DELETED":
            self._parts.publisher.forget(uid)
            if worker is not None:
                worker.gone(pod)
            return
        if change.old is not None and change.old["metadata"]["uid"] != uid:
            replaced = self._workers.get(change.old["metadata"]["uid"])
            if replaced is not None:
                replaced.gone(replaced.pod)
        if worker is not None:
            if spec.ephemeral_containers(pod) != spec.ephemeral_containers(worker.pod):
                self._parts.sources.register(pod)
            worker.update(pod)
        else:
            self._add(pod)

    def wake_all(self) -> None:
        """Something has changed that any pod may wait for."""
        for worker in self._workers.values():
            worker.wake()

    def _on_object(self, uid: str) -> None:
        """Something that a pod is configured by has changed."""
        worker = self._workers.get(uid)
        if worker is not None:
            worker.wake()

    def _on_mirror(self, change: Change) -> None:
        """A new mirror does not know yet how its pod is."""
        worker = self._workers.get(change.obj["metadata"]["annotations"][CONFIG_MIRROR])
        if worker is not None and change.type != "DELETED" and worker.status.get("phase"):
            self._parts.publisher.publish(worker.pod, dict(worker.status))

    def _add(self, pod: View) -> None:
        parts = self._parts
        worker = PodWorker(pod, parts.tools, parts.volumes, parts.publisher, self._room)
        uid = spec.uid_of(pod)
        is_new = not (pod.get("status") or {}).get("startTime")
        is_new = is_new and not spec.is_deleting(pod) and not spec.is_terminal(pod)
        is_doubtful = is_new and self._rejection(pod) is not None
        self._workers[uid] = worker
        parts.sources.register(pod)
        assert self._group is not None
        work = self._work(uid, worker, is_doubtful=is_doubtful)
        self._tasks[uid] = self._group.create_task(work, name=f"pod {spec.full_name(pod)}")

    def _rejection(self, pod: View, *, has_room: bool = False) -> Rejection | None:
        parts = self._parts
        apparmor = parts.tools.settings.has_apparmor
        rejection = admit(pod, self._others(pod), parts.keeper.node, has_apparmor=apparmor, has_room=has_room)
        return rejection or parts.refusal()

    def _others(self, pod: View) -> list[View]:
        uid = spec.uid_of(pod)
        return [w.allocated_pod for w in self._workers.values() if spec.uid_of(w.pod) != uid and not _has_ended(w)]

    def _room(self, pod: View) -> tuple[str, str] | None:
        return resize.refusal(pod, self._others(pod), self._parts.keeper.node)

    async def _judge(self, worker: PodWorker) -> None:
        """Reject a pod by what the node is now: the scheduler may have seen labels that have not been seen here."""
        await self._parts.keeper.refresh()
        rejection = self._rejection(worker.pod)
        if rejection is not None and preempt.is_critical(worker.pod):
            rejection = self._rejection(worker.pod, has_room=True) or await self._make_room(worker.pod)
        if rejection is not None:
            self._parts.tools.events.pod(worker.pod, "Warning", rejection.reason, rejection.message)
            worker.reject(rejection.reason, rejection.message)

    async def _make_room(self, pod: View) -> Rejection | None:
        """End the pods that must go for a critical one; why that is in vain."""
        others = self._others(pod)
        lacking = {lack.name: lack.amount for lack in lacks(pod, others, self._parts.keeper.node)}
        try:
            doomed = preempt.victims(pod, others, lacking)
        except preempt.NoVictims as problem:
            return Rejection("UnexpectedAdmissionError", str(problem))
        for victim in doomed:
            worker = self._workers[spec.uid_of(victim)]
            self._parts.tools.events.pod(worker.pod, "Warning", preempt.REASON, preempt.MESSAGE)
            worker.fail(preempt.REASON, preempt.MESSAGE, disruption=preempt.DISRUPTION)
            await worker.finished.wait()
        return None

    async def _work(self, uid: str, worker: PodWorker, *, is_doubtful: bool) -> None:
        """A failure of one pod's worker is that pod's alone; it is tried again."""
        if is_doubtful:
            await self._judge(worker)
        while True:
            try:
                await worker.run()
                break
            except Exception:
                log.exception("pod worker failed", extra={"key": spec.full_name(worker.pod)})
                await asyncio.sleep(RELIST_S)
        self._workers.pop(uid, None)
        self._tasks.pop(uid, None)
        self._parts.sources.forget(uid)
        for other in self._workers.values():
            if other.waits_for_room:
                other.wake()

    # -- the runtime -------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        async for _ in self._parts.tools.runtime.news():
            self._news.set()

    async def _relist_for_ever(self) -> None:
        """Compare the runtime's containers with those of the last time, and wake the pods of those that differ."""
        pause_s = LAZY_RELIST_S if self._parts.tools.runtime.tells_all else RELIST_S
        while True:
            try:
                async with asyncio.timeout(pause_s):
                    await self._news.wait()
            except TimeoutError:
                pass
            self._news.clear()
            try:
                self._compare(await self._parts.tools.runtime.containers())
                self._relisted_at = time.monotonic()
            except RuntimeFailure as failure:
                log.warning("containers not listed: %s", failure)
                await asyncio.sleep(RELIST_S)

    def _compare(self, containers: Sequence[Container]) -> None:
        states = {c.id: (c.labels.get("io.kubernetes.pod.uid", ""), c.state) for c in containers}
        changed = {states[id][0] for id in states if self._states.get(id) != states[id]}
        changed |= {self._states[id][0] for id in self._states if id not in states}
        self._states = states
        for uid in changed:
            worker = self._workers.get(uid)
            if worker is not None:
                worker.wake()


def _has_ended(worker: PodWorker) -> bool:
    """Whether a pod holds nothing of the node any more; the scheduler has given away what a pod without object had."""
    return worker.is_finished or worker.is_gone or spec.is_terminal(worker.pod)


def _with_source(pod: View, known: PodWorker | None) -> View:
    """The pod with the annotations that say whence and when the node got it."""
    metadata = pod["metadata"]
    seen = known.pod["metadata"]["annotations"][CONFIG_SEEN] if known is not None else _seen_now()
    annotations = {**(metadata.get("annotations") or {}), CONFIG_SEEN: seen, CONFIG_SOURCE: "api"}
    return {**pod, "metadata": {**metadata, "annotations": annotations}}


def _seen_now() -> str:
    """To the nanosecond, as Go writes a time."""
    nanoseconds = time.time_ns()
    moment = datetime.fromtimestamp(nanoseconds // 10**9, UTC)
    fraction = f"{nanoseconds % 10**9:09d}".rstrip("0")
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction or 0}Z"
