"""hostPath volumes: what the path must be, and making what may be missing.

Follows: pkg/volume/hostpath/host_path.go, pkg/volume/util/hostutil/hostutil_linux.go
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from nodeagent.volumes.problem import VolumeProblem

_CHECKS: dict[str, tuple[Callable[[int], bool], str]] = {
    "Directory": (stat.S_ISDIR, "a directory"),
    "DirectoryOrCreate": (stat.S_ISDIR, "a directory"),
    "File": (stat.S_ISREG, "a file"),
    "FileOrCreate": (stat.S_ISREG, "a file"),
    "Socket": (stat.S_ISSOCK, "a socket file"),
    "CharDevice": (stat.S_ISCHR, "a character device"),
    "BlockDevice": (stat.S_ISBLK, "a block device"),
}


def check(volume: str, path: str, kind: str) -> None:
    """See that `path` is of that kind; the `OrCreate` kinds are made. Raises VolumeProblem."""
    if not kind:
        return
    if kind not in _CHECKS:
        raise VolumeProblem(volume, f"{kind} is an invalid volume type")
    if not os.path.exists(path) and kind.endswith("OrCreate"):
        try:
            _create(path, kind)
        except OSError as error:
            raise VolumeProblem(volume, _said_by_go(error, path, kind)) from error
        return
    try:
        mode = os.stat(path).st_mode
    except OSError:
        mode = 0
    test, noun = _CHECKS[kind]
    if not test(mode):
        raise VolumeProblem(volume, f"hostPath type check failed: {path} is not {noun}")


def file_type(path: str) -> int:
    """The type bits of what is at `path`. Raises OSError, with the words for what is not there."""
    try:
        return stat.S_IFMT(os.stat(path).st_mode)
    except FileNotFoundError as error:
        raise OSError(error.errno, f'path "{path}" does not exist') from error


def _create(path: str, kind: str) -> None:
    if kind == "DirectoryOrCreate":
        os.makedirs(path, 0o755, exist_ok=True)
    else:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o644))


def _said_by_go(error: OSError, path: str, kind: str) -> str:
    """An error of the system as Go's `os` words it."""
    reason = (error.strerror or "").lower()
    if kind == "FileOrCreate":
        return f"open {path}: {reason}"
    # Of a chain of folders the one that could not be made is named: a file where a folder should be.
    at = path
    while not os.path.lexists(at) and os.path.dirname(at) != at:
        at = os.path.dirname(at)
    is_blocked = not os.path.isdir(at)
    return f"mkdir {at}: not a directory" if is_blocked else f"mkdir {error.filename or path}: {reason}"
