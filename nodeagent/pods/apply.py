"""Carries out the plan for a pod: stops, makes the sandbox, starts containers, and remembers why one did not start.

Nothing is kept here that a restarted agent would miss: attempts are numbered from what the runtime has.
Follows: pkg/kubelet/kuberuntime/kuberuntime_manager.go SyncPod, kuberuntime_container.go startContainer
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nodeagent.network.hosts import NameTooLong
from nodeagent.node.cgroups import Cgroups, limits_of
from nodeagent.node.old_logs import remove_log
from nodeagent.pods import config, environment, restart, security, spec
from nodeagent.pods.environment import ConfigProblem, NodeFacts, Sources
from nodeagent.pods.images import ImageProblem, Images, missing_secrets
from nodeagent.pods.plan import Kill, Plan, hash_of
from nodeagent.pods.probing import HTTP_FALLBACK, HookFailed, Target, run_hook
from nodeagent.pods.restart import Backoff
from nodeagent.pods.spec import View
from nodeagent.pods.state import PodState
from nodeagent.pods.status import WaitReason
from nodeagent.pods.stop import MIN_GRACE_S, Stopper
from nodeagent.pods.tell import PodEvents
from nodeagent.runtime.protocol import Container, Handler, Image, Runtime, RuntimeFailure, SandboxConfig, State
from nodeagent.volumes.image import ImageVolumes
from nodeagent.volumes.volume import Volume

log = logging.getLogger(__name__)

KEPT_ATTEMPTS = 1
"""How many ended containers of a name are kept beside the newest, for their logs."""


END_SHOWN_S = 2.0
"""For so long a status shows how a container has ended, before it says that the container waits to be started again."""
IMAGE_WAITS = ("ErrImagePull", "ImagePullBackOff")


class Surroundings(Protocol):
    """What of the cluster reaches into containers."""

    def services(self) -> Iterable[View]:
        """All services that the node knows."""

    async def runtime_handler(self, name: str) -> str:
        """The handler of a RuntimeClass. Raises ConfigProblem when there is no such class."""


class StartProblem(Exception):
    """A container could not be started; `reason` and `message` are what its status says."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = WaitReason(reason, message)


@dataclass(frozen=True, slots=True)
class Tools:
    """Everything that carrying out a plan needs; the same for all pods of a node."""

    runtime: Runtime
    events: PodEvents
    images: Images
    image_volumes: ImageVolumes
    stopper: Stopper
    backoff: Backoff
    sources: Sources
    surroundings: Surroundings
    settings: config.NodeSettings
    node: NodeFacts
    cgroups: Cgroups | None = None
    """None where nothing real runs."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where containers of a pod are started."""

    sandbox_id: str
    sandbox: SandboxConfig
    ips: Sequence[str]
    volumes: Mapping[str, Volume]
    state: PodState


class Applier:
    """Carries out plans for one pod. `reasons` says of each container that waits why it does.

    `on_sandbox` is called when a new sandbox is ready: starting what is to run in it may take long.
    """

    def __init__(self, tools: Tools, on_sandbox: Callable[[], Awaitable[None]]) -> None:
        self._tools = tools
        self._on_sandbox = on_sandbox
        self.reasons: dict[str, WaitReason] = {}
        self.retry_s: float | None = None
        """When the next try is due: set while something waits for time to pass."""

    def pause_s(self, before: Mapping[str, WaitReason]) -> float | None:
        """How long the status may go on saying what it says, when all that is new since `before` is a further wait.

        None when there is news that is to be told at once.
        """
        new = {name: reason for name, reason in self.reasons.items() if before.get(name) != reason}
        if self.retry_s is None or not new or before.keys() - self.reasons.keys():
            return None
        if all(reason.reason == "CrashLoopBackOff" for reason in new.values()):
            return min(END_SHOWN_S, self.retry_s)
        if all(name in before and reason.reason in IMAGE_WAITS for name, reason in new.items()):
            return self.retry_s
        return None

    async def apply(self, pod: View, state: PodState, plan: Plan, volumes: Mapping[str, Volume]) -> None:
        """One pass. Raises RuntimeFailure where the pass cannot go on."""
        self.retry_s = None
        tools = self._tools
        await self._tell_missing_secrets(pod)
        if plan.create_sandbox and plan.sandbox_id:
            message = "Pod sandbox changed, it will be killed and re-created."
            tools.events.pod(pod, "Normal", "SandboxChanged", message)
        if plan.reset:
            await self._reset(pod, plan.reset)
            return
        if plan.kill_pod:
            await tools.stopper.stop_all(pod, state)
            if plan.create_sandbox:
                await self._purge_init(pod, state)
        else:
            for kill in plan.kill:
                await tools.stopper.stop(pod, kill, _first(state.ips))
        if not (plan.start or plan.start_init or plan.start_ephemeral):
            return
        place = await self._place(pod, state, plan, volumes)
        if place is not None:
            await self._start_all(pod, plan, place)

    async def _reset(self, pod: View, containers: Sequence[Container]) -> None:
        """Stop all and forget how they have ended; their logs stay. Hooks are not run."""
        runtime = self._tools.runtime
        running = [container for container in containers if container.state is not State.EXITED]
        for container in running:
            named = spec.container_named(pod, container.name) or {"name": container.name}
            self._tools.events.container(pod, named, "Normal", "Killing", "killing")
        await asyncio.gather(*(runtime.stop_container(container.id, MIN_GRACE_S) for container in running))
        for container in containers:
            await runtime.remove_container(container.id)
        self.reasons.clear()

    async def _tell_missing_secrets(self, pod: View) -> None:
        """Told in every pass, whether or not an image needs them."""
        missing = await missing_secrets(pod, self._tools.sources)
        if missing:
            text = f"Unable to retrieve some image pull secrets ({', '.join(missing)})"
            text = f"{text}; attempting to pull the image may not succeed."
            self._tools.events.pod(pod, "Warning", "FailedToRetrieveImagePullSecret", text)

    async def _place(
        self, pod: View, state: PodState, plan: Plan, volumes: Mapping[str, Volume]
    ) -> _Place | None:
        """The sandbox to start containers in, made if the plan says so; None when that was not possible."""
        tools = self._tools
        ips: Sequence[str] = state.ips
        sandbox_id = plan.sandbox_id
        try:
            handler = await tools.surroundings.runtime_handler(pod["spec"].get("runtimeClassName") or "")
            if pod["spec"].get("hostUsers") is False:
                _check_user_namespaces(tools.runtime, handler)
            for text in config.dns_of(pod, tools.settings)[1]:
                tools.events.pod(pod, "Warning", "DNSConfigForming", text)
            sandbox = config.sandbox_config(pod, plan.attempt, tools.settings, handler)
            if plan.create_sandbox:
                if tools.settings.has_files:
                    config.log_folder(tools.settings, pod).mkdir(parents=True, exist_ok=True, mode=0o755)
                if tools.cgroups is not None:
                    tools.cgroups.apply(sandbox.cgroup_parent, limits_of(pod))
                sandbox_id = await tools.runtime.run_sandbox(sandbox)
                ips = (await tools.runtime.sandbox(sandbox_id)).ips
                await self._on_sandbox()
        except (RuntimeFailure, NameTooLong, ConfigProblem) as failure:
            text = failure.as_rpc_error if isinstance(failure, RuntimeFailure) else str(failure)
            message = f"Failed to create pod sandbox: {text}"
            tools.events.pod(pod, "Warning", "FailedCreatePodSandBox", message)
            self.retry_s = restart.INITIAL_BACKOFF_S
            return None
        if spec.is_host_network(pod):
            ips = tools.node.host_ips
        return _Place(sandbox_id, sandbox, ips, volumes, state)

    async def _start_all(self, pod: View, plan: Plan, place: _Place) -> None:
        for name in plan.start_ephemeral:
            await self._start(pod, name, place)
        for name in plan.start_init:
            container = spec.container_named(pod, name)
            if not await self._start(pod, name, place) and container is not None and not spec.is_sidecar(container):
                return
        for name in plan.start:
            await self._start(pod, name, place)

    async def _start(self, pod: View, name: str, place: _Place) -> bool:
        """Start one container, or note why not."""
        container = spec.container_named(pod, name)
        if container is None:
            return False
        try:
            self._check_backoff(pod, container, place.state)
            await self._start_container(pod, container, place)
        except StartProblem as problem:
            self.reasons[name] = problem.reason
            if problem.reason.reason != "CrashLoopBackOff":
                self._retry_in(restart.INITIAL_BACKOFF_S)
            return False
        self.reasons.pop(name, None)
        return True

    def _check_backoff(self, pod: View, container: View, state: PodState) -> None:
        latest = next((c for c in state.attempts(container["name"]) if c.state is State.EXITED), None)
        if latest is None:
            return
        backoff = self._tools.backoff
        metadata = pod["metadata"]
        identity = (metadata["name"], metadata["namespace"], metadata["uid"], container["name"], hash_of(container))
        key, ended_s, now_s = "_".join(identity), latest.finished_ns / 10**9, time.time()
        remaining = backoff.remaining_s(key, ended_s, now_s)
        if remaining <= 0:
            backoff.next(key, ended_s, now_s)
            return
        self._retry_in(remaining)
        where = f"failed container {container['name']} in pod {spec.full_name(pod)}"
        self._tools.events.container(pod, container, "Warning", "BackOff", f"Back-off restarting {where}")
        wait = restart.human_wait(backoff.wait_s(key))
        what = f"failed container={container['name']} pod={spec.full_name(pod)}"
        raise StartProblem("CrashLoopBackOff", f"back-off {wait} restarting {what}")

    def _retry_in(self, seconds: float) -> None:
        self.retry_s = seconds if self.retry_s is None else min(self.retry_s, seconds)

    async def _start_container(self, pod: View, container: View, place: _Place) -> None:
        tools = self._tools
        image = await self._image(pod, container, place)
        attempts = place.state.attempts(container["name"])
        attempt = attempts[0].attempt + 1 if attempts else _known_restarts(pod, container["name"])
        container_id = await self._create(pod, container, place, image, attempt)
        try:
            await tools.runtime.start_container(container_id)
        except RuntimeFailure as failure:
            # Ids would make every event another one.
            self._warn(pod, container, f"Error: {failure}".replace(container_id, container["name"]))
            raise StartProblem("RunContainerError", str(failure)) from failure
        tools.events.container(pod, container, "Normal", "Started", "Container started")
        await self._post_start(pod, container, container_id, place)
        for old in attempts[KEPT_ATTEMPTS:]:
            await tools.runtime.remove_container(old.id)
            if tools.settings.has_files:
                await asyncio.to_thread(remove_log, old.log_path)

    async def _image(self, pod: View, container: View, place: _Place) -> Image:
        def tell(kind: str, reason: str, message: str) -> None:
            self._tools.events.container(pod, container, kind, reason, message)

        policy = container.get("imagePullPolicy") or "IfNotPresent"
        try:
            return await self._tools.images.ensure(pod, container.get("image", ""), policy, place.sandbox, tell)
        except ImageProblem as problem:
            self._warn(pod, container, f"Error: {problem.reason}")
            raise StartProblem(problem.reason, problem.message) from problem

    async def _create(self, pod: View, container: View, place: _Place, image: Image, attempt: int) -> str:
        tools = self._tools
        try:
            security.check_non_root(pod, container, image)
            facts = config.ContainerFacts(
                attempt=attempt,
                image=image,
                environment=await self._environment(pod, container, place),
                volumes=await self._with_images(pod, container, place),
                ips=place.ips,
                target_id=_target_id(container, place.state),
                can_recursive_readonly=_default_handler(tools.runtime).recursive_readonly,
            )
            made = config.container_config(pod, container, facts, tools.settings)
        except ConfigProblem as problem:
            self._warn(pod, container, f"Error: {problem}")
            raise StartProblem("CreateContainerConfigError", str(problem)) from problem
        try:
            container_id = await tools.runtime.create_container(place.sandbox_id, made, place.sandbox)
        except RuntimeFailure as failure:
            self._warn(pod, container, f"Error: {failure}")
            raise StartProblem("CreateContainerError", str(failure)) from failure
        tools.events.container(pod, container, "Normal", "Created", "Container created")
        return container_id

    async def _environment(self, pod: View, container: View, place: _Place) -> dict[str, str]:
        tools = self._tools
        services = environment.service_environment(pod, tools.surroundings.services())
        return await environment.make_environment(
            pod, container, services=services, ips=place.ips, sources=tools.sources, node=tools.node
        )

    async def _with_images(self, pod: View, container: View, place: _Place) -> Mapping[str, Volume]:
        """The volumes; those of images are mounted now, as their images come with the pod's credentials."""
        volumes = dict(place.volumes)
        for mount in container.get("volumeMounts") or ():
            volume = volumes[mount["name"]]
            if volume.image:
                path = await self._mount_image(pod, container, volume, place)
                volumes[volume.name] = Volume(volume.name, path, readonly=True)
        return volumes

    async def _mount_image(self, pod: View, container: View, volume: Volume, place: _Place) -> Path:
        def tell(kind: str, reason: str, message: str) -> None:
            self._tools.events.pod(pod, kind, reason, message)

        source = next(item for item in pod["spec"]["volumes"] if item["name"] == volume.name)["image"]
        policy = source.get("pullPolicy") or "IfNotPresent"
        try:
            image = await self._tools.images.ensure(pod, volume.image, policy, place.sandbox, tell)
            return await self._tools.image_volumes.mount(pod, volume.name, image.id)
        except ImageProblem as problem:
            self._warn(pod, container, f"Error: {problem.reason}")
            raise StartProblem(problem.reason, problem.message) from problem
        except (RuntimeFailure, OSError) as failure:
            self._warn(pod, container, f"Error: {failure}")
            raise StartProblem("CreateContainerError", str(failure)) from failure

    async def _post_start(self, pod: View, container: View, container_id: str, place: _Place) -> None:
        hook = (container.get("lifecycle") or {}).get("postStart")
        if not hook:
            return
        tools = self._tools
        try:
            note = await run_hook(tools.runtime, hook, Target(container_id, container, _first(place.ips)))
            if note:
                tools.events.pod(pod, "Warning", HTTP_FALLBACK, note)
        except HookFailed as failure:
            text = failure.told_of(container["name"], spec.full_name(pod))
            tools.events.container(pod, container, "Warning", "FailedPostStartHook", "PostStartHook failed")
            running = await tools.runtime.container(container_id)
            kill = Kill(running, "FailedPostStartHook")
            await tools.stopper.stop(pod, kill, _first(place.ips))
            raise StartProblem("PostStartHookError", text) from failure

    async def _purge_init(self, pod: View, state: PodState) -> None:
        """With a new sandbox initialization begins anew, so what it left must not count."""
        names = {container["name"] for container in spec.init_containers(pod)}
        for container in state.containers:
            if container.name in names:
                await self._tools.runtime.remove_container(container.id)

    def _warn(self, pod: View, container: View, message: str) -> None:
        self._tools.events.container(pod, container, "Warning", "Failed", message)


def _default_handler(runtime: Runtime) -> Handler:
    return runtime.handlers.get("", Handler(""))


def _check_user_namespaces(runtime: Runtime, name: str) -> None:
    """Raises ConfigProblem where a pod of that handler cannot have users of its own."""
    handler = runtime.handlers.get(name)
    if handler is None:
        raise ConfigProblem(f'the handler "{name}" is not known')
    if not handler.user_namespaces:
        raise ConfigProblem(f'RuntimeClass handler "{name}" does not support user namespaces')


def _first(ips: Sequence[str]) -> str:
    return ips[0] if ips else ""


def _known_restarts(pod: View, name: str) -> int:
    """The number for a container of which the runtime has none: one more than the status counts, if it counts any."""
    status = pod.get("status") or {}
    for sort in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for item in status.get(sort) or ():
            if item["name"] != name:
                continue
            if item.get("containerID"):
                return int(item.get("restartCount") or 0) + 1
            if (item.get("lastState") or {}).get("terminated"):
                return int(item.get("restartCount") or 0)
    return 0


def _target_id(container: View, state: PodState) -> str:
    name = container.get("targetContainerName")
    if not name:
        return ""
    target = state.latest(name)
    if target is None:
        raise ConfigProblem(f"unable to find target container {name}")
    return target.id
