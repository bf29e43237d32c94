"""Which pods of a DaemonSet are to be made and deleted, and its status, from plain data.

Follows: pkg/controller/daemon/{daemon_controller.go,update.go}
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from controllers.daemonset.pods import is_updated, judge_of, node_of
from controllers.runtime.objects import Object, View, is_deleting, name_of, namespace_of, uid_of
from controllers.workloads.pods import is_available, is_finished, is_ready, phase_of
from openapi.meta.intstr import scaled_value


@dataclass(slots=True)
class Changes:
    """Nodes that need a pod and pods that have to go; `failed` and `succeeded` of these have ended by themselves."""

    create: list[str] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)
    failed: list[Object] = field(default_factory=list)
    succeeded: list[Object] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.create or self.delete)


@dataclass(frozen=True, slots=True)
class Situation:
    """A DaemonSet, the nodes, whether each should have a pod and may keep one, its pods by node, and the hash of the
    present template. Made by `situation`.
    """

    daemon_set: View
    nodes: Sequence[View]
    verdicts: Mapping[str, tuple[bool, bool]]
    pods: Mapping[str, Sequence[Object]]
    digest: str
    now: datetime

    @property
    def min_ready_s(self) -> int:
        return int(self.daemon_set["spec"].get("minReadySeconds", 0))

    def is_available(self, pod: View) -> bool:
        return is_available(pod, self.min_ready_s, self.now)

    def is_updated(self, pod: View) -> bool:
        return is_updated(self.daemon_set, pod, self.digest)


def situation(daemon_set: View, nodes: Sequence[View], pods: Sequence[Object], digest: str, now: datetime) -> Situation:
    judge = judge_of(daemon_set)
    verdicts = {name_of(node): judge(node) for node in nodes}
    return Situation(daemon_set, nodes, verdicts, by_node(pods), digest, now)


def by_node(pods: Sequence[Object]) -> dict[str, list[Object]]:
    """The pods by the node they are for, without those that have ended and only wait for their finalizers."""
    found: dict[str, list[Object]] = {}
    for pod in pods:
        node = node_of(pod)
        if node and not (is_finished(pod) and is_deleting(pod)):
            found.setdefault(node, []).append(pod)
    return found


def after(seen: Situation, made: Sequence[Object], gone: Collection[str]) -> Situation:
    """With the pods that were made since, and without those (by their uids) that are gone."""
    pods = [pod for there in seen.pods.values() for pod in there if uid_of(pod) not in gone]
    return replace(seen, pods=by_node([*pods, *made]))


def plan_nodes(seen: Situation) -> Changes:
    """One pod on each node that should have one, none elsewhere."""
    changes = Changes()
    for node in seen.nodes:
        pods = seen.pods.get(name_of(node), ())
        wanted, may_stay = seen.verdicts[name_of(node)]
        if wanted and not pods:
            changes.create.append(name_of(node))
        elif may_stay:
            _prune(seen, pods, changes)
        else:
            changes.delete += [pod for pod in pods if not is_deleting(pod)]
    known = {name_of(node) for node in seen.nodes}
    for name, pods in seen.pods.items():
        if name not in known:
            changes.delete += [pod for pod in pods if not pod["spec"].get("nodeName") and not is_deleting(pod)]
    return changes


def _prune(seen: Situation, pods: Sequence[Object], changes: Changes) -> None:
    """On a node that may have a pod: remove what has ended and what is too much."""
    running = []
    for pod in pods:
        if is_deleting(pod):
            continue
        match phase_of(pod):
            case "Failed":
                changes.failed.append(pod)
            case "Succeeded":
                changes.succeeded.append(pod)
            case _:
                running.append(pod)
    running.sort(key=_by_age)
    if len(running) <= 1:
        return
    if surge_of(seen.daemon_set, len(seen.nodes)) == 0:
        changes.delete += running[1:]
        return
    updated = [pod for pod in running if seen.is_updated(pod)]
    outdated = [pod for pod in running if not seen.is_updated(pod)]
    changes.delete += updated[1:] + outdated[1:]
    if updated and outdated and (not is_ready(outdated[0]) or seen.is_available(updated[0])):
        changes.delete.append(outdated[0])


def _by_age(pod: View) -> tuple[bool, str, str]:
    """Scheduled pods first, then the oldest."""
    return (not pod["spec"].get("nodeName"), pod["metadata"].get("creationTimestamp", ""), name_of(pod))


def surge_of(daemon_set: View, desired: int) -> int:
    """How many nodes may have two pods during an update."""
    strategy = daemon_set["spec"].get("updateStrategy") or {}
    rolling = strategy.get("rollingUpdate") or {}
    return scaled_value(rolling.get("maxSurge", 0), desired, True) if strategy.get("type") == "RollingUpdate" else 0


def _limits(seen: Situation) -> tuple[int, int, dict[str, Sequence[Object]]]:
    """Surge and unavailability in nodes, and the pods of all nodes that count."""
    pods: dict[str, Sequence[Object]] = dict(seen.pods)
    desired = 0
    for node in seen.nodes:
        if seen.verdicts[name_of(node)][0]:
            desired += 1
            pods.setdefault(name_of(node), ())
    rolling = (seen.daemon_set["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
    surge = surge_of(seen.daemon_set, desired)
    unavailable = scaled_value(rolling.get("maxUnavailable", 1), desired, True)
    if desired > 0 and surge == 0 and unavailable == 0:
        unavailable = 1
    return surge, unavailable, pods


def plan_update(seen: Situation) -> Changes:
    """The next step of a rolling update."""
    surge, unavailable, pods = _limits(seen)
    ordered = sorted(pods.items())
    return _roll_by_surge(seen, ordered, surge) if surge else _roll_by_deletion(seen, ordered, unavailable)


def _pair(seen: Situation, pods: Sequence[Object]) -> tuple[Object | None, Object | None] | None:
    """The one new and the one old pod of a node; None where there are too many of either."""
    staying = [pod for pod in pods if not is_deleting(pod)]
    new = [pod for pod in staying if seen.is_updated(pod)]
    old = [pod for pod in staying if not seen.is_updated(pod)]
    if len(new) > 1 or len(old) > 1:
        return None
    return (new[0] if new else None, old[0] if old else None)


def _roll_by_deletion(seen: Situation, nodes: Sequence[tuple[str, Sequence[Object]]], limit: int) -> Changes:
    missing = 0
    broken: list[Object] = []
    candidates: list[Object] = []
    for _node, pods in nodes:
        pair = _pair(seen, pods)
        new, old = pair if pair is not None else (None, None)
        if (new is None) == (old is None):
            missing += 1
        elif new is not None:
            missing += not seen.is_available(new)
        elif old is not None:
            (candidates if seen.is_available(old) else broken).append(old)
    return Changes(delete=[*broken, *candidates[: max(0, limit - missing)]])


def _roll_by_surge(seen: Situation, nodes: Sequence[tuple[str, Sequence[Object]]], limit: int) -> Changes:
    surging = 0
    allowed: list[str] = []
    candidates: list[str] = []
    delete: list[Object] = []
    for node, pods in nodes:
        pair = _pair(seen, pods)
        if pair is None:
            surging += 1
            continue
        new, old = pair
        if old is None:
            continue
        if new is None:
            (candidates if seen.is_available(old) else allowed).append(node)
        elif not is_ready(old) or seen.is_available(new):
            delete.append(old)
        else:
            surging += 1
    return Changes(create=[*allowed, *candidates[: max(0, limit - surging)]], delete=delete)


def plan_status(seen: Situation, collisions: int) -> Object:
    """The whole status."""
    desired = current = ready = available = updated = misplaced = 0
    for node in seen.nodes:
        pods = sorted(seen.pods.get(name_of(node), ()), key=_by_age)
        if not seen.verdicts[name_of(node)][0]:
            misplaced += bool(pods)
            continue
        desired += 1
        if pods:
            current += 1
            ready += is_ready(pods[0])
            available += seen.is_available(pods[0])
            updated += seen.is_updated(pods[0])
    old = seen.daemon_set.get("status") or {}
    status: Object = {
        "currentNumberScheduled": current,
        "numberMisscheduled": misplaced,
        "desiredNumberScheduled": desired,
        "numberReady": ready,
        "observedGeneration": seen.daemon_set["metadata"].get("generation", 0),
    }
    counts = {
        "updatedNumberScheduled": updated,
        "numberAvailable": available,
        "numberUnavailable": desired - available,
    }
    status |= {name: count for name, count in counts.items() if count}
    if collisions or "collisionCount" in old:
        status["collisionCount"] = collisions
    if old.get("conditions"):
        status["conditions"] = old["conditions"]
    return status


def describe(pod: View) -> str:
    return f"{namespace_of(pod)}/{name_of(pod)} on node {node_of(pod)}"
