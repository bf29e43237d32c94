"""Which pods a node ends before its machine shuts down, in which order and within which time. Pure.

Follows: pkg/kubelet/nodeshutdown/nodeshutdown_manager.go
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nodeagent.node.eviction import CRITICAL_PRIORITY
from nodeagent.pods import spec
from nodeagent.pods.admit import Rejection
from nodeagent.pods.spec import View

PROBLEM = "node is shutting down"
"""Why the node is not ready meanwhile."""
REFUSAL = Rejection("NodeShutdown", "Pod was rejected as the node is shutting down.")
ENDED = ("Terminated", "Pod was terminated in response to imminent node shutdown.")
"""Reason and message of pods that are ended."""


@dataclass(frozen=True, slots=True)
class ShutdownPeriods:
    """Seconds for normal pods, and then for critical ones; none at all: shutdowns are not waited for."""

    normal_s: int = 0
    critical_s: int = 0

    @property
    def total_s(self) -> int:
        return self.normal_s + self.critical_s


@dataclass(frozen=True, slots=True)
class ShutdownGroup:
    """Pods that end together: by uid, the grace that each gets. After `period_s` nobody waits for them any more."""

    period_s: int
    graces_s: Mapping[str, int]


def make_periods(total_s: float, critical_s: float) -> ShutdownPeriods:
    """Split the time that there is. Raises ValueError for what makes no sense."""
    for option, period_s in (("period", total_s), ("period-critical-pods", critical_s)):
        if period_s and period_s < 1:
            raise ValueError(f"--shutdown-grace-{option} must be 0 or at least 1s")
    if critical_s > total_s:
        raise ValueError("--shutdown-grace-period-critical-pods must not exceed --shutdown-grace-period")
    return ShutdownPeriods(int(total_s - critical_s), int(critical_s))


def plan_shutdown(pods: Sequence[View], periods: ShutdownPeriods) -> list[ShutdownGroup]:
    """The groups in their order. A pod keeps the grace period of its own where that is the shorter one."""
    groups = []
    for is_critical, period_s in ((False, periods.normal_s), (True, periods.critical_s)):
        chosen = [pod for pod in pods if _is_critical(pod) is is_critical]
        if chosen:
            groups.append(ShutdownGroup(period_s, {spec.uid_of(pod): _grace_s(pod, period_s) for pod in chosen}))
    return groups


def _is_critical(pod: View) -> bool:
    return int(pod["spec"].get("priority") or 0) >= CRITICAL_PRIORITY


def _grace_s(pod: View, period_s: int) -> int:
    own = pod["spec"].get("terminationGracePeriodSeconds")
    return period_s if own is None else min(int(own), period_s)
