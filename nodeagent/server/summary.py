"""`/stats/summary`: what the node, its pods and their containers use, as one object. Pure.

What nobody measures is left out rather than told as nothing.
Follows: pkg/kubelet/server/stats/summary.go; k8s.io/kubelet/pkg/apis/stats/v1alpha1/types.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType

from nodeagent.runtime.protocol import Usage
from nodeagent.server.host import Object, View
from nodeagent.server.machine_usage import DiskUsage
from nodeagent.server.pod_usage import PodUsage, Traffic
from nodeagent.server.readings import MACHINE, Reading
from nodeagent.volumes.usage import VolumeUsage
from openapi.meta.times import format_time

_NANOS = 1_000_000_000


def make_summary(
    node_name: str,
    pods: Sequence[View],
    reading: Reading,
    volumes: Mapping[str, Sequence[VolumeUsage]] = MappingProxyType({}),
    others: Mapping[str, PodUsage] = MappingProxyType({}),
) -> Object:
    """The whole object; pods without running containers are in it too. `volumes` and `others` by the uids of pods."""
    told = []
    at = _time(reading.machine.timestamp_ns)
    for pod, usages in by_pod(pods, reading):
        item = _pod(pod, usages, reading)
        uid, namespace = item["podRef"]["uid"], item["podRef"]["namespace"]
        found = [_volume(volume, namespace, at) for volume in volumes.get(uid, ())]
        if found:
            item["volume"] = found
        if uid in others:
            _add_others(item, pod, others[uid], reading.disk, at)
        told.append(item)
    node = _node(node_name, reading)
    if reading.traffic:
        node["network"] = _network(reading.traffic, at)
    return {"node": node, "pods": told}


def _add_others(item: Object, pod: View, usage: PodUsage, disk: DiskUsage, at: str) -> None:
    """Network, processes, logs, and what the pod takes of the node's disk."""
    if usage.traffic:
        item["network"] = _network(usage.traffic, at)
    if usage.processes is not None:
        item["process_stats"] = {"process_count": usage.processes}
    scratch = {
        volume["name"]
        for volume in pod["spec"].get("volumes") or ()
        if "emptyDir" in volume and (volume["emptyDir"] or {}).get("medium") != "Memory"
    }
    volumes = [volume for volume in item.get("volume", ()) if volume["name"] in scratch]
    parts = [(volume["usedBytes"], volume["inodesUsed"]) for volume in volumes]
    parts += [(tree.used_bytes, tree.inodes) for tree in usage.logs.values()]
    for container in item["containers"]:
        tree = usage.logs.get(container["name"])
        if tree is not None:
            container["logs"] = _share(disk, at, tree.used_bytes, tree.inodes)
        layer = container["rootfs"]
        container["rootfs"] = _share(disk, at, layer.get("usedBytes", 0), layer.get("inodesUsed", 0))
        parts.append((layer.get("usedBytes", 0), layer.get("inodesUsed", 0)))
    used, inodes = sum(part[0] for part in parts), sum(part[1] for part in parts)
    item["ephemeral-storage"] = _share(disk, at, used, inodes)


def _share(disk: DiskUsage, at: str, used: int, inodes: int) -> Object:
    """A part of the node's disk."""
    return {**_disk(at, disk), "usedBytes": used, "inodesUsed": inodes}


def _network(traffic: Sequence[Traffic], at: str) -> Object:
    """All interfaces, and the first once more as the one that counts."""
    interfaces = [
        {
            "name": item.interface,
            "rxBytes": item.rx_bytes,
            "rxErrors": item.rx_errors,
            "txBytes": item.tx_bytes,
            "txErrors": item.tx_errors,
        }
        for item in traffic
    ]
    main = next((item for item in interfaces if item["name"] == "eth0"), interfaces[0])
    return {"time": at, **main, "interfaces": interfaces}


def cpu_and_memory(node_name: str, pods: Sequence[View], reading: Reading) -> Object:
    """The same with processors and memory only."""
    whole = make_summary(node_name, pods, reading)
    node = {name: whole["node"][name] for name in ("nodeName", "startTime", "cpu", "memory")}
    return {"node": node, "pods": [_without_disks(pod) for pod in whole["pods"]]}


def _without_disks(pod: View) -> Object:
    containers = [{name: item[name] for name in item if name != "rootfs"} for item in pod["containers"]]
    return {**pod, "containers": containers}


def _volume(usage: VolumeUsage, namespace: str, at: str) -> Object:
    made: Object = {
        "time": at,
        "availableBytes": usage.available,
        "capacityBytes": usage.capacity,
        "usedBytes": usage.used,
        "inodesFree": usage.inodes_free,
        "inodes": usage.inodes,
        "inodesUsed": usage.inodes_used,
        "name": usage.name,
    }
    if usage.claim:
        made["pvcRef"] = {"name": usage.claim, "namespace": namespace}
    return made


def by_pod(pods: Sequence[View], reading: Reading) -> Iterator[tuple[View, Sequence[Usage]]]:
    """Each pod with what its containers use, the newest instance of each; ended ones use nothing."""
    found: dict[str, dict[str, Usage]] = {}
    living = [usage for usage in reading.containers if (usage.cpu_core_ns, usage.memory_working_set) != (None, None)]
    for usage in sorted(living, key=lambda usage: usage.container.attempt):
        uid = usage.container.labels.get("io.kubernetes.pod.uid", "")
        found.setdefault(uid, {})[usage.container.name] = usage
    for pod in pods:
        yield pod, list(found.get(pod["metadata"]["uid"], {}).values())


def started_at(pod: View, name: str) -> str:
    """When a container's current run began, as its status tells; '' when it has not."""
    status = pod.get("status") or {}
    for field in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for item in status.get(field) or ():
            if item["name"] == name:
                return str(((item.get("state") or {}).get("running") or {}).get("startedAt") or "")
    return ""


def _node(name: str, reading: Reading) -> Object:
    machine, disk = reading.machine, reading.disk
    at = _time(machine.timestamp_ns)
    return {
        "nodeName": name,
        "startTime": _time(machine.boot_ns),
        "cpu": _given(
            {"time": at, "usageNanoCores": reading.rates.get(MACHINE), "usageCoreNanoSeconds": machine.cpu_core_ns}
        ),
        "memory": {
            "time": at,
            "availableBytes": max(0, machine.memory_capacity - machine.memory_working_set),
            "usageBytes": machine.memory_usage,
            "workingSetBytes": machine.memory_working_set,
            "rssBytes": machine.memory_rss,
            "pageFaults": machine.page_faults,
            "majorPageFaults": machine.major_page_faults,
        },
        "fs": _disk(at, disk),
        "runtime": {"imageFs": _disk(at, disk), "containerFs": _disk(at, disk)},
        "rlimit": {"time": at, "maxpid": machine.process_limit, "curproc": machine.processes},
        "swap": {"time": at, "swapAvailableBytes": machine.swap_available, "swapUsageBytes": machine.swap_usage},
    }


def _disk(at: str, disk: DiskUsage) -> Object:
    return {
        "time": at,
        "availableBytes": disk.available,
        "capacityBytes": disk.capacity,
        "usedBytes": disk.used,
        "inodesFree": disk.inodes_free,
        "inodes": disk.inodes,
        "inodesUsed": disk.inodes - disk.inodes_free,
    }


def _pod(pod: View, usages: Sequence[Usage], reading: Reading) -> Object:
    metadata = pod["metadata"]
    containers = [_container(pod, usage, reading) for usage in usages]
    found: Object = {
        "podRef": {"name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"]},
        "startTime": (pod.get("status") or {}).get("startTime"),
        "containers": containers,
    }
    if containers:
        found["cpu"] = _sum([container["cpu"] for container in containers])
        found["memory"] = _sum([container["memory"] for container in containers])
    return found


def _sum(parts: Sequence[Mapping[str, int | str]]) -> Object:
    """Amounts added up, where every part knows them."""
    total: Object = {"time": max(str(part["time"]) for part in parts)}
    for name in parts[0]:
        if name != "time" and all(name in part for part in parts):
            total[name] = sum(int(part[name]) for part in parts)
    return total


def _container(pod: View, usage: Usage, reading: Reading) -> Object:
    at = _time(usage.timestamp_ns or reading.machine.timestamp_ns)
    name = usage.container.name
    return {
        "name": name,
        "startTime": started_at(pod, name) or None,
        "cpu": _given(
            {
                "time": at,
                "usageNanoCores": reading.rates.get(usage.container.id),
                "usageCoreNanoSeconds": usage.cpu_core_ns,
            }
        ),
        "memory": _given(
            {
                "time": at,
                "usageBytes": usage.memory_usage,
                "workingSetBytes": usage.memory_working_set,
                "rssBytes": usage.memory_rss,
                "pageFaults": usage.page_faults,
                "majorPageFaults": usage.major_page_faults,
            }
        ),
        "rootfs": _given({"time": at, "usedBytes": usage.root_used_bytes, "inodesUsed": usage.root_inodes_used}),
    }


def _given(fields: Mapping[str, int | str | None]) -> Object:
    return {name: value for name, value in fields.items() if value is not None}


def _time(at_ns: int) -> str:
    return format_time(datetime.fromtimestamp(at_ns // _NANOS, UTC))
