"""Stopping containers: hooks first, the signal, the grace period, and sidecars after all others.

Follows: pkg/kubelet/kuberuntime/{kuberuntime_container.go,kuberuntime_termination_order.go}
"""

from __future__ import annotations

import asyncio
import time

import orjson

from nodeagent.pods import spec
from nodeagent.pods.plan import Kill
from nodeagent.pods.probing import HTTP_FALLBACK, HookFailed, Target, run_hook
from nodeagent.pods.spec import View
from nodeagent.pods.state import PodState
from nodeagent.pods.tell import PodEvents
from nodeagent.runtime.protocol import Container, Runtime

MIN_GRACE_S = 2
"""Every container gets this much between the signal that asks and the one that ends."""

_PROBE_FIELDS = {"liveness": "livenessProbe", "startup": "startupProbe"}


class Stopper:
    """Stops containers of one runtime."""

    def __init__(self, runtime: Runtime, events: PodEvents) -> None:
        self._runtime = runtime
        self._events = events

    async def stop(
        self, pod: View, kill: Kill, ip: str, *, grace_s: int | None = None, order: TerminationOrder | None = None
    ) -> None:
        """Stop one container. `grace_s` replaces what pod and probe say. Raises RuntimeFailure."""
        container = spec.container_named(pod, kill.container.name) or {"name": kill.container.name}
        grace = _grace_s(pod, container, kill.reason) if grace_s is None else grace_s
        message = kill.message or f"Stopping container {kill.container.name}"
        self._events.container(pod, container, "Normal", "Killing", message)
        started = time.monotonic()
        hook = _pre_stop(container, kill.container)
        if hook and grace > 0:
            await self._run_pre_stop(pod, container, kill.container, hook, ip, grace)
        if order is not None:
            await order.wait_for_turn(kill.container.name, grace - (time.monotonic() - started))
        left = grace - int(time.monotonic() - started)
        await self._runtime.stop_container(kill.container.id, left if grace_s == 0 else max(left, MIN_GRACE_S))
        if order is not None:
            order.ended(kill.container.name)

    async def stop_all(self, pod: View, state: PodState, *, grace_s: int | None = None) -> None:
        """Stop everything that runs, then the sandboxes: one that has ended by itself may still have its network.

        Raises RuntimeFailure.
        """
        running = state.running
        order = TerminationOrder(pod, {container.name for container in running})
        ip = state.ips[0] if state.ips else ""
        async with asyncio.TaskGroup() as group:
            for container in running:
                group.create_task(self.stop(pod, Kill(container, ""), ip, grace_s=grace_s, order=order))
        for sandbox in state.sandboxes:
            await self._runtime.stop_sandbox(sandbox.id)

    async def _run_pre_stop(
        self, pod: View, container: View, running: Container, hook: View, ip: str, grace_s: int
    ) -> None:
        try:
            async with asyncio.timeout(grace_s):
                note = await run_hook(self._runtime, hook, Target(running.id, container, ip))
            if note:
                self._events.pod(pod, "Warning", HTTP_FALLBACK, note)
        except TimeoutError:
            return
        except HookFailed:
            self._events.container(pod, container, "Warning", "FailedPreStopHook", "PreStopHook failed")


def _pre_stop(container: View, running: Container) -> View | None:
    """The hook by the spec, or, where the pod is not known any more, as it was kept with the container."""
    hook: View | None = (container.get("lifecycle") or {}).get("preStop")
    kept = running.annotations.get("io.kubernetes.container.preStopHandler")
    if hook is None and "image" not in container and kept:
        hook = orjson.loads(kept)
    return hook


def _grace_s(pod: View, container: View, reason: str) -> int:
    probe = container.get(_PROBE_FIELDS.get(reason, "")) or {}
    own = probe.get("terminationGracePeriodSeconds")
    return int(own) if own is not None else spec.grace_s(pod)


class TerminationOrder:
    """Sidecars stop after all regular containers, the last declared first."""

    def __init__(self, pod: View, running: set[str]) -> None:
        self._ended = {name: asyncio.Event() for name in running}
        sidecars = [c["name"] for c in spec.init_containers(pod) if spec.is_sidecar(c)]
        regular = [name for name in running if name not in sidecars]
        self._before = {name: regular + sidecars[position + 1 :] for position, name in enumerate(sidecars)}

    async def wait_for_turn(self, name: str, limit_s: float) -> None:
        """Wait until those that stop earlier have ended, or the time is up."""
        waits = [self._ended[other].wait() for other in self._before.get(name, ()) if other in self._ended]
        if not waits:
            return
        try:
            async with asyncio.timeout(max(0.0, limit_s)):
                await asyncio.gather(*waits)
        except TimeoutError:
            return

    def ended(self, name: str) -> None:
        self._ended[name].set()
