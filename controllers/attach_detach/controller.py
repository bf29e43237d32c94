"""Keeps VolumeAttachments and `status.volumesAttached` of each node as its pods need them.

The key is a node. A volume is taken from a node only when the node no longer says that it uses it, or is out of
service, or has been silent for six minutes. Attachments that do not carry our names are left alone.
Follows: pkg/controller/volume/attachdetach/{attach_detach_controller,reconciler/reconciler}.go
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from controllers.attach_detach.plan import (
    Volume,
    attached_to,
    conflict_message,
    is_managed,
    is_mounted,
    is_out_of_service,
    needs_volumes,
    volume_of,
)
from controllers.runtime.controller import Controller, For, Requeue, Runtime, Watches
from controllers.runtime.errors import AlreadyExists, NotFound
from controllers.runtime.informer import Change
from controllers.runtime.kinds import (
    CSI_DRIVERS,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    VOLUME_ATTACHMENTS,
)
from controllers.runtime.objects import (
    Key,
    Object,
    View,
    condition_of,
    is_controlled_by,
    is_deleting,
    key_of,
    name_of,
    namespace_of,
)
from controllers.workloads.pod_indexes import BY_CLAIM, BY_NODE, claims_of, index_by_claim, index_by_node

UNMOUNT_LIMIT = timedelta(minutes=6)
_BY_VOLUME = "attachments of volume"
_OF_NODE = "attachments of node"


def _source(attachment: View) -> str:
    return str((attachment["spec"].get("source") or {}).get("persistentVolumeName") or "")


class AttachDetachController(Controller):
    name = "attachdetach-controller"
    account = "attachdetach-controller"

    def node_of_pod(self, change: Change) -> Iterable[Key]:
        node = change.obj["spec"].get("nodeName")
        return (Key("", node),) if node and any(claims_of(change.obj)) else ()

    def nodes_of_claim(self, change: Change) -> Iterable[Key]:
        pods = self.store(PODS).by_index(BY_CLAIM, str(key_of(change.obj)))
        return {Key("", node) for pod in pods if (node := pod["spec"].get("nodeName"))}

    def nodes_of_attachment(self, change: Change) -> Iterable[Key]:
        """Its node, and once it is gone the nodes that waited for the volume."""
        yield Key("", change.obj["spec"].get("nodeName", ""))
        if change.type == "DELETED":
            self._told.pop(name_of(change.obj), None)
            yield from self._waiting.pop(_source(change.obj), ())

    watches: ClassVar = (
        For(NODES),
        Watches(PODS, node_of_pod),
        Watches(PERSISTENT_VOLUME_CLAIMS, nodes_of_claim),
        Watches(VOLUME_ATTACHMENTS, nodes_of_attachment),
    )

    def __init__(self, runtime: Runtime) -> None:
        pods = runtime.informers.get(PODS).store
        index_by_node(pods)
        index_by_claim(pods)
        attachments = runtime.informers.get(VOLUME_ATTACHMENTS).store
        attachments.add_index(_BY_VOLUME, lambda found: filter(None, (_source(found),)))
        attachments.add_index(_OF_NODE, lambda found: (found["spec"].get("nodeName", ""),))
        self._waiting: dict[str, set[Key]] = {}
        self._told: dict[str, set[tuple[str, str]]] = {}
        self._unwanted_since: dict[str, datetime] = {}
        super().__init__(runtime)
        for resource in (PERSISTENT_VOLUMES, CSI_DRIVERS):
            self.informer(resource)

    async def reconcile(self, key: Key) -> Requeue | None:
        node = self.store(NODES).get(*key)
        wanted = self._wanted(node) if node is not None and is_managed(node) else {}
        present = self._present(key.name)
        kept = {name: volume for name, volume in present.items() if name in wanted}
        wait_s: list[float] = []
        for name, volume in present.items():
            if name in wanted:
                self._unwanted_since.pop(name, None)
            elif (left_s := self._seconds_to_detach(node, name, volume)) > 0:
                kept[name] = volume
                wait_s.append(left_s)
        if node is not None and is_managed(node):
            await self._report(node, {name: kept[name] for name in kept if self._is_attached(name)}, wanted)
        for name in present.keys() - kept.keys():
            self._told.pop(name, None)
            await self._detach(name)
        for name, (volume, pods) in wanted.items():
            await self._attach(key.name, name, volume, pods)
        return Requeue(min(wait_s)) if wait_s else None

    # What is and what should be

    def _wanted(self, node: View) -> dict[str, tuple[Volume, list[Object]]]:
        """The volumes that the node's pods need, by the names of their attachments, with those pods."""
        found: dict[str, tuple[Volume, list[Object]]] = {}
        for pod in self.store(PODS).by_index(BY_NODE, name_of(node)):
            if not needs_volumes(pod, node):
                continue
            for volume in self._volumes_of(pod):
                found.setdefault(volume.attachment_name(name_of(node)), (volume, []))[1].append(pod)
        return found

    def _volumes_of(self, pod: View) -> Iterable[Volume]:
        for part in pod["spec"].get("volumes") or ():
            name = (part.get("persistentVolumeClaim") or {}).get("claimName")
            is_ephemeral = "ephemeral" in part
            if is_ephemeral:
                name = f"{name_of(pod)}-{part['name']}"
            claim = self.store(PERSISTENT_VOLUME_CLAIMS).get(namespace_of(pod), name) if name else None
            if claim is None or (is_ephemeral and not is_controlled_by(claim, pod)):
                continue
            if (claim.get("status") or {}).get("phase") == "Bound":
                volume = self._volume(claim["spec"].get("volumeName", ""))
                if volume is not None:
                    yield volume

    def _volume(self, name: str) -> Volume | None:
        persistent = self.store(PERSISTENT_VOLUMES).get("", name)
        return None if persistent is None else volume_of(persistent, self._unattached_drivers())

    def _unattached_drivers(self) -> set[str]:
        drivers = self.store(CSI_DRIVERS).all()
        return {name_of(driver) for driver in drivers if driver["spec"].get("attachRequired") is False}

    def _present(self, node: str) -> dict[str, Volume]:
        """Our attachments of the node."""
        found = {}
        for attachment in self.store(VOLUME_ATTACHMENTS).by_index(_OF_NODE, node):
            volume = self._volume(_source(attachment))
            if volume is not None and volume.attachment_name(node) == name_of(attachment):
                found[name_of(attachment)] = volume
        return found

    def _is_attached(self, name: str) -> bool:
        attachment = self.store(VOLUME_ATTACHMENTS).get("", name)
        return attachment is not None and bool((attachment.get("status") or {}).get("attached"))

    # Detaching

    def _seconds_to_detach(self, node: View | None, name: str, volume: Volume) -> float:
        """How long the volume must still stay; 0 if it may go."""
        now = self.clock()
        since = self._unwanted_since.setdefault(name, now)
        if node is None or not is_mounted(node, volume) or is_out_of_service(node):
            return 0.0
        ready = condition_of(node, "Ready")
        if ready is not None and ready.get("status") == "True":
            # A healthy node says so itself when it is done: its word comes as a change of the node.
            return UNMOUNT_LIMIT.total_seconds()
        return max(0.0, (since + UNMOUNT_LIMIT - now).total_seconds())

    async def _detach(self, name: str) -> None:
        self._unwanted_since.pop(name, None)
        attachment = self.store(VOLUME_ATTACHMENTS).get("", name)
        if attachment is None or is_deleting(attachment):
            return
        try:
            await self.client.delete(VOLUME_ATTACHMENTS, "", name)
        except NotFound:
            return

    # Attaching

    async def _report(
        self, node: View, attached: Mapping[str, Volume], wanted: Mapping[str, tuple[Volume, Sequence[View]]]
    ) -> None:
        """Bring the node's status up to date, and tell the pods that waited for what is new in it."""
        changed = attached_to(node, list(attached.values()))
        if changed is None:
            return
        before = {one["name"] for one in (node.get("status") or {}).get("volumesAttached") or ()}
        patch = {"status": {"volumesAttached": changed or None}}
        await self.client.patch(NODES, "", name_of(node), patch, subresource="status")
        for name, volume in attached.items():
            if volume.unique_name not in before and name in wanted:
                text = f'AttachVolume.Attach succeeded for volume "{volume.name}" '
                for pod in wanted[name][1]:
                    self.events.normal(pod, "SuccessfulAttachVolume", text)

    async def _attach(self, node: str, name: str, volume: Volume, pods: Sequence[Object]) -> None:
        attachment = self.store(VOLUME_ATTACHMENTS).get("", name)
        if attachment is not None:
            self._tell_failure(attachment, volume, pods)
            return
        rivals = self._elsewhere(node, volume)
        if rivals:
            self._waiting.setdefault(volume.name, set()).add(Key("", node))
            self._tell_conflict(name, volume, pods, rivals)
            return
        try:
            await self.client.create(VOLUME_ATTACHMENTS, volume.attachment(node))
        except AlreadyExists:
            return

    def _elsewhere(self, node: str, volume: Volume) -> list[Object]:
        """The attachments of an unshared volume to other nodes."""
        if volume.is_shared:
            return []
        attachments = self.store(VOLUME_ATTACHMENTS).by_index(_BY_VOLUME, volume.name)
        return [found for found in attachments if found["spec"].get("nodeName") != node]

    def _tell_failure(self, attachment: View, volume: Volume, pods: Sequence[View]) -> None:
        error = ((attachment.get("status") or {}).get("attachError") or {}).get("message", "")
        for pod in pods:
            if error and self._is_news(name_of(attachment), pod, error):
                text = f'AttachVolume.Attach failed for volume "{volume.name}" : {error}'
                self.events.warning(pod, "FailedAttachVolume", text)

    def _tell_conflict(self, name: str, volume: Volume, pods: Sequence[View], rivals: Sequence[View]) -> None:
        nodes = {rival["spec"].get("nodeName", "") for rival in rivals}
        others = [
            other
            for node in sorted(nodes)
            for other in self.store(PODS).by_index(BY_NODE, node)
            if any(used.name == volume.name for used in self._volumes_of(other))
        ]
        for pod in pods:
            if self._is_news(name, pod, "conflict"):
                self.events.warning(pod, "FailedAttachVolume", conflict_message(volume.name, pod, others))

    def _is_news(self, attachment: str, pod: View, what: str) -> bool:
        """Whether the pod has not been told yet."""
        known, told = self._told.setdefault(attachment, set()), (str(pod["metadata"].get("uid", "")), what)
        if told in known:
            return False
        known.add(told)
        return True
