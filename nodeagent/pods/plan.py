"""What is to be done for a pod: desired state and actual state in, actions out. Pure.

Follows: pkg/kubelet/kuberuntime/kuberuntime_manager.go computePodActions, kuberuntime_container.go
computeInitContainerActions
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from nodeagent.pods import restart, spec
from nodeagent.pods.spec import View
from nodeagent.pods.state import PodState
from nodeagent.runtime.protocol import Container, State

RESTARTING = "AllContainersRestarting"
"""The type of the condition that tells of it."""


class Verdict(Enum):
    """What a probe has found out so far."""

    UNKNOWN = 0
    SUCCESS = 1
    FAILURE = 2


ProbeVerdict = Callable[[str, str], Verdict]
"""The verdict of a kind of probe (`liveness`, `startup`, `readiness`) on a container by its id."""


@dataclass(frozen=True, slots=True)
class Kill:
    """A running container to stop; `reason` is `liveness` or `startup` where a probe asks for it."""

    container: Container
    message: str
    reason: str = ""


@dataclass(slots=True)
class Plan:
    """Actions in the order in which they are applied. Containers are named."""

    kill_pod: bool = False
    create_sandbox: bool = False
    sandbox_id: str = ""
    attempt: int = 0
    kill: list[Kill] = field(default_factory=list)
    start_ephemeral: list[str] = field(default_factory=list)
    start_init: list[str] = field(default_factory=list)
    start: list[str] = field(default_factory=list)
    reset: list[Container] = field(default_factory=list)
    """Containers to stop and remove before all begins anew, those that have asked for it last."""


def restarts_all(pod: View, state: PodState, old: View) -> bool:
    """Whether all containers are to be started anew: one has ended so, or `old`, the last status, says that it goes on.

    It is over once none of them is left.
    """
    if not restart.may_restart_all(pod) or spec.is_deleting(pod):
        return False
    containers = [*spec.init_containers(pod), *spec.containers(pod)]
    if any(restart.asks_for_all(container, state.latest(container["name"])) for container in containers):
        return True
    goes_on = any(c["type"] == RESTARTING and c["status"] == "True" for c in old.get("conditions") or ())
    return goes_on and any(state.attempts(container["name"]) for container in containers)


def plan_pod(pod: View, state: PodState, verdict: ProbeVerdict, *, all_anew: bool = False) -> Plan:
    """The next actions for a pod that is to run; `all_anew` by `restarts_all`."""
    plan = _plan_sandbox(pod, state)
    if all_anew and not plan.create_sandbox:
        plan.reset = _to_reset(pod, state)
        return plan
    if plan.create_sandbox:
        _plan_anew(pod, state, plan)
        return plan
    plan.start_ephemeral = [c["name"] for c in spec.ephemeral_containers(pod) if state.latest(c["name"]) is None]
    if not _plan_init(pod, state, verdict, plan):
        return plan
    kept = sum(_plan_container(pod, container, state, verdict, plan) for container in spec.containers(pod))
    if kept == 0 and not plan.start:
        plan.kill_pod = True
        plan.start_init = []
    return plan


def _to_reset(pod: View, state: PodState) -> list[Container]:
    own = {container["name"]: container for container in (*spec.init_containers(pod), *spec.containers(pod))}
    found = [container for container in state.containers if container.name in own]
    return sorted(found, key=lambda container: restart.asks_for_all(own[container.name], container))


def _plan_sandbox(pod: View, state: PodState) -> Plan:
    sandbox = state.sandbox
    if sandbox is None:
        return Plan(kill_pod=True, create_sandbox=True)
    ready = sum(item.is_ready for item in state.sandboxes)
    has_address = spec.is_host_network(pod) or bool(sandbox.ips)
    if ready > 1 or not sandbox.is_ready or not has_address or sandbox.host_network != spec.is_host_network(pod):
        return Plan(kill_pod=True, create_sandbox=True, sandbox_id=sandbox.id, attempt=sandbox.attempt + 1)
    return Plan(sandbox_id=sandbox.id, attempt=sandbox.attempt)


def _plan_anew(pod: View, state: PodState, plan: Plan) -> None:
    """The sandbox is missing or unusable: start over, unless everything that runs once has already run."""
    if plan.attempt and state.containers and not any(_restarts_failed(pod, c) for c in spec.containers(pod)):
        plan.create_sandbox = False
        return
    start = [
        container["name"]
        for container in spec.containers(pod)
        if not _has_succeeded(state.latest(container["name"])) or restart.policy_of(pod, container) == "Always"
    ]
    if not start and any(state.latest(c["name"]) is not None for c in spec.containers(pod)):
        plan.create_sandbox = False
        return
    init = spec.init_containers(pod)
    if init:
        plan.start_init = [init[0]["name"]]
    else:
        plan.start = start


def _restarts_failed(pod: View, container: View) -> bool:
    """Whether the container may be started again after a failure at all."""
    return restart.policy_of(pod, container) != "Never" or bool(container.get("restartPolicyRules"))


def _has_succeeded(latest: Container | None) -> bool:
    return latest is not None and latest.state is State.EXITED and latest.exit_code == 0


def _plan_init(pod: View, state: PodState, verdict: ProbeVerdict, plan: Plan) -> bool:
    """Plan the init containers; true when the others may start.

    From the last one backwards, as the runtime may have forgotten the first ones: the first that has ever been
    started decides which is next, and of those before it only sidecars matter.
    """
    init = spec.init_containers(pod)
    has_initialized = not init or any(state.latest(container["name"]) is not None for container in spec.containers(pod))
    is_past = has_initialized
    for position in range(len(init) - 1, -1, -1):
        container = init[position]
        latest = state.latest(container["name"])
        if latest is None:
            if is_past and spec.is_sidecar(container):
                plan.start_init.append(container["name"])
            continue
        if is_past and not spec.is_sidecar(container):
            continue
        is_done = _plan_one_init(pod, container, latest, verdict, plan)
        if plan.kill_pod:
            plan.start_init = []
            return False
        if is_done and not is_past:
            following: Sequence[View] = init[position + 1 :]
            if following:
                plan.start_init.append(following[0]["name"])
            else:
                has_initialized = True
        is_past = True
    if not is_past:
        plan.start_init.append(init[0]["name"])
    plan.start_init.reverse()
    return has_initialized


def _plan_one_init(pod: View, container: View, latest: Container, verdict: ProbeVerdict, plan: Plan) -> bool:
    """Plan one init container that was started; true when what comes after it may start."""
    name = container["name"]
    if latest.state is State.CREATED:
        plan.start_init.append(name)
        return False
    if latest.state is State.RUNNING:
        return spec.is_sidecar(container) and _plan_running_sidecar(container, latest, verdict, plan)
    if latest.state is State.UNKNOWN:
        message = 'Init container is in "unknown" state, try killing it before restart'
        plan.kill.append(Kill(latest, message, "unknown"))
        plan.start_init.append(name)
        return False
    if spec.is_sidecar(container):
        plan.start_init.append(name)
        return False
    if latest.exit_code == 0:
        return True
    if restart.restarts_after(pod, container, latest.exit_code):
        plan.start_init.append(name)
    else:
        plan.kill_pod = True
    return False


def _plan_running_sidecar(container: View, latest: Container, verdict: ProbeVerdict, plan: Plan) -> bool:
    name = container["name"]
    if container.get("startupProbe"):
        startup = verdict("startup", latest.id)
        if startup is Verdict.FAILURE:
            plan.kill.append(Kill(latest, f"Init container {name} failed startup probe", "startup"))
            plan.start_init.append(name)
        if startup is not Verdict.SUCCESS:
            return False
    if verdict("liveness", latest.id) is Verdict.FAILURE:
        plan.kill.append(Kill(latest, f"Init container {name} failed liveness probe", "liveness"))
        plan.start_init.append(name)
    return True


def _plan_container(pod: View, container: View, state: PodState, verdict: ProbeVerdict, plan: Plan) -> bool:
    """Plan one regular container; true when it runs and stays."""
    name = container["name"]
    latest = state.latest(name)
    if latest is None or latest.state is not State.RUNNING:
        if restart.should_start(pod, container, latest):
            plan.start.append(name)
            if latest is not None and latest.state is State.UNKNOWN:
                message = 'Container is in "unknown" state, try killing it before restart'
                plan.kill.append(Kill(latest, message, "unknown"))
        return False
    message, reason, restarts = "", "", _restarts_failed(pod, container)
    if latest.annotations.get("io.kubernetes.container.hash", hash_of(container)) != hash_of(container):
        message, restarts = f"Container {name} definition changed", True
    elif verdict("liveness", latest.id) is Verdict.FAILURE:
        message, reason = f"Container {name} failed liveness probe", "liveness"
    elif verdict("startup", latest.id) is Verdict.FAILURE:
        message, reason = f"Container {name} failed startup probe", "startup"
    if not message:
        return True
    if restarts:
        plan.start.append(name)
        message += ", will be restarted"
    plan.kill.append(Kill(latest, message, reason))
    return False


def hash_of(container: View) -> str:
    """Changes with what only a new container can follow: the image."""
    value = 0x811C9DC5
    for byte in f"{container['name']}\0{container.get('image', '')}".encode():
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return f"{value:x}"
