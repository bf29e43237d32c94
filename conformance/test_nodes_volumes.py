"""Volumes on a node with real containers: those of a CSI driver, of the default class, and mounts seen by others."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.images import IMAGE
from conformance.machines import Lab, Object, box, mounts, once, pod
from conformance.processes import eventually

ROOT = Path(__file__).resolve().parent.parent
DRIVER = "disk.conformance.example.com"
CLAIMS, VOLUMES, PODS = "v1/persistentvolumeclaims", "v1/persistentvolumes", "v1/pods"
DRIVERS, ATTACHMENTS = "storage.k8s.io/v1/csidrivers", "storage.k8s.io/v1/volumeattachments"


class Csi:
    """The driver's process, and what it has been asked."""

    def __init__(self, state: Path) -> None:
        self.state = state

    def calls(self, name: str) -> list[Object]:
        file = self.state / "calls"
        lines = file.read_text().splitlines() if file.exists() else []
        return [call for call in map(json.loads, lines) if call["call"] == name]


@pytest.fixture(scope="module")
def csi(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Csi]:
    """A registered driver, with an object that says that its volumes are attached and may live with pods."""
    state = tmp_path_factory.mktemp("csi")
    spec = {"attachRequired": True, "podInfoOnMount": True, "volumeLifecycleModes": ["Persistent", "Ephemeral"]}
    lab.api.create(DRIVERS, {"metadata": {"name": DRIVER}, "spec": spec})
    registry = lab.ctr.root / "plugins_registry"
    registry.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "conformance.csi_driver", DRIVER, "id-of-node", str(state), str(registry)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL)
    found = Csi(state)
    try:
        eventually(lambda: found.calls("registered"))
        yield found
    finally:
        process.terminate()
        process.wait(10)
        lab.api.delete(DRIVERS, DRIVER)


def node_of(lab: Lab) -> Object:
    [node] = lab.api.list("v1/nodes")
    return node


def claim(name: str, **spec: Any) -> Object:
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}
    return {"kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": wanted}


def csi_volume(lab: Lab, name: str, **spec: Any) -> list[Object]:
    """A volume of the driver and the claim that it is for."""
    full = f"{lab.kubectl.namespace}-{name}"
    mode = {key: spec[key] for key in ("volumeMode",) if key in spec}
    own = {
        "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "storageClassName": "",
        "persistentVolumeReclaimPolicy": "Retain",
        "csi": {"driver": DRIVER, "volumeHandle": full, "volumeAttributes": {"kind": "fast"}}, **spec,
    }  # fmt: skip
    return [
        {"kind": "PersistentVolume", "metadata": {"name": full}, "spec": own},
        claim(name, storageClassName="", volumeName=full, **mode),
    ]


def using(name: str, script: str, source: Object, **main: Any) -> Object:
    mounts = main or {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    return once(name, script, volumes=[{"name": "v", **source}], main=mounts)


def of_claim(name: str) -> Object:
    return {"persistentVolumeClaim": {"claimName": name}}


def attach(lab: Lab, name: str) -> Object:
    """What an attacher does, once it is asked to."""
    full = f"{lab.kubectl.namespace}-{name}"

    def asked() -> Object | None:
        found = lab.api.list(ATTACHMENTS)
        return next((item for item in found if item["spec"]["source"]["persistentVolumeName"] == full), None)

    attachment = eventually(asked)
    assert attachment is not None
    status = {"status": {"attached": True, "attachmentMetadata": {"lun": "3"}}}
    return lab.api.patch(ATTACHMENTS, attachment["metadata"]["name"], status, "status")


def test_a_driver_is_known_to_the_api(lab: Lab, csi: Csi) -> None:
    assert [call["done"] for call in csi.calls("registered")] == [True]
    node = node_of(lab)
    csi_node = lab.api.get("storage.k8s.io/v1/csinodes", node["metadata"]["name"])
    [driver] = csi_node["spec"]["drivers"]
    assert (driver["name"], driver["nodeID"], driver["allocatable"]) == (DRIVER, "id-of-node", {"count": 5})
    assert driver["topologyKeys"] == ["conformance.example.com/rack"]
    assert csi_node["metadata"]["ownerReferences"][0]["uid"] == node["metadata"]["uid"]
    assert node["metadata"]["labels"]["conformance.example.com/rack"] == "r1"
    ids = json.loads(node["metadata"]["annotations"]["csi.volume.kubernetes.io/nodeid"])
    assert ids == {DRIVER: "id-of-node"}


def test_a_volume_is_attached_mounted_grown_and_let_go(lab: Lab, csi: Csi) -> None:
    full = f"{lab.kubectl.namespace}-disk"
    keeping = pod("disk", volumes=[{"name": "v", **of_claim("disk")}],
                  main={"volumeMounts": [{"name": "v", "mountPath": "/v"}]})  # fmt: skip
    lab.make(*csi_volume(lab, "disk"), keeping)
    attachment = attach(lab, "disk")
    lab.running("disk")
    lab("exec", "disk", "--", "sh", "-c", "echo kept > /v/file")
    assert (csi.state / "volumes" / full / "file").read_text() == "kept\n"
    [stage], [publish] = csi.calls("stage"), csi.calls("publish")
    assert stage["publish"] == {"lun": "3"} and stage["attributes"] == {"kind": "fast"}
    assert publish["attributes"]["csi.storage.k8s.io/pod.name"] == "disk"
    unique = f"kubernetes.io/csi/{DRIVER}^{full}"
    assert unique in node_of(lab)["status"]["volumesInUse"]
    assert [item["name"] for item in node_of(lab)["status"]["volumesAttached"]] == [unique]

    path = f"/api/v1/nodes/{node_of(lab)['metadata']['name']}/proxy/stats/summary"
    summary = lab.api.request("GET", path).object
    [told] = [item for item in summary["pods"] if item["podRef"]["name"] == "disk"]
    used = {item["name"]: (item["usedBytes"], item["inodesUsed"], item.get("pvcRef")) for item in told["volume"]}
    assert used["v"] == (400, 40, {"name": "disk", "namespace": lab.kubectl.namespace})

    lab.api.patch(VOLUMES, full, {"spec": {"capacity": {"storage": "2Gi"}}})
    lab("label", "pod", "disk", "look=now")
    eventually(lambda: lab.api.status(CLAIMS, "disk")["capacity"] == {"storage": "2Gi"})
    assert csi.calls("expand")[0]["bytes"] == 2 * 1024**3

    uid = lab.uid("disk")
    lab("delete", "pod", "disk")
    eventually(lambda: csi.calls("unstage"))
    eventually(lambda: lab.api.find(ATTACHMENTS, attachment["metadata"]["name"]) is None)
    eventually(lambda: unique not in node_of(lab)["status"].get("volumesInUse", ()))
    lab.assert_nothing_is_left(uid)


def test_a_volume_may_live_with_its_pod(lab: Lab, csi: Csi) -> None:
    source = {"csi": {"driver": DRIVER, "readOnly": True, "volumeAttributes": {"a": "b"}}}
    lab.make(using("inline", "cat /v/attributes; touch /v/x 2>&1 || true", source))
    printed = lab.output("inline")
    attributes, _ = json.JSONDecoder().raw_decode(printed)
    assert (attributes["a"], attributes["csi.storage.k8s.io/ephemeral"]) == ("b", "true")
    assert "Read-only file system" in printed
    lab("delete", "pod", "inline")
    handle = csi.calls("publish")[-1]["volume"]
    eventually(lambda: any(call["volume"] == handle for call in csi.calls("unpublish")))


def test_a_disk_is_a_device_in_the_container(lab: Lab, csi: Csi) -> None:
    script = "test -b /dev/disk && echo raw | dd of=/dev/disk conv=sync bs=512 2>/dev/null; head -c 3 /dev/disk"
    device = {"volumeDevices": [{"name": "v", "devicePath": "/dev/disk"}]}
    lab.make(*csi_volume(lab, "raw", volumeMode="Block"), using("raw", script, of_claim("raw"), **device))
    attach(lab, "raw")
    assert lab.output("raw") == "raw"
    lab("delete", "pod", "raw")
    eventually(lambda: any(call["volume"].endswith("-raw") for call in csi.calls("unstage")))


def test_the_default_class_keeps_data_for_a_claim(lab: Lab) -> None:
    lab.make(claim("data"), using("writes", "echo kept > /v/file; stat -c %a /v", of_claim("data")))
    assert lab.output("writes") == "777\n"
    volume = lab.api.get(CLAIMS, "data")["spec"]["volumeName"]
    folder = Path(lab.api.get(VOLUMES, volume)["spec"]["hostPath"]["path"])
    lab("delete", "pod", "writes")
    lab.make(using("reads", "cat /v/file", of_claim("data")))
    assert lab.output("reads") == "kept\n" and (folder / "file").exists()
    lab("delete", "pod", "reads")
    lab("delete", "persistentvolumeclaim", "data")
    eventually(lambda: lab.api.find(VOLUMES, volume) is None)
    assert not folder.exists()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[str]:
    """A device with nothing on it."""
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("mkfs.ext4 is not installed (apt-get install e2fsprogs)")
    image = tmp_path / "disk.img"
    with image.open("wb") as file:
        file.truncate(16 * 1024 * 1024)
    attached = subprocess.run(["losetup", "-f", "--show", str(image)], capture_output=True, text=True, check=False)
    if attached.returncode:
        pytest.skip("this machine has no loop devices")
    yield attached.stdout.strip()
    subprocess.run(["losetup", "-d", attached.stdout.strip()], check=True)


def test_a_disk_of_the_node_is_formatted_once(lab: Lab, disk: str) -> None:
    full, node = f"{lab.kubectl.namespace}-local", node_of(lab)["metadata"]["name"]
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    spec = {
        "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "storageClassName": "",
        "persistentVolumeReclaimPolicy": "Retain", "local": {"path": disk},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
    }  # fmt: skip
    lab.make(
        {"kind": "PersistentVolume", "metadata": {"name": full}, "spec": spec},
        claim("local", storageClassName="", volumeName=full),
        using("formats", "grep ' /v ' /proc/mounts | cut -d' ' -f3; echo kept > /v/file", of_claim("local")),
    )
    assert lab.output("formats") == "ext4\n"
    lab("delete", "pod", "formats")
    eventually(lambda: not mounts(full))
    lab.make(using("finds", "cat /v/file", of_claim("local")))
    assert lab.output("finds") == "kept\n"
    lab("delete", "pod", "finds")
    eventually(lambda: not mounts(full))


def test_the_files_of_an_image_are_a_volume(lab: Lab) -> None:
    source = {"image": {"reference": IMAGE, "pullPolicy": "IfNotPresent"}}
    script = "ls /v /sub; touch /v/x 2>&1; /v/bin/busybox true || echo not run"
    mounts = [{"name": "v", "mountPath": "/v"}, {"name": "v", "mountPath": "/sub", "subPath": "etc"}]
    lab.make(using("image", script, source, volumeMounts=mounts))
    printed = lab.output("image").splitlines()
    assert {"bin", "etc", "passwd"} <= set(printed)
    assert "Read-only file system" in printed[-1] or "Read-only file system" in printed[-2]
    uid = lab.uid("image")
    lab("delete", "pod", "image")
    lab.assert_nothing_is_left(uid)
    assert uid not in lab.ctr("snapshots", "list")


def test_mounts_are_seen_by_those_who_ask(lab: Lab) -> None:
    makes = "mkdir /v/sub; mount -t tmpfs tmpfs /v/sub && echo seen > /v/sub/file; touch /v/done; sleep 60"
    waits = "while ! test -e /v/done; do sleep 0.1; done; cat /v/sub/file 2>&1"
    here = {"name": "v", "mountPath": "/v"}
    lab.make(
        pod("spread", "sh", "-c", makes, volumes=[{"name": "v", "emptyDir": {}}], restartPolicy="Never",
            main={"volumeMounts": [{**here, "mountPropagation": "Bidirectional"}],
                  "securityContext": {"privileged": True}},
            others=[box("sees", "sh", "-c", waits, volumeMounts=[{**here, "mountPropagation": "HostToContainer"}])]),
    )  # fmt: skip
    lab.running("spread")
    eventually(lambda: lab("logs", "spread", "-c", "sees") == "seen\n")
    uid = lab.uid("spread")
    lab("delete", "pod", "spread", "--force", "--grace-period=0")
    lab.assert_nothing_is_left(uid)


def test_unused_volumes_hold_nobody_up(lab: Lab) -> None:
    lab.make(once("unused", "echo fine", volumes=[{"name": "v", "configMap": {"name": "nonesuch"}}]))
    assert lab.output("unused") == "fine\n"
