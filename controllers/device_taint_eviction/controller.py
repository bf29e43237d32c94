"""Evicts pods from tainted devices, at once or when the time that their claims tolerate the taints is over.

Follows: pkg/controller/devicetainteviction/device_taint_eviction.go
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from controllers.device_taint_eviction.plan import eviction_time, pool_of, pools_of
from controllers.runtime.controller import Controller, Requeue, Runtime, Watches
from controllers.runtime.errors import Conflict, NotFound
from controllers.runtime.informer import Change
from controllers.runtime.kinds import PODS, RESOURCE_CLAIMS, RESOURCE_SLICES
from controllers.runtime.objects import Key, View, condition_of, is_deleting, key_of, namespace_of, uid_of, unversioned
from openapi.meta.times import format_time

_BY_POOL, _BY_CLAIM = "pool", "claims by status"
_REASON = "DeviceTaintManagerEviction"


def _consumers(claim: View) -> Iterator[Key]:
    """The pods that the claim is reserved for."""
    for consumer in (claim.get("status") or {}).get("reservedFor") or ():
        if consumer.get("resource") == "pods" and not consumer.get("apiGroup"):
            yield Key(namespace_of(claim), consumer["name"])


class DeviceTaintEvictionController(Controller):
    name = "device-taint-eviction-controller"
    account = "device-taint-eviction-controller"
    workers = 10

    def pods_of_claim(self, change: Change) -> Iterable[Key]:
        yield from _consumers(change.obj)
        if change.old is not None:
            yield from _consumers(change.old)

    def pods_of_slice(self, change: Change) -> Iterable[Key]:
        """The pods with devices in the slice's pool."""
        for claim in self.store(RESOURCE_CLAIMS).by_index(_BY_POOL, pool_of(change.obj)):
            yield from _consumers(claim)

    def known_pod(self, change: Change) -> Iterable[Key]:
        """A pod that comes after its claim was reserved for it, or that goes before its time."""
        key = key_of(change.obj)
        if change.type == "ADDED":
            return (key,) if change.obj["spec"].get("resourceClaims") else ()
        return (key,) if key in self._planned and (change.type == "DELETED" or is_deleting(change.obj)) else ()

    watches: ClassVar = (
        Watches(RESOURCE_CLAIMS, pods_of_claim),
        Watches(RESOURCE_SLICES, pods_of_slice),
        Watches(PODS, known_pod),
    )

    def __init__(self, runtime: Runtime) -> None:
        claims = runtime.informers.get(RESOURCE_CLAIMS).store
        claims.add_index(_BY_POOL, pools_of)
        claims.add_index(_BY_CLAIM, lambda claim: (str(key) for key in _consumers(claim)))
        runtime.informers.get(RESOURCE_SLICES).store.add_index(_BY_POOL, lambda part: (pool_of(part),))
        self._planned: set[Key] = set()
        super().__init__(runtime)

    async def reconcile(self, key: Key) -> Requeue | None:
        pod = self.store(PODS).get(*key)
        if pod is None or is_deleting(pod):
            self._planned.discard(key)
            return None
        now = self.clock()
        slices = self.store(RESOURCE_SLICES)
        times = [
            time
            for claim in self.store(RESOURCE_CLAIMS).by_index(_BY_CLAIM, str(key))
            if any(one.get("uid") == uid_of(pod) for one in claim["status"]["reservedFor"])
            and (time := eviction_time(claim, lambda pool: slices.by_index(_BY_POOL, pool), now)) is not None
        ]
        if not times:
            if key in self._planned:
                self._planned.discard(key)
                self.events.normal(unversioned(pod), _REASON, "Cancelling deletion")
            return None
        left_s = (min(times) - now).total_seconds()
        if left_s > 0:
            self._planned.add(key)
            return Requeue(left_s)
        self._planned.discard(key)
        await self._evict(pod)
        return None

    async def _evict(self, pod: View) -> None:
        self.events.normal(unversioned(pod), _REASON, "Marking for deletion")
        known = condition_of(pod, "DisruptionTarget")
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByDeviceTaintManager",
            "message": "Device Taint manager: deleting due to NoExecute taint",
            "lastTransitionTime": format_time(self.clock()),
        }
        patch = {"metadata": {"uid": uid_of(pod)}, "status": {"conditions": [condition]}}
        try:
            if known is None or known.get("reason") != condition["reason"]:
                await self.client.patch(PODS, *key_of(pod), patch, type="strategic", subresource="status")
            await self.client.delete(PODS, *key_of(pod), uid=uid_of(pod))
        except (Conflict, NotFound):
            # Gone, or another pod of that name: nothing left to evict.
            return
