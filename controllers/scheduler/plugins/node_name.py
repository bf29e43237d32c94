"""NodeName: a pod that names its node runs there or nowhere."""

from __future__ import annotations

from collections.abc import Iterable

from controllers.scheduler.framework import Cycle, Filter, Rejection, Rows, rejected

REASON = "node(s) didn't match the requested node name"


class NodeName(Filter):
    name = "NodeName"

    def filter(self, cycle: Cycle, rows: Rows) -> Iterable[Rejection]:
        wanted = cycle.pod.obj["spec"].get("nodeName")
        if not wanted:
            return ()
        return rejected(~cycle.snapshot.named((wanted,))[rows], REASON, final=True)
