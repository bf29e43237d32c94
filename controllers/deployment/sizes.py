"""How many pods each ReplicaSet of a Deployment gets: rolling, recreating, scaling in proportion.

All in plain numbers. Follows: pkg/controller/deployment/{rolling.go,sync.go}, util/deployment_util.go
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from controllers.deployment.marks import DESIRED_REPLICAS, MAX_REPLICAS, number
from controllers.runtime.objects import Object, View, annotations_of, name_of
from openapi.meta.intstr import scaled_value


def replicas_of(obj: View) -> int:
    """The number in the spec of a Deployment or ReplicaSet."""
    return int(obj["spec"].get("replicas", 1))


def counted(obj: View, field: str) -> int:
    """A number in the status, which is left out when it is 0."""
    return int((obj.get("status") or {}).get(field) or 0)


def total(replica_sets: Sequence[View]) -> int:
    return sum(map(replicas_of, replica_sets))


def is_shrinking(replica_set: View) -> bool:
    """Whether it has, or had when it was last counted, more pods than it should."""
    return counted(replica_set, "replicas") > replicas_of(replica_set)


def active(replica_sets: Sequence[Object]) -> list[Object]:
    """Those that should have pods."""
    return [replica_set for replica_set in replica_sets if replicas_of(replica_set) > 0]


def by_age(replica_sets: Sequence[Object]) -> list[Object]:
    """The oldest first."""
    return sorted(replica_sets, key=lambda one: (one["metadata"].get("creationTimestamp", ""), name_of(one)))


@dataclass(frozen=True, slots=True)
class Limits:
    """What a rolling update may add, and miss, in pods. Both are 0 for other strategies."""

    surge: int
    unavailable: int


def limits_of(deployment: View) -> Limits:
    """The limits in whole pods: the surge rounded up, what may be missing rounded down, never both 0."""
    strategy, wanted = deployment["spec"].get("strategy") or {}, replicas_of(deployment)
    if not is_rolling(deployment):
        return Limits(0, 0)
    rolling = strategy.get("rollingUpdate") or {}
    surge = scaled_value(rolling.get("maxSurge", 0), wanted, True)
    unavailable = scaled_value(rolling.get("maxUnavailable", 0), wanted, False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Limits(surge, min(unavailable, wanted))


def is_rolling(deployment: View) -> bool:
    return bool((deployment["spec"].get("strategy") or {}).get("type") == "RollingUpdate")


def new_size(deployment: View, everything: Sequence[View], newest: View) -> int:
    """How large the newest ReplicaSet may be now. `everything` includes it.

    It does not grow while another one still has pods to delete: so there are at no time more pods than the surge
    allows, whichever of the two ReplicaSets is worked on first.
    """
    wanted, current = replicas_of(deployment), replicas_of(newest)
    if not is_rolling(deployment):
        return wanted
    if any(is_shrinking(one) for one in everything if one is not newest):
        return current
    room = wanted + limits_of(deployment).surge - total(everything)
    return current if room <= 0 else current + min(room, wanted - current)


def rolled_size(deployment: View, everything: Sequence[View], newest: View) -> int:
    """The size of the newest ReplicaSet in the next step of a rolling update."""
    return min(replicas_of(deployment), new_size(deployment, everything, newest))


@dataclass(frozen=True, slots=True)
class Resize:
    replica_set: Object
    size: int


def shrink_old(deployment: View, newest: View, old: Sequence[Object]) -> list[Resize]:
    """The old ReplicaSets that can shrink now: first by pods that do not work anyway, then by as many as may be missed.

    A ReplicaSet may come twice; the steps are to be made in order.
    """
    wanted = replicas_of(deployment)
    least = wanted - limits_of(deployment).unavailable
    missing_new = replicas_of(newest) - counted(newest, "availableReplicas")
    room = total([*old, newest]) - least - missing_new
    if total(old) == 0 or room <= 0:
        return []
    sizes = {name_of(one): replicas_of(one) for one in old}
    steps = _shrink_unhealthy(by_age(old), sizes, room)
    # A ReplicaSet that shrinks has fewer than it counted last: what it loses must not be counted on again.
    available = sum(min(counted(one, "availableReplicas"), replicas_of(one)) for one in (*old, newest))
    return steps + _shrink_healthy(by_age(old), sizes, available - least)


def _shrink_unhealthy(old: Sequence[Object], sizes: dict[str, int], room: int) -> list[Resize]:
    steps = []
    for one in old:
        name = name_of(one)
        broken = min(room, sizes[name] - counted(one, "availableReplicas"))
        if sizes[name] == 0 or broken <= 0:
            continue
        sizes[name] -= broken
        room -= broken
        steps.append(Resize(one, sizes[name]))
    return steps


def _shrink_healthy(old: Sequence[Object], sizes: dict[str, int], room: int) -> list[Resize]:
    steps = []
    for one in old:
        name = name_of(one)
        if room <= 0:
            break
        if sizes[name] == 0:
            continue
        fewer = min(sizes[name], room)
        sizes[name] -= fewer
        room -= fewer
        steps.append(Resize(one, sizes[name]))
    return steps


def is_scaling(deployment: View, replica_sets: Sequence[Object]) -> bool:
    """Whether the Deployment's size differs from the one that its ReplicaSets were last scaled for."""
    wanted = replicas_of(deployment)
    desired = (number(annotations_of(one), DESIRED_REPLICAS) for one in active(replica_sets))
    return any(size is not None and size != wanted for size in desired)


def scale_all(deployment: View, newest: Object | None, old: Sequence[Object]) -> list[Resize]:
    """Bring the ReplicaSets to a new size of the Deployment without rolling: the only one in use alone, else in
    proportion. ReplicaSets whose size stays are named too, as their annotations may have to change.
    """
    wanted = replicas_of(deployment)
    only = _only_in_use(newest, old)
    if only is not None:
        return [] if replicas_of(only) == wanted else [Resize(only, wanted)]
    if newest is not None and _is_saturated(deployment, newest):
        return [Resize(one, 0) for one in active(old)]
    if not is_rolling(deployment):
        return []
    everything = active([*old, newest] if newest is not None else old)
    return _proportional(deployment, everything)


def _only_in_use(newest: Object | None, old: Sequence[Object]) -> Object | None:
    """The one ReplicaSet with pods, or the latest where none has any; None where several have."""
    everything = [*reversed(by_age(old)), *([newest] if newest is not None else [])]
    used = active(everything)
    if len(used) == 1:
        return used[0]
    if used or not everything:
        return None
    return newest if newest is not None else everything[0]


def _is_saturated(deployment: View, newest: View) -> bool:
    wanted = replicas_of(deployment)
    return (
        replicas_of(newest) == wanted
        and number(annotations_of(newest), DESIRED_REPLICAS) == wanted
        and counted(newest, "availableReplicas") == wanted
    )


def _proportional(deployment: View, replica_sets: Sequence[Object]) -> list[Resize]:
    """Spread the difference over the ReplicaSets by their sizes; the largest takes what rounding leaves."""
    wanted = replicas_of(deployment)
    allowed = wanted + limits_of(deployment).surge if wanted > 0 else 0
    difference = allowed - total(replica_sets)
    ordered = by_age(replica_sets)
    if difference >= 0:
        ordered.reverse()
    ordered.sort(key=replicas_of, reverse=True)
    sizes, added = [], 0
    for one in ordered:
        share = _share(deployment, one, difference, added)
        sizes.append(replicas_of(one) + share)
        added += share
    if sizes and difference != 0:
        sizes[0] = max(0, sizes[0] + difference - added)
    return [Resize(one, size) for one, size in zip(ordered, sizes, strict=True)]


def _share(deployment: View, replica_set: View, difference: int, added: int) -> int:
    if replicas_of(replica_set) == 0 or difference in (0, added):
        return 0
    fraction, allowed = _fraction(deployment, replica_set), difference - added
    return min(fraction, allowed) if difference > 0 else max(fraction, allowed)


def _fraction(deployment: View, replica_set: View) -> int:
    """By how much a ReplicaSet would grow if the Deployment's growth were shared exactly."""
    wanted, current = replicas_of(deployment), replicas_of(replica_set)
    if wanted == 0:
        return -current
    before = number(annotations_of(replica_set), MAX_REPLICAS) or counted(deployment, "replicas")
    if before <= 0:
        return 0
    exact = current * (wanted + limits_of(deployment).surge) / before
    return int(exact + 0.5) - current
