"""What the scheduler writes: bindings, claims and volumes while it binds, conditions of pods."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from controllers.runtime.client import Client
from controllers.runtime.errors import ApiError, Conflict
from controllers.runtime.informer import Informer
from controllers.runtime.kinds import PODS
from controllers.runtime.objects import Object
from controllers.scheduler.events import EventRecorder
from controllers.scheduler.kinds import COLLECTIONS
from controllers.scheduler.pod import PodInfo
from openapi.catalog import Resource
from openapi.meta.times import Clock, format_time

log = logging.getLogger(__name__)

POLL_S = 1.0
"""How often what is waited for is looked at, whether or not claims have changed."""


def condition_patch(pod: Mapping[str, Any], wanted: Mapping[str, Any], clock: Clock) -> Object | None:
    """A strategic merge patch that sets one condition of a pod; None where it is set already."""
    conditions: Sequence[Mapping[str, Any]] = (pod.get("status") or {}).get("conditions") or ()
    current = next((c for c in conditions if c["type"] == wanted["type"]), None)
    if current is not None and all(current.get(field) == value for field, value in wanted.items()):
        return None
    same = current is not None and current["status"] == wanted["status"]
    since = current["lastTransitionTime"] if current is not None and same else format_time(clock())
    order = [{"type": c["type"]} for c in conditions]
    if current is None:
        order.append({"type": wanted["type"]})
    condition = {"lastProbeTime": None, "lastTransitionTime": since, **wanted}
    return {
        "metadata": {"uid": pod["metadata"]["uid"]},
        "status": {"$setElementOrder/conditions": order, "conditions": [condition]},
    }


async def remove_object(client: Client, resource: Resource, obj: Mapping[str, Any]) -> None:
    """Delete a claim together with the finalizer that would keep it; one that is gone or refused is left."""
    metadata = obj["metadata"]
    try:
        current = await client.get(resource, metadata["namespace"], metadata["name"])
        if current["metadata"].pop("finalizers", None):
            await client.update(resource, current)
        await client.delete(resource, metadata["namespace"], metadata["name"], uid=metadata["uid"])
    except ApiError as error:
        log.info("not deleted: %s", error, extra={"object": metadata["name"]})


class ApiBinder:
    """What binding asks of the API server."""

    def __init__(self, client: Client, informers: Mapping[str, Informer], recorder: EventRecorder) -> None:
        self._client = client
        self._informers = informers
        self._recorder = recorder

    async def bind(self, pod: PodInfo, node: str) -> None:
        binding = {
            "kind": "Binding",
            "apiVersion": "v1",
            "metadata": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid},
            "target": {"kind": "Node", "name": node},
        }
        await self._client.create(PODS, binding, namespace=pod.namespace, name=pod.name, subresource="binding")

    async def update(self, collection: str, obj: Mapping[str, Any], subresource: str = "") -> Mapping[str, Any] | None:
        try:
            return await self._client.update(COLLECTIONS[collection], obj, subresource)
        except Conflict:
            return None

    async def create(self, collection: str, obj: Mapping[str, Any]) -> Mapping[str, Any]:
        return await self._client.create(COLLECTIONS[collection], obj)

    async def remove(self, collection: str, obj: Mapping[str, Any]) -> None:
        await remove_object(self._client, COLLECTIONS[collection], obj)

    async def set_status(self, pod: PodInfo, status: Mapping[str, Any]) -> None:
        patch = {"metadata": {"uid": pod.uid}, "status": status}
        await self._client.patch(PODS, pod.namespace, pod.name, patch, type="strategic", subresource="status")

    async def release(self, claim: Mapping[str, Any], pod: PodInfo) -> None:
        metadata = claim["metadata"]
        consumer = {"$patch": "delete", "uid": pod.uid}
        patch = {"metadata": {"uid": metadata["uid"]}, "status": {"reservedFor": [consumer]}}
        try:
            await self._client.patch(
                COLLECTIONS["resource_claims"],
                metadata["namespace"],
                metadata["name"],
                patch,
                type="strategic",
                subresource="status",
            )
        except ApiError as error:
            log.info("claim not released: %s", error, extra={"claim": metadata["name"], "pod": pod.key})

    def tell(self, pod: PodInfo, reason: str, note: str) -> None:
        self._recorder.record(pod.obj, "Normal", reason, "Scheduling", note, pod.template.scheduler)

    async def fetch(self, collection: str, namespace: str, name: str) -> Mapping[str, Any]:
        return await self._client.get(COLLECTIONS[collection], namespace, name)

    async def until(self, holds: Callable[[], bool], timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while not holds():
            if time.monotonic() > deadline:
                return False
            try:
                async with asyncio.timeout(POLL_S):
                    await self._informers["claims"].until(holds)
            except TimeoutError:
                continue  # something else it looks at may have changed
        return True
