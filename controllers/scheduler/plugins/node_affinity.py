"""NodeAffinity: node selectors and node affinity, required and preferred.

Follows: pkg/scheduler/framework/plugins/nodeaffinity/node_affinity.go
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from controllers.scheduler.framework import (
    SKIP,
    ClusterEvent,
    Cycle,
    Filter,
    Ints,
    NodeScore,
    Only,
    PreFilter,
    PreFilterAnswer,
    Refuse,
    Rejection,
    Rows,
    normalize,
    rejected,
)
from controllers.scheduler.pod import PREFERRED, REQUIRED, PodInfo, Template
from controllers.scheduler.selection import NodeSelection, NodeTerm
from controllers.scheduler.world import World

REASON = "node(s) didn't match Pod's node affinity/selector"
ENFORCED = "node(s) didn't match scheduler-enforced node affinity"
CONFLICT = "pod affinity terms conflict"


class NodeAffinity(PreFilter, Filter, NodeScore):
    name = "NodeAffinity"
    per_node = True
    is_normalized = True

    def __init__(self, args: Mapping[str, Any], world: World) -> None:
        super().__init__(args, world)
        added = args.get("addedAffinity") or {}
        self._added = NodeSelection.of_selector(added.get(REQUIRED)) if added.get(REQUIRED) else None
        self._added_preferred = tuple((t["weight"], NodeTerm(t["preference"])) for t in added.get(PREFERRED) or ())

    def concerns(self, template: Template) -> bool:
        return not template.selection.everywhere or self._added is not None

    def pre_filter(self, cycle: Cycle) -> PreFilterAnswer:
        selection = cycle.template.selection
        if selection.everywhere and self._added is None:
            return SKIP
        if not selection.terms:
            return None
        names: set[str] = set()
        for term in selection.terms:
            of_term = term.names()
            if of_term is None:
                return None
            names |= of_term
        return Only(frozenset(names)) if names else Refuse(CONFLICT)

    def filter(self, cycle: Cycle, rows: Rows) -> Iterable[Rejection]:
        found: list[Rejection] = []
        failing = ~cycle.snapshot.selected(cycle.template)[rows]
        if self._added is not None:
            enforced = ~self._added.mask(cycle.snapshot)[rows]
            found += rejected(enforced, ENFORCED, final=True)
            failing = failing & ~enforced
        found += rejected(failing, REASON, final=True)
        return found

    def fails(self, cycle: Cycle, row: int) -> bool:
        if self._added is not None:
            return super().fails(cycle, row)
        return not cycle.snapshot.selected(cycle.template)[row]

    def row_score(self, cycle: Cycle, row: int) -> int | None:
        if not cycle.template.preferred_nodes and not self._added_preferred:
            return None
        return super().row_score(cycle, row)

    def raw_score(self, cycle: Cycle, rows: Rows) -> Ints | None:
        """The weights of the preferred terms that hold."""
        preferred = (*cycle.template.preferred_nodes, *self._added_preferred)
        if not preferred:
            return None
        total = np.zeros(cycle.snapshot.size, dtype=np.int64)
        for weight, term in preferred:
            total += weight * term.mask(cycle.snapshot)
        return total[rows]

    def normalize(self, scores: Ints) -> Ints:
        return normalize(scores)

    def wakes(self, event: ClusterEvent, pod: PodInfo) -> bool:
        if event.resource != "nodes" or event.new is None or event.row < 0:
            return False
        fits = bool(self.world.snapshot.selected(pod.template)[event.row])
        if event.action == "add" or not fits:
            return event.action == "add" and fits
        if "labels" not in event.fields or event.old is None:
            return False
        return not pod.template.selection.matches(event.old)
