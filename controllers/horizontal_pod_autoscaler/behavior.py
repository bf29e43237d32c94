"""From what metrics call for to what is done: limits, stabilization over time, pace.

Follows: pkg/controller/podautoscaler/horizontal.go (normalizeDesiredReplicas and what it calls)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from controllers.horizontal_pod_autoscaler.calculator import Tolerance
from openapi.meta.quantity import Quantity

DOWNSCALE_WINDOW_S = 300
_FACTOR, _AT_LEAST = 2.0, 4
_LARGEST = 2**31 - 1

_READY = ("ReadyForNewScale", "recommended size matches current size")
_IN_RANGE = ("DesiredWithinRange", "the desired count is within the acceptable range")
_UP_LIMIT = ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate")
_DOWN_LIMIT = ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate")
_TOO_MANY = ("TooManyReplicas", "the desired replica count is more than the maximum replica count")
_TOO_FEW = ("TooFewReplicas", "the desired replica count is less than the minimum replica count")
_UP_STABLE = (
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
)
_DOWN_STABLE = (
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
)

Reason = tuple[str, str]
"""A condition's reason and message."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What counts in one decision."""

    current: int
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Decision:
    """The replicas to have, why they are ready to be had, and what limited them."""

    replicas: int
    able: Reason
    limit: Reason
    is_limited: bool


@dataclass(slots=True)
class History:
    """What was recommended and done before, for one autoscaler."""

    recommendations: list[tuple[datetime, int]] = field(default_factory=list)
    ups: list[tuple[datetime, int]] = field(default_factory=list)
    downs: list[tuple[datetime, int]] = field(default_factory=list)

    def begin(self, current: int, now: datetime) -> None:
        """The first thing known is what was there."""
        if not self.recommendations:
            self.recommendations.append((now, current))

    def recommend(self, replicas: int, now: datetime, longest_s: int) -> None:
        cutoff = now - timedelta(seconds=longest_s)
        self.recommendations = [(when, count) for when, count in self.recommendations if when >= cutoff]
        self.recommendations.append((now, replicas))

    def scaled(self, behavior: Mapping[str, Any] | None, before: int, after: int, now: datetime) -> None:
        """Remember a change for as long as a policy asks about it."""
        if behavior is None:
            return
        rules = behavior.get("scaleUp" if after > before else "scaleDown") or {}
        longest_s = max((policy["periodSeconds"] for policy in rules.get("policies") or ()), default=0)
        cutoff = now - timedelta(seconds=longest_s)
        events = self.ups if after > before else self.downs
        events[:] = [event for event in events if event[0] >= cutoff]
        events.append((now, abs(after - before)))


def tolerance_of(behavior: Mapping[str, Any] | None) -> Tolerance:
    """The tolerance that the behavior sets for each direction, or the usual one."""
    found = {}
    for direction, rules in (("down", "scaleDown"), ("up", "scaleUp")):
        text = ((behavior or {}).get(rules) or {}).get("tolerance")
        if text is not None:
            found[direction] = Quantity.parse(text).as_float()
    return Tolerance(**found)


def decide(
    behavior: Mapping[str, Any] | None, bounds: Bounds, wanted: int, history: History, now: datetime
) -> Decision:
    """What becomes of `wanted` replicas; it is remembered as a recommendation."""
    if behavior is None:
        return _by_default(bounds, wanted, history, now)
    stable, reason = _stabilized(behavior, bounds, wanted, history, now)
    able = _READY if stable == wanted else reason
    replicas, limit = _at_pace(behavior, bounds, stable, history, now)
    return Decision(replicas, able, limit, replicas != stable)


def _by_default(bounds: Bounds, wanted: int, history: History, now: datetime) -> Decision:
    cutoff = now - timedelta(seconds=DOWNSCALE_WINDOW_S)
    stable = max([wanted, *(count for when, count in history.recommendations if when >= cutoff)])
    history.recommend(wanted, now, DOWNSCALE_WINDOW_S)
    able = _READY if stable == wanted else _DOWN_STABLE
    pace = int(max(_FACTOR * bounds.current, _AT_LEAST))
    most, limit = (pace, _UP_LIMIT) if bounds.most > pace else (bounds.most, _TOO_MANY)
    if stable < bounds.least:
        return Decision(bounds.least, able, _TOO_FEW, is_limited=True)
    if stable > most:
        return Decision(most, able, limit, is_limited=True)
    return Decision(stable, able, _IN_RANGE, is_limited=False)


def _stabilized(
    behavior: Mapping[str, Any], bounds: Bounds, wanted: int, history: History, now: datetime
) -> tuple[int, Reason]:
    """As near to the current count as recent recommendations allow."""
    up_s = _window(behavior, "scaleUp", 0)
    down_s = _window(behavior, "scaleDown", DOWNSCALE_WINDOW_S)
    lowest = highest = wanted
    for when, count in history.recommendations:
        if when > now - timedelta(seconds=up_s):
            lowest = min(lowest, count)
        if when > now - timedelta(seconds=down_s):
            highest = max(highest, count)
    history.recommend(wanted, now, max(up_s, down_s))
    stable = min(max(bounds.current, lowest), highest)
    return stable, _UP_STABLE if wanted >= bounds.current else _DOWN_STABLE


def _window(behavior: Mapping[str, Any], direction: str, usual_s: int) -> int:
    seconds = (behavior.get(direction) or {}).get("stabilizationWindowSeconds")
    return usual_s if seconds is None else int(seconds)


def _at_pace(
    behavior: Mapping[str, Any], bounds: Bounds, wanted: int, history: History, now: datetime
) -> tuple[int, Reason]:
    if wanted > bounds.current:
        pace = max(_up_pace(behavior.get("scaleUp") or {}, bounds.current, history, now), bounds.current)
        most, reason = (pace, _UP_LIMIT) if bounds.most > pace else (bounds.most, _TOO_MANY)
        if wanted > most:
            return most, reason
    elif wanted < bounds.current:
        pace = min(_down_pace(behavior.get("scaleDown") or {}, bounds.current, history, now), bounds.current)
        least, reason = (pace, _DOWN_LIMIT) if bounds.least < pace else (bounds.least, _TOO_FEW)
        if wanted < least:
            return least, reason
    return wanted, _IN_RANGE


def _up_pace(rules: Mapping[str, Any], current: int, history: History, now: datetime) -> int:
    """The most replicas that the policies allow now."""
    if rules.get("selectPolicy") == "Disabled":
        return current
    allowed = []
    for policy in rules.get("policies") or ():
        start = _start(policy, current, history, now)
        # Rounded up, for a change that rounds to nothing would never begin.
        percent = math.ceil(start * (1 + policy["value"] / 100))
        allowed.append(start + int(policy["value"]) if policy["type"] == "Pods" else percent)
    if not allowed:
        return _LARGEST
    return min(allowed) if rules.get("selectPolicy") == "Min" else max(allowed)


def _down_pace(rules: Mapping[str, Any], current: int, history: History, now: datetime) -> int:
    """The fewest replicas that the policies allow now."""
    if rules.get("selectPolicy") == "Disabled":
        return current
    allowed = []
    for policy in rules.get("policies") or ():
        start = _start(policy, current, history, now)
        percent = int(start * (1 - policy["value"] / 100))
        allowed.append(start - int(policy["value"]) if policy["type"] == "Pods" else percent)
    if not allowed:
        return 0
    return max(allowed) if rules.get("selectPolicy") == "Min" else min(allowed)


def _start(policy: Mapping[str, Any], current: int, history: History, now: datetime) -> int:
    """How many replicas there were when the policy's period began."""
    cutoff = now - timedelta(seconds=policy["periodSeconds"])
    return current - _since(history.ups, cutoff) + _since(history.downs, cutoff)


def _since(events: Sequence[tuple[datetime, int]], cutoff: datetime) -> int:
    return sum(change for when, change in events if when > cutoff)
