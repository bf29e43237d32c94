"""Reading pods as plain JSON: their containers by sort, names in messages, quality of service, requests and limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from openapi.meta.quantity import Quantity

Object = dict[str, Any]
View = Mapping[str, Any]

CONFIG_SOURCE = "kubernetes.io/config.source"
CONFIG_MIRROR = "kubernetes.io/config.mirror"
CONFIG_HASH = "kubernetes.io/config.hash"
CONFIG_SEEN = "kubernetes.io/config.seen"


def uid_of(pod: View) -> str:
    """The uid under which containers are kept: that of a static pod's file, not of its mirror in the API."""
    return str(pod["metadata"]["uid"])


def full_name(pod: View) -> str:
    """As messages and log folders name a pod: `name_namespace(uid)`."""
    metadata = pod["metadata"]
    return f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"


def containers(pod: View) -> Sequence[View]:
    return pod["spec"].get("containers") or ()


def init_containers(pod: View) -> Sequence[View]:
    return pod["spec"].get("initContainers") or ()


def ephemeral_containers(pod: View) -> Sequence[View]:
    return pod["spec"].get("ephemeralContainers") or ()


def all_containers(pod: View) -> Iterator[View]:
    yield from init_containers(pod)
    yield from containers(pod)
    yield from ephemeral_containers(pod)


def container_named(pod: View, name: str) -> View | None:
    return next((container for container in all_containers(pod) if container["name"] == name), None)


def sort_of(pod: View, name: str) -> str:
    """`init`, `regular` or `ephemeral`."""
    if any(container["name"] == name for container in init_containers(pod)):
        return "init"
    return "regular" if any(container["name"] == name for container in containers(pod)) else "ephemeral"


def field_path(pod: View, name: str) -> str:
    """Where in the pod a container is, as events about it say."""
    for field in ("containers", "initContainers", "ephemeralContainers"):
        if any(container["name"] == name for container in pod["spec"].get(field) or ()):
            return f"spec.{field}{{{name}}}"
    return ""


def is_sidecar(container: View) -> bool:
    """An init container that keeps running beside the others."""
    return bool(container.get("restartPolicy") == "Always")


def is_host_network(pod: View) -> bool:
    return bool(pod["spec"].get("hostNetwork"))


def is_static(pod: View) -> bool:
    return bool((pod["metadata"].get("annotations") or {}).get(CONFIG_SOURCE, "api") != "api")


def is_mirror(pod: View) -> bool:
    return CONFIG_MIRROR in (pod["metadata"].get("annotations") or {})


def is_deleting(pod: View) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def is_terminal(pod: View) -> bool:
    """Whether the API says that the pod has ended for good."""
    return (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded")


def has_started(pod: View) -> bool:
    """Whether any container of the pod has been made, as its status tells."""
    status = pod.get("status") or {}
    fields = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
    return any(item.get("containerID") for field in fields for item in status.get(field) or ())


def mounted_volumes(pod: View) -> tuple[set[str], set[str]]:
    """The names of the volumes that containers mount, and of those that they use as devices."""
    mounts, devices = set(), set()
    for container in all_containers(pod):
        mounts |= {mount["name"] for mount in container.get("volumeMounts") or ()}
        devices |= {device["name"] for device in container.get("volumeDevices") or ()}
    return mounts, devices


def restart_policy(pod: View) -> str:
    return str(pod["spec"].get("restartPolicy") or "Always")


def grace_s(pod: View) -> int:
    """How long the pod may take to stop: what its deletion says, else what its spec does."""
    deletion = pod["metadata"].get("deletionGracePeriodSeconds")
    if deletion is not None:
        return int(deletion)
    grace = pod["spec"].get("terminationGracePeriodSeconds")
    return 30 if grace is None else int(grace)


def resources_of(container: View, sort: str) -> Mapping[str, str]:
    """The container's `requests` or `limits`."""
    return (container.get("resources") or {}).get(sort) or {}


def qos_class(pod: View) -> str:
    """Guaranteed, Burstable or BestEffort by the requests and limits of cpu and memory."""
    level = pod["spec"].get("resources")
    asked = [level] if level else [c.get("resources") or {} for c in (*containers(pod), *init_containers(pod))]
    has_any, is_guaranteed = False, True
    for resources in asked:
        requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
        for name in ("cpu", "memory"):
            request, limit = _amount(requests.get(name)), _amount(limits.get(name))
            has_any = has_any or request > 0 or limit > 0
            if limit == 0 or (request or limit) != limit:
                is_guaranteed = False
    if not has_any:
        return "BestEffort"
    return "Guaranteed" if is_guaranteed else "Burstable"


def _amount(text: Any) -> int:
    return Quantity.parse(text).milli if text is not None else 0


def pod_requests(pod: View) -> dict[str, int]:
    """What the scheduler counts for a pod, in thousandths: the sum of containers, the most that starting needs."""
    total: dict[str, int] = {}
    for container in containers(pod):
        _add(total, resources_of(container, "requests"))
    sidecars: dict[str, int] = {}
    peak: dict[str, int] = {}
    for container in init_containers(pod):
        if is_sidecar(container):
            _add(total, resources_of(container, "requests"))
            _add(sidecars, resources_of(container, "requests"))
            need = sidecars
        else:
            need = dict(sidecars)
            _add(need, resources_of(container, "requests"))
        peak = {name: max(peak.get(name, 0), need.get(name, 0)) for name in {*peak, *need}}
    total = {name: max(total.get(name, 0), peak.get(name, 0)) for name in {*total, *peak}}
    for name, text in ((pod["spec"].get("resources") or {}).get("requests") or {}).items():
        total[name] = Quantity.parse(text).milli
    _add(total, pod["spec"].get("overhead") or {})
    return total


def _add(total: dict[str, int], amounts: Mapping[str, str]) -> None:
    for name, text in amounts.items():
        total[name] = total.get(name, 0) + Quantity.parse(text).milli
