"""The probes of one pod: a task for each probe of each container, and what they have found out.

A verdict belongs to one container id; a container that is started anew begins without. Startup probes run until the
first success, the others only after it; a liveness or startup probe that has failed rests until the next container.
Follows: pkg/kubelet/prober/{worker.go,prober.go}
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from nodeagent.pods import spec
from nodeagent.pods.plan import Verdict
from nodeagent.pods.probing import Outcome, Target, probe
from nodeagent.pods.spec import View
from nodeagent.runtime.protocol import Container, Runtime

KINDS = {"startup": "startupProbe", "liveness": "livenessProbe", "readiness": "readinessProbe"}
_TRIES = 3
"""How often a probe that could not be done at all is tried at once again."""

Warn = Callable[[View, str, str], None]
"""Tells a warning about a container: the container, a reason, a message."""


@dataclass(frozen=True, slots=True)
class Running:
    """A running container of the pod, as the last look at the runtime has found it."""

    container: Container
    ip: str


class PodProbes:
    """Probes of one pod. `on_change` is called whenever a verdict has changed."""

    def __init__(self, runtime: Runtime, warn: Warn, on_change: Callable[[], None]) -> None:
        self._runtime = runtime
        self._warn = warn
        self._on_change = on_change
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._verdicts: dict[tuple[str, str], Verdict] = {}
        self._running: dict[str, Running] = {}
        self._changed = asyncio.Event()

    def verdict(self, kind: str, container_id: str) -> Verdict:
        return self._verdicts.get((kind, container_id), Verdict.UNKNOWN)

    def observe(self, pod: View, running: dict[str, Running]) -> None:
        """Take in which containers run now, and see that each of their probes has a task."""
        started = {item.container.id for item in running.values()} - {r.container.id for r in self._running.values()}
        self._running = running
        for key in [key for key in self._verdicts if all(key[1] != r.container.id for r in running.values())]:
            del self._verdicts[key]
        for container in (*spec.init_containers(pod), *spec.containers(pod)):
            for kind, field in KINDS.items():
                key = (container["name"], kind)
                if container.get(field) and key not in self._tasks:
                    self._tasks[key] = asyncio.create_task(self._run(container, kind, container[field]))
        if started:
            self._wake()

    def stop(self, *, keep_readiness: bool = False) -> None:
        """End the probes; while a pod stops its readiness is still of interest."""
        for key, task in list(self._tasks.items()):
            if not (keep_readiness and key[1] == "readiness"):
                task.cancel()
                del self._tasks[key]
        if not keep_readiness:
            self._running = {}

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _run(self, container: View, kind: str, settings: View) -> None:
        """Probe one container in all its lives."""
        while True:
            running = self._running.get(container["name"])
            if running is None or self._rests(kind, running.container.id):
                await self._changed.wait()
                continue
            await self._probe_life(container, kind, settings, running)

    def _rests(self, kind: str, container_id: str) -> bool:
        """Whether the probe has said all it has to say about that container."""
        verdict = self.verdict(kind, container_id)
        return (kind == "startup" and verdict is not Verdict.UNKNOWN) or (
            kind == "liveness" and verdict is Verdict.FAILURE
        )

    async def _probe_life(self, container: View, kind: str, settings: View, running: Running) -> None:
        """Probe until the container is gone or the probe rests."""
        container_id = running.container.id
        delay = int(settings.get("initialDelaySeconds") or 0)
        await asyncio.sleep(max(0.0, running.container.started_ns / 10**9 + delay - time.time()))
        target = Target(container_id, container, running.ip)
        last, in_a_row = Verdict.UNKNOWN, 0
        while self._runs(container["name"], container_id) and not self._rests(kind, container_id):
            if kind != "startup" and container.get("startupProbe"):
                changed = self._changed
                if self.verdict("startup", container_id) is not Verdict.SUCCESS:
                    await changed.wait()
                    continue
            outcome = await self._try(container, kind, settings, target)
            if outcome.verdict is not Verdict.UNKNOWN and self._runs(container["name"], container_id):
                in_a_row = in_a_row + 1 if outcome.verdict is last else 1
                last = outcome.verdict
                self._judge(kind, container_id, settings, last, in_a_row)
            if not self._rests(kind, container_id):
                await asyncio.sleep(int(settings.get("periodSeconds") or 10))

    def _runs(self, name: str, container_id: str) -> bool:
        running = self._running.get(name)
        return running is not None and running.container.id == container_id

    async def _try(self, container: View, kind: str, settings: View, target: Target) -> Outcome:
        outcome = Outcome(Verdict.UNKNOWN)
        for _ in range(_TRIES):
            outcome = await probe(self._runtime, settings, target, int(settings.get("timeoutSeconds") or 1))
            if outcome.verdict is not Verdict.UNKNOWN:
                break
        name = kind.capitalize()
        if outcome.warning:
            self._warn(container, "ProbeWarning", f"{name} probe warning: {outcome.warning}")
        if outcome.verdict is Verdict.FAILURE:
            self._warn(container, "Unhealthy", f"{name} probe failed: {outcome.output}")
        elif outcome.verdict is Verdict.UNKNOWN and self._runs(container["name"], target.container_id):
            message = f"{name} probe errored and resulted in unknown state: {outcome.output}"
            self._warn(container, "Unhealthy", message)
        return outcome

    def _judge(self, kind: str, container_id: str, settings: View, last: Verdict, in_a_row: int) -> None:
        field, default = ("successThreshold", 1) if last is Verdict.SUCCESS else ("failureThreshold", 3)
        if in_a_row < int(settings.get(field) or default) or self.verdict(kind, container_id) is last:
            return
        self._verdicts[(kind, container_id)] = last
        self._wake()
        self._on_change()
