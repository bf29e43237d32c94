"""`/metrics/resource` and `/metrics/cadvisor`: usage as Prometheus text. Pure.

Follows: pkg/kubelet/metrics/collectors/resource_metrics.go; names of the second as cAdvisor has them
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nodeagent.runtime.protocol import Usage
from nodeagent.server.host import View
from nodeagent.server.readings import Reading
from nodeagent.server.summary import by_pod, started_at
from openapi.meta.times import parse_time

_NANOS = 1e9
_NONE: Mapping[str, str] = {}
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})

_RESOURCE_HELP = {
    "container_cpu_usage_seconds_total": "[STABLE] Cumulative cpu time consumed by the container in core-seconds",
    "container_memory_working_set_bytes": "[STABLE] Current working set of the container in bytes",
    "container_start_time_seconds": "[STABLE] Start time of the container since unix epoch in seconds",
    "node_cpu_usage_seconds_total": "[STABLE] Cumulative cpu time consumed by the node in core-seconds",
    "node_memory_working_set_bytes": "[STABLE] Current working set of the node in bytes",
    "node_swap_usage_bytes": "[ALPHA] Current swap usage of the node in bytes. Reported only on non-windows systems",
    "pod_cpu_usage_seconds_total": "[STABLE] Cumulative cpu time consumed by the pod in core-seconds",
    "pod_memory_working_set_bytes": "[STABLE] Current working set of the pod in bytes",
    "resource_scrape_error": "[STABLE] 1 if there was an error while getting container metrics, 0 otherwise",
}
_CADVISOR_HELP = {
    "container_cpu_usage_seconds_total": "Cumulative cpu time consumed in seconds.",
    "container_memory_rss": "Size of RSS in bytes.",
    "container_memory_usage_bytes": "Current memory usage in bytes, including all memory whenever it was accessed.",
    "container_memory_working_set_bytes": "Current working set in bytes.",
    "container_start_time_seconds": "Start time of the container since unix epoch in seconds.",
    "machine_cpu_cores": "Number of logical CPU cores.",
    "machine_memory_bytes": "Amount of memory installed on the machine.",
}


class _Text:
    """Samples gathered by metric."""

    def __init__(self, help: Mapping[str, str]) -> None:
        self._help = help
        self._samples: dict[str, list[str]] = {name: [] for name in help}

    def add(self, name: str, value: float | None, labels: Mapping[str, str] = _NONE, at_ns: int = 0) -> None:
        """One sample; none where nobody knows the value."""
        if value is None:
            return
        pairs = ",".join(f'{label}="{text.translate(_ESCAPES)}"' for label, text in labels.items())
        moment = f" {at_ns // 1_000_000}" if at_ns else ""
        self._samples[name].append(f"{name}{'{' + pairs + '}' if pairs else ''} {_number(value)}{moment}\n")

    def render(self) -> bytes:
        parts = []
        for name, samples in self._samples.items():
            if samples:
                sort = "counter" if name.endswith("_total") else "gauge"
                parts.append(f"# HELP {name} {self._help[name]}\n# TYPE {name} {sort}\n" + "".join(samples))
        return "".join(parts).encode()


def _number(value: float) -> str:
    return repr(value) if isinstance(value, float) and not value.is_integer() else str(int(value))


def resource_metrics(pods: Sequence[View], reading: Reading) -> bytes:
    """What the metrics server reads."""
    text, machine = _Text(_RESOURCE_HELP), reading.machine
    text.add("node_cpu_usage_seconds_total", machine.cpu_core_ns / _NANOS, at_ns=machine.timestamp_ns)
    text.add("node_memory_working_set_bytes", machine.memory_working_set, at_ns=machine.timestamp_ns)
    text.add("node_swap_usage_bytes", machine.swap_usage, at_ns=machine.timestamp_ns)
    for pod, usages in by_pod(pods, reading):
        where = {"namespace": pod["metadata"]["namespace"], "pod": pod["metadata"]["name"]}
        for usage in usages:
            _add_container(text, pod, usage, {"container": usage.container.name, **where}, usage.timestamp_ns)
        _add_pod(text, usages, where)
    text.add("resource_scrape_error", int(reading.failed))
    return text.render()


def _add_container(text: _Text, pod: View, usage: Usage, labels: Mapping[str, str], at_ns: int) -> None:
    text.add("container_cpu_usage_seconds_total", _seconds(usage.cpu_core_ns), labels, at_ns)
    text.add("container_memory_working_set_bytes", usage.memory_working_set, labels, at_ns)
    text.add("container_start_time_seconds", _start_s(pod, usage), labels)


def _add_pod(text: _Text, usages: Sequence[Usage], labels: Mapping[str, str]) -> None:
    cpu = [usage.cpu_core_ns for usage in usages]
    memory = [usage.memory_working_set for usage in usages]
    at_ns = max((usage.timestamp_ns for usage in usages), default=0)
    if usages and None not in cpu:
        text.add("pod_cpu_usage_seconds_total", _seconds(sum(ns or 0 for ns in cpu)), labels, at_ns)
    if usages and None not in memory:
        text.add("pod_memory_working_set_bytes", sum(size or 0 for size in memory), labels, at_ns)


def cadvisor_metrics(pods: Sequence[View], reading: Reading) -> bytes:
    """The few of cAdvisor's metrics that are known here."""
    text = _Text(_CADVISOR_HELP)
    for pod, usages in by_pod(pods, reading):
        for usage in usages:
            labels = _cadvisor_labels(pod, usage)
            at_ns = usage.timestamp_ns
            cpu_s = _seconds(usage.cpu_core_ns)
            text.add("container_cpu_usage_seconds_total", cpu_s, {**labels, "cpu": "total"}, at_ns)
            text.add("container_memory_rss", usage.memory_rss, labels, at_ns)
            text.add("container_memory_usage_bytes", usage.memory_usage, labels, at_ns)
            text.add("container_memory_working_set_bytes", usage.memory_working_set, labels, at_ns)
            text.add("container_start_time_seconds", _start_s(pod, usage), labels)
    text.add("machine_cpu_cores", reading.machine.cpus)
    text.add("machine_memory_bytes", reading.machine.memory_capacity)
    return text.render()


def _cadvisor_labels(pod: View, usage: Usage) -> dict[str, str]:
    name = usage.container.name
    images = [item["image"] for item in pod["spec"]["containers"] if item["name"] == name]
    return {
        "container": name,
        "id": usage.container.id,
        "image": images[0] if images else "",
        "name": usage.container.id,
        "namespace": pod["metadata"]["namespace"],
        "pod": pod["metadata"]["name"],
    }


def _seconds(nanos: int | None) -> float | None:
    return None if nanos is None else nanos / _NANOS


def _start_s(pod: View, usage: Usage) -> float | None:
    started = started_at(pod, usage.container.name)
    return parse_time(started).timestamp() if started else None
