"""The Node object and its status: labels, addresses, capacity, conditions, images, versions. Pure.

Follows: pkg/kubelet/nodestatus/setters.go, pkg/kubelet/kubelet_node_status.go
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from controllers.runtime.client import VERSION
from nodeagent.node.machine import Machine
from nodeagent.runtime.protocol import Image, Readiness
from openapi.meta.quantity import Quantity
from openapi.meta.times import format_time

Object = dict[str, Any]
View = Mapping[str, Any]

MAX_PODS = 110
IMAGE_LIMIT, IMAGE_NAME_LIMIT = 50, 5
DECLARED_FEATURES = (
    "InPlacePodResizeNonSidecarInitContainers",
    "RestartAllContainersOnContainerExits",
)
"""What pods may ask of this node that older nodes cannot do. Resources of whole pods are not changed in place."""
VOLUME_CONTROLLER_ANNOTATION = "volumes.kubernetes.io/controller-managed-attach-detach"

_CONDITIONS = (
    ("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available",
     "KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
    ("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure",
     "KubeletHasDiskPressure", "kubelet has disk pressure"),
    ("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available",
     "KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class NodeState:
    """What changes in the life of a node. `pressures` are the types of pressure conditions that hold.

    `shutdown` says that the machine is about to shut down; '' when it is not.
    """

    readiness: Readiness
    runtime_version: str
    images: Sequence[Image] = ()
    pressures: frozenset[str] = field(default_factory=frozenset)
    port: int = 10250
    volumes_in_use: Sequence[str] = ()
    shutdown: str = ""


def capacity_of(machine: Machine, max_pods: int = MAX_PODS) -> dict[str, str]:
    return {
        "cpu": str(machine.cpus),
        "ephemeral-storage": _in_bytes(machine.disk_bytes),
        "hugepages-1Gi": "0",
        "hugepages-2Mi": "0",
        "memory": _in_bytes(machine.memory_bytes),
        "pods": str(max_pods),
    }


def allocatable_of(machine: Machine, max_pods: int = MAX_PODS) -> dict[str, str]:
    """The capacity without what is reserved for the system and what eviction keeps free."""
    reserved = machine.reserved
    disk = machine.disk_bytes - reserved.disk_bytes - reserved.free_disk_bytes
    memory = machine.memory_bytes - reserved.memory_bytes - reserved.free_memory_bytes
    return {
        **capacity_of(machine, max_pods),
        "cpu": str(Quantity.of_milli(max(0, machine.cpus * 1000 - reserved.cpu_milli))),
        "ephemeral-storage": str(max(0, disk)),
        "memory": _in_bytes(max(0, memory)),
    }


def _in_bytes(amount: int) -> str:
    """As the API writes it too: a status that is only written otherwise would be written for ever."""
    return str(Quantity.parse(f"{amount // 1024}Ki"))


def labels_of(name: str, machine: Machine) -> dict[str, str]:
    return {
        "beta.kubernetes.io/arch": machine.architecture,
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": machine.architecture,
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
    }


def make_node(name: str, machine: Machine, labels: Mapping[str, str], taints: Sequence[View]) -> Object:
    """The object with which the node registers."""
    spec: Object = {"taints": list(taints)} if taints else {}
    return {
        "kind": "Node",
        "apiVersion": "v1",
        "metadata": {
            "name": name,
            "labels": {**labels_of(name, machine), **labels},
            "annotations": {VOLUME_CONTROLLER_ANNOTATION: "true"},
        },
        "spec": spec,
    }


def make_node_status(name: str, machine: Machine, state: NodeState, old: View, now: datetime) -> Object:
    """The status, as a merge patch; conditions keep the time of their last change, and those of others stay."""
    status: Object = {
        "addresses": [
            *({"type": "InternalIP", "address": address} for address in machine.addresses),
            {"type": "Hostname", "address": name},
        ],
        **_resources(machine, old),
        "conditions": _conditions(state, old, now),
        "daemonEndpoints": {"kubeletEndpoint": {"Port": state.port}},
        "declaredFeatures": list(DECLARED_FEATURES),
        "images": _images(state.images),
        "nodeInfo": {
            "architecture": machine.architecture,
            "bootID": machine.boot_id,
            "containerRuntimeVersion": state.runtime_version,
            "kernelVersion": machine.kernel,
            "kubeProxyVersion": "",
            "kubeletVersion": VERSION,
            "machineID": machine.machine_id,
            "operatingSystem": "linux",
            "osImage": machine.os_image,
            "systemUUID": machine.system_uuid,
        },
        "volumesInUse": list(state.volumes_in_use) or None,
    }
    if state.readiness.runtime:
        status |= _runtime_features(state.readiness)
    return status


def _resources(machine: Machine, old: View) -> Object:
    """Capacity and what of it pods may have. What others have added to the capacity stays; pods may have all of it."""
    capacity, before = capacity_of(machine), old.get("allocatable") or {}
    added = {name: amount for name, amount in (old.get("capacity") or {}).items() if name not in capacity}
    gone = {name: None for name in before if name not in capacity and name not in added}
    return {"allocatable": {**allocatable_of(machine), **added, **gone}, "capacity": {**capacity, **added}}


def _runtime_features(readiness: Readiness) -> Object:
    """What the runtime says that it can do."""
    handlers = [
        {
            "name": handler.name,
            "features": {
                "recursiveReadOnlyMounts": handler.recursive_readonly,
                "userNamespaces": handler.user_namespaces,
            },
        }
        for handler in readiness.handlers
    ]
    strict = readiness.strict_groups
    features = {"supplementalGroupsPolicy": strict} if strict is not None else None
    return {"runtimeHandlers": handlers or None, "features": features}


def _images(images: Sequence[Image]) -> list[Object]:
    """The largest ones with some of their names, as the scheduler likes to know."""
    largest = sorted(images, key=lambda image: image.size, reverse=True)[:IMAGE_LIMIT]
    return [
        {"names": [*image.digests, *image.tags][:IMAGE_NAME_LIMIT], "sizeBytes": image.size}
        for image in largest
        if image.tags or image.digests
    ]


def _conditions(state: NodeState, old: View, now: datetime) -> list[Object]:
    before = {item["type"]: item for item in old.get("conditions") or ()}
    made = []
    for kind, good, good_text, bad, bad_text in _CONDITIONS:
        has = kind in state.pressures
        made.append(_condition(kind, "True" if has else "False", bad if has else good, bad_text if has else good_text))
    made.append(_ready(state.readiness, state.shutdown))
    own = {item["type"] for item in made}
    for item in made:
        previous = before.get(item["type"])
        unchanged = previous is not None and previous["status"] == item["status"]
        item["lastHeartbeatTime"] = format_time(now)
        item["lastTransitionTime"] = previous["lastTransitionTime"] if unchanged and previous else format_time(now)
    foreign = [dict(item) for item in old.get("conditions") or () if item["type"] not in own]
    return foreign + made


def _condition(kind: str, status: str, reason: str, message: str) -> Object:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def _ready(readiness: Readiness, shutdown: str) -> Object:
    problems = []
    if not readiness.runtime:
        problems.append(f"container runtime is down: {readiness.runtime_message}".rstrip(": "))
    if not readiness.network:
        text = "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:"
        problems.append(text + readiness.network_message)
    if shutdown:
        problems.append(shutdown)
    if problems:
        message = f"[{', '.join(problems)}]" if problems[1:] else problems[0]
        return _condition("Ready", "False", "KubeletNotReady", message)
    return _condition("Ready", "True", "KubeletReady", "kubelet is posting ready status")
