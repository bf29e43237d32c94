"""Builds a container image from the machine's own busybox, as an archive like those of `docker save`."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import subprocess
import tarfile
from pathlib import Path

BUSYBOX = Path("/bin/busybox")
IMAGE = "conformance.example.com/busybox:1"
USER_IMAGE = "conformance.example.com/busybox:user"
UID = 1234
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}
PASSWD = f"root:x:0:0:root:/root:/bin/sh\nplain:x:{UID}:{UID}:plain:/tmp:/bin/sh\n"
GROUP = f"root:x:0:\nplain:x:{UID}:\n"


def is_static() -> bool:
    """Whether there is a busybox that needs no libraries, so that it runs alone in an image."""
    if not BUSYBOX.exists():
        return False
    done = subprocess.run(["ldd", str(BUSYBOX)], capture_output=True, text=True, check=False)
    return "=>" not in done.stdout


def archive() -> bytes:
    """Two images with the same content: one runs as root, one as the user `plain`."""
    layer = _layer()
    manifest = []
    files = {"layer.tar": layer}
    for reference, user in ((IMAGE, ""), (USER_IMAGE, "plain")):
        config = _config(layer, user)
        name = f"{hashlib.sha256(config).hexdigest()}.json"
        files[name] = config
        manifest.append({"Config": name, "RepoTags": [reference], "Layers": ["layer.tar"]})
    files["manifest.json"] = json.dumps(manifest).encode()
    return _tar(files)


def layer_and_config() -> tuple[bytes, bytes]:
    """The content of the image that runs as root, and its configuration."""
    layer = _layer()
    return layer, _config(layer, "")


def _config(layer: bytes, user: str) -> bytes:
    machine = platform.machine()
    return json.dumps(
        {
            "architecture": ARCHITECTURES.get(machine, machine),
            "os": "linux",
            "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"], "User": user},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
    ).encode()


def _layer() -> bytes:
    """busybox under the names of all its commands, users, and the folders that programs expect."""
    listed = subprocess.run([str(BUSYBOX), "--list"], capture_output=True, text=True, check=True).stdout.split()
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as tar:
        for folder, mode in (("bin", 0o755), ("etc", 0o755), ("root", 0o700), ("tmp", 0o1777)):
            tar.addfile(_entry(folder, mode, tarfile.DIRTYPE))
        binary = BUSYBOX.read_bytes()
        tar.addfile(_entry("bin/busybox", 0o755, size=len(binary)), io.BytesIO(binary))
        for name in sorted(set(listed) - {"busybox"}):
            link = _entry(f"bin/{name}", 0o777, tarfile.SYMTYPE)
            link.linkname = "busybox"
            tar.addfile(link)
        for path, text in (("etc/passwd", PASSWD), ("etc/group", GROUP)):
            tar.addfile(_entry(path, 0o644, size=len(text)), io.BytesIO(text.encode()))
    return output.getvalue()


def _entry(name: str, mode: int, kind: bytes = tarfile.REGTYPE, size: int = 0) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.mode, entry.type, entry.size = mode, kind, size
    return entry


def _tar(files: dict[str, bytes]) -> bytes:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as tar:
        for name, content in files.items():
            tar.addfile(_entry(name, 0o644, size=len(content)), io.BytesIO(content))
    return output.getvalue()
