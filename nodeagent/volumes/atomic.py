"""Files that change all at once: each version is a folder of its own, and one symlink, swapped, names the current one.

Readers through the visible names see the whole old or the whole new version, never a mixture.
Follows: pkg/volume/util/atomic_writer.go
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DATA = "..data"
_NEW_DATA = "..data_tmp"


@dataclass(frozen=True, slots=True)
class File:
    """One file of a version. `owner` is a user id, where it is not root's."""

    content: bytes
    mode: int
    owner: int | None = None


def write(folder: Path, files: Mapping[str, File], *, group: int | None = None) -> bool:
    """Make `files` (by relative path) the folder's content. False when it was so already.

    With `group`, everything belongs to that group, which may read it.
    """
    current = folder / DATA
    if current.is_symlink() and _same(current, files):
        return False
    moment = time.strftime("..%Y_%m_%d_%H_%M_%S", time.gmtime())
    version = folder / f"{moment}.{time.time_ns() % 10**9:09d}"
    version.mkdir(mode=0o755)
    version.chmod(0o755)
    for path, file in files.items():
        _write_file(version, path, file, group)
    if group is not None:
        for parent, _, _ in os.walk(version):
            os.chown(parent, -1, group)
            os.chmod(parent, os.stat(parent).st_mode & 0o7777 | 0o2050)
    old = os.readlink(current) if current.is_symlink() else ""
    new_link = folder / _NEW_DATA
    new_link.unlink(missing_ok=True)
    new_link.symlink_to(version.name)
    new_link.rename(current)
    _show(folder, {path.split("/", 1)[0] for path in files})
    if old:
        shutil.rmtree(folder / old, ignore_errors=True)
    return True


def _same(version: Path, files: Mapping[str, File]) -> bool:
    found: set[str] = set()
    for parent, _, names in os.walk(version, followlinks=False):
        found |= {os.path.relpath(os.path.join(parent, name), version) for name in names}
    if found != set(files):
        return False
    return all((version / path).read_bytes() == file.content for path, file in files.items())


def _write_file(version: Path, path: str, file: File, group: int | None) -> None:
    target = version / path
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    mode = file.mode | 0o440 if group is not None else file.mode
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, file.content)
        if file.owner is not None or group is not None:
            os.fchown(descriptor, -1 if file.owner is None else file.owner, -1 if group is None else group)
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def _show(folder: Path, names: set[str]) -> None:
    """Have exactly these names lead into the current version."""
    for name in names:
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(f"{DATA}/{name}")
    for entry in folder.iterdir():
        if entry.is_symlink() and entry.name not in names and not entry.name.startswith(".."):
            entry.unlink()
