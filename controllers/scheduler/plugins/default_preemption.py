"""DefaultPreemption: room for a pod by taking away pods of lower priority, as few and as unimportant as possible.

It only decides; the victims are deleted by whoever runs the cycle. A candidate node is judged by really taking the
pods out of the snapshot and putting them back, so every filter sees the cluster as it would be.
Follows: pkg/scheduler/framework/{preemption/preemption.go,plugins/defaultpreemption/default_preemption.go}
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from controllers.scheduler.cycle import fits_row, row_findings
from controllers.scheduler.framework import (
    ClusterEvent,
    Cycle,
    Diagnosis,
    Finding,
    PostFilter,
    PostFilterResult,
    PreEnqueue,
    Victims,
    fit_message,
)
from controllers.scheduler.pod import PodInfo
from controllers.scheduler.snapshot import Snapshot
from controllers.scheduler.world import World
from openapi.meta.selectors import from_label_selector

PREFIX = "preemption: "
NEVER = "not eligible due to preemptionPolicy=Never."
TERMINATING = "not eligible due to a terminating pod on the nominated node."
NO_CANDIDATE = "no candidate node for preemption"
NO_VICTIMS = "No preemption victims found for incoming pod"
NOT_HELPFUL = "Preemption is not helpful for scheduling"
BY_SCHEDULER = "PreemptionByScheduler"

_LOWEST = -(2**31)
_NEVER_STARTED = "9999"
"""Sorts after every start time: a pod that has not started counts as the youngest."""


class DefaultPreemption(PreEnqueue, PostFilter):
    name = "DefaultPreemption"

    def __init__(self, args: Mapping[str, Any], world: World) -> None:
        super().__init__(args, world)
        self._least_percent = args.get("minCandidateNodesPercentage", 10)
        self._least = args.get("minCandidateNodesAbsolute", 100)
        self._rng = random.Random()

    def pre_enqueue(self, pod: PodInfo) -> bool:
        """Not while its victims are being deleted: it would look for others."""
        return pod.uid not in self.world.preempting

    def wakes(self, event: ClusterEvent, pod: PodInfo) -> bool:
        return False

    def post_filter(self, cycle: Cycle, diagnosis: Diagnosis) -> PostFilterResult:
        refusal = self._not_eligible(cycle, diagnosis)
        if refusal:
            return PostFilterResult(False, PREFIX + refusal)
        snapshot = cycle.snapshot
        rows = [int(row) for row in np.flatnonzero(diagnosis.helpable(snapshot.alive))]
        candidates, reasons = self._dry_run(cycle, rows)
        if not candidates:
            hopeless = len(snapshot.rows) - len(rows)
            if hopeless:
                reasons[NOT_HELPFUL] = reasons.get(NOT_HELPFUL, 0) + hopeless
            return PostFilterResult(False, PREFIX + fit_message(len(snapshot.rows), reasons), nominate="")
        best = min(candidates, key=cost)
        return PostFilterResult(True, nominate=best.node, victims=best, candidates=candidates)

    def _not_eligible(self, cycle: Cycle, diagnosis: Diagnosis) -> str:
        """Why this pod may not preempt now; '' if it may."""
        if not cycle.template.preempts:
            return NEVER
        nominated = cycle.nominations.node_of(cycle.pod.uid) or cycle.pod.nominated
        row = cycle.snapshot.rows.get(nominated, -1)
        if row < 0 or not diagnosis.helpable(cycle.snapshot.alive)[row]:
            return ""  # that node is lost to the pod, whoever leaves it
        for other in cycle.snapshot.pods_on[row].values():
            is_leaving = other.uid in self.world.evicted or (other.is_terminating and _was_preempted(other))
            if other.priority < cycle.pod.priority and is_leaving:
                return TERMINATING
        return ""

    def _dry_run(self, cycle: Cycle, rows: Sequence[int]) -> tuple[list[Victims], dict[str, int]]:
        """Candidates among the rows, and why the others are none. Ends once there are enough."""
        enough = min(max(len(rows) * self._least_percent // 100, self._least), len(rows))
        start = self._rng.randrange(len(rows)) if len(rows) > enough else 0
        found: list[Victims] = []
        reasons: dict[str, int] = {}
        for row in (*rows[start:], *rows[:start]):
            if len(found) >= enough and any(not candidate.violations for candidate in found):
                break
            result = select_victims(cycle, row, self.world.budgets)
            if isinstance(result, Victims):
                found.append(result)
                continue
            for reason in result:
                reasons[reason] = reasons.get(reason, 0) + 1
        return found, reasons


def _was_preempted(pod: PodInfo) -> bool:
    conditions = (pod.obj.get("status") or {}).get("conditions") or ()
    targeted: Mapping[str, Any] = next((c for c in conditions if c["type"] == "DisruptionTarget"), {})
    return targeted.get("status") == "True" and targeted.get("reason") == BY_SCHEDULER


def select_victims(cycle: Cycle, row: int, budgets: Iterable[Mapping[str, Any]]) -> Victims | Sequence[str]:
    """The fewest pods to take from the row so that the pod fits, or the reasons why even all do not help."""
    snapshot = cycle.snapshot
    lower = [pod for pod in snapshot.pods_on[row].values() if pod.priority < cycle.pod.priority]
    if not lower:
        return (NO_VICTIMS,)
    lower = by_importance(lower)
    places = {pod.uid: pod for pod in lower}
    for pod in lower:
        snapshot.remove_pod(pod.uid)
    try:
        found = row_findings(cycle, row)
        if found:
            return _reasons(found)
        violating, sparing = split_by_budget(lower, budgets)
        victims: list[PodInfo] = []
        violations = 0
        for group in (violating, sparing):
            for pod in group:
                if _fits_beside(cycle, row, pod, snapshot):
                    del places[pod.uid]
                else:
                    victims.append(pod)
                    violations += group is violating
    finally:
        for pod in places.values():
            snapshot.add_pod(pod)
    victims = [pod for pod in lower if pod in victims]
    return Victims(snapshot.names[row], victims, violations)


def _fits_beside(cycle: Cycle, row: int, pod: PodInfo, snapshot: Snapshot) -> bool:
    """Whether the pod of the cycle still fits when `pod` is put back; if not, that is taken out again."""
    snapshot.add_pod(pod)
    if fits_row(cycle, row):
        return True
    snapshot.remove_pod(pod.uid)
    return False


def _reasons(found: Sequence[Finding]) -> Sequence[str]:
    return tuple(dict.fromkeys(finding.reason for finding in found))


def started(pod: PodInfo) -> str:
    return (pod.obj.get("status") or {}).get("startTime") or _NEVER_STARTED


def by_importance(pods: Sequence[PodInfo]) -> list[PodInfo]:
    """Pods of higher priority first, then those that run longer; of those that have not started the latest comers.

    What has not started counts as starting when it is looked at, so each one looks older than those before it.
    """

    def key(entry: tuple[int, PodInfo]) -> tuple[int, str, int]:
        number, pod = entry
        start = started(pod)
        return -pod.priority, start, -number if start == _NEVER_STARTED else number

    return [pod for _, pod in sorted(enumerate(pods), key=key)]


def split_by_budget(
    pods: Sequence[PodInfo], budgets: Iterable[Mapping[str, Any]]
) -> tuple[list[PodInfo], list[PodInfo]]:
    """The pods whose loss would break a disruption budget, and the others, each in their order."""
    namespaces = {pod.namespace for pod in pods}
    rules = [
        (budget, from_label_selector(budget["spec"].get("selector")))
        for budget in budgets
        if budget["metadata"]["namespace"] in namespaces
    ]
    allowed = [int((budget.get("status") or {}).get("disruptionsAllowed") or 0) for budget, _ in rules]
    violating: list[PodInfo] = []
    sparing: list[PodInfo] = []
    for pod in pods:
        breaks = False
        for number, (budget, selector) in enumerate(rules):
            if pod.namespace != budget["metadata"]["namespace"] or not pod.template.labels:
                continue
            if selector.empty or not selector.matches(pod.template.labels):
                continue
            if pod.name in ((budget.get("status") or {}).get("disruptedPods") or {}):
                continue
            allowed[number] -= 1
            breaks = breaks or allowed[number] < 0
        (violating if breaks else sparing).append(pod)
    return violating, sparing


class _Latest(str):
    """A start time for `min`: the later, the smaller."""

    __slots__ = ()

    def __lt__(self, other: str) -> bool:
        return str.__gt__(self, other)


def cost(candidate: Victims) -> tuple[int, int, int, int, _Latest]:
    """What speaks against a candidate, the weightiest first."""
    priorities = [pod.priority for pod in candidate.pods]
    highest = max(priorities, default=_LOWEST)
    oldest = min((started(pod) for pod in candidate.pods if pod.priority == highest), default=_NEVER_STARTED)
    return (
        candidate.violations,
        highest,
        sum(priority - _LOWEST for priority in priorities),
        len(priorities),
        _Latest(oldest),
    )
