"""The files of containers' logs that have been put aside: how many are kept, and how they go.

Follows: pkg/kubelet/logs/container_log_manager.go
"""

from __future__ import annotations

import gzip
import shutil
from dataclasses import dataclass
from pathlib import Path

MIN_FILES = 2
"""The one that is written to, and one more: of fewer nothing could be kept."""
_DRAFT, _COMPRESSED = ".tmp", ".gz"


@dataclass(frozen=True, slots=True)
class LogLimits:
    """How large a log may grow, and how many files of it are kept, with the one that is written to."""

    max_bytes: int = 10 * 1024 * 1024
    max_files: int = 5


def make_room(path: Path, max_files: int) -> None:
    """Remove the oldest of the files put aside so that one more fits, and compress the others."""
    kept = []
    for file in rotated(path):
        if file.suffix == _DRAFT or file.with_name(file.name + _COMPRESSED).exists():
            file.unlink()
        else:
            kept.append(file)
    room = max(MIN_FILES, max_files) - MIN_FILES
    for file in kept[: max(0, len(kept) - room)]:
        file.unlink()
    for file in kept[max(0, len(kept) - room) :]:
        if file.suffix != _COMPRESSED:
            _compress(file)


def rotated(path: Path) -> list[Path]:
    """The files of a log that have been put aside, the oldest first: their names end with their times."""
    return sorted(file for file in path.parent.glob(f"{path.name}.*"))


def remove_log(path: str) -> None:
    """Remove a log with all that was put aside of it."""
    if path:
        for file in (Path(path), *rotated(Path(path))):
            file.unlink(missing_ok=True)


def _compress(file: Path) -> None:
    draft = file.with_name(file.name + _DRAFT)
    with file.open("rb") as source, gzip.open(draft, "wb") as target:
        shutil.copyfileobj(source, target)
    draft.rename(file.with_name(file.name + _COMPRESSED))
    file.unlink()
