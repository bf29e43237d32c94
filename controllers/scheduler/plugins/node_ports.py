"""NodePorts: two pods of one node cannot have the same port of it."""

from __future__ import annotations

from collections.abc import Iterable

from controllers.scheduler.framework import (
    SKIP,
    ClusterEvent,
    Cycle,
    Filter,
    PreFilter,
    PreFilterAnswer,
    Rejection,
    Rows,
    rejected,
)
from controllers.scheduler.pod import PodInfo

REASON = "node(s) didn't have free ports for the requested pod ports"


class NodePorts(PreFilter, Filter):
    name = "NodePorts"

    def pre_filter(self, cycle: Cycle) -> PreFilterAnswer:
        return None if cycle.template.ports else SKIP

    def filter(self, cycle: Cycle, rows: Rows) -> Iterable[Rejection]:
        return rejected(cycle.snapshot.ports.conflicts(cycle.template.ports)[rows], REASON)

    def wakes(self, event: ClusterEvent, pod: PodInfo) -> bool:
        if event.resource == "nodes":
            return event.action == "add"
        if event.resource == "pods" and event.action == "delete" and event.pod is not None:
            freed = {(port.protocol, port.port) for port in event.pod.template.ports}
            return any((port.protocol, port.port) in freed for port in pod.template.ports)
        return False
