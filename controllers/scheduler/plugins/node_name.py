"""NodeName: a pod that names its node runs there or nowhere."""

from __future__ import annotations

from collections.abc import Iterable

from controllers.scheduler.framework import ClusterEvent, Cycle, Filter, Rejection, Rows, rejected
from controllers.scheduler.pod import PodInfo

REASON = "node(s) didn't match the requested node name"


class NodeName(Filter):
    name = "NodeName"

    def filter(self, cycle: Cycle, rows: Rows) -> Iterable[Rejection]:
        wanted = cycle.pod.obj["spec"].get("nodeName")
        if not wanted:
            return ()
        return rejected(~cycle.snapshot.named((wanted,))[rows], REASON, final=True)

    def wakes(self, event: ClusterEvent, pod: PodInfo) -> bool:
        return event.resource == "nodes" and event.action == "add"
