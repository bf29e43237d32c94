"""One pod's resources on their way: asked for, agreed to, applied to its containers; with what is told about that.

What was agreed to and applied while the spec asked for something else is kept on disk, for an agent that starts again.
Follows: pkg/kubelet/allocation/allocation_manager.go, pkg/kubelet/kuberuntime/kuberuntime_manager.go
doPodResizeAction, pkg/kubelet/events
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson

from nodeagent.node.cgroups import limits_of
from nodeagent.pods import config, resize, resources, spec
from nodeagent.pods.apply import Tools
from nodeagent.pods.plan import Kill, Plan
from nodeagent.pods.spec import Object, View
from nodeagent.pods.state import PodState
from nodeagent.runtime.protocol import Container, RuntimeFailure, State

Room = Callable[[View], tuple[str, str] | None]
"""Whether the node has room for a pod that asks for other resources than before: None, or why not."""

_RESOURCE_FIELDS = ("limits", "requests", "claims")


class Resizing:
    """The resources of one pod's containers."""

    def __init__(self, pod: View, tools: Tools, room: Room) -> None:
        self._tools = tools
        self._room = room
        self._file = tools.settings.root / "pods" / spec.uid_of(pod) / "resources.json"
        self.allocated: dict[str, View] = resize.resources_by_name(pod)
        self.applied: dict[str, View] = {}
        """By container id."""
        self._restarting: set[str] = set()
        self._refused: tuple[str, str] | None = None
        self._refused_generation = 0
        self._generation: int | None = None
        """Of the spec whose resources are being applied."""
        self._error = ""
        self._load()

    @property
    def is_deferred(self) -> bool:
        return self._refused is not None and self._refused[0] == resize.DEFERRED

    def pod(self, pod: View) -> View:
        """The pod with the resources that the node has agreed to."""
        return resize.with_allocated(pod, self.allocated)

    def conditions(self) -> list[Object]:
        """What the pod's conditions say of a change under way."""
        found = []
        if self._refused is not None:
            found.append(resize.pending_condition(self._refused, self._refused_generation))
        if self._generation is not None:
            found.append(resize.progress_condition(self._error, self._generation))
        return found

    def allocate(self, pod: View, state: PodState) -> None:
        """Agree to what the spec asks, if there is room."""
        wanted = resize.resources_by_name(pod)
        if wanted == self.allocated:
            self._refused = None
            return
        refused = self._room(pod)
        generation = int(pod["metadata"].get("generation") or 0)
        if refused is not None:
            if (refused, generation) != (self._refused, self._refused_generation):
                message = f"Pod resize {refused[0]}: {summary(pod, generation, refused[1])}"
                self._tools.events.pod(pod, "Warning", f"Resize{refused[0]}", message)
            self._refused, self._refused_generation = refused, generation
            self._keep()
            return
        self._refused = None
        self.allocated = wanted
        self._keep()
        if any(self._differs(container, latest) for container, latest in _running(pod, state)):
            self._generation, self._error = generation, ""
            message = f"Pod resize started: {summary(self.pod(pod), generation)}"
            self._tools.events.pod(pod, "Normal", "ResizeStarted", message)

    async def apply(self, pod: View, state: PodState, plan: Plan) -> bool:
        """Bring running containers to their resources, by the runtime or by a restart; true when a change is done."""
        killed = {kill.container.id for kill in plan.kill}
        for container, latest in _running(pod, state):
            if latest.id in killed or plan.kill_pod:
                continue
            if latest.id not in self.applied:
                self.applied[latest.id] = container.get("resources") or {}
            self._restarting.discard(container["name"])
            if self._differs(container, latest):
                await self._change(pod, container, latest, plan)
        if self._generation is None or self._error or self._restarting:
            return False
        if plan.kill_pod or any(self._differs(container, latest) for container, latest in _running(pod, state)):
            return False
        self._fit(pod)
        message = f"Pod resize completed: {summary(pod, self._generation)}"
        self._tools.events.pod(pod, "Normal", "ResizeCompleted", message)
        self._generation = None
        return True

    async def _change(self, pod: View, container: View, latest: Container, plan: Plan) -> None:
        tools, wanted = self._tools, container.get("resources") or {}
        self._fit(pod)
        if resize.needs_restart(container, self.applied[latest.id], wanted):
            message = f"Container {container['name']} resize requires restart"
            plan.kill.append(Kill(latest, message, "resize"))
            plan.start.append(container["name"])
            self._restarting.add(container["name"])
            return
        try:
            await self._check_memory(container, latest, self.applied[latest.id], wanted)
            settings = resources.container_resources(pod, container, tools.settings.memory_bytes)
            await tools.runtime.update_container(latest.id, settings)
        except RuntimeFailure as failure:
            self._fail(pod, str(failure))
            return
        self._error = ""
        self.applied[latest.id] = wanted
        self._keep()

    def _fit(self, pod: View) -> None:
        """Fit the pod's own cgroup: before its containers, which fit into it, and again when those that shrink have."""
        tools = self._tools
        if tools.cgroups is not None:
            tools.cgroups.apply(config.cgroup_parent(tools.settings, pod), limits_of(pod))

    async def _check_memory(self, container: View, latest: Container, old: View, new: View) -> None:
        """Less memory than is used would only have the container killed. Raises RuntimeFailure."""
        before, after = resize.memory_limit(old), resize.memory_limit(new)
        if not after or (before and after >= before):
            return
        for usage in await self._tools.runtime.usage():
            used = usage.memory_working_set or 0
            if usage.container.id == latest.id and used >= after:
                what = f'container "{container["name"]}" memory limit ({after})'
                raise RuntimeFailure(f"attempting to set {what} below current usage ({used})")

    def _fail(self, pod: View, text: str) -> None:
        if text == self._error:
            return
        self._error = text
        message = f"Pod resize error: {summary(pod, self._generation or 0, text)}"
        self._tools.events.pod(pod, "Warning", "ResizeError", message)

    def _differs(self, container: View, latest: Container) -> bool:
        known = self.applied.get(latest.id)
        wanted = self.allocated.get(container["name"], {})
        return known is not None and resize.amounts(known) != resize.amounts(wanted)

    # -- on disk -----------------------------------------------------------------------------------------------

    def _keep(self) -> None:
        if self._tools.settings.has_files:
            with contextlib.suppress(OSError):
                self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
                draft = self._file.with_suffix(".new")
                draft.write_bytes(orjson.dumps({"allocated": self.allocated, "applied": self.applied}))
                draft.rename(self._file)

    def _load(self) -> None:
        if self._tools.settings.has_files:
            with contextlib.suppress(OSError, ValueError):
                found = orjson.loads(Path(self._file).read_bytes())
                self.allocated, self.applied = found["allocated"], found["applied"]


def summary(pod: View, generation: int, error: str = "") -> str:
    """What events tell of a pod's resources, as JSON."""
    found: Object = {}
    for field, containers in (
        ("initContainers", [c for c in spec.init_containers(pod) if spec.is_sidecar(c)]),
        ("containers", spec.containers(pod)),
    ):
        if containers:
            found[field] = [{"name": c["name"], "resources": _given(c.get("resources") or {})} for c in containers]
    found["generation"] = generation
    if error:
        found["error"] = error
    return orjson.dumps(found).decode()


def _given(resources: View) -> Object:
    given = {name: resources[name] for name in _RESOURCE_FIELDS if resources.get(name)}
    return {name: dict(sorted(value.items())) if isinstance(value, dict) else value for name, value in given.items()}


def _running(pod: View, state: PodState) -> Iterator[tuple[View, Container]]:
    """The containers that run and can be resized, with their newest instance."""
    for container in (*spec.containers(pod), *spec.init_containers(pod)):
        latest = state.latest(container["name"])
        if latest is not None and latest.state is State.RUNNING:
            yield container, latest
