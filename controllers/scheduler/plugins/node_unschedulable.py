"""NodeUnschedulable: cordoned nodes take only pods that tolerate their taint."""

from __future__ import annotations

from collections.abc import Iterable

from controllers.scheduler.framework import ClusterEvent, Cycle, Filter, Rejection, Rows, rejected
from controllers.scheduler.pod import PodInfo
from controllers.scheduler.selection import Taint, tolerated

REASON = "node(s) were unschedulable"
CORDONED = Taint("node.kubernetes.io/unschedulable", "", "NoSchedule")


class NodeUnschedulable(Filter):
    name = "NodeUnschedulable"
    per_node = True

    def filter(self, cycle: Cycle, rows: Rows) -> Iterable[Rejection]:
        failing = cycle.snapshot.unschedulable[rows]
        if not failing.any() or tolerated(CORDONED, cycle.template.tolerations):
            return ()
        return rejected(failing, REASON, final=True)

    def fails(self, cycle: Cycle, row: int) -> bool:
        return bool(cycle.snapshot.unschedulable[row]) and not tolerated(CORDONED, cycle.template.tolerations)

    def wakes(self, event: ClusterEvent, pod: PodInfo) -> bool:
        if event.resource == "pod":
            return "tolerations" in event.fields
        if event.resource != "nodes" or event.new is None:
            return False
        if (event.new.get("spec") or {}).get("unschedulable"):
            return False
        return event.action == "add" or "taints" in event.fields
