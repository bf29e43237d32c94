"""Volumes of a CSI driver, from its registration to the last unmount, over real sockets."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import orjson
import pytest

from controllers.runtime.client import Client
from controllers.runtime.errors import NotFound, Unavailable
from nodeagent.tests.volumes.csi.fake_driver import NAME, FakeDriver
from nodeagent.tests.volumes.fakes import FACTS, FakeSources, pod_with
from nodeagent.volumes.claims import Claims
from nodeagent.volumes.csi.api import CsiApi
from nodeagent.volumes.csi.attachment import Attachments
from nodeagent.volumes.csi.driver import DriverFailure
from nodeagent.volumes.csi.messages import (
    EXPAND,
    SINGLE_NODE_MULTI_WRITER,
    STAGE_UNSTAGE,
    VOLUME_MOUNT_GROUP,
    VOLUME_STATS,
)
from nodeagent.volumes.csi.node_info import NodeInfo
from nodeagent.volumes.csi.registration import Drivers
from nodeagent.volumes.csi.spec import CsiVolume
from nodeagent.volumes.csi.volumes import CsiVolumes
from nodeagent.volumes.disks import Disks
from nodeagent.volumes.persistent import PersistentVolumes
from nodeagent.volumes.problem import VolumesNotReady
from nodeagent.volumes.setup import Owned, Volumes

Object = dict[str, Any]
ALL = (STAGE_UNSTAGE, VOLUME_STATS, EXPAND)
UNIQUE = f"kubernetes.io/csi/{NAME}^h1"
CLAIM = {"name": "v", "persistentVolumeClaim": {"claimName": "c"}}
INLINE = {"name": "v", "csi": {"driver": NAME, "volumeAttributes": {"a": "b"}}}
NODE_PATH, CSI_NODE_PATH = "/api/v1/nodes/n", "/apis/storage.k8s.io/v1/csinodes/n"
SECRET_PATH = "/api/v1/namespaces/ns/secrets/s"
DRIVER_PATH = f"/apis/storage.k8s.io/v1/csidrivers/{NAME}"


class Server:
    """A transport over a dictionary of objects by path; patches of metadata and status are merged."""

    server = "test"

    def __init__(self) -> None:
        node = {"metadata": {"name": "n", "uid": "un", "resourceVersion": "1"}, "status": {}}
        self.objects: dict[str, Object] = {NODE_PATH: node}
        self.is_away = False

    async def send(self, method: str, path: str, headers: Any, body: Any, timeout_s: float) -> bytes:
        path = path.removesuffix("/status")
        if self.is_away:
            raise Unavailable("no answer")
        if method in ("POST", "PUT"):
            path = f"{path}/{body['metadata']['name']}" if method == "POST" else path
            self.objects[path] = body
        elif path not in self.objects:
            raise NotFound(404, "NotFound", "not found")
        elif method == "PATCH":
            for part, change in body.items():
                for name, value in change.items():
                    self.objects[path].setdefault(part, {})[name] = value
        return orjson.dumps(self.objects[path])


class World:
    """A node with one driver. `attach` plays the controller and the attacher."""

    def __init__(self, root: Path, can: tuple[int, ...]) -> None:
        self.root = root
        self.server = Server()
        self.driver = FakeDriver(root, can)
        self.sources = FakeSources()
        self.told: list[tuple[str, str]] = []
        self.client = Client(self.server, "test")  # type: ignore[arg-type]
        self.drivers = Drivers(root / "registry", NodeInfo(self.client, "n"), lambda: None)
        self.csi = self.make_csi()
        persistent = PersistentVolumes(lambda: self.server.objects[NODE_PATH], Disks(root), self.csi)
        self.volumes = Volumes(root, self.sources, Claims(self.sources), persistent, FACTS, Owned(csi=self.csi))

    def make_csi(self) -> CsiVolumes:
        """As an agent that has just started has it."""
        api = CsiApi(self.client, "n")
        attachments = Attachments(api, lambda: self.server.objects[NODE_PATH], lambda: None)

        async def token(pod: Any, audience: str, lifetime_s: int) -> dict[str, str]:
            return {"token": f"for-{audience}", "expirationTimestamp": "2030-01-01T00:00:00Z"}

        def tell(pod: Any, kind: str, reason: str, message: str) -> None:
            self.told.append((reason, message))

        return CsiVolumes(self.root, self.drivers, api, attachments, token, tell)

    def offer(self, **spec: Any) -> None:
        source = {"driver": NAME, "volumeHandle": "h1", "fsType": "ext4", "volumeAttributes": {"kind": "fast"}}
        self.sources.bind("c", {"csi": {**source, **spec.pop("csi", {})}}, capacity={"storage": "2Gi"}, **spec)
        self.sources.claims["c"]["status"]["capacity"] = {"storage": "2Gi"}

    def know(self, **spec: Any) -> None:
        """The CSIDriver object."""
        self.server.objects[DRIVER_PATH] = {"metadata": {"name": NAME}, "spec": spec}

    def attach(self) -> None:
        status = self.server.objects[NODE_PATH]["status"]
        status["volumesInUse"] = self.csi.in_use()
        status["volumesAttached"] = [{"name": UNIQUE, "devicePath": ""}]
        name = CsiVolume("pv-c", NAME, "h1", "Persistent").attachment("n")
        attached = {"attached": True, "attachmentMetadata": {"lun": "3"}}
        self.server.objects[f"/apis/storage.k8s.io/v1/volumeattachments/{name}"] = {"status": attached}

    async def texts(self, pod: Object) -> list[str]:
        with pytest.raises(VolumesNotReady) as caught:
            await self.volumes.set_up(pod, ())
        return list(caught.value.texts())


@pytest.fixture
async def world(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    found = World(tmp_path, getattr(request, "param", ALL))
    await found.driver.start(tmp_path / "registry")
    await found.drivers.look()
    yield found
    await found.driver.stop()


def pod(uid: str = "u1", volume: Object = CLAIM, **spec: Any) -> Object:
    made = pod_with(volume, **spec)
    return {**made, "metadata": {**made["metadata"], "uid": uid, "name": f"p-{uid}"}}


async def test_a_driver_that_registers_is_known_to_the_api(world: World) -> None:
    [status] = world.driver.told
    assert status.plugin_registered and not status.error
    entry = {"name": NAME, "nodeID": "id-of-n", "topologyKeys": ["example.com/zone"], "allocatable": {"count": 7}}
    csi_node = world.server.objects[CSI_NODE_PATH]
    assert csi_node["spec"]["drivers"] == [entry]
    assert csi_node["metadata"]["ownerReferences"] == [
        {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "un"}
    ]
    node = world.server.objects[NODE_PATH]["metadata"]
    assert node["annotations"] == {"csi.volume.kubernetes.io/nodeid": f'{{"{NAME}":"id-of-n"}}'}
    assert node["labels"] == {"example.com/zone": "z1"}

    os.unlink(world.root / "registry" / "disk-reg.sock")
    await world.drivers.look()
    assert world.server.objects[CSI_NODE_PATH]["spec"]["drivers"] == []
    assert world.server.objects[NODE_PATH]["metadata"]["annotations"] == {"csi.volume.kubernetes.io/nodeid": None}


async def test_a_driver_is_asked_again_as_often_as_it_wants(world: World) -> None:
    world.driver.max_volumes = 3
    now = asyncio.get_running_loop().time()

    def count() -> int:
        [entry] = world.server.objects[CSI_NODE_PATH]["spec"]["drivers"]
        return int(entry["allocatable"]["count"])

    await world.drivers.refresh(now + 1000)
    world.know(nodeAllocatableUpdatePeriodSeconds=60)
    await world.drivers.refresh(now + 50)
    assert count() == 7
    await world.drivers.refresh(now + 70)
    assert count() == 3


async def test_a_driver_that_cannot_say_where_it_is_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path, ALL)
    world.driver.failures["NodeGetInfo"] = (grpc.StatusCode.INTERNAL, "broken")
    await world.driver.start(tmp_path / "registry")
    await world.drivers.look()
    [status] = world.driver.told
    assert not status.plugin_registered and "code = Internal desc = broken" in status.error
    await world.driver.stop()


async def test_a_volume_is_attached_staged_and_published(world: World) -> None:
    world.offer()
    assert await world.texts(pod()) == []
    assert world.csi.in_use() == [UNIQUE] and not world.driver.of("NodeStageVolume")
    world.attach()
    path = (await world.volumes.set_up(pod(), ()))["v"].path
    [stage], [publish] = world.driver.of("NodeStageVolume"), world.driver.of("NodePublishVolume")
    assert dict(stage.publish_context) == dict(publish.publish_context) == {"lun": "3"}
    assert stage.volume_id == publish.volume_id == "h1"
    assert stage.staging_target_path == publish.staging_target_path
    assert (stage.volume_capability.mount.fs_type, stage.volume_capability.access_mode.mode) == ("ext4", 1)
    assert dict(publish.volume_context) == {"kind": "fast"}
    assert publish.target_path == str(path)
    assert str(path).endswith("/pods/u1/volumes/kubernetes.io~csi/pv-c/mount")

    await world.volumes.set_up(pod(), ())
    await world.volumes.set_up(pod("u2"), ())
    assert len(world.driver.of("NodeStageVolume")) == 1 and len(world.driver.of("NodePublishVolume")) == 2
    assert world.driver.of("NodeGetVolumeStats") == []
    answer = await world.csi.usage("u1", "pv-c")
    assert (answer.usage[0].used, answer.usage[0].unit) == (40, 1)

    await world.volumes.try_take_down("u1")
    assert world.driver.of("NodeUnpublishVolume") and not world.driver.of("NodeUnstageVolume")
    assert world.csi.in_use() == [UNIQUE]
    await world.volumes.try_take_down("u2")
    assert len(world.driver.of("NodeUnstageVolume")) == 1
    assert world.csi.in_use() == []


async def test_a_restarted_agent_unmounts_what_it_finds(world: World) -> None:
    world.know(attachRequired=False)
    world.offer()
    await world.volumes.set_up(pod(), ())
    await world.make_csi().take_down("u1")
    assert len(world.driver.of("NodeUnpublishVolume")) == len(world.driver.of("NodeUnstageVolume")) == 1


async def test_what_fails_is_told_in_the_words_of_the_driver(world: World) -> None:
    world.know(attachRequired=False)
    world.offer()
    world.driver.failures["NodeStageVolume"] = (grpc.StatusCode.FAILED_PRECONDITION, "no disk")
    text = "rpc error: code = FailedPrecondition desc = no disk"
    assert await world.texts(pod()) == [f'MountVolume.MountDevice failed for volume "pv-c" : {text}']
    del world.driver.failures["NodeStageVolume"]
    world.driver.failures["NodePublishVolume"] = (grpc.StatusCode.INTERNAL, "no mount")
    text = "rpc error: code = Internal desc = no mount"
    assert await world.texts(pod()) == [f'MountVolume.SetUp failed for volume "pv-c" : {text}']
    del world.driver.failures["NodePublishVolume"]
    await world.volumes.set_up(pod(), ())
    world.driver.failures["NodeUnpublishVolume"] = (grpc.StatusCode.INTERNAL, "busy")
    with pytest.raises(DriverFailure, match="busy"):
        await world.volumes.try_take_down("u1")


async def test_volumes_of_unknown_drivers_wait(tmp_path: Path) -> None:
    world = World(tmp_path, ALL)
    world.know(attachRequired=False)
    world.offer()
    missing = f"driver name {NAME} not found in the list of registered CSI drivers"
    text = f"kubernetes.io/csi: attacher.MountDevice failed to create newCsiDriverClient: {missing}"
    assert await world.texts(pod()) == [f'MountVolume.MountDevice failed for volume "pv-c" : {text}']


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (None, f'volume mode "Ephemeral" not supported by driver {NAME} (no CSIDriver object)'),
        ({}, f'volume mode "Ephemeral" not supported by driver {NAME} (only supports ["Persistent"])'),
    ],
)
async def test_inline_volumes_need_a_driver_that_says_it_can(world: World, spec: Object | None, text: str) -> None:
    if spec is not None:
        world.know(**spec)
    found = await world.texts(pod(volume=INLINE))
    assert found == [f'MountVolume.NewMounter initialization failed for volume "v" : {text}']


async def test_an_inline_volume_lives_with_its_pod(world: World) -> None:
    world.know(
        volumeLifecycleModes=["Ephemeral"],
        podInfoOnMount=True,
        tokenRequests=[{"audience": "x"}, {"audience": ""}],
        requiresRepublish=True,
    )
    world.server.objects[SECRET_PATH] = {"data": {"k": base64.b64encode(b"v").decode()}}
    volume = {"name": "v", "csi": {**INLINE["csi"], "nodePublishSecretRef": {"name": "s"}, "readOnly": True}}
    for _ in range(2):
        assert (await world.volumes.set_up(pod(volume=volume), ()))["v"].readonly
    publish = world.driver.of("NodePublishVolume")[1]
    context = dict(publish.volume_context)
    tokens = orjson.loads(context.pop("csi.storage.k8s.io/serviceAccount.tokens"))
    assert tokens["x"] == {"token": "for-x", "expirationTimestamp": "2030-01-01T00:00:00Z"}
    assert context == {
        "a": "b",
        "csi.storage.k8s.io/ephemeral": "true",
        "csi.storage.k8s.io/pod.name": "p-u1",
        "csi.storage.k8s.io/pod.namespace": "ns",
        "csi.storage.k8s.io/pod.uid": "u1",
        "csi.storage.k8s.io/serviceAccount.name": "",
    }
    assert dict(publish.secrets) == {"k": "v"} and publish.readonly and not publish.staging_target_path
    assert publish.volume_id.startswith("csi-") and not world.driver.of("NodeStageVolume")


async def test_mounted_volumes_serve_while_the_server_is_away(world: World) -> None:
    world.know(attachRequired=False, volumeLifecycleModes=["Persistent", "Ephemeral"])
    world.offer()
    made = pod_with(CLAIM, {**INLINE, "name": "w"})
    before = await world.volumes.set_up(made, ())
    world.server.is_away = True
    world.sources.claims.clear()
    assert await world.volumes.set_up(made, ()) == before
    with pytest.raises(VolumesNotReady):
        await world.volumes.set_up(pod("u2"), ())


GROUP = {"securityContext": {"fsGroup": 4321}}


@pytest.mark.parametrize(
    ("world", "driver", "volume", "group"),
    [
        (ALL, {}, {}, 4321),
        (ALL, {}, {"csi": {"fsType": ""}}, 0),
        (ALL, {}, {"accessModes": ["ReadWriteMany"]}, 0),
        (ALL, {"fsGroupPolicy": "File"}, {"accessModes": ["ReadWriteMany"]}, 4321),
        (ALL, {"fsGroupPolicy": "None"}, {}, 0),
        ((VOLUME_MOUNT_GROUP,), {}, {}, 0),
    ],
    indirect=["world"],
    ids=["default", "no file system", "shared", "file", "none", "by the driver"],
)
async def test_the_group_follows_the_drivers_policy(
    world: World, driver: Object, volume: Object, group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[int] = []
    monkeypatch.setattr("nodeagent.volumes.mounting.give_to_group", lambda path, group: given.append(group))
    world.know(attachRequired=False, **driver)
    world.offer(**volume)
    await world.volumes.set_up(pod(**GROUP), ())
    assert given == ([group] if group else [])
    [publish] = world.driver.of("NodePublishVolume")
    told = "4321" if VOLUME_MOUNT_GROUP in world.driver.can else ""
    assert publish.volume_capability.mount.volume_mount_group == told


@pytest.mark.parametrize(
    ("world", "modes", "number"),
    [
        (ALL, ["ReadWriteOnce"], 1),
        (ALL, ["ReadOnlyMany"], 3),
        (ALL, ["ReadWriteMany", "ReadWriteOnce"], 5),
        (ALL, ["ReadWriteOncePod"], 1),
        ((SINGLE_NODE_MULTI_WRITER,), ["ReadWriteOnce"], 7),
        ((SINGLE_NODE_MULTI_WRITER,), ["ReadWriteOncePod"], 6),
    ],
    indirect=["world"],
)
async def test_access_modes_are_told_as_drivers_know_them(world: World, modes: list[str], number: int) -> None:
    world.know(attachRequired=False)
    world.offer(accessModes=modes)
    await world.volumes.set_up(pod(), ())
    assert world.driver.of("NodePublishVolume")[0].volume_capability.access_mode.mode == number


async def test_a_volume_that_has_grown_is_expanded(world: World) -> None:
    world.know(attachRequired=False)
    world.offer()
    claim = world.sources.claims["c"]
    claim["status"] |= {"capacity": {"storage": "1Gi"}, "conditions": [{"type": "FileSystemResizePending"}]}
    path = "/api/v1/namespaces/ns/persistentvolumeclaims/c"
    world.server.objects[path] = {**claim, "status": dict(claim["status"])}
    await world.volumes.set_up(pod(), ())
    [call] = world.driver.of("NodeExpandVolume")
    assert call.capacity_range.required_bytes == 2 * 1024**3
    assert world.server.objects[path]["status"]["capacity"] == {"storage": "2Gi"}
    assert world.server.objects[path]["status"]["conditions"] is None
    assert world.told == [
        ("FileSystemResizeSuccessful", 'MountVolume.NodeExpandVolume succeeded for volume "pv-c" n')
    ]


async def test_a_block_volume_is_a_device(world: World) -> None:
    world.know(attachRequired=False)
    world.offer(volumeMode="Block")
    made = pod()
    made["spec"]["containers"][0] = {"name": "c", "volumeDevices": [{"name": "v", "devicePath": "/dev/x"}]}
    await world.volumes.set_up(made, ())
    [publish] = world.driver.of("NodePublishVolume")
    assert publish.volume_capability.HasField("block") and not publish.volume_capability.HasField("mount")
    text = "volume v has volumeMode Block, but is specified in volumeMounts"
    assert text in (await world.texts(pod("u2")))[0]


async def test_an_attacher_that_fails_is_heard(world: World) -> None:
    world.offer()
    await world.texts(pod())
    world.attach()
    [path] = [path for path in world.server.objects if "volumeattachments" in path]
    world.server.objects[path] = {"status": {"attached": False, "attachError": {"message": "disk is broken"}}}
    assert await world.texts(pod()) == ['MountVolume.WaitForAttach failed for volume "pv-c" : disk is broken']
