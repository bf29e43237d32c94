"""Changes of the cluster, taken into the world and the queue, and told to waiting pods as events.

Follows: pkg/scheduler/{eventhandlers.go,framework/events.go}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controllers.runtime.informer import Change
from controllers.scheduler.framework import ClusterEvent
from controllers.scheduler.nomination import Nominations
from controllers.scheduler.pod import PodInfo, Templates
from controllers.scheduler.queue import SchedulingQueue
from controllers.scheduler.world import Collection, World

View = Mapping[str, Any]
_ACTIONS = {"ADDED": "add", "MODIFIED": "update", "DELETED": "delete"}
_FINISHED = ("Succeeded", "Failed")


class Intake:
    """Handlers for the informers. `assumed` are pods on their way to a node, by uid, whose bind is not yet seen."""

    def __init__(
        self, world: World, queue: SchedulingQueue, nominations: Nominations, scheduler_names: frozenset[str]
    ) -> None:
        self._world = world
        self._queue = queue
        self._nominations = nominations
        self._names = scheduler_names
        self._templates = Templates()
        self.assumed: set[str] = set()

    def on_pod(self, change: Change) -> None:
        obj = change.obj
        if change.type == "DELETED" or obj.get("status", {}).get("phase") in _FINISHED:
            self._pod_gone(obj)
            return
        uid = obj["metadata"]["uid"]
        queued = self._queue.get(uid)
        known = queued.info if queued is not None else self._world.snapshot.pods.get(uid)
        info = self._templates.info(obj, known)
        if info.node:
            self._pod_on_node(info)
        elif info.uid in self.assumed:
            self._queue.refresh(info)
            if info.is_terminating:
                self._give_up(info)
        else:
            self._pod_waits(info)

    def _pod_gone(self, obj: View) -> None:
        uid = obj["metadata"]["uid"]
        self.assumed.discard(uid)
        self._world.evicted.discard(uid)
        known = self._world.snapshot.remove_pod(uid)
        promised = self._nominations.node_of(uid)
        self._nominations.drop(uid)
        queued = self._queue.get(uid)
        self._queue.remove(uid)
        if known is not None:
            self._queue.react(ClusterEvent("pods", "delete", old=known.obj, pod=known))
            self._queue.recheck_gated()
        elif promised and queued is not None:
            event = ClusterEvent("pods", "delete", old=queued.info.obj, pod=queued.info)
            self._queue.react(event, most=queued.info.priority)  # the room kept for it is free again

    def _give_up(self, info: PodInfo) -> None:
        """A pod that is deleted on its way to a node does not take the room there any more."""
        known = self._world.snapshot.remove_pod(info.uid)
        if known is not None:
            self._queue.react(ClusterEvent("pods", "delete", old=known.obj, pod=known))

    def _pod_on_node(self, info: PodInfo) -> None:
        uid = info.uid
        self._queue.remove(uid)
        self._nominations.drop(uid)
        was_assumed = uid in self.assumed
        self.assumed.discard(uid)
        known = self._world.snapshot.pods.get(uid)
        self._world.snapshot.add_pod(info)
        if known is None or was_assumed:
            self._queue.react(ClusterEvent("pods", "add", new=info.obj, pod=info))
            return
        fields = pod_fields(known, info)
        if fields:
            self._queue.react(ClusterEvent("pods", "update", fields, known.obj, info.obj, known))
            if "deletion" in fields:
                self._queue.recheck_gated()

    def _pod_waits(self, info: PodInfo) -> None:
        if info.template.scheduler not in self._names:
            return
        queued = self._queue.get(info.uid)
        if info.nominated or self._nominations.node_of(info.uid):
            self._nominations.set(info, info.nominated or self._nominations.node_of(info.uid))
        if queued is None:
            self._queue.add(info)
            return
        old = queued.info
        self._queue.update(info, pod_fields(old, info))
        if old.nominated and old.nominated != info.nominated:
            # The room that was kept for it is free again for those that had to keep away.
            event = ClusterEvent("pods", "delete", old=old.obj, pod=old)
            self._queue.react(event, most=old.priority)

    def on_node(self, change: Change) -> None:
        snapshot, obj = self._world.snapshot, change.obj
        name = obj["metadata"]["name"]
        if change.type == "DELETED":
            snapshot.remove_node(name)
            self._queue.react(ClusterEvent("nodes", "delete", old=obj))
            return
        row = snapshot.rows.get(name)
        known = None if row is None else snapshot.nodes[row]
        fields = frozenset() if known is None else node_fields(known, obj)
        if row is not None and not fields:
            snapshot.nodes[row] = obj
            return
        snapshot.set_node(obj)
        row = snapshot.rows[name]
        action = "add" if known is None else "update"
        self._queue.react(ClusterEvent("nodes", action, fields, known, obj, row=row))

    def on_namespace(self, change: Change) -> None:
        labels = None if change.type == "DELETED" else change.obj["metadata"].get("labels") or {}
        self._world.snapshot.set_namespace(change.obj["metadata"]["name"], labels)

    def on_object(self, collection: str, change: Change) -> None:
        """A change of a collection of the world."""
        objects: Collection = getattr(self._world, collection)
        if change.type == "DELETED":
            objects.drop(change.obj)
        else:
            objects.put(change.obj)
        if collection == "device_classes":
            self._world.snapshot.start_over()  # which resources nodes must have themselves depends on classes
        old = change.old if change.type != "DELETED" else change.obj
        new = None if change.type == "DELETED" else change.obj
        self._queue.react(ClusterEvent(collection, _ACTIONS[change.type], old=old, new=new))
        if collection == "resource_claims":
            self._queue.recheck_gated()


def pod_fields(old: PodInfo, new: PodInfo) -> frozenset[str]:
    """What changed in a pod that rules may read: labels, tolerations, gates, requests, claims, deletion."""
    before, after = old.obj["spec"], new.obj["spec"]
    changed: set[str] = set()
    if old.is_terminating != new.is_terminating:
        changed.add("deletion")
    if before.get("schedulingGates") and not after.get("schedulingGates"):
        changed.add("gates")
    if _claim_statuses(old.obj) != _claim_statuses(new.obj):
        changed.add("claims")
    if old.template is new.template:
        return frozenset(changed)
    if old.template.labels != new.template.labels:
        changed.add("labels")
    if old.template.tolerations != new.template.tolerations:
        changed.add("tolerations")
    less = any(new.template.requests.get(name, 0) < value for name, value in old.template.requests.items())
    if less:
        changed.add("requests")
    return frozenset(changed)


def _claim_statuses(pod: View) -> Any:
    return (pod.get("status") or {}).get("resourceClaimStatuses")


def node_fields(old: View, new: View) -> frozenset[str]:
    """What changed in a node that rules may read."""
    changed: set[str] = set()
    spec_before, spec_after = old.get("spec") or {}, new.get("spec") or {}
    before, after = old.get("status") or {}, new.get("status") or {}
    if (old["metadata"].get("labels") or {}) != (new["metadata"].get("labels") or {}):
        changed.add("labels")
    if (spec_before.get("taints") or []) != (spec_after.get("taints") or []):
        changed.add("taints")
    if spec_before.get("unschedulable") and not spec_after.get("unschedulable"):
        changed.add("taints")
    elif spec_after.get("unschedulable") and not spec_before.get("unschedulable"):
        changed.add("cordon")
    if before.get("allocatable") != after.get("allocatable"):
        changed.add("allocatable")
    if before.get("images") != after.get("images"):
        changed.add("images")
    if (before.get("declaredFeatures") or []) != (after.get("declaredFeatures") or []):
        changed.add("features")
    if _verdicts(before) != _verdicts(after):
        changed.add("conditions")
    return frozenset(changed)


def _verdicts(status: View) -> list[tuple[str, str]]:
    return [(condition["type"], condition["status"]) for condition in status.get("conditions") or ()]
