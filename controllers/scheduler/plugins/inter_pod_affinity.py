"""InterPodAffinity: near to some pods, far from others, as asked by the new pod or by those that are there.

Follows: pkg/scheduler/framework/plugins/interpodaffinity/{filtering,scoring,plugin}.go
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from controllers.scheduler.columns import TermColumns, TermUse
from controllers.scheduler.framework import (
    MAX_SCORE,
    SKIP,
    Bools,
    ClusterEvent,
    Cycle,
    Filter,
    Ints,
    PreFilter,
    PreFilterAnswer,
    Rejection,
    Rows,
    Score,
    rejected,
)
from controllers.scheduler.pod import PodInfo, Template
from controllers.scheduler.selection import PodTerm
from controllers.scheduler.snapshot import Snapshot
from controllers.scheduler.world import World

NOT_NEAR = "node(s) didn't match pod affinity rules"
NOT_FAR = "node(s) didn't match pod anti-affinity rules"
UNWELCOME = "node(s) didn't satisfy existing pods anti-affinity rules"
DEFAULT_HARD_WEIGHT = 1


class InterPodAffinity(PreFilter, Filter, Score):
    name = "InterPodAffinity"

    def __init__(self, args: Mapping[str, Any], world: World) -> None:
        super().__init__(args, world)
        weight = args.get("hardPodAffinityWeight")
        self._hard_weight = DEFAULT_HARD_WEIGHT if weight is None else weight
        self._only_mine = bool(args.get("ignorePreferredTermsOfExistingPods"))

    def pre_filter(self, cycle: Cycle) -> PreFilterAnswer:
        template = cycle.template
        if template.near or template.far or _aimed_at(template, cycle.snapshot, cycle.snapshot.far):
            return None
        return SKIP

    def filter(self, cycle: Cycle, rows: Rows) -> Iterable[Rejection]:
        template, snapshot = cycle.template, cycle.snapshot
        found: list[Rejection] = []
        passed = np.ones(snapshot.size, dtype=np.bool_)
        if template.near:
            near = self._near(template, snapshot)
            found += rejected(~near[rows], NOT_NEAR, final=True)
            passed = near
        for term in template.far:
            counts = snapshot.counters.counts((term.pods,), with_leaving=True)
            close = passed & _in_domain(snapshot, term.topology_key, counts)
            found += rejected(close[rows], NOT_FAR)
            passed = passed & ~close
        unwelcome = np.zeros(snapshot.size, dtype=np.bool_)
        for use in _aimed_at(template, snapshot, snapshot.far):
            unwelcome |= _in_domain(snapshot, use.term.topology_key, use.counts)
        found += rejected((unwelcome & passed)[rows], UNWELCOME)
        return found

    def _near(self, template: Template, snapshot: Snapshot) -> Bools:
        """The rows with a pod that all terms choose, each term within its domain."""
        counts = snapshot.counters.counts(tuple(term.pods for term in template.near), with_leaving=True)
        result, has_keys = snapshot.alive, snapshot.alive
        anywhere = False
        for term in template.near:
            has_key = snapshot.has_label(term.topology_key)
            has_keys = has_keys & has_key
            result = result & _in_domain(snapshot, term.topology_key, counts)
            anywhere = anywhere or bool(counts[has_key].any())
        if not anywhere and all(_aims_at(term, template, snapshot) for term in template.near):
            return has_keys  # the first pod of a group that wants to be together
        return result

    def score(self, cycle: Cycle, feasible: Ints) -> Ints | None:
        template, snapshot = cycle.template, cycle.snapshot
        parts: list[tuple[str, Ints, int]] = []
        for sign, terms in ((1, template.rather_near), (-1, template.rather_far)):
            for term in terms:
                counts = snapshot.counters.counts((term.pods,), with_leaving=True)
                parts.append((term.topology_key, counts, sign * term.weight))
        if not self._only_mine or parts:
            parts += self._wishes(template, snapshot)
        parts = [part for part in parts if part[1].any()]
        if not parts:
            return None
        by_row = np.zeros(snapshot.size, dtype=np.int64)
        for key, counts, weight in parts:
            by_row += snapshot.shared(key, counts) * weight
        total = by_row[feasible]
        least, most = int(total.min()), int(total.max())
        if most == least:
            return np.zeros_like(total)
        return (MAX_SCORE * ((total - least) / (most - least))).astype(np.int64)

    def _wishes(self, template: Template, snapshot: Snapshot) -> Iterable[tuple[str, Ints, int]]:
        """What pods that are there would like of such a pod: topology key, how many of them per row, weight."""
        if self._hard_weight:
            for use in _aimed_at(template, snapshot, snapshot.near):
                yield use.term.topology_key, use.counts, self._hard_weight
        for sign, columns in ((1, snapshot.rather_near), (-1, snapshot.rather_far)):
            for use in _aimed_at(template, snapshot, columns):
                yield use.term.topology_key, use.counts, sign * use.term.weight

    def wakes(self, event: ClusterEvent, pod: PodInfo) -> bool:
        template, snapshot = pod.template, self.world.snapshot
        if event.resource == "pod":
            return "labels" in event.fields
        if event.resource == "nodes":
            return self._node_wakes(event, template)
        if event.resource != "pods" or event.pod is None:
            return False
        groups = [event.pod.template]
        if event.action == "update":
            if "labels" not in event.fields or event.new is None:
                return False
            groups.append(_relabelled(event.pod.template, event.new))
        near_before, near_after = (_chosen(template.near, group, snapshot) for group in (groups[0], groups[-1]))
        if event.action != "delete" and template.near and (near_after or near_before):
            return True
        if event.action == "add":
            return False
        if any(_chosen((term,), groups[0], snapshot) for term in template.far):
            return True
        return any(_chosen((term,), template, snapshot) for term in event.pod.template.far)

    @staticmethod
    def _node_wakes(event: ClusterEvent, template: Template) -> bool:
        terms = (*template.near, *template.far)
        labels = (event.new or {}).get("metadata", {}).get("labels") or {}
        if event.action == "add":
            return all(term.topology_key in labels for term in template.near)
        if event.action != "update" or "labels" not in event.fields:
            return False
        before = (event.old or {}).get("metadata", {}).get("labels") or {}
        changed = any(before.get(term.topology_key) != labels.get(term.topology_key) for term in terms)
        return changed or not terms


def _relabelled(template: Template, obj: Mapping[str, Any]) -> Any:
    return Template(template.namespace, obj["metadata"], template.spec, {})


def _chosen(terms: Sequence[PodTerm], group: Template, snapshot: Snapshot) -> bool:
    return bool(terms) and all(_aims_at(term, group, snapshot) for term in terms)


def _aims_at(term: PodTerm, template: Template, snapshot: Snapshot) -> bool:
    return term.pods.matches(template.namespace, template.labels, snapshot.namespace_labels)


def _aimed_at(template: Template, snapshot: Snapshot, columns: TermColumns) -> Sequence[TermUse]:
    """The terms of pods on nodes that speak of such a pod, kept until terms come or go."""
    if not columns.uses:
        return ()
    known = template.memo.get(columns)
    if known is None or known[0] != columns.version:
        uses = [use for use in columns.uses.values() if _aims_at(use.term, template, snapshot)]
        known = template.memo[columns] = (columns.version, uses)
    return known[1]


def _in_domain(snapshot: Snapshot, key: str, counts: Ints) -> Bools:
    """The rows in whose domain at least one of the counted pods is."""
    if not counts.any():
        return np.zeros(snapshot.size, dtype=np.bool_)
    return snapshot.shared(key, counts) > 0
