"""Binds claims to volumes and takes back released volumes.

A key without namespace is a volume's. One key is worked on at a time: binding is about pairs. What upstream finds by
looking at everything every 15 seconds is found here by following which claims a change concerns.
Follows: pkg/controller/volume/persistentvolume/pv_controller.go
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterable
from typing import ClassVar

from controllers.persistentvolume import changes
from controllers.persistentvolume.classes import Refused, default_class, is_delayed, provisioner_of
from controllers.persistentvolume.latest import Latest
from controllers.persistentvolume.matching import (
    BIND_COMPLETED,
    BOUND_BY_CONTROLLER,
    SELECTED_NODE,
    best_match,
    class_of,
    has_class,
    is_bound_to,
    mismatch,
    modes_differ,
    phase_of,
)
from controllers.persistentvolume.reclaim import (
    PROVISIONED_BY,
    RECYCLER_NAMESPACE,
    RECYCLER_PREFIX,
    deletion_refusal,
    is_external,
    recycler_pod,
)
from controllers.runtime.controller import Controller, For, Requeue, Runtime, Watches
from controllers.runtime.errors import AlreadyExists, NotFound
from controllers.runtime.informer import Change
from controllers.runtime.kinds import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS, STORAGE_CLASSES
from controllers.runtime.objects import Key, Object, View, annotations_of, is_deleting, key_of, name_of, uid_of
from controllers.workloads.pod_indexes import BY_CLAIM, index_by_claim

RETRY_S = 15.0
_BY_VOLUME, _BY_CLAIM, _PENDING, _FREE = "volume", "claim", "pending", "free"
_LOST = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
_LOST_REFERENCE = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!"
_MISBOUND = "Two claims are bound to the same volume, this one is bound incorrectly"
_NO_CLASS = "no persistent volumes available for this claim and no storage class is set"
_EXTERNAL = (
    "Waiting for a volume to be created either by the external provisioner '{}' or manually by the system "
    "administrator. If volume creation is delayed, please verify that the provisioner is running and correctly "
    "registered."
)


def _reference_key(volume: View) -> Key | None:
    reference = volume["spec"].get("claimRef")
    return Key(reference.get("namespace", ""), reference.get("name", "")) if reference else None


def _is_waiting(claim: View) -> bool:
    return BIND_COMPLETED not in annotations_of(claim)


class VolumeBinder(Controller):
    name = "persistentvolume-controller"
    account = "persistent-volume-binder"
    workers = 1

    def claims_of_volume(self, change: Change) -> Iterable[Key]:
        """The claims that a changed volume may now serve, or fails to serve."""
        volume = change.obj
        reference = _reference_key(volume)
        if reference is not None:
            yield reference
        claims = self.store(PERSISTENT_VOLUME_CLAIMS)
        yield from (key_of(claim) for claim in claims.by_index(_BY_VOLUME, name_of(volume)))
        if reference is None and phase_of(volume) == "Available":
            wanted = class_of(volume)
            yield from (key_of(claim) for claim in claims.by_index(_PENDING, wanted))

    def volumes_of_claim(self, change: Change) -> Iterable[Key]:
        """The volumes that a changed claim names or is named by."""
        if change.type == "DELETED" or not _is_waiting(change.obj):
            self._told_of_delay.pop(uid_of(change.obj), None)
        name = change.obj["spec"].get("volumeName")
        if name:
            yield Key("", name)
        volumes = self.store(PERSISTENT_VOLUMES)
        yield from (key_of(volume) for volume in volumes.by_index(_BY_CLAIM, str(key_of(change.obj))))

    def claims_of_class(self, change: Change) -> Iterable[Key]:
        """A new or other class concerns the claims that wait for it, a default one those that name none."""
        claims = self.store(PERSISTENT_VOLUME_CLAIMS)
        for class_name in {name_of(change.obj), ""}:
            yield from (key_of(claim) for claim in claims.by_index(_PENDING, class_name))

    def volume_of_recycler(self, change: Change) -> Iterable[Key]:
        namespace, name = key_of(change.obj)
        if namespace == RECYCLER_NAMESPACE and name.startswith(RECYCLER_PREFIX):
            yield Key("", name.removeprefix(RECYCLER_PREFIX))

    watches: ClassVar = (
        For(PERSISTENT_VOLUME_CLAIMS),
        For(PERSISTENT_VOLUMES),
        Watches(PERSISTENT_VOLUMES, claims_of_volume),
        Watches(PERSISTENT_VOLUME_CLAIMS, volumes_of_claim),
        Watches(STORAGE_CLASSES, claims_of_class),
        Watches(PODS, volume_of_recycler),
    )

    def __init__(self, runtime: Runtime) -> None:
        claims = runtime.informers.get(PERSISTENT_VOLUME_CLAIMS).store
        volumes = runtime.informers.get(PERSISTENT_VOLUMES).store
        claims.add_index(_BY_VOLUME, lambda claim: filter(None, (claim["spec"].get("volumeName"),)))
        claims.add_index(_PENDING, lambda claim: (class_of(claim),) if _is_waiting(claim) else ())
        volumes.add_index(_BY_CLAIM, lambda volume: (str(key),) if (key := _reference_key(volume)) else ())
        volumes.add_index(_FREE, lambda volume: () if volume["spec"].get("claimRef") else (class_of(volume),))
        index_by_claim(runtime.informers.get(PODS).store)
        self._told_of_delay: dict[str, str] = {}
        super().__init__(runtime)
        self._claims = Latest(claims)
        self._volumes = Latest(volumes)

    async def reconcile(self, key: Key) -> Requeue | None:
        if not key.namespace:
            volume = self._volumes.get(*key)
            return None if volume is None else await self._sync_volume(volume)
        claim = self._claims.get(*key)
        if claim is None:
            return None
        if BIND_COMPLETED in annotations_of(claim):
            await self._sync_bound_claim(claim)
        elif claim["spec"].get("volumeName"):
            await self._sync_prebound_claim(claim)
        else:
            return await self._sync_unbound_claim(claim)
        return None

    # Claims

    async def _sync_unbound_claim(self, claim: Object) -> Requeue | None:
        storage_class = self.store(STORAGE_CLASSES).get("", class_of(claim))
        delayed = is_delayed(storage_class)
        volume = best_match(claim, self._candidates(claim), is_delayed=delayed)
        if volume is not None:
            await self._bind(volume, claim)
            return None
        if not has_class(claim) and await self._assign_default_class(claim):
            return None
        if delayed and SELECTED_NODE not in annotations_of(claim):
            self._tell_of_delay(claim)
            await self._set_claim_phase(claim, "Pending", None)
            # What it waits for changes with the pods that use it; those are looked at now and then.
            return Requeue(RETRY_S)
        if class_of(claim):
            # Whoever provisions needs the claim as it is; its phase is Pending from birth.
            await self._provision(claim, storage_class)
            return None
        self.events.normal(claim, "FailedBinding", _NO_CLASS)
        await self._set_claim_phase(claim, "Pending", None)
        return None

    def _candidates(self, claim: View) -> Iterable[Object]:
        """The volumes that are reserved for the claim, or free and of its class."""
        store = self.store(PERSISTENT_VOLUMES)
        reserved, free = store.by_index(_BY_CLAIM, str(key_of(claim))), store.by_index(_FREE, class_of(claim))
        latest = (self._volumes.get("", name_of(volume)) for volume in (*reserved, *free))
        return (volume for volume in latest if volume is not None)

    async def _assign_default_class(self, claim: Object) -> bool:
        found = default_class(self.store(STORAGE_CLASSES).all())
        if found is None:
            return False
        changed = {**claim, "spec": {**claim["spec"], "storageClassName": name_of(found)}}
        self._claims.wrote(await self.client.update(PERSISTENT_VOLUME_CLAIMS, changed))
        return True

    def _tell_of_delay(self, claim: View) -> None:
        pods = self.store(PODS).by_index(BY_CLAIM, str(key_of(claim)))
        names = sorted(name_of(pod) for pod in pods if not pod["spec"].get("nodeName"))
        reason, text = "WaitForFirstConsumer", "waiting for first consumer to be created before binding"
        if names:
            noun = "pods" if len(names) > 1 else "pod"
            reason, text = "WaitForPodScheduled", f"waiting for {noun} {','.join(names)} to be scheduled"
        if self._told_of_delay.get(uid_of(claim)) != text:
            self._told_of_delay[uid_of(claim)] = text
            self.events.normal(claim, reason, text)

    async def _provision(self, claim: Object, storage_class: View | None) -> None:
        if storage_class is None:
            text = f'storageclass.storage.k8s.io "{class_of(claim)}" not found'
            self.events.warning(claim, "ProvisioningFailed", text)
            return
        provisioner = provisioner_of(storage_class)
        if isinstance(provisioner, Refused):
            self.events.warning(claim, "ProvisioningFailed", provisioner.message)
            return
        changed = changes.provisioned_by(claim, provisioner.name)
        if changed is not None:
            claim = self._claims.wrote(await self.client.update(PERSISTENT_VOLUME_CLAIMS, changed))
        self.events.normal(claim, "ExternalProvisioning", _EXTERNAL.format(provisioner.name))

    async def _sync_prebound_claim(self, claim: Object) -> None:
        volume = self._volumes.get("", claim["spec"]["volumeName"])
        if volume is None:
            await self._set_claim_phase(claim, "Pending", None)
        elif not volume["spec"].get("claimRef"):
            reason = mismatch(claim, volume)
            if reason:
                text = f'Cannot bind to requested volume "{name_of(volume)}": {reason}'
                self.events.warning(claim, "VolumeMismatch", text)
                await self._set_claim_phase(claim, "Pending", None)
            else:
                await self._bind(volume, claim)
        elif is_bound_to(volume, claim):
            await self._bind(volume, claim)
        elif BOUND_BY_CONTROLLER not in annotations_of(claim):
            text = f'volume "{name_of(volume)}" already bound to a different claim.'
            self.events.warning(claim, "FailedBinding", text)
            await self._set_claim_phase(claim, "Pending", None)

    async def _sync_bound_claim(self, claim: Object) -> None:
        name = claim["spec"].get("volumeName")
        volume = self._volumes.get("", name) if name else None
        if not name:
            await self._lose(claim, "ClaimLost", _LOST_REFERENCE)
        elif volume is None:
            await self._lose(claim, "ClaimLost", _LOST)
        elif not volume["spec"].get("claimRef") or volume["spec"]["claimRef"].get("uid") == uid_of(claim):
            await self._bind(volume, claim)
        else:
            await self._lose(claim, "ClaimMisbound", _MISBOUND)

    async def _lose(self, claim: Object, reason: str, message: str) -> None:
        if phase_of(claim) != "Lost":
            claim = await self._set_claim_phase(claim, "Lost", None)
            self.events.warning(claim, reason, message)

    async def _bind(self, volume: Object, claim: Object) -> None:
        """Volume first: it is what two claims could both want."""
        changed = changes.bound_volume(volume, claim)
        if changed is not None:
            volume = self._volumes.wrote(await self.client.update(PERSISTENT_VOLUMES, changed))
        volume = await self._set_volume_phase(volume, "Bound")
        changed = changes.bound_claim(claim, volume)
        if changed is not None:
            claim = self._claims.wrote(await self.client.update(PERSISTENT_VOLUME_CLAIMS, changed))
        await self._set_claim_phase(claim, "Bound", volume)

    async def _set_claim_phase(self, claim: Object, phase: str, volume: View | None) -> Object:
        changed = changes.claim_in_phase(claim, phase, volume)
        if changed is None:
            return claim
        return self._claims.wrote(await self.client.update(PERSISTENT_VOLUME_CLAIMS, changed, "status"))

    # Volumes

    async def _sync_volume(self, volume: Object) -> Requeue | None:
        reference = volume["spec"].get("claimRef")
        if not reference or not reference.get("uid"):
            await self._set_volume_phase(volume, "Available")
            return None
        claim = self._claims.get(reference.get("namespace", ""), reference.get("name", ""))
        if claim is None or uid_of(claim) != reference["uid"]:
            return await self._release(volume)
        bound_to = claim["spec"].get("volumeName", "")
        if bound_to == name_of(volume):
            await self._set_volume_phase(volume, "Bound")
        elif not bound_to:
            self._finish_binding(volume, claim)
        elif PROVISIONED_BY in annotations_of(volume) and _policy(volume) == "Delete":
            return await self._release(volume)
        else:
            await self._unbind(volume)
        return None

    def _finish_binding(self, volume: View, claim: View) -> None:
        """The claim does not know yet: its turn, unless it could never take the volume."""
        if not modes_differ(claim, volume):
            self.enqueue(key_of(claim))
            return
        text = "Cannot bind PersistentVolume{} to requested PersistentVolumeClaim{} due to incompatible volumeMode."
        self.events.warning(volume, "VolumeMismatch", text.format("", f' "{name_of(claim)}"'))
        self.events.warning(claim, "VolumeMismatch", text.format(f' "{name_of(volume)}"', ""))

    async def _release(self, volume: Object) -> Requeue | None:
        """The claim is gone. A failure to reclaim stays visible in the phase."""
        if phase_of(volume) not in ("Released", "Failed"):
            volume = await self._set_volume_phase(volume, "Released")
        policy = _policy(volume)
        if policy == "Retain" or is_external(volume):
            return None
        if policy == "Delete":
            await self._delete_volume(volume)
        elif policy == "Recycle":
            return await self._recycle(volume)
        else:
            await self._fail(volume, "VolumeUnknownReclaimPolicy", "Volume has unrecognized reclaim policy")
        return None

    async def _delete_volume(self, volume: Object) -> None:
        if is_deleting(volume):
            return
        refusal = deletion_refusal(volume)
        if not refusal:
            refusal = await asyncio.to_thread(_remove_directory, volume["spec"]["hostPath"]["path"])
        if refusal:
            await self._fail(volume, "VolumeFailedDelete", refusal)
            return
        try:
            await self.client.delete(PERSISTENT_VOLUMES, "", name_of(volume), uid=uid_of(volume))
        except NotFound:
            return

    async def _recycle(self, volume: Object) -> Requeue | None:
        """One step of scrubbing: start the pod, wait for it, or draw the conclusion."""
        wanted = recycler_pod(volume)
        if wanted is None:
            await self._fail(volume, "VolumeFailedRecycle", "No plugin found for the volume!")
            return None
        users = self.store(PODS).by_index(BY_CLAIM, str(_reference_key(volume)))
        names = sorted(str(key_of(pod)) for pod in users if phase_of(pod) not in ("Succeeded", "Failed"))
        if names:
            self.events.normal(volume, "VolumeFailedRecycle", f"Volume is used by pods: {','.join(names)}")
            return Requeue(RETRY_S)
        pod = self.store(PODS).get(*key_of(wanted))
        if pod is None:
            try:
                await self.client.create(PODS, wanted)
            except AlreadyExists:
                return Requeue()
            return None
        phase = phase_of(pod)
        if phase not in ("Succeeded", "Failed") or is_deleting(pod):
            return None
        await self.client.delete(PODS, *key_of(pod), uid=uid_of(pod), grace_s=0)
        if phase == "Succeeded":
            self.events.normal(volume, "VolumeRecycled", "Volume recycled")
            await self._unbind(volume)
            return None
        message = (pod.get("status") or {}).get("message") or "pod failed, pod.Status.Message unknown"
        await self._fail(volume, "VolumeFailedRecycle", f"Recycle failed: {message}")
        return Requeue(RETRY_S)

    async def _unbind(self, volume: Object) -> None:
        changed = changes.unbound_volume(volume)
        volume = self._volumes.wrote(await self.client.update(PERSISTENT_VOLUMES, changed))
        await self._set_volume_phase(volume, "Available")

    async def _fail(self, volume: Object, reason: str, message: str) -> None:
        if phase_of(volume) != "Failed":
            volume = await self._set_volume_phase(volume, "Failed", message)
            self.events.warning(volume, reason, message)

    async def _set_volume_phase(self, volume: Object, phase: str, message: str = "") -> Object:
        changed = changes.volume_in_phase(volume, phase, message)
        if changed is None:
            return volume
        return self._volumes.wrote(await self.client.update(PERSISTENT_VOLUMES, changed, "status"))


def _policy(volume: View) -> str:
    return str(volume["spec"].get("persistentVolumeReclaimPolicy", ""))


def _remove_directory(path: str) -> str:
    """Remove all of it; what kept us from it, '' if nothing did."""
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return str(error)
    return ""
