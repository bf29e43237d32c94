"""The table of pods: readiness, the one word that tells a pod's state best, restarts, and where it runs.

Follows: pkg/printers/internalversion/printers.go printPod
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apiserver.resources.age import age
from apiserver.resources.strategy import AGE_COLUMN, NAME_COLUMN, Column

Object = Mapping[str, Any]

_NONE = "<none>"
_EMPTY: Object = {}
COLUMNS = (
    NAME_COLUMN,
    Column("Ready", "string", "The aggregate readiness state of this pod for accepting traffic."),
    Column("Status", "string", "The aggregate status of the containers in this pod."),
    Column(
        "Restarts",
        "string",
        "The number of times the containers in this pod have been restarted and when the last container in this pod "
        "has restarted.",
    ),
    AGE_COLUMN,
    Column(
        "IP",
        "string",
        "podIP address allocated to the pod. Routable at least within the cluster. Empty if not yet allocated.",
        priority=1,
    ),
    Column(
        "Node",
        "string",
        "NodeName indicates in which node this pod is scheduled. If empty, this pod is a candidate for scheduling by "
        "the scheduler defined in schedulerName. Once this field is set, the kubelet for this node becomes responsible "
        "for the lifecycle of this pod. This field should not be used to express a desire for the pod to be scheduled "
        "on a specific node. https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#nodename",
        priority=1,
    ),
    Column(
        "Nominated Node",
        "string",
        "nominatedNodeName is set only when this pod preempts other pods on the node, but it cannot be scheduled right "
        "away as preemption victims receive their graceful termination periods. This field does not guarantee that the "
        "pod will be scheduled on this node. Scheduler may decide to place the pod elsewhere if other nodes become "
        "available sooner. Scheduler may also decide to give the resources on this node to a higher priority pod that "
        "is created after preemption. As a result, this field may be different than PodSpec.nodeName when the pod is "
        "scheduled.",
        priority=1,
    ),
    Column(
        "Readiness Gates",
        "string",
        "If specified, all readiness gates will be evaluated for pod readiness. A pod is ready when all its containers "
        'are ready AND all conditions specified in the readiness gates have status equal to "True" More info: '
        "https://git.k8s.io/enhancements/keps/sig-network/580-pod-readiness-gates",
        priority=1,
    ),
)


@dataclass(slots=True)
class Tally:
    """What the containers add up to, while they are looked through."""

    reason: str
    ready: int = 0
    restarts: int = 0
    last_restart: str = ""
    sidecar_restarts: int = 0
    last_sidecar_restart: str = ""
    initializing: bool = False


def pod_cells(pod: Object, now: datetime) -> list[Any]:
    meta, spec, status = pod["metadata"], pod.get("spec") or _EMPTY, pod.get("status") or _EMPTY
    tally = Tally(_phase(status))
    sidecars = {c["name"] for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"}
    _look_through_init_containers(spec, status, sidecars, tally)
    if not tally.initializing or _condition(status, "Initialized") == "True":
        _look_through_containers(status, tally)
    total = len(spec.get("containers") or ()) + len(sidecars)
    restarts = str(tally.restarts)
    if tally.restarts and tally.last_restart:
        restarts = f"{restarts} ({age(tally.last_restart, now)} ago)"
    return [
        meta.get("name", ""),
        f"{tally.ready}/{total}",
        _with_deletion(meta, status, tally.reason),
        restarts,
        age(meta.get("creationTimestamp"), now),
        (status.get("podIPs") or (_EMPTY,))[0].get("ip") or _NONE,
        spec.get("nodeName") or _NONE,
        status.get("nominatedNodeName") or _NONE,
        _readiness_gates(spec, status),
    ]


def _phase(status: Object) -> str:
    reason = status.get("reason") or status.get("phase", "")
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "SchedulingGated":
            reason = "SchedulingGated"
    return str(reason)


def _condition(status: Object, kind: str) -> str:
    for condition in status.get("conditions") or ():
        if condition.get("type") == kind:
            return str(condition.get("status", ""))
    return ""


def _restarted_at(container: Object) -> str:
    """When its last run ended; times of one form compare as texts."""
    ended = (container.get("lastState") or _EMPTY).get("terminated") or _EMPTY
    return ended.get("finishedAt") or ""


def _look_through_init_containers(spec: Object, status: Object, sidecars: set[str], tally: Tally) -> None:
    for index, container in enumerate(status.get("initContainerStatuses") or ()):
        count, ended_at = container.get("restartCount", 0), _restarted_at(container)
        is_sidecar = container.get("name") in sidecars
        tally.restarts += count
        tally.last_restart = max(tally.last_restart, ended_at)
        if is_sidecar:
            tally.sidecar_restarts += count
            tally.last_sidecar_restart = max(tally.last_sidecar_restart, ended_at)
        state = container.get("state") or _EMPTY
        ended, waiting = state.get("terminated"), (state.get("waiting") or _EMPTY).get("reason", "")
        if ended is not None and not ended.get("exitCode"):
            continue
        if is_sidecar and container.get("started"):
            tally.ready += bool(container.get("ready"))
            continue
        if ended is not None:
            tally.reason = f"Init:{_ending(ended)}"
        elif waiting and waiting != "PodInitializing":
            tally.reason = f"Init:{waiting}"
        else:
            tally.reason = f"Init:{index}/{len(spec.get('initContainers') or ())}"
        tally.initializing = True
        return


def _ending(ended: Object) -> str:
    if ended.get("reason"):
        return str(ended["reason"])
    return f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode', 0)}"


def _look_through_containers(status: Object, tally: Tally) -> None:
    tally.restarts, tally.last_restart = tally.sidecar_restarts, tally.last_sidecar_restart
    has_running = False
    for container in reversed(status.get("containerStatuses") or ()):
        tally.restarts += container.get("restartCount", 0)
        tally.last_restart = max(tally.last_restart, _restarted_at(container))
        state = container.get("state") or _EMPTY
        waiting, ended = (state.get("waiting") or _EMPTY).get("reason"), state.get("terminated")
        if waiting:
            tally.reason = waiting
        elif ended is not None:
            tally.reason = _ending(ended)
        elif container.get("ready") and "running" in state:
            has_running = True
            tally.ready += 1
    if tally.reason == "Completed" and has_running:
        tally.reason = "Running" if _condition(status, "Ready") == "True" else "NotReady"


def _with_deletion(meta: Object, status: Object, reason: str) -> str:
    if "deletionTimestamp" not in meta:
        return reason
    if status.get("reason") == "NodeLost":
        return "Unknown"
    return reason if status.get("phase") in ("Succeeded", "Failed") else "Terminating"


def _readiness_gates(spec: Object, status: Object) -> str:
    gates = spec.get("readinessGates") or ()
    if not gates:
        return _NONE
    fulfilled = sum(_condition(status, gate.get("conditionType", "")) == "True" for gate in gates)
    return f"{fulfilled}/{len(gates)}"


_COMPLETED = {
    "Succeeded": ("Succeeded", "The pod has completed successfully."),
    "Failed": ("Failed", "The pod failed."),
}


def pod_row_conditions(pod: Object) -> list[dict[str, Any]]:
    """The conditions of a pod's row: that it has completed."""
    phase = (pod.get("status") or _EMPTY).get("phase", "")
    if phase not in _COMPLETED:
        return []
    reason, message = _COMPLETED[phase]
    return [{"type": "Completed", "status": "True", "reason": reason, "message": message}]
