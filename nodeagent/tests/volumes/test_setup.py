from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from nodeagent.tests.volumes.fakes import FakeSources, Object, make_volumes, pod_with
from nodeagent.volumes import mounting
from nodeagent.volumes.problem import NEW_MOUNTER, NODE_AFFINITY, SET_UP, VolumesNotReady

ELSEWHERE = {
    "required": {
        "nodeSelectorTerms": [
            {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["other"]}]}
        ]
    }
}


def secret(**data: str) -> Object:
    return {"data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}}


async def texts_of(root: Path, pod: Object, sources: FakeSources | None = None) -> list[str]:
    with pytest.raises(VolumesNotReady) as caught:
        await make_volumes(root, sources or FakeSources()).set_up(pod, ())
    return list(caught.value.texts())


@pytest.mark.parametrize(
    ("path", "kind", "expected"),
    [
        ("/none", "Directory", "hostPath type check failed: /none is not a directory"),
        ("/none", "File", "hostPath type check failed: /none is not a file"),
        ("/dev", "FileOrCreate", "hostPath type check failed: /dev is not a file"),
        ("/dev/null", "DirectoryOrCreate", "hostPath type check failed: /dev/null is not a directory"),
        ("/dev/null/x", "DirectoryOrCreate", "mkdir /dev/null: not a directory"),
        ("/none/f", "FileOrCreate", "open /none/f: no such file or directory"),
        ("/dev/null", "Socket", "hostPath type check failed: /dev/null is not a socket file"),
        ("/none", "CharDevice", "hostPath type check failed: /none is not a character device"),
        ("/dev/null", "BlockDevice", "hostPath type check failed: /dev/null is not a block device"),
    ],
)
async def test_a_path_of_the_node_is_what_it_is_said_to_be(
    tmp_path: Path, path: str, kind: str, expected: str
) -> None:
    pod = pod_with({"name": "v", "hostPath": {"path": path, "type": kind}})
    assert await texts_of(tmp_path, pod) == [f'MountVolume.SetUp failed for volume "v" : {expected}']


async def test_paths_are_made_where_that_is_asked_for(tmp_path: Path) -> None:
    folder, file = tmp_path / "a" / "b", tmp_path / "f"
    pod = pod_with(
        {"name": "d", "hostPath": {"path": str(folder), "type": "DirectoryOrCreate"}},
        {"name": "f", "hostPath": {"path": str(file), "type": "FileOrCreate"}},
        {"name": "n", "hostPath": {"path": "/dev/null", "type": "CharDevice"}},
    )
    found = await make_volumes(tmp_path, FakeSources()).set_up(pod, ())
    assert folder.is_dir() and file.is_file()
    assert {name: volume.path for name, volume in found.items()}["n"] == Path("/dev/null")


async def test_volumes_that_nobody_mounts_are_left_alone(tmp_path: Path) -> None:
    pod = pod_with({"name": "v", "configMap": {"name": "missing"}}, used=False)
    assert await make_volumes(tmp_path, FakeSources()).set_up(pod, ()) == {}


async def test_each_volume_that_fails_is_told_by_itself(tmp_path: Path) -> None:
    sources = FakeSources()
    sources.maps["m"] = {"data": {"a": "1"}}
    pod = pod_with(
        {"name": "v", "configMap": {"name": "no"}},
        {"name": "w", "configMap": {"name": "m", "items": [{"key": "b", "path": "b"}]}},
        {"name": "x", "nfs": {"server": "s", "path": "/"}},
        {"name": "y", "gitRepo": {"repository": "https://git.test/r"}},
    )
    assert await texts_of(tmp_path, pod, sources) == [
        'MountVolume.SetUp failed for volume "v" : configmap "no" not found',
        'MountVolume.SetUp failed for volume "w" : configmap references non-existent config key: b',
        'MountVolume.SetUp failed for volume "y" : git-repo volume plugin has been disabled; if necessary, it may be '
        "re-enabled by enabling the feature-gate `GitRepoVolumeDriver`",
        "Unable to attach or mount volumes: unmounted volumes=[v w x y], unattached volumes=[], failed to process "
        'volumes=[x]: failed to get Plugin from volumeSpec for volume "x" err=no volume plugin matched',
    ]


async def test_all_that_a_projected_volume_lacks_is_told_at_once(tmp_path: Path) -> None:
    sources = FakeSources()
    sources.secrets["s"] = secret(a="1")
    parts = [
        {"configMap": {"name": "m"}},
        {"secret": {"name": "s", "items": [{"key": "b", "path": "b"}]}},
        {"serviceAccountToken": {"path": "t", "audience": "refused"}},
        {"configMap": {"name": "m"}},
    ]
    pod = pod_with({"name": "v", "projected": {"sources": parts}})
    reasons = 'configmap "m" not found, references non-existent secret key: b, failed to fetch token: no'
    assert await texts_of(tmp_path, pod, sources) == [f'MountVolume.SetUp failed for volume "v" : [{reasons}]']


def unbound(sources: FakeSources) -> None:
    sources.claims["c"]["status"]["phase"] = "Pending"


def deleted(sources: FakeSources) -> None:
    sources.claims["c"]["metadata"]["deletionTimestamp"] = "now"


def without_volume(sources: FakeSources) -> None:
    sources.volumes.clear()


def without_claim(sources: FakeSources) -> None:
    sources.claims.clear()


def another_claims(sources: FakeSources) -> None:
    sources.volumes["pv-c"]["spec"]["claimRef"]["uid"] = "other"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (without_claim, 'failed to fetch PVC from API server: persistentvolumeclaims "c" not found'),
        (unbound, "PVC is not bound"),
        (deleted, "PVC is being deleted"),
        (without_volume, 'failed to fetch PV pv-c from API server: persistentvolumes "pv-c" not found'),
        (
            another_claims,
            "found PV object pv-c but its pv.Spec.ClaimRef.UID other does not point to claim.UID uid-c",
        ),
    ],
)
async def test_what_keeps_a_claim_from_being_used(tmp_path: Path, change: Any, expected: str) -> None:
    sources = FakeSources()
    sources.bind("c", {"hostPath": {"path": "/tmp"}})
    change(sources)
    pod = pod_with({"name": "v", "persistentVolumeClaim": {"claimName": "c"}})
    lists = "unmounted volumes=[v], unattached volumes=[], failed to process volumes=[v]"
    text = f"Unable to attach or mount volumes: {lists}: error processing PVC ns/c: {expected}"
    assert await texts_of(tmp_path, pod, sources) == [text]


@pytest.mark.parametrize(
    ("source", "spec", "step", "expected"),
    [
        ({"local": {"path": "/none"}}, {}, NEW_MOUNTER, 'path "/none" does not exist'),
        ({"local": {"path": "/dev/null"}}, {}, NEW_MOUNTER, "only directory and block device are supported"),
        ({"local": {"path": "/tmp"}}, {"nodeAffinity": ELSEWHERE}, NODE_AFFINITY, "no matching NodeSelectorTerms"),
        (
            {"hostPath": {"path": "/none", "type": "Directory"}},
            {},
            SET_UP,
            "hostPath type check failed: /none is not a directory",
        ),
    ],
)
async def test_failures_of_persistent_volumes_carry_their_own_names(
    tmp_path: Path, source: Object, spec: Object, step: str, expected: str
) -> None:
    sources = FakeSources()
    sources.bind("c", source, **spec)
    pod = pod_with({"name": "v", "persistentVolumeClaim": {"claimName": "c"}})
    assert await texts_of(tmp_path, pod, sources) == [f'{step} failed for volume "pv-c" : {expected}']


async def test_a_claim_leads_to_its_volume(tmp_path: Path) -> None:
    sources = FakeSources()
    sources.bind("c", {"local": {"path": str(tmp_path)}})
    pod = pod_with({"name": "v", "persistentVolumeClaim": {"claimName": "c", "readOnly": True}})
    volume = (await make_volumes(tmp_path / "root", sources).set_up(pod, ()))["v"]
    assert (volume.path, volume.readonly) == (tmp_path, True)


async def test_running_pods_keep_files_whose_source_is_gone(tmp_path: Path) -> None:
    sources = FakeSources()
    sources.maps["m"] = {"data": {"a": "1"}}
    volumes = make_volumes(tmp_path, sources)
    pod = pod_with({"name": "v", "configMap": {"name": "m", "defaultMode": 0o400}})
    path = (await volumes.set_up(pod, ()))["v"].path
    sources.maps["m"] = {"data": {"a": "2"}}
    await volumes.set_up(pod, ())
    assert volumes.troubles("u1") == []
    sources.maps.clear()
    await volumes.set_up(pod, ())
    assert volumes.troubles("u1") == ['MountVolume.SetUp failed for volume "v" : configmap "m" not found']
    assert (path / "a").read_text() == "2"
    assert (path / "a").stat().st_mode & 0o777 == 0o400


async def test_volumes_tell_what_they_hold(tmp_path: Path) -> None:
    sources = FakeSources()
    sources.bind("c", {"local": {"path": str(tmp_path)}})
    pod = pod_with(
        {"name": "e", "emptyDir": {}},
        {"name": "v", "persistentVolumeClaim": {"claimName": "c"}},
        {"name": "h", "hostPath": {"path": "/tmp"}},
    )
    volumes = make_volumes(tmp_path / "root", sources)
    path = (await volumes.set_up(pod, ()))["e"].path
    (path / "file").write_bytes(b"x" * 10_000)
    empty, claimed = await volumes.usage(pod)
    assert (empty.name, empty.inodes_used) == ("e", 2) and 10_000 <= empty.used < 100_000
    assert (claimed.name, claimed.claim) == ("v", "c") and claimed.capacity > claimed.used > 0


async def test_files_are_found_inside_a_volume_only(tmp_path: Path) -> None:
    volumes = make_volumes(tmp_path, FakeSources())
    pod = pod_with({"name": "e", "emptyDir": {}})
    root = (await volumes.set_up(pod, ()))["e"].path
    (root / "up").symlink_to("../../../..")
    (root / "abs").symlink_to("/etc")
    (root / "loop").symlink_to("loop")
    expected = {"a/b": "a/b", "../a": "a", "up/a": "a", "abs/passwd": "etc/passwd"}
    assert {path: volumes.file_in(pod, "e", path) for path in expected} == {p: root / q for p, q in expected.items()}
    assert volumes.file_in(pod, "other", "a") is None
    with pytest.raises(OSError, match="too many links"):
        volumes.file_in(pod, "e", "loop")


MI = 1024**2


@pytest.mark.parametrize(
    ("limit", "pod", "expected"),
    [
        (None, {}, 8 * 1024 * MI),
        ("16Mi", {}, 16 * MI),
        ("16Gi", {}, 8 * 1024 * MI),
        ("16Mi", {"resources": {"limits": {"memory": "4Mi"}}}, 4 * MI),
    ],
)
async def test_memory_is_limited_by_all_that_limits_the_pod(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str | None, pod: Object, expected: int
) -> None:
    given: list[int] = []
    monkeypatch.setattr(mounting, "mount_tmpfs", lambda folder, size: given.append(size))
    volume = {"name": "v", "emptyDir": {"medium": "Memory", **({"sizeLimit": limit} if limit else {})}}
    await make_volumes(tmp_path, FakeSources()).set_up(pod_with(volume, **pod), ())
    assert given == [expected]


@pytest.mark.parametrize(
    ("medium", "requests", "expected"),
    [
        ("HugePages", ["hugepages-2Mi"], "2Mi"),
        ("HugePages-1Gi", ["hugepages-2Mi", "hugepages-1Gi"], "1Gi"),
        ("HugePages", ["hugepages-2Mi", "hugepages-1Gi"], "container requests multiple huge page sizes"),
        ("HugePages", ["memory"], "there is no resource request for huge pages"),
    ],
)
async def test_huge_pages_are_of_the_size_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, medium: str, requests: list[str], expected: str
) -> None:
    given: list[str] = []
    monkeypatch.setattr(mounting, "mount_huge_pages", lambda folder, size: given.append(size))
    pod = pod_with({"name": "v", "emptyDir": {"medium": medium}})
    pod["spec"]["containers"][0]["resources"] = {"requests": dict.fromkeys(requests, "2Mi")}
    if len(expected) > 3:
        [text] = await texts_of(tmp_path, pod)
        assert expected in text and given == []
    else:
        await make_volumes(tmp_path, FakeSources()).set_up(pod, ())
        assert given == [expected]
