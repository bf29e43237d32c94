"""Where the parts of volumes lie that containers mount, and what keeps them from being mounted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from nodeagent.pods.config import ContainerFacts, NodeSettings, container_config
from nodeagent.pods.environment import ConfigProblem
from nodeagent.runtime.protocol import Dns, Image, Mount
from nodeagent.tests.pods.samples import make_pod
from nodeagent.volumes import mounting
from nodeagent.volumes.volume import Volume

IMAGE = Image("sha256:1", (), (), 1)
ENVIRONMENT = {"NAME": "sub", "UP": "../up", "ROOT": "/root", "EMPTY": ""}


def mounted(root: Path, *, volume: Volume | None = None, can: bool = False, **fields: Any) -> Mount:
    """What becomes of a mount of the volume `v` with these fields."""
    folder = root / "v"
    folder.mkdir(exist_ok=True)
    container = {"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/v", **fields}]}
    facts = ContainerFacts(
        attempt=0,
        image=IMAGE,
        environment=ENVIRONMENT,
        volumes={"v": volume or Volume("v", folder)},
        ips=(),
        can_recursive_readonly=can,
    )
    settings = NodeSettings(root, root / "logs", "cluster.local", (), Dns((), (), ()), 1 << 30)
    config = container_config(make_pod([container]), container, facts, settings)
    return next(mount for mount in config.mounts if mount.container_path == "/v")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"subPathExpr": "$(NOPE)/$(EMPTY)/$(NOPE)"}, "missing value for EMPTY, NOPE"),
        ({"subPathExpr": "$(ROOT)"}, "error SubPath `/root` must not be an absolute path"),
        ({"subPathExpr": "$(UP)"}, "unable to provision SubPath `../up`: must not contain '..'"),
        ({"subPath": "out/passwd"}, 'failed to prepare subPath for volumeMount "v" of container "c"'),
        ({"subPath": "file/x"}, 'failed to prepare subPath for volumeMount "v" of container "c"'),
        ({"subPath": "out/new"}, 'failed to create subPath directory for volumeMount "v" of container "c"'),
        (
            {"readOnly": True, "recursiveReadOnly": "Enabled"},
            'failed to resolve recursive read-only mode: volume "v" requested recursive read-only mode, but it is not '
            "supported by the runtime",
        ),
    ],
)
def test_what_keeps_a_part_from_being_mounted(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "out").symlink_to("/etc")
    (tmp_path / "v" / "file").touch()
    with pytest.raises(ConfigProblem) as caught:
        mounted(tmp_path, **fields)
    assert str(caught.value) == message


@pytest.fixture
def bound(monkeypatch: pytest.MonkeyPatch) -> dict[Path, Path]:
    """What is mounted where; nothing is, really."""
    found: dict[Path, Path] = {}

    def mount(source: str, target: Path, kind: str, flags: int) -> None:
        found[target] = Path(os.path.realpath(source))

    monkeypatch.setattr(mounting, "mount", mount)
    return found


def test_parts_are_made_and_bound(tmp_path: Path, bound: dict[Path, Path]) -> None:
    folder, target = tmp_path / "v", tmp_path / "pods" / "u1" / "volume-subpaths" / "v" / "c" / "0"
    folder.mkdir(mode=0o777)
    folder.chmod(0o2775)
    assert mounted(tmp_path, subPathExpr="a/$(NAME)").host_path == str(target)
    assert bound == {target: folder / "a" / "sub"} and target.is_dir()
    assert (folder / "a").stat().st_mode & 0o7777 == 0o2775
    (folder / "file").write_text("")
    (folder / "link").symlink_to("file")
    mounted(tmp_path, subPath="link")
    assert bound == {target: folder / "file"} and target.is_file()


def test_a_link_that_is_planted_meanwhile_leads_nowhere(
    tmp_path: Path, bound: dict[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "v"
    (folder / "a" / "b").mkdir(parents=True)
    real = os.path.realpath

    def plant(path: Any) -> str:
        found = real(path)
        if found.endswith("/a/b"):
            (folder / "a").rename(folder / "moved")
            (folder / "a").symlink_to("/etc")
        return found

    monkeypatch.setattr(os.path, "realpath", plant)
    with pytest.raises(ConfigProblem, match="failed to prepare subPath"):
        mounted(tmp_path, subPath="a/b")
    assert bound == {}


@pytest.mark.parametrize(("mode", "can", "recursive"), [("Enabled", True, True), ("IfPossible", False, False)])
def test_what_is_below_is_read_only_too_where_that_works(
    tmp_path: Path, mode: str, can: bool, recursive: bool
) -> None:
    mount = mounted(tmp_path, can=can, readOnly=True, recursiveReadOnly=mode)
    assert (mount.readonly, mount.recursive_readonly) == (True, recursive)


def test_a_volume_may_be_for_a_group(tmp_path: Path) -> None:
    container = {"name": "c", "volumeMounts": []}
    volumes = {"v": Volume("v", tmp_path, group=7), "w": Volume("w", tmp_path, group=5), "x": Volume("x", tmp_path)}
    facts = ContainerFacts(attempt=0, image=IMAGE, environment={}, volumes=volumes, ips=())
    settings = NodeSettings(tmp_path, tmp_path / "logs", "cluster.local", (), Dns((), (), ()), 1 << 30)
    pod = make_pod([container], securityContext={"supplementalGroups": [7], "fsGroup": 9})
    assert container_config(pod, container, facts, settings).security.supplemental_groups == [7, 9, 5]
