"""How many replicas a metric calls for: pure arithmetic over pods and what was measured of them.

Amounts are thousandths. Pods without a measurement are assumed to use what keeps scaling careful: nothing when scaling
up, all of it when scaling down; and never is the direction turned round by assumptions.
Follows: pkg/controller/podautoscaler/replica_calculator.go, pkg/controller/podautoscaler/metrics/utilization.go
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from controllers.runtime.objects import View, condition_of, is_deleting, name_of
from openapi.meta.quantity import Quantity
from openapi.meta.times import parse_time

CPU_INITIALIZATION = timedelta(minutes=5)
READINESS_DELAY = timedelta(seconds=30)
_MOST = 2**31 - 1


class CannotCompute(Exception):
    """No replica count follows from this metric; the text goes into conditions and events."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a pod used (thousandths), until when and over how long it was measured."""

    value: int
    moment: datetime
    window: timedelta


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far from its target a metric may be without consequence, below and above."""

    down: float = 0.1
    up: float = 0.1

    def covers(self, ratio: float) -> bool:
        return 1.0 - self.down <= ratio <= 1.0 + self.up


@dataclass(frozen=True, slots=True)
class Proposal:
    """The replicas to have; `usage` is the average per pod, `utilization` its share of the request in percent."""

    replicas: int
    usage: int
    utilization: int = 0


@dataclass(frozen=True, slots=True)
class _Groups:
    ready: int
    unready: frozenset[str]
    missing: frozenset[str]
    ignored: frozenset[str]


def by_utilization(
    pods: Sequence[View],
    measured: Mapping[str, Measurement],
    requests: Callable[[], Mapping[str, int]],
    *,
    resource: str,
    target: int,
    current: int,
    tolerance: Tolerance,
    now: datetime,
) -> Proposal:
    """By the share of what the pods request, in percent. `requests` may raise CannotCompute."""
    groups, values = _usable(pods, measured, resource, now)
    requested = requests()
    ratio, utilization, usage = _utilization(values, requested, target)
    full = max(100, target)

    def again(assumed: Mapping[str, int]) -> float:
        return _utilization(assumed, requested, target)[0]

    replicas = _replicas(
        groups, values, ratio, again, lambda pod: requested.get(pod, 0) * full // 100, current, tolerance
    )
    return Proposal(replicas, usage, utilization)


def by_average(
    pods: Sequence[View],
    measured: Mapping[str, Measurement],
    *,
    resource: str,
    target: int,
    current: int,
    tolerance: Tolerance,
    now: datetime,
) -> Proposal:
    """By the average amount per pod."""
    groups, values = _usable(pods, measured, resource, now)
    ratio, usage = _average(values, target)

    def again(assumed: Mapping[str, int]) -> float:
        return _average(assumed, target)[0]

    return Proposal(_replicas(groups, values, ratio, again, lambda _pod: target, current, tolerance), usage)


def by_total(pods: Sequence[View], usage: int, *, target: int, current: int, tolerance: Tolerance) -> Proposal:
    """By one value for all pods together: so many times as many ready pods as it is above its target."""
    ratio = usage / target
    if current == 0:
        return Proposal(math.ceil(ratio), usage)
    if tolerance.covers(ratio):
        return Proposal(current, usage)
    if not pods:
        raise CannotCompute(
            "unable to calculate ready pods: no pods returned by selector while calculating replica count"
        )
    ready = sum(1 for pod in pods if _phase(pod) == "Running" and _is_ready(pod))
    return Proposal(min(math.ceil(ratio * ready), _MOST), usage)


def by_share(usage: int, *, target: int, current: int, tolerance: Tolerance) -> Proposal:
    """By one value that all pods share: as many pods as make each one's share the target."""
    whole = target * current
    covered = bool(whole) and tolerance.covers(usage / whole)
    replicas = current if covered else math.ceil(usage / target)
    return Proposal(replicas, math.ceil(usage / current) if current else 0)


def requests_of(pods: Iterable[View], resource: str, container: str) -> Mapping[str, int]:
    """What each pod requests of the resource, or its `container` does. Raises CannotCompute where one says nothing."""
    return {name_of(pod): _request(pod, resource, container) for pod in pods}


def _request(pod: View, resource: str, container: str) -> int:
    spec = pod["spec"]
    whole = ((spec.get("resources") or {}).get("requests") or {}).get(resource)
    if whole is not None and not container:
        return Quantity.parse(whole).milli
    sidecars = [found for found in spec.get("initContainers") or () if found.get("restartPolicy") == "Always"]
    total = 0
    for found in (*spec["containers"], *sidecars):
        if container and found["name"] != container:
            continue
        amount = ((found.get("resources") or {}).get("requests") or {}).get(resource)
        if amount is None:
            raise CannotCompute(f"missing request for {resource} in container {found['name']} of Pod {name_of(pod)}")
        total += Quantity.parse(amount).milli
    return total


def _usable(
    pods: Sequence[View], measured: Mapping[str, Measurement], resource: str, now: datetime
) -> tuple[_Groups, dict[str, int]]:
    """The pods in groups, and the measurements that count."""
    if not pods:
        raise CannotCompute("no pods returned by selector while calculating replica count")
    groups = _group(pods, measured, resource, now)
    left_out = groups.ignored | groups.unready
    values = {pod: found.value for pod, found in measured.items() if pod not in left_out}
    if not values:
        raise CannotCompute("did not receive metrics for targeted pods (pods might be unready)")
    return groups, values


def _group(pods: Sequence[View], measured: Mapping[str, Measurement], resource: str, now: datetime) -> _Groups:
    ready, unready, missing, ignored = 0, set(), set(), set()
    for pod in pods:
        name = name_of(pod)
        if is_deleting(pod) or _phase(pod) == "Failed":
            ignored.add(name)
        elif _phase(pod) == "Pending":
            unready.add(name)
        elif name not in measured:
            missing.add(name)
        elif resource == "cpu" and _is_starting(pod, measured[name], now):
            unready.add(name)
        else:
            ready += 1
    return _Groups(ready, frozenset(unready), frozenset(missing), frozenset(ignored))


def _is_starting(pod: View, measurement: Measurement, now: datetime) -> bool:
    """Whether the pod's processor time is still that of its start, which says nothing about load."""
    condition, started = condition_of(pod, "Ready"), (pod.get("status") or {}).get("startTime")
    if condition is None or not started or not condition.get("lastTransitionTime"):
        return True
    start, changed = parse_time(started), parse_time(condition["lastTransitionTime"])
    is_unready = condition.get("status") == "False"
    if start + CPU_INITIALIZATION > now:
        return is_unready or measurement.moment < changed + measurement.window
    return is_unready and start + READINESS_DELAY > changed


def _replicas(
    groups: _Groups,
    values: dict[str, int],
    ratio: float,
    again: Callable[[Mapping[str, int]], float],
    assumption: Callable[[str], int],
    current: int,
    tolerance: Tolerance,
) -> int:
    """The count by `ratio`, or by the ratio that comes `again` with assumptions about the other pods."""
    counts_unready = bool(groups.unready) and ratio > 1.0
    if not counts_unready and not groups.missing:
        return current if tolerance.covers(ratio) else math.ceil(ratio * groups.ready)
    assumed = dict(values)
    if ratio < 1.0:
        assumed |= {pod: assumption(pod) for pod in groups.missing}
    elif ratio > 1.0:
        assumed |= dict.fromkeys(groups.missing, 0)
    if counts_unready:
        assumed |= dict.fromkeys(groups.unready, 0)
    new = again(assumed)
    if tolerance.covers(new) or (ratio < 1.0 < new) or (new < 1.0 < ratio):
        return current
    replicas = math.ceil(new * len(assumed))
    turned = (new < 1.0 and replicas > current) or (new > 1.0 and replicas < current)
    return current if turned else replicas


def _utilization(values: Mapping[str, int], requests: Mapping[str, int], target: int) -> tuple[float, int, int]:
    known = [pod for pod in values if pod in requests]
    requested = sum(requests[pod] for pod in known)
    if requested == 0:
        raise CannotCompute("no metrics returned matched known pods")
    used = sum(values[pod] for pod in known)
    utilization = used * 100 // requested
    return utilization / target, utilization, used // len(known)


def _average(values: Mapping[str, int], target: int) -> tuple[float, int]:
    average = sum(values.values()) // len(values)
    return average / target, average


def _phase(pod: View) -> str:
    return str((pod.get("status") or {}).get("phase", ""))


def _is_ready(pod: View) -> bool:
    condition = condition_of(pod, "Ready")
    return condition is not None and condition.get("status") == "True"
