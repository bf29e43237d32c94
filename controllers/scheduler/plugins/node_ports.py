"""NodePorts: two pods of one node cannot have the same port of it."""

from __future__ import annotations

from collections.abc import Iterable

from controllers.scheduler.columns import ANY_IP
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
from controllers.scheduler.pod import PodInfo, Template
from controllers.scheduler.resources import HostPort

REASON = "node(s) didn't have free ports for the requested pod ports"


def clash(one: HostPort, other: HostPort) -> bool:
    """Whether two pods of one node cannot have these ports."""
    if (one.protocol, one.port) != (other.protocol, other.port):
        return False
    return one.ip == other.ip or ANY_IP in (one.ip, other.ip)


class NodePorts(PreFilter, Filter):
    name = "NodePorts"

    def concerns(self, template: Template) -> bool:
        return bool(template.ports)

    def pre_filter(self, cycle: Cycle) -> PreFilterAnswer:
        return None if cycle.template.ports else SKIP

    def filter(self, cycle: Cycle, rows: Rows) -> Iterable[Rejection]:
        return rejected(cycle.snapshot.ports.conflicts(cycle.template.ports)[rows], REASON)

    def wakes(self, event: ClusterEvent, pod: PodInfo) -> bool:
        if event.resource == "nodes":
            return event.action == "add"
        if event.resource == "pods" and event.action == "delete" and event.pod is not None:
            return any(clash(mine, freed) for mine in pod.template.ports for freed in event.pod.template.ports)
        return False
