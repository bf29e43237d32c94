from __future__ import annotations

import io
import json
import platform
import signal
import subprocess
import tarfile
from pathlib import Path

import pytest

from nodeagent.runtime import pause


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_image_holds_a_small_program(machine: str) -> None:
    with tarfile.open(fileobj=io.BytesIO(pause.archive(machine))) as tar:
        manifest = json.load(tar.extractfile("manifest.json") or io.BytesIO())
        layer = (tar.extractfile("layer.tar") or io.BytesIO()).read()
    assert manifest[0]["RepoTags"] == [pause.IMAGE]
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        program = (tar.extractfile("pause") or io.BytesIO()).read()
    assert program[:4] == b"\x7fELF" and len(program) < 300


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="no program for this machine")
def test_the_program_sleeps_until_it_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "pause"
    path.write_bytes(pause.program(platform.machine()))
    path.chmod(0o755)
    process = subprocess.Popen([path])
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.2)
    process.kill()
    assert process.wait() == -signal.SIGKILL
