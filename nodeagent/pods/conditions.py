"""The conditions of a pod, from its phase, its containers' statuses and the gates it names. Pure.

Follows: pkg/kubelet/status/generate.go
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from nodeagent.pods import restart, spec
from nodeagent.pods.plan import RESTARTING
from nodeagent.pods.spec import Object, View
from nodeagent.pods.state import PodState
from openapi.meta.times import format_time

RESIZE = ("PodResizePending", "PodResizeInProgress")
OWNED = (
    *RESIZE, "PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled", RESTARTING,
)  # fmt: skip
"""Conditions that the agent writes, in their order; all others belong to somebody else and stay."""

SHARED = ("DisruptionTarget",)
"""Conditions that others write too; the agent only ever adds them."""


def disruption(pod: View, old: View, message: str, now: datetime) -> list[Object]:
    """That the node ends the pod for its own sake; none where somebody has said so before."""
    if any(item["type"] in SHARED for item in old.get("conditions") or ()):
        return []
    item = {"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet", "message": message}
    return [_complete(item, None, pod, now)]


def has_network(pod: View, state: PodState) -> bool:
    """Whether there is a sandbox in which containers can be started."""
    sandbox = state.sandbox
    return sandbox is not None and sandbox.is_ready and (spec.is_host_network(pod) or bool(sandbox.ips))


def make_conditions(
    pod: View,
    status: View,
    old: View,
    *,
    has_network: bool,
    now: datetime,
    resize: Sequence[View] = (),
    is_restarting: bool = False,
) -> list[Object]:
    """All conditions of the pod. A condition that keeps its status keeps the time of its last change.

    `resize` are those that tell of a change of resources under way; `is_restarting` that all containers begin anew.
    """
    foreign = [dict(item) for item in old.get("conditions") or () if item["type"] not in OWNED]
    containers_ready = _containers_ready(pod, status)
    before = {item["type"]: item for item in old.get("conditions") or ()}
    made = [
        *(dict(item) for item in resize),
        {"type": "PodReadyToStartContainers", "status": _truth(has_network)},
        _initialized(pod, status, before.get("Initialized") or {}),
        _ready(pod, containers_ready, foreign),
        {"type": "ContainersReady", **containers_ready},
        {"type": "PodScheduled", "status": "True"},
    ]
    if restart.may_restart_all(pod):
        made.append(_restarting(status, is_restarting=is_restarting))
    return foreign + [_complete(item, before.get(item["type"]), pod, now) for item in made]


def _complete(item: Object, before: View | None, pod: View, now: datetime) -> Object:
    changed = before is None or before.get("status") != item["status"] or not before.get("lastTransitionTime")
    time = format_time(now) if changed or before is None else before["lastTransitionTime"]
    found: Object = {"type": item["type"]}
    generation = item.get("observedGeneration") or pod["metadata"].get("generation")
    if generation and item["type"] != RESTARTING:
        found["observedGeneration"] = generation
    found |= {"status": item["status"], "lastProbeTime": None, "lastTransitionTime": time}
    return found | {name: item[name] for name in ("reason", "message") if item.get(name)}


def _restarting(status: View, *, is_restarting: bool) -> Object:
    """Told of pods only in which that can happen."""
    ended = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}.get(status["phase"], "")
    if ended or not is_restarting:
        return {"type": RESTARTING, "status": "False", "reason": ended}
    message = "container exited with restart policy rule"
    return {"type": RESTARTING, "status": "True", "reason": "RestartAllContainersStarted", "message": message}


def _truth(value: bool) -> str:
    return "True" if value else "False"


def _initialized(pod: View, status: View, before: View) -> Object:
    """Once it was true it stays so, though init containers may begin anew."""
    by_name = {item["name"]: item for item in status.get("initContainerStatuses") or ()}
    incomplete = []
    for container in spec.init_containers(pod):
        item = by_name[container["name"]]
        if not item.get("started" if spec.is_sidecar(container) else "ready"):
            incomplete.append(container["name"])
    if status["phase"] == "Succeeded":
        return {"type": "Initialized", "status": "True", "reason": "PodCompleted"}
    if not incomplete or _has_begun(status) or before.get("status") == "True":
        return {"type": "Initialized", "status": "True"}
    message = f"containers with incomplete status: {_names(incomplete)}"
    return {"type": "Initialized", "status": "False", "reason": "ContainersNotInitialized", "message": message}


def _has_begun(status: View) -> bool:
    """Whether any regular container has been started."""
    return any(
        item.get("started") or (item.get("lastState") or {}).get("terminated") or "waiting" not in item["state"]
        for item in status.get("containerStatuses") or ()
    )


def _containers_ready(pod: View, status: View) -> Object:
    if status["phase"] == "Succeeded":
        return {"status": "False", "reason": "PodCompleted"}
    if status["phase"] == "Failed":
        return {"status": "False", "reason": "PodFailed"}
    ready = {
        item["name"]: item["ready"]
        for sort in ("initContainerStatuses", "containerStatuses")
        for item in status.get(sort) or ()
    }
    sidecars = [container for container in spec.init_containers(pod) if spec.is_sidecar(container)]
    unready = [c["name"] for c in (*sidecars, *spec.containers(pod)) if not ready.get(c["name"])]
    if not unready:
        return {"status": "True"}
    message = f"containers with unready status: {_names(unready)}"
    return {"status": "False", "reason": "ContainersNotReady", "message": message}


def _ready(pod: View, containers_ready: View, foreign: Sequence[View]) -> Object:
    if containers_ready["status"] != "True":
        return {"type": "Ready", **containers_ready}
    statuses = {item["type"]: item["status"] for item in foreign}
    problems = []
    for gate in pod["spec"].get("readinessGates") or ():
        kind = gate["conditionType"]
        if kind not in statuses:
            problems.append(f'corresponding condition of pod readiness gate "{kind}" does not exist.')
        elif statuses[kind] != "True":
            problems.append(f'the status of pod readiness gate "{kind}" is not "True", but {statuses[kind]}')
    if problems:
        message = ", ".join(problems)
        return {"type": "Ready", "status": "False", "reason": "ReadinessGatesNotReady", "message": message}
    return {"type": "Ready", "status": "True"}


def _names(names: Sequence[str]) -> str:
    return f"[{' '.join(names)}]"
