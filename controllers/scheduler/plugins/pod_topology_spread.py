"""PodTopologySpread: pods of one kind spread over zones, hosts and other domains, by rule or by preference.

Follows: pkg/scheduler/framework/plugins/podtopologyspread/{common,filtering,scoring}.go
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

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
from controllers.scheduler.plugins.default_spread import group_of
from controllers.scheduler.pod import PodInfo, Template
from controllers.scheduler.selection import PodSelection, merge_label_keys
from controllers.scheduler.snapshot import Snapshot
from controllers.scheduler.world import World
from openapi.meta.selectors import LabelSelector, from_label_selector

REASON = "node(s) didn't match pod topology spread constraints"
MISSING_LABEL = REASON + " (missing required label)"
HOSTNAME, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
HARD, SOFT = "DoNotSchedule", "ScheduleAnyway"

SYSTEM_DEFAULTS: Sequence[Mapping[str, Any]] = (
    {"maxSkew": 3, "topologyKey": HOSTNAME, "whenUnsatisfiable": SOFT},
    {"maxSkew": 5, "topologyKey": ZONE, "whenUnsatisfiable": SOFT},
)


@dataclass(frozen=True, slots=True)
class Constraint:
    """One rule, for the pods of `selections`."""

    key: str
    max_skew: int
    min_domains: int
    selections: tuple[PodSelection, ...]
    selects_itself: bool
    honors_affinity: bool
    honors_taints: bool


def constraint(rule: Mapping[str, Any], template: Template, group: LabelSelector | None) -> Constraint:
    """The rule as it applies to such pods; `group` stands in for the selector that default rules do not have."""
    selector = from_label_selector(rule.get("labelSelector")) if group is None else group
    selector = merge_label_keys(selector, rule.get("matchLabelKeys"), template.labels)
    return Constraint(
        rule["topologyKey"],
        rule["maxSkew"],
        rule.get("minDomains") or 1,
        (PodSelection(frozenset((template.namespace,)), selector),),
        selector.matches(template.labels),
        (rule.get("nodeAffinityPolicy") or "Honor") == "Honor",
        (rule.get("nodeTaintsPolicy") or "Ignore") == "Honor",
    )


class PodTopologySpread(PreFilter, Filter, Score):
    name = "PodTopologySpread"

    def __init__(self, args: Mapping[str, Any], world: World) -> None:
        super().__init__(args, world)
        self._system = (args.get("defaultingType") or "System") == "System"
        self._defaults = SYSTEM_DEFAULTS if self._system else tuple(args.get("defaultConstraints") or ())

    def constraints(self, template: Template, action: str) -> Sequence[Constraint]:
        """The rules of the pod, or the default ones, with that `whenUnsatisfiable`."""
        rules = template.spec.get("topologySpreadConstraints")
        if rules:
            known = template.memo.get(action)
            if known is None:
                mine = [constraint(r, template, None) for r in rules if r["whenUnsatisfiable"] == action]
                known = template.memo[action] = mine
            return known
        defaults = [rule for rule in self._defaults if rule["whenUnsatisfiable"] == action]
        if not defaults:
            return ()
        group = group_of(template, self.world)
        if group.empty:
            return ()
        key = (self, action)
        kept = template.memo.get(key)
        if kept is None or kept[0] is not group:
            kept = template.memo[key] = (group, [constraint(r, template, group) for r in defaults])
        return kept[1]

    def pre_filter(self, cycle: Cycle) -> PreFilterAnswer:
        return None if self.constraints(cycle.template, HARD) else SKIP

    def filter(self, cycle: Cycle, rows: Rows) -> Iterable[Rejection]:
        constraints = self.constraints(cycle.template, HARD)
        snapshot = cycle.snapshot
        eligible = _with_all_keys(snapshot, constraints)
        missing = np.zeros(snapshot.size, dtype=np.bool_)
        skewed = np.zeros(snapshot.size, dtype=np.bool_)
        for rule in constraints:
            column = snapshot.labels.column(rule.key)
            missing |= ~skewed & (column < 0)
            counted = _included(rule, cycle.template, snapshot, eligible)
            counts = snapshot.counters.counts(rule.selections, with_leaving=False)
            totals = snapshot.per_domain(rule.key, counts, counted)
            present = np.bincount(column[counted], minlength=len(totals)) > 0
            domains = int(np.count_nonzero(present))
            least = int(totals[present].min()) if domains >= max(rule.min_domains, 1) else 0
            over = totals + rule.selects_itself - least > rule.max_skew
            skewed |= np.append(over, False)[column] & ~missing
        return (*rejected(missing[rows], MISSING_LABEL, final=True), *rejected(skewed[rows], REASON))

    def score(self, cycle: Cycle, feasible: Ints) -> Ints | None:
        constraints = self.constraints(cycle.template, SOFT)
        if not constraints:
            return None
        snapshot = cycle.snapshot
        everywhere = self._system and not cycle.template.spec.get("topologySpreadConstraints")
        eligible = snapshot.alive if everywhere else _with_all_keys(snapshot, constraints)
        scored = eligible[feasible]
        if not scored.any():
            return None
        total = np.zeros(snapshot.size, dtype=np.float64)
        for rule in constraints:
            total += self._points(rule, cycle, feasible[scored], eligible)
        return _normalized(np.floor(total[feasible] + 0.5).astype(np.int64), scored)

    @staticmethod
    def _points(rule: Constraint, cycle: Cycle, scored: Ints, eligible: Bools) -> Any:
        """What the rule counts against each row: the pods of its domain, weighed by the number of domains."""
        snapshot = cycle.snapshot
        column = snapshot.labels.column(rule.key)
        counts = snapshot.counters.counts(rule.selections, with_leaving=False)
        if rule.key == HOSTNAME:
            matching, domains = counts, len(scored)
        else:
            totals = snapshot.per_domain(rule.key, counts, _included(rule, cycle.template, snapshot, eligible))
            domains = int(np.count_nonzero(np.bincount(column[scored] + 1)))
            matching = np.append(totals, 0)[column]
        return (matching * math.log(domains + 2) + (rule.max_skew - 1)) * (column >= 0)

    def wakes(self, event: ClusterEvent, pod: PodInfo) -> bool:
        constraints = self.constraints(pod.template, HARD)
        if event.resource == "pod":
            honored = any(rule.honors_taints for rule in constraints)
            return "labels" in event.fields or ("tolerations" in event.fields and honored)
        if event.resource == "pods" and event.pod is not None:
            return self._pod_wakes(event, pod, constraints)
        if event.resource != "nodes":
            return False
        before, after = (node is not None and _has_keys(node, constraints) for node in (event.old, event.new))
        if event.action != "update" or event.old is None or event.new is None:
            return before or after
        if before != after or not after or "taints" in event.fields:
            return before or after
        old, new = (node["metadata"].get("labels") or {} for node in (event.old, event.new))
        return any(old.get(rule.key) != new.get(rule.key) for rule in constraints)

    @staticmethod
    def _pod_wakes(event: ClusterEvent, pod: PodInfo, constraints: Sequence[Constraint]) -> bool:
        other = event.pod
        if other is None or other.namespace != pod.namespace:
            return False
        before = [_selects(rule, other.template.labels) for rule in constraints]
        if event.action != "update" or event.new is None:
            return any(before)
        if "labels" not in event.fields:
            return False
        return before != [_selects(rule, event.new["metadata"].get("labels") or {}) for rule in constraints]


def _selects(rule: Constraint, labels: Mapping[str, str]) -> bool:
    return all(selection.selector.matches(labels) for selection in rule.selections)


def _has_keys(node: Mapping[str, Any], constraints: Sequence[Constraint]) -> bool:
    labels = node["metadata"].get("labels") or {}
    return all(rule.key in labels for rule in constraints)


def _with_all_keys(snapshot: Snapshot, constraints: Sequence[Constraint]) -> Bools:
    result = snapshot.alive
    for rule in constraints:
        result = result & (snapshot.labels.column(rule.key) >= 0)
    return result


def _included(rule: Constraint, template: Template, snapshot: Snapshot, eligible: Bools) -> Bools:
    """The rows whose pods the rule counts."""
    result = eligible & (snapshot.labels.column(rule.key) >= 0)
    if rule.honors_affinity and not template.selection.everywhere:
        result = result & snapshot.selected(template)
    if rule.honors_taints:
        tainted = snapshot.untolerated(template.tolerations)
        if tainted is not None:
            result = result & ~tainted
    return result


def _normalized(scores: Ints, scored: Bools) -> Ints:
    """Fewest is best; rows that lack a label get nothing."""
    everywhere = bool(scored.all())
    of_scored = scores if everywhere else scores[scored]
    most, least = int(of_scored.max()), int(of_scored.min())
    if most == 0:
        return scored * MAX_SCORE
    points = MAX_SCORE * (most + least - scores) // most
    return points if everywhere else points * scored
