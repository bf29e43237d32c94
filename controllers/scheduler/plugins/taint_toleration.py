"""TaintToleration: nodes keep pods away that do not tolerate their taints, or would rather.

Follows: pkg/scheduler/framework/plugins/tainttoleration/taint_toleration.go
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from controllers.scheduler.framework import (
    ClusterEvent,
    Cycle,
    Filter,
    Ints,
    NodeScore,
    Rejection,
    Rows,
    normalize,
    rejected,
)
from controllers.scheduler.pod import PodInfo
from controllers.scheduler.selection import HARD_EFFECTS, Taint, tolerated

REASON = "node(s) had untolerated taint(s)"
PREFER = "PreferNoSchedule"


class TaintToleration(Filter, NodeScore):
    name = "TaintToleration"
    per_node = True
    is_normalized = True

    def filter(self, cycle: Cycle, rows: Rows) -> Iterable[Rejection]:
        failing = cycle.snapshot.untolerated(cycle.template.tolerations)
        return () if failing is None else rejected(failing[rows], REASON, final=True)

    def fails(self, cycle: Cycle, row: int) -> bool:
        return bool(cycle.snapshot.taints.rows) and super().fails(cycle, row)

    def row_score(self, cycle: Cycle, row: int) -> int | None:
        return super().row_score(cycle, row) if cycle.snapshot.taints.rows else 0

    def raw_score(self, cycle: Cycle, rows: Rows) -> Ints | None:
        """The number of taints that would rather not have the pod."""
        tolerations = [t for t in cycle.template.tolerations if t.effect in ("", PREFER)]
        found = np.zeros(cycle.snapshot.size, dtype=np.int64)[rows]
        for taint, tainted in cycle.snapshot.taints.rows.items():
            if taint.effect == PREFER and not tolerated(taint, tolerations):
                found = found + tainted[rows]
        return found

    def normalize(self, scores: Ints) -> Ints:
        return normalize(scores, reverse=True)

    def wakes(self, event: ClusterEvent, pod: PodInfo) -> bool:
        if event.resource == "pod":
            return "tolerations" in event.fields
        if event.resource != "nodes" or event.new is None or not _lets_in(event.new, pod):
            return False
        if event.action == "add":
            return True
        return "taints" in event.fields and event.old is not None and not _lets_in(event.old, pod)


def _lets_in(node: Mapping[str, Any], pod: PodInfo) -> bool:
    taints = (node.get("spec") or {}).get("taints") or ()
    hard = [Taint(t["key"], t.get("value") or "", t["effect"]) for t in taints if t["effect"] in HARD_EFFECTS]
    return all(tolerated(taint, pod.template.tolerations) for taint in hard)
