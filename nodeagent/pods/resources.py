"""Requests and limits as cgroups take them: shares, quotas, bytes, and whom the kernel kills first. Pure.

Follows: pkg/kubelet/cm/helpers_linux.go, pkg/kubelet/qos/policy.go
"""

from __future__ import annotations

from nodeagent.pods import spec
from nodeagent.pods.spec import View
from nodeagent.runtime.protocol import Resources
from openapi.meta.quantity import Quantity

PERIOD_US = 100_000
MIN_QUOTA_US = 1000
MIN_SHARES, MAX_SHARES = 2, 262_144
_CRITICAL_PRIORITY = 2_000_000_000


def shares_of(milli_cpu: int) -> int:
    return min(max(milli_cpu * 1024 // 1000, MIN_SHARES), MAX_SHARES)


def quota_of(milli_cpu: int) -> int:
    return max(milli_cpu * PERIOD_US // 1000, MIN_QUOTA_US) if milli_cpu else 0


def container_resources(pod: View, container: View, node_memory_bytes: int) -> Resources:
    """The cgroup settings of one container."""
    requests, limits = spec.resources_of(container, "requests"), spec.resources_of(container, "limits")
    request, limit = _milli(requests.get("cpu")), _milli(limits.get("cpu"))
    quota = quota_of(limit)
    return Resources(
        cpu_period=PERIOD_US if quota else 0,
        cpu_quota=quota,
        cpu_shares=shares_of(limit if "cpu" not in requests and limit else request),
        memory_limit_bytes=Quantity.parse(limits["memory"]).value if limits.get("memory") else 0,
        oom_score_adj=oom_score_adj(pod, container, node_memory_bytes),
    )


def oom_score_adj(pod: View, container: View, node_memory_bytes: int) -> int:
    """The more of the node's memory a container has asked for, the later it is killed."""
    if int(pod["spec"].get("priority") or 0) >= _CRITICAL_PRIORITY or spec.is_static(pod):
        return -997
    quality = spec.qos_class(pod)
    if quality == "Guaranteed":
        return -997
    if quality == "BestEffort":
        return 1000
    request = Quantity.parse(spec.resources_of(container, "requests").get("memory") or "0").value
    score = 1000 - 1000 * request // max(node_memory_bytes, 1)
    if spec.is_sidecar(container) and container in spec.init_containers(pod):
        regular = [
            Quantity.parse(spec.resources_of(c, "requests").get("memory") or "0").value for c in spec.containers(pod)
        ]
        score = min(score, 1000 - 1000 * min(regular, default=0) // max(node_memory_bytes, 1))
    if score < 3:
        return 3
    return 999 if score >= 1000 else score


def _milli(text: str | None) -> int:
    return Quantity.parse(text).milli if text is not None else 0
