"""The pods that wait for a node: to be tried next, to be tried again after a pause, or for a change that may help.

A pod that fits nowhere is left alone until an event comes that, by the word of one of the plugins that turned it away,
may help. While nothing else is to be done, pods need not sit out their pause. Time is what the caller says it is.
Follows: pkg/scheduler/backend/queue/{scheduling_queue,backoff_queue,active_queue}.go
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from controllers.scheduler.framework import ClusterEvent, Plugin, PreEnqueue
from controllers.scheduler.pod import PodInfo, Template
from controllers.scheduler.profile import Profile

MAX_WAIT_S = 300.0
"""Nobody waits longer for an event than this: rules may be wrong about what helps."""


class QueuedPod:
    """A pod with what the queue knows of it."""

    __slots__ = ("due", "errors", "info", "place", "plugins", "refusals", "since")

    def __init__(self, info: PodInfo, since: float) -> None:
        self.info = info
        self.since = since
        self.refusals = 0
        self.errors = 0
        """Errors since the last attempt that came to a decision."""
        self.plugins: frozenset[str] = frozenset()
        self.due = 0.0
        self.place = ""
        """active, backoff, waiting, gated, or '' while it is being tried."""


_Group = tuple[Template, frozenset[str]]


class SchedulingQueue:
    """All pods without a node that this scheduler is responsible for."""

    def __init__(
        self,
        profiles: Mapping[str, Profile],
        clock: Callable[[], float],
        initial_backoff_s: float = 1.0,
        max_backoff_s: float = 10.0,
    ) -> None:
        self._profiles = profiles
        self._clock = clock
        self._initial_s = initial_backoff_s
        self._max_s = max_backoff_s
        self._pods: dict[str, QueuedPod] = {}
        self._active: list[tuple[int, float, int, QueuedPod]] = []
        self._backoff: list[tuple[float, int, float, int, QueuedPod]] = []
        self._waiting: dict[_Group, dict[str, QueuedPod]] = {}
        self._gated: dict[str, QueuedPod] = {}
        self._tried: QueuedPod | None = None
        self._missed: list[ClusterEvent] = []
        """What has happened since `_tried` was popped: its attempt may not have seen it."""
        self._numbers = itertools.count()
        self.on_ready: Callable[[], None] = lambda: None
        """Called whenever a pod may be popped that could not before."""

    def __len__(self) -> int:
        return len(self._pods)

    def get(self, uid: str) -> QueuedPod | None:
        return self._pods.get(uid)

    # pods come, change and go

    def add(self, info: PodInfo) -> None:
        queued = self._pods[info.uid] = QueuedPod(info, self._clock())
        self._admit(queued)

    def update(self, info: PodInfo, fields: Iterable[str]) -> None:
        """Take over the new state of a queued pod; `fields` tells what changed that rules may read."""
        queued = self._pods.get(info.uid)
        if queued is None:
            self.add(info)
            return
        old, queued.info = queued.info, info
        if queued.place == "waiting" and old.template is not info.template:
            self._leave_waiting(queued, old)
            self._enter_waiting(queued)
        if queued.place == "gated":
            self._admit(queued)
        elif fields:
            event = ClusterEvent("pod", "update", frozenset(fields), old.obj, info.obj)
            if queued is self._tried:
                self._missed.append(event)
            elif queued.place == "waiting" and self._helps(event, info, queued.plugins):
                self._wake(queued)
        if queued.place == "active" and old.priority != info.priority:
            self._push_active(queued)

    def decided(self, queued: QueuedPod) -> None:
        """The pod is on its way to a node: what happens from now on is no longer missed by it."""
        if queued is self._tried:
            self._tried, self._missed = None, []

    def refresh(self, info: PodInfo) -> None:
        """Take over the new state of a pod that is on its way to a node."""
        queued = self._pods.get(info.uid)
        if queued is not None and not queued.place:
            queued.info = info

    def remove(self, uid: str) -> None:
        queued = self._pods.pop(uid, None)
        if queued is not None:
            self._detach(queued)

    def pop(self) -> QueuedPod | None:
        """The next pod to try, or None while there is none."""
        self._promote()
        queued = self._pop_active()
        if queued is None:
            queued = self._pop_early()
        if queued is None:
            return None
        queued.place = ""
        self._tried, self._missed = queued, []
        return queued

    def next_due(self) -> float | None:
        """When the next pod's pause ends; None while nobody pauses."""
        while self._backoff and not self._is_current(self._backoff[0][-1], "backoff", self._backoff[0][0]):
            heapq.heappop(self._backoff)
        return self._backoff[0][0] if self._backoff else None

    # a try failed

    def put_back(self, queued: QueuedPod, plugins: Iterable[str], *, is_error: bool = False) -> None:
        """Keep a pod that was tried: until an event helps with `plugins`, or for a pause if there are none."""
        if self._pods.get(queued.info.uid) is not queued:
            return
        queued.plugins = frozenset(plugins)
        queued.since = self._clock()
        queued.errors = queued.errors + 1 if is_error else 0
        queued.refusals += not is_error
        missed = self._missed if queued is self._tried else ()
        self._tried, self._missed = None, []
        if queued.plugins and not any(self._helps(event, queued.info, queued.plugins) for event in missed):
            queued.place = "waiting"
            self._enter_waiting(queued)
        else:
            self._pause(queued)

    # the cluster changes

    def react(self, event: ClusterEvent, most: int | None = None) -> None:
        """Wake the pods that the event may help, up to the priority `most`. Pods of one workload are asked once."""
        if self._tried is not None:
            self._missed.append(event)
        for group in [group for group in self._waiting if self._group_helped(event, group, most)]:
            for queued in list(self._waiting[group].values()):
                self._wake(queued)

    def recheck_gated(self) -> None:
        """Ask again about pods that may not be tried yet."""
        for queued in list(self._gated.values()):
            self._admit(queued)

    def activate(self, uid: str) -> None:
        """Try this pod soon, whatever it waits for."""
        queued = self._pods.get(uid)
        if queued is not None and queued.place in ("waiting", "backoff"):
            self._detach(queued)
            self._admit(queued)

    def flush(self) -> None:
        """Wake everybody who has waited too long."""
        limit = self._clock() - MAX_WAIT_S
        for group in list(self._waiting.values()):
            for queued in [queued for queued in group.values() if queued.since < limit]:
                self._wake(queued)

    # steps

    def _group_helped(self, event: ClusterEvent, group: _Group, most: int | None) -> bool:
        queued = next(iter(self._waiting[group].values()))
        if most is not None and queued.info.priority > most:
            return False
        return self._helps(event, queued.info, group[1])

    def _helps(self, event: ClusterEvent, info: PodInfo, names: frozenset[str]) -> bool:
        plugins = self._profiles[info.template.scheduler].plugins
        turned_away: Sequence[Plugin | None] = [plugins.get(name) for name in names]
        return any(plugin is None or plugin.wakes(event, info) for plugin in turned_away)

    def _admit(self, queued: QueuedPod) -> None:
        """Put the pod among those to be tried, if no plugin holds it back."""
        if self._is_held_back(queued):
            queued.place = "gated"
            self._gated[queued.info.uid] = queued
        else:
            self._gated.pop(queued.info.uid, None)
            self._push_active(queued)

    def _is_held_back(self, queued: QueuedPod) -> bool:
        profile = self._profiles[queued.info.template.scheduler]
        return not all(plugin.pre_enqueue(queued.info) for plugin in profile.of(PreEnqueue))  # type: ignore[type-abstract]

    def _push_active(self, queued: QueuedPod) -> None:
        queued.place = "active"
        queued.due = next(self._numbers)
        heapq.heappush(self._active, (-queued.info.priority, queued.since, int(queued.due), queued))
        self.on_ready()

    def _pop_active(self) -> QueuedPod | None:
        while self._active:
            *_, number, queued = heapq.heappop(self._active)
            if self._is_current(queued, "active", number):
                return queued
        return None

    def _pop_early(self) -> QueuedPod | None:
        """A pod whose pause is not over, now that nobody else is there. Errors do sit it out."""
        kept = []
        found = None
        while self._backoff and found is None:
            entry = heapq.heappop(self._backoff)
            queued = entry[-1]
            if not self._is_current(queued, "backoff", entry[0]):
                continue
            if queued.errors:
                kept.append(entry)
            elif self._is_held_back(queued):
                self._admit(queued)
            else:
                found = queued
        for entry in kept:
            heapq.heappush(self._backoff, entry)
        return found

    def _is_current(self, queued: QueuedPod, place: str, due: float) -> bool:
        return queued.place == place and queued.due == due and self._pods.get(queued.info.uid) is queued

    def _promote(self) -> None:
        now = self._clock()
        while self._backoff and self._backoff[0][0] <= now:
            due, *_, queued = heapq.heappop(self._backoff)
            if self._is_current(queued, "backoff", due):
                self._admit(queued)

    def _wake(self, queued: QueuedPod) -> None:
        self._detach(queued)
        if queued.since + self._pause_s(queued) > self._clock():
            self._pause(queued)
        else:
            self._admit(queued)

    def _pause(self, queued: QueuedPod) -> None:
        queued.place = "backoff"
        queued.due = math.floor(queued.since + self._pause_s(queued))  # of one second the most important comes first
        entry = (queued.due, -queued.info.priority, queued.since, next(self._numbers), queued)
        heapq.heappush(self._backoff, entry)
        self.on_ready()

    def _pause_s(self, queued: QueuedPod) -> float:
        times = queued.errors or queued.refusals
        return float(min(self._initial_s * 2 ** min(times - 1, 30), self._max_s)) if times else 0.0

    def _detach(self, queued: QueuedPod) -> None:
        if queued.place == "waiting":
            self._leave_waiting(queued, queued.info)
        self._gated.pop(queued.info.uid, None)
        queued.place = ""

    def _enter_waiting(self, queued: QueuedPod) -> None:
        self._waiting.setdefault((queued.info.template, queued.plugins), {})[queued.info.uid] = queued

    def _leave_waiting(self, queued: QueuedPod, info: PodInfo) -> None:
        group = (info.template, queued.plugins)
        members = self._waiting.get(group)
        if members is not None:
            members.pop(info.uid, None)
            if not members:
                del self._waiting[group]
