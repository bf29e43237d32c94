"""Waits for volumes to be attached: says in the node's status that they are needed, and looks for others to do it.

A volume is used only after the status has said so: who attaches may then not take it away again unasked.
Follows: pkg/kubelet/volumemanager/reconciler, pkg/volume/csi/csi_attacher.go waitForVolumeAttachment
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nodeagent.pods import spec
from nodeagent.pods.spec import View
from nodeagent.volumes.csi.api import CsiApi
from nodeagent.volumes.csi.spec import CsiVolume
from nodeagent.volumes.problem import NotYet, VolumeProblem

WAIT = "MountVolume.WaitForAttach"


class Attachments:
    """`reported` is the node as its status was last written; `report` has it written anew."""

    def __init__(self, api: CsiApi, reported: Callable[[], View], report: Callable[[], None]) -> None:
        self._api = api
        self._reported = reported
        self._report = report
        self._wanted: dict[str, set[str]] = {}
        self._attached: dict[str, Mapping[str, str]] = {}

    def wanted(self) -> set[str]:
        """The volumes that pods need, by the names in the node's status."""
        return set(self._wanted)

    async def wait_for(self, pod: View, volume: CsiVolume) -> Mapping[str, str]:
        """What the attacher says of the volume. Raises NotYet, VolumeProblem."""
        name = volume.unique_name
        self._wanted.setdefault(name, set()).add(spec.uid_of(pod))
        if name in self._attached:
            return self._attached[name]
        if name not in ((self._reported().get("status") or {}).get("volumesInUse") or ()):
            self._report()
            raise NotYet(volume.name, "the node has not yet said that it needs the volume")
        attached = ((await self._api.node()).get("status") or {}).get("volumesAttached") or ()
        if all(item["name"] != name for item in attached):
            raise NotYet(volume.name, "the volume is not attached yet")
        attachment = await self._api.attachment(volume.attachment(self._api.node_name))
        status = (attachment or {}).get("status") or {}
        error = (status.get("attachError") or {}).get("message")
        if error:
            raise VolumeProblem(volume.name, error, WAIT)
        if not status.get("attached"):
            raise NotYet(volume.name, "the volume is not attached yet")
        found = self._attached[name] = dict(status.get("attachmentMetadata") or {})
        return found

    def forget(self, uid: str) -> None:
        """A pod needs nothing any more."""
        freed = [name for name, users in self._wanted.items() if users == {uid}]
        for users in self._wanted.values():
            users.discard(uid)
        for name in freed:
            del self._wanted[name]
            self._attached.pop(name, None)
        if freed:
            self._report()
