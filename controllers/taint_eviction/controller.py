"""Evicts pods from tainted nodes: at once, or when the time that they tolerate the taints is over.

The time counts from when this process saw pod and taints together; taints that go in time call it off.
Follows: pkg/controller/tainteviction/taint_eviction.go
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from controllers.runtime.controller import Controller, Requeue, Runtime, Watches
from controllers.runtime.errors import Conflict, NotFound
from controllers.runtime.informer import Change
from controllers.runtime.kinds import NODES, PODS
from controllers.runtime.objects import Key, View, condition_of, is_deleting, key_of, name_of, uid_of, unversioned
from controllers.taint_eviction.plan import FOREVER, evicting_taints, seconds_to_stay
from controllers.workloads.pod_indexes import BY_NODE, index_by_node
from openapi.meta.times import format_time


@dataclass(frozen=True, slots=True)
class _Stay:
    """Since when a pod is under taints, and when it must go."""

    uid: str
    since: datetime
    until: datetime


class TaintEvictionController(Controller):
    name = "taint-eviction-controller"
    account = "node-controller"
    workers = 8

    def pods_of_node(self, change: Change) -> Iterable[Key]:
        if change.type != "DELETED" and evicting_taints(change.obj) == evicting_taints(change.old):
            return ()
        return [key_of(pod) for pod in self.store(PODS).by_index(BY_NODE, name_of(change.obj))]

    def of_pod(self, change: Change) -> Iterable[Key]:
        """A pod that is watched already, or that is or comes to be on a node with evicting taints."""
        key, node = key_of(change.obj), change.obj["spec"].get("nodeName")
        if key in self._stays:
            return (key,) if _concerns(change) else ()
        if not node or change.type == "DELETED" or not evicting_taints(self.store(NODES).get("", node)):
            return ()
        return (key,) if _concerns(change) else ()

    watches: ClassVar = (Watches(PODS, of_pod), Watches(NODES, pods_of_node))

    def __init__(self, runtime: Runtime) -> None:
        index_by_node(runtime.informers.get(PODS).store)
        self._stays: dict[Key, _Stay] = {}
        super().__init__(runtime)

    async def reconcile(self, key: Key) -> Requeue | None:
        pod = self.store(PODS).get(*key)
        stay = self._stays.get(key)
        if pod is None or (stay is not None and stay.uid != uid_of(pod)):
            self._cancel(key, {"kind": "Pod", "apiVersion": "v1", "metadata": {"namespace": key[0], "name": key[1]}})
        if pod is None or is_deleting(pod):
            self._stays.pop(key, None)
            return None
        taints = evicting_taints(self.store(NODES).get("", pod["spec"].get("nodeName", "")))
        seconds = seconds_to_stay(taints, pod["spec"].get("tolerations") or ()) if taints else FOREVER
        if seconds == FOREVER:
            self._cancel(key, pod)
            return None
        return await self._limit(key, pod, seconds)

    async def _limit(self, key: Key, pod: View, seconds: float) -> Requeue | None:
        """Let the pod stay so long from when it came under taints, then evict it."""
        now = self.clock()
        stay = self._stays.get(key)
        since = stay.since if stay is not None else now
        until = since + timedelta(seconds=seconds)
        if now >= until:
            self._stays.pop(key, None)
            await self._evict(pod)
            return None
        self._stays[key] = _Stay(uid_of(pod), since, until)
        return Requeue((until - now).total_seconds())

    def _cancel(self, key: Key, pod: View) -> None:
        if self._stays.pop(key, None) is not None:
            self.events.normal(unversioned(pod), "TaintManagerEviction", f"Cancelling deletion of Pod {key}")

    async def _evict(self, pod: View) -> None:
        key = key_of(pod)
        self.events.normal(unversioned(pod), "TaintManagerEviction", f"Marking for deletion Pod {key}")
        condition = condition_of(pod, "DisruptionTarget")
        try:
            if condition is None or condition.get("status") != "True":
                await self._tell_why(pod)
            await self.client.delete(PODS, *key, uid=uid_of(pod))
        except (Conflict, NotFound):
            # Another pod of that name, or none: either way this one is gone.
            return

    async def _tell_why(self, pod: View) -> None:
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByTaintManager",
            "message": "Taint manager: deleting due to NoExecute taint",
            "lastTransitionTime": format_time(self.clock()),
            "observedGeneration": pod["metadata"].get("generation"),
        }
        patch = {"metadata": {"uid": uid_of(pod)}, "status": {"conditions": [condition]}}
        await self.client.patch(PODS, *key_of(pod), patch, type="strategic", subresource="status")


def _concerns(change: Change) -> bool:
    """Whether a change of a pod can matter: where it runs, what it tolerates, or that it goes."""
    if change.type != "MODIFIED" or change.old is None:
        return True
    new, old = change.obj["spec"], change.old["spec"]
    if is_deleting(change.obj) != is_deleting(change.old):
        return True
    return any(new.get(field) != old.get(field) for field in ("nodeName", "tolerations"))
