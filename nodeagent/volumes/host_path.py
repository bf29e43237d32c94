"""hostPath volumes: what the path must be, and making what may be missing.

Follows: pkg/volume/hostpath/host_path.go
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
    try:
        _create(path, kind)
    except OSError as error:
        raise VolumeProblem(volume, f"hostPath type check failed: {error.strerror}") from error
    try:
        mode = os.stat(path).st_mode
    except OSError:
        mode = 0
    test, noun = _CHECKS[kind]
    if not test(mode):
        raise VolumeProblem(volume, f"hostPath type check failed: {path} is not {noun}")


def _create(path: str, kind: str) -> None:
    if kind == "DirectoryOrCreate":
        os.makedirs(path, 0o755, exist_ok=True)
    elif kind == "FileOrCreate" and not os.path.lexists(path):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o644))
