"""Zones: how many of their nodes are well, and how fast nodes may therefore be tainted for eviction.

When many nodes fall silent at once it is likelier the network that failed than the nodes: then nothing is evicted.
Follows: pkg/controller/nodelifecycle/node_lifecycle_controller.go handleDisruption, ComputeZoneState
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from controllers.runtime.objects import View, labels_of

State = Literal["Normal", "PartialDisruption", "FullDisruption"]


@dataclass(frozen=True, slots=True)
class Pace:
    """How many nodes of a zone may be tainted in a second, and in one that is unhealthy; the latter only where it has
    more than `large_zone` nodes, for small ones stop. `unhealthy_share` of nodes that are not ready make it so.
    """

    per_s: float
    unhealthy_per_s: float
    unhealthy_share: float
    large_zone: int


def zone_of(node: View) -> str:
    labels = labels_of(node)
    region, zone = (labels.get(f"topology.kubernetes.io/{part}", "") for part in ("region", "zone"))
    return f"{region}:\x00:{zone}" if region or zone else ""


def state_of(ready: Sequence[bool], pace: Pace) -> State:
    """The state of a zone whose nodes are ready or not."""
    bad = ready.count(False)
    if bad and bad == len(ready):
        return "FullDisruption"
    return "PartialDisruption" if bad > 2 and bad / len(ready) >= pace.unhealthy_share else "Normal"


def rate_of(state: State, size: int, pace: Pace) -> float:
    """How many nodes of the zone may be tainted a second; a dead zone beside healthy ones goes at full speed."""
    if state != "PartialDisruption":
        return pace.per_s
    return pace.unhealthy_per_s if size > pace.large_zone else 0.0


@dataclass(slots=True)
class _Bucket:
    """One token at most, refilled at `per_s`."""

    per_s: float
    filled: datetime
    tokens: float = 1.0

    def refill(self, now: datetime) -> None:
        passed_s = max(0.0, (now - self.filled).total_seconds())
        self.tokens = min(1.0, self.tokens + passed_s * self.per_s)
        self.filled = now

    def take(self, now: datetime) -> bool:
        self.refill(now)
        if self.per_s <= 0 or self.tokens < 1 - 1e-6:
            return False
        self.tokens -= 1
        return True


@dataclass(slots=True)
class Zones:
    """The states of all zones from one look to the next, and the pace of each."""

    pace: Pace
    states: dict[str, State] = field(default_factory=dict)
    _buckets: dict[str, _Bucket] = field(default_factory=dict)

    def update(self, ready: Mapping[str, Sequence[bool]], now: datetime) -> Literal["", "stopped", "resumed"]:
        """Take in who is ready in each zone. `stopped`: now everything is down; `resumed`: it no longer is."""
        new = {zone: state_of(nodes, self.pace) for zone, nodes in ready.items()}
        old = {zone: state for zone, state in self.states.items() if zone in new}
        was_down = bool(old) and all(state == "FullDisruption" for state in old.values())
        is_down = bool(new) and all(state == "FullDisruption" for state in new.values())
        self.states = new
        for zone, nodes in ready.items():
            self._set_rate(zone, 0.0 if is_down else rate_of(new[zone], len(nodes), self.pace), now)
        if is_down == was_down:
            return ""
        return "stopped" if is_down else "resumed"

    def may_taint(self, zone: str, now: datetime) -> bool:
        """Whether another node of the zone may be tainted now; counts it if so."""
        bucket = self._buckets.get(zone)
        return bucket is not None and bucket.take(now)

    def _set_rate(self, zone: str, per_s: float, now: datetime) -> None:
        bucket = self._buckets.get(zone)
        if bucket is None:
            self._buckets[zone] = _Bucket(per_s, now)
        elif bucket.per_s != per_s:
            bucket.refill(now)
            bucket.per_s = per_s
