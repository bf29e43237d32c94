"""Deletes pods that nobody else would: too many finished ones, those of nodes that are gone or out of service.

A node must have been missing for a while, and the server must confirm it, before its pods count as orphaned.
Follows: pkg/controller/podgc/gc_controller.go
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from controllers.runtime.controller import Controller, Reads, Requeue, Runtime
from controllers.runtime.errors import ApiError, NotFound
from controllers.runtime.kinds import NODES, PODS
from controllers.runtime.objects import Key, Object, View, condition_of, is_deleting, key_of, name_of, uid_of
from openapi.meta.times import format_time

log = logging.getLogger(__name__)

PERIOD_S = 20.0
QUARANTINE = timedelta(seconds=40)
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
_ENDED = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Garbage:
    """Pods to delete, and the names of nodes that pods are bound to but that are not there."""

    finished: Sequence[Object]
    out_of_service: Sequence[Object]
    unscheduled: Sequence[Object]
    missing_nodes: frozenset[str]


def find_garbage(pods: Sequence[Object], nodes: Mapping[str, View], threshold: int) -> Garbage:
    """`threshold`: how many finished pods may stay; 0 or less: all."""
    ended = [pod for pod in pods if (pod.get("status") or {}).get("phase") in _ENDED]
    surplus = len(ended) - threshold if threshold > 0 else 0
    finished = sorted(ended, key=_age_order)[:surplus] if surplus > 0 else []
    going = [pod for pod in pods if is_deleting(pod)]
    return Garbage(
        finished,
        [pod for pod in going if _is_lost(nodes.get(pod["spec"].get("nodeName", "")))],
        [pod for pod in going if not pod["spec"].get("nodeName")],
        frozenset(name for pod in pods if (name := pod["spec"].get("nodeName")) and name not in nodes),
    )


def failed_status(pod: View, condition: Object | None) -> Object | None:
    """What a pod's status must become before it is deleted, as a patch; None if it has ended already."""
    if (pod.get("status") or {}).get("phase") in _ENDED:
        return None
    generation = pod["metadata"].get("generation")
    status: Object = {"phase": "Failed"}
    if generation is not None:
        status["observedGeneration"] = generation
    if condition is not None:
        status["conditions"] = [{**condition, "observedGeneration": generation} if generation else condition]
    return status


def _age_order(pod: View) -> tuple[bool, str, str]:
    """Evicted pods first, then the oldest."""
    is_evicted = pod["status"]["phase"] == "Failed" and pod["status"].get("reason") == "Evicted"
    return (not is_evicted, pod["metadata"]["creationTimestamp"], name_of(pod))


def _is_lost(node: View | None) -> bool:
    """Whether the node is down and somebody has said so for good."""
    if node is None:
        return False
    ready = condition_of(node, "Ready")
    is_ready = ready is not None and ready["status"] == "True"
    return not is_ready and any(taint["key"] == OUT_OF_SERVICE for taint in node["spec"].get("taints") or ())


class Quarantine:
    """Since when nodes are missing; one that is back begins anew."""

    def __init__(self) -> None:
        self._since: dict[str, datetime] = {}

    def over(self, missing: Iterable[str], now: datetime) -> list[str]:
        """Those of the missing nodes that have been missing for long enough."""
        self._since = {name: self._since.get(name, now) for name in missing}
        return sorted(name for name, since in self._since.items() if now - since >= QUARANTINE)


class PodGarbageCollector(Controller):
    name = "pod-garbage-collector-controller"
    account = "pod-garbage-collector"
    workers = 0
    watches: ClassVar = (Reads(PODS), Reads(NODES))

    def __init__(self, runtime: Runtime, threshold: int) -> None:
        super().__init__(runtime)
        self._threshold = threshold
        self._quarantine = Quarantine()

    def background(self) -> Iterable[Coroutine[Any, Any, None]]:
        return (self._sweep_for_ever(),)

    async def reconcile(self, key: Key) -> Requeue | None:
        return None

    async def _sweep_for_ever(self) -> None:
        while True:
            await self.sweep()
            await asyncio.sleep(PERIOD_S)

    async def sweep(self) -> None:
        """One look at all pods and nodes."""
        pods = self.store(PODS).all()
        nodes = {name_of(node): node for node in self.store(NODES).all()}
        garbage = find_garbage(pods, nodes, self._threshold)
        for pod in (*garbage.finished, *garbage.out_of_service, *garbage.unscheduled):
            await self._delete(pod, None)
        gone = await self._gone(garbage.missing_nodes)
        for pod in pods:
            if pod["spec"].get("nodeName") in gone:
                await self._delete(pod, self._orphaned())

    async def _gone(self, missing: frozenset[str]) -> set[str]:
        """The nodes that have been missing for long enough, and that the server does not have."""
        gone = set()
        for name in self._quarantine.over(missing, self.clock()):
            try:
                await self.client.get(NODES, "", name)
            except NotFound:
                gone.add(name)
            except ApiError as error:
                log.info("node not looked up: %s", error, extra={"object": name})
        return gone

    def _orphaned(self) -> Object:
        return {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByPodGC",
            "message": "PodGC: node no longer exists",
            "lastTransitionTime": format_time(self.clock()),
        }

    async def _delete(self, pod: View, condition: Object | None) -> None:
        """Mark the pod as failed if it has not ended, then delete it at once."""
        namespace, name = key_of(pod)
        status = failed_status(pod, condition)
        try:
            if status is not None:
                patch = {"metadata": {"uid": uid_of(pod)}, "status": status}
                await self.client.patch(PODS, namespace, name, patch, type="strategic", subresource="status")
            await self.client.delete(PODS, namespace, name, grace_s=0)
        except NotFound:
            return
        except ApiError as error:
            log.warning("pod not deleted: %s", error, extra={"object": str(key_of(pod))})
