"""Mounts CSI volumes for pods by their drivers, and unmounts them: attached, staged once, published to each pod.

What is on disk decides (`records`), so a restarted agent goes on where it stopped; calls are such that doing them
twice does no harm. Work on one volume is done one after the other.
Follows: pkg/volume/csi/{csi_attacher,csi_mounter,csi_block}.go, pkg/volume/util/operationexecutor
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from nodeagent.pods import spec
from nodeagent.pods.environment import ConfigProblem
from nodeagent.pods.spec import View
from nodeagent.volumes import mounting, ownership
from nodeagent.volumes.claims import Bound
from nodeagent.volumes.csi import expand, records
from nodeagent.volumes.csi.api import CsiApi
from nodeagent.volumes.csi.attachment import Attachments
from nodeagent.volumes.csi.driver import Driver, DriverFailure, NoDriver
from nodeagent.volumes.csi.messages import STAGE_UNSTAGE, VOLUME_MOUNT_GROUP, VOLUME_STATS
from nodeagent.volumes.csi.records import Record, Records
from nodeagent.volumes.csi.registration import Drivers
from nodeagent.volumes.csi.spec import PERSISTENT, CsiVolume, check_lifecycle, inline, persistent, pod_attributes
from nodeagent.volumes.problem import MOUNT_DEVICE, SET_UP, VolumeProblem
from nodeagent.volumes.volume import Volume

log = logging.getLogger(__name__)

Token = Callable[[View, str, int], Awaitable[Mapping[str, str]]]
"""The status of a TokenRequest for a pod: (pod, audience, lifetime in seconds). Raises ConfigProblem."""
Tell = Callable[[View, str, str, str], None]
"""An event about a pod: (pod, type, reason, message)."""
DEFAULT_TOKEN_S = 3600


class CsiVolumes:
    """The CSI volumes of one node. `tell` tells the events of pods."""

    def __init__(
        self, folder: Path, drivers: Drivers, api: CsiApi, attachments: Attachments, token: Token, tell: Tell
    ) -> None:
        self._records = Records(folder)
        self._drivers = drivers
        self._api = api
        self._attachments = attachments
        self._token = token
        self._tell = tell
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._staged: set[Path] = set()
        self._published: set[Path] = set()
        self._users: dict[str, set[str]] = {}

    # -- up ----------------------------------------------------------------------------------------------------

    async def set_up_claim(self, pod: View, name: str, bound: Bound) -> Volume:
        """The volume behind a claim. Raises VolumeProblem."""
        volume = persistent(bound)
        driver = await self._api.driver(volume.driver)
        check_lifecycle(volume, driver)
        self._users.setdefault(volume.unique_name, set()).add(spec.uid_of(pod))
        is_attached = ((driver or {}).get("spec") or {}).get("attachRequired") is not False
        context = await self._attachments.wait_for(pod, volume) if is_attached else {}
        record = _record(volume, volume.attachment(self._api.node_name) if is_attached else "")
        async with self._locks[volume.unique_name]:
            await self._stage(pod, volume, record, context)
            path = await self._publish(pod, volume, driver, record, context)
            await self._expand(pod, volume, bound, path)
        return Volume(name, path, readonly=volume.readonly)

    async def set_up_inline(self, pod: View, given: View) -> Volume:
        """A volume that lives with its pod. Raises VolumeProblem."""
        volume = inline(pod, given)
        driver = await self._api.driver(volume.driver)
        check_lifecycle(volume, driver)
        async with self._locks[volume.unique_name]:
            path = await self._publish(pod, volume, driver, _record(volume, ""), {})
        return Volume(given["name"], path, readonly=volume.readonly)

    async def _stage(self, pod: View, volume: CsiVolume, record: Record, context: Mapping[str, str]) -> None:
        folder, staging = self._records.volume_folder(volume), self._records.staging(volume)
        if staging in self._staged or mounting.is_mount_point(staging):
            return
        try:
            driver = self._drivers.get(volume.driver)
        except NoDriver as error:
            text = f"kubernetes.io/csi: attacher.MountDevice failed to create newCsiDriverClient: {error}"
            raise VolumeProblem(volume.name, text, MOUNT_DEVICE) from None
        try:
            can = await driver.capabilities()
            records.keep(folder, record)
            if STAGE_UNSTAGE in can:
                staging.mkdir(exist_ok=True, mode=0o750)
                await driver.call(
                    "NodeStageVolume",
                    volume_id=volume.handle,
                    publish_context=context,
                    staging_target_path=str(staging),
                    volume_capability=volume.capability(pod, can),
                    secrets=await self._secrets(volume.stage_secret),
                    volume_context=volume.attributes,
                )
        except (DriverFailure, ConfigProblem) as failure:
            raise VolumeProblem(volume.name, str(failure), MOUNT_DEVICE) from failure
        self._staged.add(staging)

    async def _publish(
        self, pod: View, volume: CsiVolume, info: View | None, record: Record, context: Mapping[str, str]
    ) -> Path:
        """Raises VolumeProblem. A driver that wants it is called again each time."""
        uid = spec.uid_of(pod)
        target = self._records.target(uid, volume)
        is_done = target in self._published or mounting.is_mount_point(target)
        own = (info or {}).get("spec") or {}
        if is_done and not own.get("requiresRepublish"):
            self._published.add(target)
            return target
        try:
            driver = self._drivers.get(volume.driver)
        except NoDriver as error:
            if is_done:
                return target
            text = f"kubernetes.io/csi: mounter.SetUpAt failed to get CSI client: {error}"
            raise VolumeProblem(volume.name, text) from None
        try:
            can = await driver.capabilities()
            request = await self._publish_request(pod, volume, info, driver)
            records.keep(target.parent, record)
            await driver.call("NodePublishVolume", publish_context=context, target_path=str(target), **request)
        except (DriverFailure, ConfigProblem) as failure:
            if is_done:
                log.warning("volume not published again: %s", failure, extra={"volume": volume.name})
                return target
            raise VolumeProblem(volume.name, str(failure), SET_UP) from failure
        self._published.add(target)
        if not is_done and volume.takes_group(pod, info) and VOLUME_MOUNT_GROUP not in can:
            await asyncio.to_thread(ownership.apply, pod, target)
        return target

    async def _publish_request(
        self, pod: View, volume: CsiVolume, info: View | None, driver: Driver
    ) -> dict[str, Any]:
        can = await driver.capabilities()
        secrets = await self._secrets(volume.publish_secret)
        attributes = {**volume.attributes, **pod_attributes(volume, pod, info)}
        tokens = await self._tokens(pod, info)
        if ((info or {}).get("spec") or {}).get("serviceAccountTokenInSecrets"):
            secrets |= tokens
        else:
            attributes |= tokens
        is_staged = volume.lifecycle == PERSISTENT and STAGE_UNSTAGE in can
        return {
            "volume_id": volume.handle,
            "staging_target_path": str(self._records.staging(volume)) if is_staged else "",
            "volume_capability": volume.capability(pod, can),
            "readonly": volume.readonly,
            "secrets": secrets,
            "volume_context": attributes,
        }

    async def _tokens(self, pod: View, info: View | None) -> dict[str, str]:
        """The pod's service account tokens that the driver asks for."""
        made = {}
        for wanted in ((info or {}).get("spec") or {}).get("tokenRequests") or ():
            audience = wanted.get("audience") or ""
            status = await self._token(pod, audience, wanted.get("expirationSeconds") or DEFAULT_TOKEN_S)
            made[audience] = {"token": status["token"], "expirationTimestamp": status["expirationTimestamp"]}
        if not made:
            return {}
        return {"csi.storage.k8s.io/serviceAccount.tokens": orjson.dumps(made, option=orjson.OPT_SORT_KEYS).decode()}

    async def _secrets(self, reference: tuple[str, str] | None) -> dict[str, str]:
        if reference is None:
            return {}
        namespace, name = reference
        found = await self._api.secret(namespace, name)
        if found is None:
            where = f"failed to find the secret {name} in the namespace {namespace}"
            raise ConfigProblem(f'{where} with error: secrets "{name}" not found')
        data = found.get("data") or {}
        return {key: base64.b64decode(value).decode(errors="replace") for key, value in data.items()}

    async def _expand(self, pod: View, volume: CsiVolume, bound: Bound, path: Path) -> None:
        if volume.readonly or not expand.is_due(bound.claim, bound.volume):
            return
        try:
            driver = self._drivers.get(volume.driver)
            secrets = await self._secrets(volume.expand_secret)
            done = await expand.expand(
                driver, volume, bound.volume, pod, path, staging=self._records.staging(volume), secrets=secrets
            )
            if done:
                await self._api.set_claim_status(bound.claim, expand.status_after(bound.claim, bound.volume))
                text = f'MountVolume.NodeExpandVolume succeeded for volume "{volume.name}" {self._api.node_name}'
                self._tell(pod, "Normal", "FileSystemResizeSuccessful", text)
        except (DriverFailure, NoDriver, ConfigProblem) as failure:
            text = f'MountVolume.NodeExpandVolume failed for volume "{volume.name}" : {failure}'
            self._tell(pod, "Warning", "VolumeResizeFailed", text)

    # -- down --------------------------------------------------------------------------------------------------

    async def take_down(self, uid: str) -> None:
        """Unpublish all that the pod has, and unstage what no other pod has.

        Raises DriverFailure, NoDriver, OSError.
        """
        for record in self._records.of_pod(uid):
            async with self._locks[record.unique_name]:
                await self._unpublish(uid, record)
                if record.lifecycle == PERSISTENT and not self._records.users(record):
                    await self._unstage(record)
        for name in [name for name, users in self._users.items() if uid in users]:
            self._users[name].discard(uid)
            if not self._users[name]:
                del self._users[name]
        self._attachments.forget(uid)

    async def _unpublish(self, uid: str, record: Record) -> None:
        target = self._records.target(uid, record)
        driver = self._drivers.get(record.driver)
        await driver.call("NodeUnpublishVolume", volume_id=record.handle, target_path=str(target))
        await asyncio.to_thread(records.drop, target.parent, target)
        self._published.discard(target)

    async def _unstage(self, record: Record) -> None:
        staging = self._records.staging(record)
        driver = self._drivers.get(record.driver)
        if STAGE_UNSTAGE in await driver.capabilities():
            await driver.call("NodeUnstageVolume", volume_id=record.handle, staging_target_path=str(staging))
        await asyncio.to_thread(records.drop, staging.parent, staging)
        self._staged.discard(staging)

    async def unstage_unused(self) -> None:
        """Unstage what no pod has any more: an agent may have ended between the two steps."""
        for record in self._records.of_volumes():
            async with self._locks[record.unique_name]:
                if not self._records.users(record) and record.unique_name not in self._users:
                    try:
                        await self._unstage(record)
                    except (DriverFailure, NoDriver, OSError) as failure:
                        log.warning("volume not unstaged: %s", failure, extra={"volume": record.name})

    # -- what is there -----------------------------------------------------------------------------------------

    def in_use(self) -> list[str]:
        """The attached volumes that the node needs or still has, by the names in its status."""
        had = {record.unique_name for record in self._records.of_volumes() if record.attachment}
        return sorted(had | self._attachments.wanted())

    async def usage(self, uid: str, name: str) -> Any:
        """What a driver says of the use of a pod's volume (`name` is its own); None where it does not."""
        for record in self._records.of_pod(uid):
            if record.name != name or record.is_block:
                continue
            try:
                driver = self._drivers.get(record.driver)
                if VOLUME_STATS not in await driver.capabilities():
                    return None
                path = str(self._records.target(uid, record))
                return await driver.call("NodeGetVolumeStats", volume_id=record.handle, volume_path=path)
            except (DriverFailure, NoDriver):
                return None
        return None


def _record(volume: CsiVolume, attachment: str) -> Record:
    return Record(volume.name, volume.driver, volume.handle, volume.lifecycle, volume.is_block, attachment)
