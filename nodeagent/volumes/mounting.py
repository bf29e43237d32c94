"""The system calls behind volumes: mount, unmount, and changing to whom files belong."""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

MS_BIND, MS_REC, MS_RDONLY, MS_SHARED = 4096, 16384, 1, 1 << 20
MS_NOEXEC, MS_REMOUNT = 8, 32
MNT_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)


def mount(source: str, target: Path, kind: str, flags: int = 0, options: str = "") -> None:
    """mount(2). Raises OSError."""
    result = _libc.mount(source.encode(), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), options.encode())
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(target))


def unmount(target: Path) -> None:
    """Take a mount away, at once for new openers. Raises OSError."""
    if _libc.umount2(os.fsencode(target), MNT_DETACH):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(target))


def mount_tmpfs(target: Path, size_bytes: int = 0) -> None:
    """A file system in memory, unless there is one already."""
    if not os.path.ismount(target):
        mount("tmpfs", target, "tmpfs", options=f"size={size_bytes}" if size_bytes else "")


def mount_huge_pages(target: Path, page_size: str) -> None:
    """A file system of huge pages of that size (`2Mi`), unless there is one already."""
    if not os.path.ismount(target):
        mount("nodev", target, "hugetlbfs", options=f"pagesize={page_size}")


def make_shared(folder: Path) -> None:
    """Have mounts below the folder be seen by containers that ask for that, and theirs here. Raises OSError.

    Follows: k8s.io/mount-utils hostutil MakeRShared
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = os.path.realpath(folder)
    inside = [found for found in _mounts() if path == found.path or path.startswith(f"{found.path.rstrip('/')}/")]
    if inside and max(inside, key=lambda found: len(found.path)).is_shared:
        return
    mount(path, Path(path), "", MS_BIND | MS_REC)
    mount("", Path(path), "", MS_SHARED | MS_REC)


class _Mount(NamedTuple):
    path: str
    is_shared: bool


def _mounts() -> Iterator[_Mount]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split(" ")
        yield _Mount(_plain(fields[4]), any(field.startswith("shared:") for field in fields[6:fields.index("-")]))


def _plain(path: str) -> str:
    """As the kernel escapes paths in its lists."""
    return path.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")


def is_mount_point(path: Path) -> bool:
    return str(path) in mount_points(path)


def mount_points(below: Path) -> list[str]:
    """The mount points at and below a path, the deepest first."""
    prefix = f"{below}/"
    found = []
    for line in Path("/proc/self/mounts").read_text().splitlines():
        target = _plain(line.split(" ")[1])
        if target == str(below) or target.startswith(prefix):
            found.append(target)
    return sorted(found, key=len, reverse=True)


def remove_with_mounts(folder: Path) -> None:
    """Remove a folder and everything in it, after taking away what is mounted there."""
    for target in mount_points(folder):
        unmount(Path(target))
    shutil.rmtree(folder, ignore_errors=True)


def give_to_group(root: Path, group: int, *, read_only: bool = False) -> None:
    """Have everything below belong to the group, which may use it; new files in folders follow."""
    bits = 0o440 if read_only else 0o660
    for parent, folders, files in os.walk(root):
        _give(parent, group, bits | 0o2110)
        for name in files:
            _give(os.path.join(parent, name), group, bits)
        for name in folders:
            path = os.path.join(parent, name)
            if os.path.islink(path):
                os.lchown(path, -1, group)


def _give(path: str, group: int, bits: int) -> None:
    os.lchown(path, -1, group)
    if not os.path.islink(path):
        os.chmod(path, os.stat(path).st_mode & 0o7777 | bits)


def belongs_to_group(root: Path, group: int) -> bool:
    """Whether the root itself is as `give_to_group` leaves it, which is taken to hold for what is below."""
    found = root.stat()
    return found.st_gid == group and found.st_mode & 0o2770 == 0o2770
