from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nodeagent.runtime.protocol import FileSystem
from nodeagent.tests.volumes.fakes import pod_with
from nodeagent.volumes import mounting
from nodeagent.volumes.image import ImageVolumes

POD = pod_with({"name": "v", "image": {"reference": "i"}})
LAYERS = {
    "bind": [FileSystem("bind", "/layer", ("ro", "rbind"))],
    "overlay": [FileSystem("overlay", "overlay", ("index=off", "lowerdir=/a:/b"))],
}


class Kernel:
    """Notes what is mounted, and the views that the runtime keeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.mounted: set[Path] = set()
        self.views: set[str] = set()
        self.systems: list[FileSystem] = []
        for name in ("mount", "unmount", "is_mount_point"):
            monkeypatch.setattr(mounting, name, getattr(self, name))

    def mount(self, source: str, target: Path, kind: str, flags: int = 0, options: str = "") -> None:
        self.calls.append((source, kind, flags, options))
        self.mounted.add(target)

    def unmount(self, target: Path) -> None:
        self.mounted.remove(target)

    def is_mount_point(self, target: Path) -> bool:
        return target in self.mounted

    async def view_image(self, id: str, key: str) -> list[FileSystem]:
        self.views.add(key)
        return self.systems

    async def drop_view(self, key: str) -> None:
        self.views.remove(key)


@pytest.mark.parametrize("kind", LAYERS)
async def test_an_image_is_mounted_once_and_let_go(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel(monkeypatch)
    kernel.systems = LAYERS[kind]
    images = ImageVolumes(tmp_path, kernel)  # type: ignore[arg-type]
    first = await images.mount(POD, "v", "sha256:1")
    assert await images.mount(POD, "v", "sha256:1") == first != await images.mount(POD, "v", "sha256:2")
    read_only = mounting.MS_RDONLY | mounting.MS_NOEXEC
    if kind == "bind":
        flags = [mounting.MS_BIND | mounting.MS_REC, mounting.MS_REMOUNT | mounting.MS_BIND | read_only]
        assert kernel.calls == [("/layer", "", flags[0], ""), ("", "", flags[1], "")] * 2
    else:
        assert kernel.calls == [("overlay", "overlay", read_only, "index=off,lowerdir=/a:/b")] * 2
    assert len(kernel.views) == 2

    await images.take_down("u1")
    assert not kernel.mounted and not kernel.views and not first.exists()
