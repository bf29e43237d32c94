"""Keeps claims that pods use, and volumes that are bound, from going away.

Each has a finalizer from its beginning; when it is deleted, the finalizer goes as soon as nobody uses it any more.
Follows: pkg/controller/volume/{pvcprotection,pvprotection}
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from controllers.runtime.client import Client
from controllers.runtime.controller import Controller, For, Requeue, Runtime, Watches
from controllers.runtime.errors import NotFound
from controllers.runtime.informer import Change
from controllers.runtime.kinds import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS
from controllers.runtime.objects import (
    Key,
    Object,
    View,
    is_controlled_by,
    is_deleting,
    key_of,
    name_of,
    namespace_of,
    uid_of,
)
from controllers.workloads.pod_indexes import BY_CLAIM, claims_of, index_by_claim
from openapi.catalog import Resource

CLAIM_FINALIZER = "kubernetes.io/pvc-protection"
VOLUME_FINALIZER = "kubernetes.io/pv-protection"


def uses(pod: View, claim: View) -> bool:
    """Whether the pod, on its node, may still have the claim mounted."""
    if not pod["spec"].get("nodeName"):
        return False
    name = name_of(claim)
    for volume in pod["spec"].get("volumes") or ():
        if (volume.get("persistentVolumeClaim") or {}).get("claimName") == name:
            return True
        is_ours = volume.get("ephemeral") is not None and f"{name_of(pod)}-{volume['name']}" == name
        if is_ours and is_controlled_by(claim, pod) and not _is_shut_down(pod):
            return True
    return False


def is_terminated(pod: View) -> bool:
    """Whether the pod has ended, or is going and none of its containers runs."""
    status = pod.get("status") or {}
    if status.get("phase") in ("Succeeded", "Failed"):
        return True
    return is_deleting(pod) and not any(
        not (one.get("state") or {}).get("terminated") and not (one.get("state") or {}).get("waiting")
        for one in status.get("containerStatuses") or ()
    )


def _is_shut_down(pod: View) -> bool:
    """Whether the node is done with the pod: all that is left is to remove the object."""
    return is_deleting(pod) and pod["metadata"].get("deletionGracePeriodSeconds") == 0


def _lacks(obj: View, finalizer: str) -> bool:
    return not is_deleting(obj) and finalizer not in (obj["metadata"].get("finalizers") or ())


def _waits(obj: View, finalizer: str) -> bool:
    return is_deleting(obj) and finalizer in (obj["metadata"].get("finalizers") or ())


async def _set_finalizer(client: Client, resource: Resource, obj: View, finalizer: str, *, present: bool) -> None:
    """Write the object with the finalizer, or without it."""
    metadata = obj["metadata"]
    finalizers = [one for one in metadata.get("finalizers") or () if one != finalizer]
    if present:
        finalizers.append(finalizer)
    try:
        await client.update(resource, {**obj, "metadata": {**metadata, "finalizers": finalizers}})
    except NotFound:
        return


class ClaimProtection(Controller):
    name = "persistentvolumeclaim-protection-controller"
    account = "pvc-protection-controller"
    workers = 1

    def pod_changed(self, change: Change) -> Iterable[Key]:
        """A pod that does not use its claims any more may release them."""
        pod, old = change.obj, change.old
        if change.type == "DELETED" or is_terminated(pod) or not pod["spec"].get("nodeName"):
            yield from _claims(pod)
        if old is not None and uid_of(old) != uid_of(pod):
            yield from _claims(old)

    watches: ClassVar = (
        For(
            PERSISTENT_VOLUME_CLAIMS,
            when=lambda change: _lacks(change.obj, CLAIM_FINALIZER) or _waits(change.obj, CLAIM_FINALIZER),
        ),
        Watches(PODS, pod_changed),
    )

    def __init__(self, runtime: Runtime) -> None:
        index_by_claim(runtime.informers.get(PODS).store)
        super().__init__(runtime)

    async def reconcile(self, key: Key) -> Requeue | None:
        claim = self.store(PERSISTENT_VOLUME_CLAIMS).get(*key)
        if claim is None:
            return None
        if _lacks(claim, CLAIM_FINALIZER):
            await _set_finalizer(self.client, PERSISTENT_VOLUME_CLAIMS, claim, CLAIM_FINALIZER, present=True)
        elif _waits(claim, CLAIM_FINALIZER) and not await self._is_used(claim):
            await _set_finalizer(self.client, PERSISTENT_VOLUME_CLAIMS, claim, CLAIM_FINALIZER, present=False)
        return None

    async def _is_used(self, claim: View) -> bool:
        """By the store, and where that knows of no pod by the server too: the store may lag behind."""
        if any(uses(pod, claim) for pod in self.store(PODS).by_index(BY_CLAIM, str(key_of(claim)))):
            return True
        answer = await self.client.list(PODS, namespace_of(claim))
        items: list[Object] = answer.get("items") or []
        return any(uses(pod, claim) for pod in items)


class VolumeProtection(Controller):
    name = "persistentvolume-protection-controller"
    account = "pv-protection-controller"
    workers = 1
    watches: ClassVar = (
        For(
            PERSISTENT_VOLUMES,
            when=lambda change: _lacks(change.obj, VOLUME_FINALIZER) or _waits(change.obj, VOLUME_FINALIZER),
        ),
    )

    async def reconcile(self, key: Key) -> Requeue | None:
        volume = self.store(PERSISTENT_VOLUMES).get(*key)
        if volume is None:
            return None
        if _lacks(volume, VOLUME_FINALIZER):
            await _set_finalizer(self.client, PERSISTENT_VOLUMES, volume, VOLUME_FINALIZER, present=True)
        elif _waits(volume, VOLUME_FINALIZER) and (volume.get("status") or {}).get("phase") != "Bound":
            await _set_finalizer(self.client, PERSISTENT_VOLUMES, volume, VOLUME_FINALIZER, present=False)
        return None


def _claims(pod: View) -> Iterable[Key]:
    return [Key(*text.split("/")) for text in claims_of(pod)]
