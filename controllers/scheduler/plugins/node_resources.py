"""NodeResourcesFit and NodeResourcesBalancedAllocation: room for the pod, and how evenly a node would be used.

Follows: pkg/scheduler/framework/plugins/noderesources/{fit,least_allocated,most_allocated,balanced_allocation,
requested_to_capacity_ratio,resource_allocation}.go
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controllers.scheduler.framework import (
    MAX_SCORE,
    ClusterEvent,
    Cycle,
    Filter,
    Ints,
    NodeScore,
    Rejection,
    Rows,
)
from controllers.scheduler.plugins.extended_resources import backed_by_devices
from controllers.scheduler.pod import PodInfo, Template
from controllers.scheduler.resources import CPU, MEMORY, PODS, amount, is_scalar
from controllers.scheduler.world import World

TOO_MANY = "Too many pods"
HALF_SCORE = MAX_SCORE // 2
MOST_CONFIG_SCORE = 10
"""Shapes of the configuration give points from 0 to 10."""

_EVEN: Sequence[Mapping[str, Any]] = ({"name": CPU, "weight": 1}, {"name": MEMORY, "weight": 1})


class NodeResourcesFit(Filter, NodeScore):
    """Filters nodes by free resources; scores them by the strategy of its arguments."""

    name = "NodeResourcesFit"
    per_node = True

    def __init__(self, args: Mapping[str, Any], world: World) -> None:
        super().__init__(args, world)
        strategy = args.get("scoringStrategy") or {}
        self._strategy = strategy.get("type") or "LeastAllocated"
        self._weights = [(r["name"], r.get("weight") or 1) for r in strategy.get("resources") or _EVEN]
        self._ignored = frozenset(args.get("ignoredResources") or ())
        self._ignored_groups = frozenset(args.get("ignoredResourceGroups") or ())
        shape = (strategy.get("requestedToCapacityRatio") or {}).get("shape") or ()
        self._shape = (
            np.array([point["utilization"] for point in shape], dtype=np.int64),
            np.array([point["score"] * MAX_SCORE // MOST_CONFIG_SCORE for point in shape], dtype=np.int64),
        )

    def filter(self, cycle: Cycle, rows: Rows) -> Iterable[Rejection]:
        snapshot = cycle.snapshot
        found: list[Rejection] = []
        by_devices = backed_by_devices(cycle.template, self.world)
        full = snapshot.pod_count[rows] >= snapshot.resources[PODS].allocatable[rows]
        if full.any():
            found.append(Rejection(full, TOO_MANY, False))
        for name, wanted in self._wanted(cycle.template):
            resource = snapshot.resource(name)
            offered = resource.allocatable[rows]
            short = offered - resource.requested[rows] < wanted
            if name in by_devices:
                short = short & (offered > 0)  # elsewhere devices are given for it
            if not short.any():
                continue
            hopeless = short & (offered < wanted)
            if hopeless.any():
                found.append(Rejection(hopeless, f"Insufficient {name}", True))
                short = short & ~hopeless
            if short.any():
                found.append(Rejection(short, f"Insufficient {name}", False))
        return found

    def fails(self, cycle: Cycle, row: int) -> bool:
        snapshot = cycle.snapshot
        if snapshot.pod_count[row] >= snapshot.resources[PODS].allocatable[row]:
            return True
        by_devices = backed_by_devices(cycle.template, self.world)
        for name, wanted in self._wanted(cycle.template):
            resource = snapshot.resource(name)
            offered = int(resource.allocatable[row])
            if offered - int(resource.requested[row]) < wanted and (offered > 0 or name not in by_devices):
                return True
        return False

    def _wanted(self, template: Template) -> Iterable[tuple[str, int]]:
        if not self._ignored and not self._ignored_groups:
            return template.requests.items()
        return ((name, value) for name, value in template.requests.items() if not self._is_ignored(name))

    def _is_ignored(self, name: str) -> bool:
        return "/" in name and (name in self._ignored or name.partition("/")[0] in self._ignored_groups)

    def raw_score(self, cycle: Cycle, rows: Rows) -> Ints | None:
        if self._strategy == "RequestedToCapacityRatio":
            return self._by_shape(cycle, rows)
        total = np.zeros(cycle.snapshot.size, dtype=np.int64)[rows]
        weights = np.zeros_like(total)
        for name, weight in self._weights:
            usage = used(cycle, rows, name, with_defaults=True)
            if usage is None:
                continue
            offered, requested = usage
            part = requested if self._strategy == "MostAllocated" else offered - requested
            share = np.minimum(np.maximum(part, 0), offered) * MAX_SCORE // np.maximum(offered, 1)
            total += share * weight
            weights += (offered > 0) * weight
        return total // np.maximum(weights, 1)

    def row_score(self, cycle: Cycle, row: int) -> int | None:
        if self._strategy == "RequestedToCapacityRatio":
            return super().row_score(cycle, row)
        total, weights = 0, 0
        for name, weight in self._weights:
            usage = used_on(cycle, row, name, with_defaults=True)
            if usage is None:
                continue
            offered, requested = usage
            part = requested if self._strategy == "MostAllocated" else offered - requested
            if offered > 0:
                total += min(max(part, 0), offered) * MAX_SCORE // offered * weight
                weights += weight
        return total // max(weights, 1)

    def _by_shape(self, cycle: Cycle, rows: Rows) -> Ints:
        total = np.zeros(cycle.snapshot.size, dtype=np.float64)[rows]
        weights = np.zeros_like(total)
        for name, weight in self._weights:
            usage = used(cycle, rows, name, with_defaults=True)
            if usage is None:
                continue
            offered, requested = usage
            overfull = (offered == 0) | (requested > offered)
            utilization = np.where(overfull, 100, requested * 100 // np.maximum(offered, 1))
            points = self._points(utilization) * (offered > 0)
            total += points * weight
            weights += (points > 0) * weight
        return np.floor(total / np.maximum(weights, 1) + 0.5).astype(np.int64)

    def _points(self, utilization: Ints) -> Ints:
        """The points of the shape's broken line, in whole numbers as its corners are."""
        at, score = self._shape
        after = np.searchsorted(at, utilization, side="left")
        left, right = np.clip(after - 1, 0, None), np.clip(after, None, len(at) - 1)
        span = np.maximum(at[right] - at[left], 1)
        rise = (score[right] - score[left]) * (utilization - at[left])
        between = score[left] + np.trunc(rise / span).astype(np.int64)
        beyond = np.where(after == len(at), score[-1], between)
        points: Ints = np.where(after == 0, score[0], beyond).astype(np.int64)
        return points

    def wakes(self, event: ClusterEvent, pod: PodInfo) -> bool:
        by_devices = backed_by_devices(pod.template, self.world)
        wanted = {name: value for name, value in self._wanted(pod.template) if name not in by_devices}
        if event.resource == "pod":
            return "requests" in event.fields
        if event.resource == "pods":
            return event.action == "delete" or (event.action == "update" and "requests" in event.fields)
        if event.resource == "device_classes":
            return event.action != "delete" and any("/" in name for name in pod.template.requests)
        if event.resource != "nodes" or event.new is None:
            return False
        offered = _allocatable(event.new)
        if offered.get(PODS, 0) < 1 or any(offered.get(name, 0) < value for name, value in wanted.items()):
            return False
        before = _allocatable(event.old) if event.action == "update" and event.old else {}
        if event.action == "add":
            return True
        return any(offered.get(name, 0) > before.get(name, 0) for name in (*wanted, PODS))


def _allocatable(node: Mapping[str, Any]) -> dict[str, int]:
    quantities = (node.get("status") or {}).get("allocatable") or {}
    return {name: amount(name, quantity) for name, quantity in quantities.items()}


class NodeResourcesBalancedAllocation(NodeScore):
    """Prefers nodes whose resources are used in more equal parts with the pod than without it."""

    name = "NodeResourcesBalancedAllocation"
    per_node = True

    def __init__(self, args: Mapping[str, Any], world: World) -> None:
        super().__init__(args, world)
        self._names = [resource["name"] for resource in args.get("resources") or _EVEN]

    def raw_score(self, cycle: Cycle, rows: Rows) -> Ints | None:
        if not any(cycle.template.requests.get(name) for name in self._names):
            return None
        after: list[NDArray[np.float64]] = []
        before: list[NDArray[np.float64]] = []
        present: list[NDArray[np.bool_]] = []
        for name in self._names:
            usage = used(cycle, rows, name, with_defaults=False)
            if usage is not None:
                offered, requested = usage
                earlier = requested - cycle.template.requests.get(name, 0)
                after.append(np.minimum(requested / np.maximum(offered, 1), 1.0))
                before.append(np.minimum(earlier / np.maximum(offered, 1), 1.0))
                present.append(offered > 0)
        if not after:
            return None
        gain = _evenness(after, present) - _evenness(before, present)
        return HALF_SCORE + (HALF_SCORE + gain) // 2

    def row_score(self, cycle: Cycle, row: int) -> int | None:
        if not any(cycle.template.requests.get(name) for name in self._names):
            return None
        after: list[float] = []
        before: list[float] = []
        is_known = False
        for name in self._names:
            usage = used_on(cycle, row, name, with_defaults=False)
            if usage is None:
                continue
            is_known = True
            offered, requested = usage
            if offered > 0:
                after.append(min(requested / offered, 1.0))
                before.append(min((requested - cycle.template.requests.get(name, 0)) / offered, 1.0))
        gain = int((1 - _deviation_of(after)) * MAX_SCORE) - int((1 - _deviation_of(before)) * MAX_SCORE)
        return HALF_SCORE + (HALF_SCORE + gain) // 2 if is_known else None


def _evenness(fractions: list[NDArray[np.float64]], present: list[NDArray[np.bool_]]) -> Ints:
    return ((1 - _deviation(fractions, present)) * MAX_SCORE).astype(np.int64)


def _deviation_of(fractions: Sequence[float]) -> float:
    if len(fractions) == 2:
        return abs(fractions[0] - fractions[1]) / 2
    number = max(len(fractions), 1)
    mean = sum(fractions) / number
    return math.sqrt(sum((fraction - mean) ** 2 for fraction in fractions) / number)


def _deviation(fractions: list[NDArray[np.float64]], present: list[NDArray[np.bool_]]) -> NDArray[np.float64]:
    """The standard deviation of each row's fractions, of those that are present."""
    if len(fractions) == 2:
        both = present[0] & present[1]
        return np.abs(fractions[0] - fractions[1]) / 2 * both
    values, there = np.array(fractions), np.array(present)
    number = np.maximum(there.sum(axis=0), 1)
    mean = (values * there).sum(axis=0) / number
    deviation: NDArray[np.float64] = np.sqrt((((values - mean) ** 2) * there).sum(axis=0) / number)
    return deviation


def used_on(cycle: Cycle, row: int, name: str, *, with_defaults: bool) -> tuple[int, int] | None:
    """As `used`, of one row."""
    snapshot, template = cycle.snapshot, cycle.template
    resource = snapshot.resource(name)
    if with_defaults and name == CPU:
        return int(resource.allocatable[row]), int(snapshot.scoring_cpu[row]) + template.scoring_cpu
    if with_defaults and name == MEMORY:
        return int(resource.allocatable[row]), int(snapshot.scoring_memory[row]) + template.scoring_memory
    wanted = template.requests.get(name, 0)
    if not wanted and is_scalar(name):
        return None
    return int(resource.allocatable[row]), int(resource.requested[row]) + wanted


def used(cycle: Cycle, rows: Rows, name: str, *, with_defaults: bool) -> tuple[Ints, Ints] | None:
    """What each row offers of the resource, and what is asked of it with the pod there.

    `with_defaults`: containers that do not say count with the default CPU and memory. None where the resource plays
    no part for this pod.
    """
    snapshot, template = cycle.snapshot, cycle.template
    resource = snapshot.resource(name)
    if with_defaults and name == CPU:
        return resource.allocatable[rows], snapshot.scoring_cpu[rows] + template.scoring_cpu
    if with_defaults and name == MEMORY:
        return resource.allocatable[rows], snapshot.scoring_memory[rows] + template.scoring_memory
    wanted = template.requests.get(name, 0)
    if not wanted and is_scalar(name):
        return None
    return resource.allocatable[rows], resource.requested[rows] + wanted
