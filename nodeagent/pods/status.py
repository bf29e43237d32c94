"""The status of a pod, made from what the runtime and the probes know. Pure: the same facts give the same status.

Follows: pkg/kubelet/kubelet_pods.go generateAPIPodStatus, convertToAPIContainerStatuses, getPhase;
pkg/kubelet/prober/prober_manager.go UpdatePodStatus; pkg/kubelet/status/status_manager.go TerminatePod
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from nodeagent.pods import conditions, restart, spec
from nodeagent.pods.plan import RESTARTING, ProbeVerdict, Verdict, restarts_all
from nodeagent.pods.resize import with_allocated
from nodeagent.pods.spec import Object, View
from nodeagent.pods.state import PodState
from nodeagent.runtime.protocol import Container, State
from openapi.meta.quantity import BINARY, Quantity
from openapi.meta.times import format_time

MESSAGE_LIMIT_BYTES = 12 * 1024
"""What the last words of all containers together may take."""

LOST = {
    "reason": "ContainerStatusUnknown",
    "message": "The container could not be located when the pod was terminated",
    "exitCode": 137,
}

RESET_REASON = "RestartingAllContainers"
RESET_MESSAGE = "The container is removed because RestartAllContainers in place"
RESET = {
    "exitCode": 137,
    "reason": RESET_REASON,
    "message": RESET_MESSAGE,
    "startedAt": None,
    "finishedAt": None,
}
"""How a container has ended that was removed so that all begin anew."""


@dataclass(frozen=True, slots=True)
class WaitReason:
    """Why a container could not be started the last time it was tried."""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class StatusFacts:
    """All that a status is made from besides the pod and its state.

    `old` is the status that the agent last made or found. `reasons` are by container name; `failure` a reason and
    message with which the pod has been failed (deadline, eviction). `allocated` are the resources of containers that
    the node has agreed to, by name, `applied` those that they have now, by id; `resize` are conditions about a change
    of them. `disruption` says why the node ends the pod for its own sake.
    """

    runtime_name: str
    old: View
    verdict: ProbeVerdict
    now: datetime
    reasons: Mapping[str, WaitReason] = field(default_factory=dict)
    last_words: Mapping[str, str] = field(default_factory=dict)
    failure: tuple[str, str] | None = None
    is_terminal: bool = False
    host_ips: Sequence[str] = ()
    allocated: Mapping[str, View] = field(default_factory=dict)
    applied: Mapping[str, View] = field(default_factory=dict)
    resize: Sequence[View] = ()
    disruption: str = ""


def make_status(pod: View, state: PodState, facts: StatusFacts) -> Object:
    """The whole status of the pod; conditions of others are kept in front of the agent's own."""
    init = [_container_status(pod, c, state, facts, "init") for c in spec.init_containers(pod)]
    regular = [_container_status(pod, c, state, facts, "regular") for c in _by_name(spec.containers(pod))]
    ephemeral = [_container_status(pod, c, state, facts, "ephemeral") for c in _by_name(spec.ephemeral_containers(pod))]
    phase = phase_of(pod, init, regular, is_terminal=facts.is_terminal)
    old = facts.old
    reason, message = (old.get("reason"), old.get("message")) if old.get("phase") == phase else (None, None)
    if facts.failure is not None:
        phase, (reason, message) = "Failed", facts.failure
    if old.get("phase") in ("Failed", "Succeeded"):
        phase, reason, message = old["phase"], old.get("reason"), old.get("message")
    status: Object = {"phase": phase}
    if reason:
        status["reason"] = reason
    if message:
        status["message"] = message
    status["qosClass"] = old.get("qosClass") or spec.qos_class(pod)
    status["startTime"] = old.get("startTime") or format_time(facts.now)
    _add_generation(pod, status)
    _add_addresses(pod, state, facts, status)
    if init:
        status["initContainerStatuses"] = init
    status["containerStatuses"] = regular
    if ephemeral:
        status["ephemeralContainerStatuses"] = ephemeral
    _limit_messages(status)
    has_network = conditions.has_network(pod, state)
    status["conditions"] = conditions.make_conditions(
        pod,
        status,
        old,
        has_network=has_network,
        now=facts.now,
        resize=facts.resize,
        is_restarting=not facts.is_terminal and restarts_all(pod, state, old),
    )
    if facts.disruption and phase == "Failed":
        status["conditions"] += conditions.disruption(pod, old, facts.disruption, facts.now)
    for field_name in ("nominatedNodeName", "resize", "resourceClaimStatuses"):
        if old.get(field_name):
            status[field_name] = old[field_name]
    _add_allocated(pod, facts, status)
    return status


def _by_name(containers: Sequence[View]) -> list[View]:
    """Only init containers are told of in the order in which they are declared."""
    return sorted(containers, key=lambda container: str(container["name"]))


def rejected_status(pod: View, reason: str, message: str, now: datetime) -> Object:
    """The status of a pod that the node does not take."""
    status: Object = {
        "phase": "Failed",
        "reason": reason,
        "message": f"Pod was rejected: {message}",
        "qosClass": spec.qos_class(pod),
        "startTime": format_time(now),
    }
    _add_generation(pod, status)
    return status


def terminated_status(pod: View, status: View) -> Object:
    """The status of a pod whose containers are all gone: what is not known to have ended is lost."""
    found = dict(status)
    if _has_initialized(pod, status):
        found["containerStatuses"] = [_lost_unless_ended(item) for item in status.get("containerStatuses") or ()]
    init = list(status.get("initContainerStatuses") or ())
    started = _started_count(init)
    if init:
        found["initContainerStatuses"] = [_lost_unless_ended(item) for item in init[:started]] + init[started:]
    if found.get("phase") not in ("Failed", "Succeeded"):
        found["phase"] = "Failed"
    return found


def phase_of(pod: View, init: Sequence[View], regular: Sequence[View], *, is_terminal: bool) -> str:
    """The phase that the statuses of the containers amount to."""
    by_name = {item["name"]: item for item in init}
    pending = 0
    for container in spec.init_containers(pod):
        item = by_name[container["name"]]
        if spec.is_sidecar(container):
            pending += not item.get("started") and not is_terminal and not _was_started(item)
            continue
        ended = _ended(item)
        if ended is None or ended["exitCode"] != 0:
            pending += 1
        if ended is not None and ended["exitCode"] != 0 and (is_terminal or not _restarts(pod, container, ended)):
            return "Failed"
    has_begun = any(_was_started(item) for item in regular)
    if pending and not has_begun:
        return "Pending"
    return _phase_of_regular(pod, regular, is_terminal=is_terminal)


def _phase_of_regular(pod: View, regular: Sequence[View], *, is_terminal: bool) -> str:
    by_name = {container["name"]: container for container in spec.containers(pod)}
    running = waiting = stopped = succeeded = restarting = 0
    for item in regular:
        ended = _ended(item)
        if "running" in item["state"]:
            running += 1
        elif ended is None:
            waiting += 1
        else:
            stopped += 1
            succeeded += ended["exitCode"] == 0
            restarting += _restarts(pod, by_name[item["name"]], ended)
    if waiting:
        return "Pending"
    if running:
        return "Running"
    if not stopped:
        return "Pending"
    if restarting and not is_terminal:
        return "Running"
    return "Succeeded" if stopped == succeeded else "Failed"


def _restarts(pod: View, container: View, ended: View) -> bool:
    """Whether a container that has ended like that is started again."""
    return ended.get("reason") == RESET_REASON or restart.restarts_after(pod, container, ended["exitCode"])


def _ended(item: View) -> View | None:
    """How the container ended last, whether or not it now waits to be started again."""
    state = item["state"]
    found: View | None = state.get("terminated")
    if found is None and "waiting" in state:
        found = (item.get("lastState") or {}).get("terminated")
    return found


def _was_started(item: View) -> bool:
    return "waiting" not in item["state"] or bool((item.get("lastState") or {}).get("terminated"))


# -- one container ---------------------------------------------------------------------------------------------


def _container_status(pod: View, container: View, state: PodState, facts: StatusFacts, sort: str) -> Object:
    name = container["name"]
    attempts = state.attempts(name)
    old = _old_status(facts.old, name)
    status: Object = {"name": name}
    if attempts:
        _fill_from_runtime(status, attempts, old, facts)
    else:
        _fill_from_old(pod, status, container, old, facts)
    _apply_wait_reason(pod, status, container, state, facts, sort)
    _add_readiness(status, container, attempts[0] if attempts else None, facts, sort)
    if attempts or "terminated" in status["state"]:
        status["resources"] = _resources(container, facts, attempts[0].id if attempts else "")
    allocated = (facts.allocated.get(name) or container.get("resources") or {}).get("requests")
    if allocated and attempts and sort != "ephemeral":
        status["allocatedResources"] = dict(allocated)
    mounts = _mount_statuses(container)
    if mounts:
        status["volumeMounts"] = mounts
    if attempts and attempts[0].user is not None:
        status["user"] = {"linux": dict(attempts[0].user)}
    return status


def _old_status(old: View, name: str) -> View | None:
    for sort in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for item in old.get(sort) or ():
            if item["name"] == name:
                return item  # type: ignore[no-any-return]
    return None


def _fill_from_runtime(status: Object, attempts: Sequence[Container], old: View | None, facts: StatusFacts) -> None:
    latest = attempts[0]
    status["state"] = _state_of(latest, facts)
    status["lastState"] = {}
    previous = [attempt for attempt in attempts[1:] if attempt.state is State.EXITED]
    if previous:
        status["lastState"] = _state_of(previous[0], facts)
    elif old is not None and latest.attempt > 0:
        status["lastState"] = dict(old.get("lastState") or {})
    status["restartCount"] = max(latest.attempt, int((old or {}).get("restartCount") or 0))
    status["image"] = latest.image if not latest.image.startswith("sha256:") else latest.image_id
    status["imageID"] = latest.image_id
    status["containerID"] = f"{facts.runtime_name}://{latest.id}"


def _fill_from_old(pod: View, status: Object, container: View, old: View | None, facts: StatusFacts) -> None:
    """The runtime has nothing of that name: it has not been made yet, or it is lost."""
    reason = "PodInitializing" if spec.init_containers(pod) else "ContainerCreating"
    status["state"] = {"waiting": {"reason": reason}}
    status["lastState"] = {}
    status["restartCount"] = 0
    status["image"] = container.get("image", "")
    status["imageID"] = ""
    if old is None:
        return
    status["restartCount"] = int(old.get("restartCount") or 0)
    status["lastState"] = dict(old.get("lastState") or {})
    is_reset = any(c["type"] == RESTARTING and c["status"] == "True" for c in facts.old.get("conditions") or ())
    if is_reset and not facts.is_terminal and "waiting" not in old.get("state", {}):
        status["lastState"] = {"terminated": dict(RESET)}
        status["state"] = {"waiting": {"reason": RESET_REASON, "message": RESET_MESSAGE}}
        status["restartCount"] += 1
    elif "terminated" in old.get("state", {}):
        status["state"] = dict(old["state"])
        for name in ("imageID", "containerID"):
            if old.get(name):
                status[name] = old[name]
    elif "running" in old.get("state", {}):
        status["lastState"] = {
            "terminated": {
                "exitCode": 137,
                "reason": "ContainerStatusUnknown",
                "message": (
                    "The container could not be located when the pod was deleted.  "
                    "The container used to be Running"
                ),
                "startedAt": None,
                "finishedAt": None,
            }
        }
        status["restartCount"] += not spec.is_deleting(pod)


def _state_of(container: Container, facts: StatusFacts) -> Object:
    if container.state is State.RUNNING:
        return {"running": {"startedAt": _time(container.started_ns)}}
    if container.state in (State.CREATED, State.UNKNOWN):
        return {"waiting": {}}
    ended: Object = {"exitCode": container.exit_code}
    if container.reason:
        ended["reason"] = container.reason
    message = facts.last_words.get(container.id, "") or container.message
    if message:
        ended["message"] = message
    ended["startedAt"] = _time(container.started_ns)
    ended["finishedAt"] = _time(container.finished_ns)
    ended["containerID"] = f"{facts.runtime_name}://{container.id}"
    return {"terminated": ended}


def _time(nanoseconds: int) -> str:
    return format_time(datetime.fromtimestamp(nanoseconds // 10**9, UTC))


def _apply_wait_reason(
    pod: View, status: Object, container: View, state: PodState, facts: StatusFacts, sort: str
) -> None:
    """A container that is to be started again, but could not be, waits for the reason why."""
    reason = facts.reasons.get(container["name"])
    if reason is None or "running" in status["state"]:
        return
    latest = state.latest(container["name"])
    if sort == "ephemeral":
        if latest is not None:
            return
    elif latest is not None and latest.state is State.EXITED:
        always = sort == "init" and spec.is_sidecar(container)
        if spec.is_deleting(pod) or not (always or restart.restarts_after(pod, container, latest.exit_code)):
            return
    if "terminated" in status["state"]:
        status["lastState"] = status["state"]
    waiting = {"reason": reason.reason}
    if reason.message:
        waiting["message"] = reason.message
    status["state"] = {"waiting": waiting}


def _add_readiness(
    status: Object, container: View, latest: Container | None, facts: StatusFacts, sort: str
) -> None:
    """`started` and `ready`, which the probes decide where there are any."""
    status["ready"] = False
    if sort == "ephemeral":
        return
    is_running = "running" in status["state"] and latest is not None
    started = is_running
    if is_running and latest is not None and container.get("startupProbe"):
        started = facts.verdict("startup", latest.id) is Verdict.SUCCESS
    status["started"] = started
    if sort == "init" and not spec.is_sidecar(container):
        ended = status["state"].get("terminated")
        status["ready"] = ended is not None and ended["exitCode"] == 0
    elif started and latest is not None:
        has_probe = bool(container.get("readinessProbe"))
        status["ready"] = not has_probe or facts.verdict("readiness", latest.id) is Verdict.SUCCESS


def _resources(container: View, facts: StatusFacts, id: str) -> Object:
    given = facts.applied.get(id) or facts.allocated.get(container["name"]) or container.get("resources") or {}
    return {name: dict(value) for name, value in given.items() if name in ("limits", "requests") and value}


def _mount_statuses(container: View) -> list[Object]:
    found = []
    for mount in container.get("volumeMounts") or ():
        item: Object = {"mountPath": mount["mountPath"], "name": mount["name"]}
        if mount.get("readOnly"):
            item["readOnly"] = True
            wanted = mount.get("recursiveReadOnly") or "Disabled"
            item["recursiveReadOnly"] = "Disabled" if wanted == "IfPossible" else wanted
        found.append(item)
    return found


# -- the pod ---------------------------------------------------------------------------------------------------


def _add_generation(pod: View, status: Object) -> None:
    generation = pod["metadata"].get("generation")
    if generation:
        status["observedGeneration"] = generation


def _add_addresses(pod: View, state: PodState, facts: StatusFacts, status: Object) -> None:
    if facts.host_ips:
        status["hostIP"] = facts.host_ips[0]
        status["hostIPs"] = [{"ip": ip} for ip in facts.host_ips]
    ips: Sequence[str] = state.ips
    if spec.is_host_network(pod):
        ips = facts.host_ips
    if not ips:
        ips = [item["ip"] for item in facts.old.get("podIPs") or ()]
    if ips:
        status["podIP"] = ips[0]
        status["podIPs"] = [{"ip": ip} for ip in ips]


def _add_allocated(pod: View, facts: StatusFacts, status: Object) -> None:
    """What the node has set aside for the pod as a whole."""
    pod = with_allocated(pod, facts.allocated) if facts.allocated else pod
    totals = spec.pod_requests(pod)
    if totals:
        formats = {"memory": BINARY, "ephemeral-storage": BINARY}
        status["allocatedResources"] = {
            name: str(
                Quantity.of_milli(milli) if name not in formats else Quantity.of(milli // 1000, formats[name])
            )
            for name, milli in totals.items()
        }


def _limit_messages(status: Object) -> None:
    """Share the room for last words between the containers."""
    items = [
        item
        for sort in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
        for item in status.get(sort) or ()
    ]
    limit = MESSAGE_LIMIT_BYTES // max(1, len(items))
    for item in items:
        for state in (item["state"], item["lastState"]):
            ended = state.get("terminated")
            if ended and len(ended.get("message", "")) > limit:
                state["terminated"] = {**ended, "message": ended["message"][:limit]}


def _lost_unless_ended(item: View) -> View:
    return item if "terminated" in item["state"] else {**item, "state": {"terminated": dict(LOST)}}


def _has_initialized(pod: View, status: View) -> bool:
    if not spec.init_containers(pod):
        return True
    regular = status.get("containerStatuses") or ()
    if any((item.get("lastState") or {}).get("terminated") or "waiting" not in item["state"] for item in regular):
        return True
    init = status.get("initContainerStatuses") or ()
    ended = _ended(init[-1]) if init else None
    return ended is not None and ended["exitCode"] == 0


def _started_count(init: Sequence[View]) -> int:
    for position in range(len(init) - 1, -1, -1):
        if _was_started(init[position]):
            return position + 1
    return min(1, len(init))
