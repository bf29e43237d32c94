"""Makes volumes out of folders of the node for claims of the class `standard`, and removes those that are released.

A claim is served once the scheduler has chosen one of this process' nodes for it. The volume is a hostPath on that
node, with an affinity that keeps it there; nothing limits its size. A folder is only ever removed where it was made:
below the provisioner's own. It acts with more rights than a node has, so it runs only where it is asked for.
Follows: rancher/local-path-provisioner, sigs.k8s.io/sig-storage-lib-external-provisioner
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Collection, Coroutine, Iterable
from pathlib import Path
from typing import Any, ClassVar

from controllers.runtime.accounts import own_name
from controllers.runtime.client import Client
from controllers.runtime.controller import Controller, For, Reads, Requeue, Runtime, Watches
from controllers.runtime.errors import AlreadyExists, ApiError, Forbidden, NotFound
from controllers.runtime.events import EventSink
from controllers.runtime.informer import Change, Informers
from controllers.runtime.kinds import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, STORAGE_CLASSES
from controllers.runtime.metrics import Metrics
from controllers.runtime.objects import Key, Object, View, annotations_of, is_deleting, key_of, name_of, uid_of
from controllers.runtime.worker import Worker
from openapi.meta.times import now

log = logging.getLogger(__name__)

PROVISIONER = "wherry.dev/local-path"
CLASS = "standard"
RETRY_S = 5.0
_CLAIM_PROVISIONERS = ("volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner")
_SELECTED_NODE = "volume.kubernetes.io/selected-node"
_PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
_HOSTNAME = "kubernetes.io/hostname"


def storage_class() -> Object:
    """The class by which claims that name none are served."""
    return {
        "kind": "StorageClass",
        "apiVersion": "storage.k8s.io/v1",
        "metadata": {"name": CLASS, "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
    }


class LocalPathProvisioner(Controller):
    """A key without namespace is a volume's. With `has_files` false nothing is made on disk."""

    name = "local-path-provisioner"
    workers = 1

    def every_volume(self, change: Change) -> Iterable[Key]:
        if change.type != "DELETED":
            yield Key("", name_of(change.obj))

    watches: ClassVar = (
        For(PERSISTENT_VOLUME_CLAIMS),
        Watches(PERSISTENT_VOLUMES, every_volume),
        Reads(STORAGE_CLASSES),
    )

    def __init__(self, runtime: Runtime, nodes: Collection[str], folder: Path, *, has_files: bool) -> None:
        self._nodes = nodes
        self._folder = folder
        self._has_files = has_files
        super().__init__(runtime)

    async def reconcile(self, key: Key) -> Requeue | None:
        if key.namespace:
            claim = self.store(PERSISTENT_VOLUME_CLAIMS).get(*key)
            if claim is not None:
                await self._provision(claim)
        else:
            volume = self.store(PERSISTENT_VOLUMES).get(*key)
            if volume is not None:
                await self._reclaim(volume)
        return None

    def background(self) -> Iterable[Coroutine[Any, Any, None]]:
        yield self._offer_class()

    async def _offer_class(self) -> None:
        """Create the class where there is none; one that is there is left as it is."""
        while True:
            try:
                await self.client.create(STORAGE_CLASSES, storage_class())
                return
            except AlreadyExists:
                return
            except ApiError as error:
                log.warning("storage class not created: %s", error)
                if isinstance(error, Forbidden):
                    return
            await asyncio.sleep(RETRY_S)

    # -- making ------------------------------------------------------------------------------------------------

    async def _provision(self, claim: Object) -> None:
        annotations = annotations_of(claim)
        node = annotations.get(_SELECTED_NODE, "")
        is_ours = any(annotations.get(name) == PROVISIONER for name in _CLAIM_PROVISIONERS)
        if claim["spec"].get("volumeName") or is_deleting(claim) or not is_ours or node not in self._nodes:
            return
        found = self.store(STORAGE_CLASSES).get("", claim["spec"].get("storageClassName") or "")
        name = f"pvc-{uid_of(claim)}"
        if found is None or self.store(PERSISTENT_VOLUMES).get("", name) is not None:
            return
        where = str(key_of(claim))
        self.events.normal(claim, "Provisioning", f'External provisioner is provisioning volume for claim "{where}"')
        refusal = _refusal(claim)
        if refusal:
            text = f'failed to provision volume with StorageClass "{name_of(found)}": {refusal}'
            self.events.warning(claim, "ProvisioningFailed", text)
            return
        folder = self._folder / f"{name}_{key_of(claim).namespace}_{name_of(claim)}"
        if self._has_files:
            await asyncio.to_thread(_make, folder)
        try:
            await self.client.create(PERSISTENT_VOLUMES, volume_for(claim, found, name, node, folder))
        except AlreadyExists:
            return
        self.events.normal(claim, "ProvisioningSucceeded", f"Successfully provisioned volume {name}")

    # -- taking back -------------------------------------------------------------------------------------------

    async def _reclaim(self, volume: Object) -> None:
        spec = volume["spec"]
        is_released = (volume.get("status") or {}).get("phase") == "Released"
        is_ours = annotations_of(volume).get(_PROVISIONED_BY) == PROVISIONER and _node_of(volume) in self._nodes
        if not is_released or not is_ours or is_deleting(volume) or spec["persistentVolumeReclaimPolicy"] != "Delete":
            return
        path = Path((spec.get("hostPath") or {}).get("path", "/"))
        if path.parent != self._folder or path.name in (".", ".."):
            text = f"{path} was not made by this provisioner"
            self.events.warning(volume, "VolumeFailedDelete", text)
            return
        if self._has_files:
            await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)
        try:
            await self.client.delete(PERSISTENT_VOLUMES, "", name_of(volume), uid=uid_of(volume))
        except NotFound:
            return


def volume_for(claim: View, found: View, name: str, node: str, folder: Path) -> Object:
    """The volume that serves `claim` on `node`, by the class `found`."""
    spec = claim["spec"]
    reference = {
        "kind": "PersistentVolumeClaim",
        "apiVersion": "v1",
        "namespace": claim["metadata"]["namespace"],
        "name": name_of(claim),
        "uid": uid_of(claim),
        "resourceVersion": claim["metadata"].get("resourceVersion", ""),
    }
    expression = {"key": _HOSTNAME, "operator": "In", "values": [node]}
    made: Object = {
        "accessModes": spec["accessModes"],
        "capacity": {"storage": spec["resources"]["requests"]["storage"]},
        "claimRef": reference,
        "hostPath": {"path": str(folder), "type": "DirectoryOrCreate"},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}},
        "persistentVolumeReclaimPolicy": found.get("reclaimPolicy") or "Delete",
        "storageClassName": name_of(found),
        "volumeMode": spec.get("volumeMode") or "Filesystem",
    }
    if found.get("mountOptions"):
        made["mountOptions"] = found["mountOptions"]
    metadata = {"name": name, "annotations": {_PROVISIONED_BY: PROVISIONER}}
    return {"kind": "PersistentVolume", "apiVersion": "v1", "metadata": metadata, "spec": made}


def _refusal(claim: View) -> str:
    """Why a folder of a node cannot serve the claim; '' if it can."""
    spec = claim["spec"]
    if spec.get("selector"):
        return "claim.Spec.Selector is not supported"
    if spec.get("volumeMode") == "Block":
        return "block volumes are not supported"
    # A folder is on one node only, so nothing wider than one node's use can be promised.
    if not set(spec["accessModes"]) <= {"ReadWriteOnce", "ReadWriteOncePod"}:
        return "Only support ReadWriteOnce access mode"
    if spec.get("dataSource") or spec.get("dataSourceRef"):
        return "volumes cannot be made from other volumes"
    return ""


def _node_of(volume: View) -> str:
    required = (volume["spec"].get("nodeAffinity") or {}).get("required") or {}
    for term in required.get("nodeSelectorTerms") or ():
        for expression in term.get("matchExpressions") or ():
            if expression["key"] == _HOSTNAME and len(expression.get("values") or ()) == 1:
                return str(expression["values"][0])
    return ""


def _make(folder: Path) -> None:
    """For everybody, as nobody knows as whom containers will run."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o777)


async def serve(client: Client, nodes: Collection[str], folder: Path, *, has_files: bool) -> None:
    """Provision for these nodes until cancelled."""
    events = EventSink(client.named("events"), now)
    runtime = Runtime(client, own_name(client), Informers(client), events, Metrics(), now)
    worker = Worker(LocalPathProvisioner(runtime, nodes, folder, has_files=has_files))
    async with asyncio.TaskGroup() as group:
        runtime.informers.start(group)
        group.create_task(events.run(), name="provisioner's events")
        await runtime.informers.synced()
        worker.start(group)
