"""Claims get folders of their nodes, over an API that keeps what is created and deleted in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from controllers.runtime.accounts import own_name
from controllers.runtime.client import Client
from controllers.runtime.controller import Runtime
from controllers.runtime.events import EventSink
from controllers.runtime.informer import Informers
from controllers.runtime.kinds import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, STORAGE_CLASSES
from controllers.runtime.metrics import Metrics
from controllers.runtime.objects import Key
from nodeagent.volumes.provisioner import PROVISIONER, LocalPathProvisioner, storage_class
from openapi.meta.times import now

Object = dict[str, Any]
VOLUMES = "/api/v1/persistentvolumes"


class Record:
    """A transport that notes every write and answers it with its own body."""

    server = "test"

    def __init__(self) -> None:
        self.writes: list[tuple[str, str, Any]] = []

    async def send(self, method: str, path: str, headers: Any, body: Any, timeout_s: float) -> bytes:
        self.writes.append((method, path, body))
        return orjson.dumps(body)


class Bench:
    """A provisioner of the node `n` with its stores."""

    def __init__(self, folder: Path) -> None:
        self.server = Record()
        client = Client(self.server, "test")  # type: ignore[arg-type]
        self.informers = Informers(client)
        runtime = Runtime(client, own_name(client), self.informers, EventSink(client, now), Metrics(), now)
        self.provisioner = LocalPathProvisioner(runtime, ["n"], folder, has_files=True)
        self.informers.get(STORAGE_CLASSES).store.put(storage_class())

    async def claim(self, node: str = "n", provisioner: str = PROVISIONER, **spec: Any) -> list[Object]:
        """The volumes that are made for a claim."""
        annotations = {
            "volume.kubernetes.io/storage-provisioner": provisioner,
            "volume.kubernetes.io/selected-node": node,
        }
        metadata = {"name": "c", "namespace": "ns", "uid": "u", "resourceVersion": "7", "annotations": annotations}
        own = {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "standard",
            "resources": {"requests": {"storage": "1Gi"}},
            **spec,
        }
        self.informers.get(PERSISTENT_VOLUME_CLAIMS).store.put(
            {"kind": "PersistentVolumeClaim", "apiVersion": "v1", "metadata": metadata, "spec": own}
        )
        await self.provisioner.reconcile(Key("ns", "c"))
        return [body for method, path, body in self.server.writes if (method, path) == ("POST", VOLUMES)]

    async def release(self, volume: Object, phase: str = "Released") -> bool:
        """Whether the volume is deleted then."""
        metadata = {**volume["metadata"], "uid": "v", "resourceVersion": "9"}
        self.informers.get(PERSISTENT_VOLUMES).store.put(
            {**volume, "metadata": metadata, "status": {"phase": phase}}
        )
        await self.provisioner.reconcile(Key("", metadata["name"]))
        return any(method == "DELETE" for method, _, _ in self.server.writes)


async def test_a_claim_gets_a_folder_of_the_chosen_node(tmp_path: Path) -> None:
    [volume] = await Bench(tmp_path).claim()
    spec = volume["spec"]
    folder = tmp_path / "pvc-u_ns_c"
    assert volume["metadata"]["name"] == "pvc-u"
    assert spec["hostPath"] == {"path": str(folder), "type": "DirectoryOrCreate"}
    assert folder.stat().st_mode & 0o777 == 0o777
    assert (spec["capacity"], spec["accessModes"]) == ({"storage": "1Gi"}, ["ReadWriteOnce"])
    assert (spec["claimRef"]["uid"], spec["persistentVolumeReclaimPolicy"]) == ("u", "Delete")
    [term] = spec["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert term["matchExpressions"] == [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["n"]}]


@pytest.mark.parametrize(
    "claim",
    [
        {"node": "other"},
        {"node": ""},
        {"provisioner": "example.com/other"},
        {"volumeName": "given"},
        {"storageClassName": "gone"},
        {"accessModes": ["ReadWriteMany"]},
        {"volumeMode": "Block"},
        {"selector": {"matchLabels": {"a": "b"}}},
    ],
)
async def test_other_claims_are_left_alone(tmp_path: Path, claim: Object) -> None:
    assert await Bench(tmp_path).claim(**claim) == []


def is_there(volume: Object) -> bool:
    return Path(volume["spec"]["hostPath"]["path"]).is_dir()


async def test_a_released_volume_goes_with_its_folder(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    [volume] = await bench.claim()
    (tmp_path / "pvc-u_ns_c" / "file").write_text("data")
    assert not await bench.release(volume, "Bound") and is_there(volume)
    assert await bench.release(volume) and not is_there(volume)


async def test_a_volume_that_is_to_stay_is_kept(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    [volume] = await bench.claim()
    kept = {**volume["spec"], "persistentVolumeReclaimPolicy": "Retain"}
    assert not await bench.release({**volume, "spec": kept}) and is_there(volume)


async def test_a_folder_that_was_not_made_here_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    bench = Bench(tmp_path / "own")
    [volume] = await bench.claim()
    moved = {**volume, "spec": {**volume["spec"], "hostPath": {"path": str(tmp_path / "outside")}}}
    assert not await bench.release(moved) and is_there(moved)
