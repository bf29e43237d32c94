"""A part of a volume, found without ever leaving the volume by a symlink that a container plants, also just meanwhile.

What was found is held open and bound to a place of the node's own, which is what the runtime mounts: whatever becomes
of the path in the volume, it leads nowhere else any more.
Follows: pkg/volume/util/subpath/subpath_linux.go
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nodeagent.volumes import mounting

SUB_PATHS = "volume-subpaths"
"""Where in a pod's folder the parts of volumes are bound."""
MAX_LINKS = 255
_FOLDER = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC
_ANY = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class Escape(ValueError):
    """The path leads out of the volume."""


def bind(volume: Path, sub_path: str, target: Path) -> None:
    """Mount the part of the volume at `target`; a missing one is made as a folder. Raises Escape, OSError."""
    root = Path(os.path.realpath(volume))
    found = Path(os.path.realpath(root / sub_path))
    if found != root and root not in found.parents:
        raise Escape(f"{found} is outside the volume {root}")
    if not found.exists():
        _make(root, found)
    with _held(root, found.relative_to(root)) as held:
        if mounting.is_mount_point(target):
            if os.path.samestat(os.fstat(held), target.stat()):
                return
            mounting.unmount(target)
        _prepare(held, target)
        mounting.mount(f"/proc/self/fd/{held}", target, "", mounting.MS_BIND | mounting.MS_REC)


def join(root: Path, path: str) -> Path:
    """The path below `root` with links followed as if `root` were all there is. Raises OSError for a loop of links."""
    found, left, follows = root, path.split("/")[::-1], 0
    while left:
        part = left.pop()
        if part in ("", "."):
            continue
        if part == "..":
            found = found.parent if found != root else root
            continue
        following = found / part
        if following.is_symlink():
            follows += 1
            if follows > MAX_LINKS:
                raise OSError(f"too many links in {path}")
            link = os.readlink(following)
            found = root if link.startswith("/") else found
            left += link.split("/")[::-1]
            continue
        found = following
    return found


def release(folder: Path) -> None:
    """Take away everything that is bound below `folder`. Raises OSError."""
    for target in mounting.mount_points(folder):
        mounting.unmount(Path(target))


@contextmanager
def _held(root: Path, relative: Path) -> Iterator[int]:
    """An open descriptor of a part, to which no symlink has led. Raises OSError."""
    current = os.open(root, _ANY)
    try:
        for part in relative.parts:
            following = os.open(part, _ANY, dir_fd=current)
            os.close(current)
            current = following
            # A link itself is opened so, rather than refused.
            if stat.S_ISLNK(os.fstat(current).st_mode):
                raise OSError(f"{part} is a link by now")
        yield current
    finally:
        os.close(current)


def _make(root: Path, folder: Path) -> None:
    """Make the missing folders with the volume's own permissions and group. Raises OSError."""
    status = root.stat()
    current = os.open(root, _FOLDER)
    try:
        for part in folder.relative_to(root).parts:
            with suppress(FileExistsError):
                os.mkdir(part, dir_fd=current)
                made = os.open(part, _FOLDER, dir_fd=current)
                os.fchmod(made, status.st_mode & 0o7777)
                os.fchown(made, -1, status.st_gid)
                os.close(made)
            following = os.open(part, _FOLDER, dir_fd=current)
            os.close(current)
            current = following
    finally:
        os.close(current)


def _prepare(held: int, target: Path) -> None:
    """Something to mount on, of the same sort."""
    is_folder = stat.S_ISDIR(os.fstat(held).st_mode)
    if target.exists() and target.is_dir() != is_folder:
        target.rmdir() if target.is_dir() else target.unlink()
    if is_folder:
        target.mkdir(parents=True, exist_ok=True, mode=0o750)
    else:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        target.touch(mode=0o640)
