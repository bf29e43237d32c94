"""A part of a volume, found without ever leaving the volume by a symlink that a container has planted.

Follows: pkg/volume/util/subpath/subpath_linux.go
"""

from __future__ import annotations

import os
from pathlib import Path


class Escape(ValueError):
    """The path leads out of the volume."""


def resolve(volume: Path, sub_path: str) -> Path:
    """The real path of a part of the volume, made as a folder where it is missing. Raises Escape, OSError."""
    if sub_path.startswith("/") or ".." in sub_path.split("/"):
        raise Escape(f"subpath {sub_path!r} is outside the volume")
    root = Path(os.path.realpath(volume))
    found = Path(os.path.realpath(root / sub_path))
    _check(root, found)
    if not found.exists():
        _make(root, found)
        found = Path(os.path.realpath(found))
        _check(root, found)
    return found


def _check(root: Path, found: Path) -> None:
    if found != root and root not in found.parents:
        raise Escape(f"{found} is outside the volume {root}")


def _make(root: Path, folder: Path) -> None:
    """Make the missing folders with the volume's own permissions."""
    mode = root.stat().st_mode & 0o7777
    current = root
    for part in folder.relative_to(root).parts:
        current = current / part
        if not current.is_dir():
            current.mkdir()
            current.chmod(mode)
            os.chown(current, -1, root.stat().st_gid)
