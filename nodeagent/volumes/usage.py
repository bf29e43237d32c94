"""How much volumes hold: measured on disk, or as their drivers tell it.

Follows: pkg/volume/{metrics_du,metrics_statfs}.go, pkg/volume/csi/csi_metrics.go, pkg/kubelet/server/stats
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodeagent.volumes.csi.messages import BYTES, INODES

_BLOCK = 512


@dataclass(frozen=True, slots=True)
class VolumeUsage:
    """Of one volume of a pod, in bytes and inodes. `claim` names the claim that it is for."""

    name: str
    capacity: int
    available: int
    used: int
    inodes: int
    inodes_free: int
    inodes_used: int
    claim: str = ""


def measure_folder(name: str, folder: Path) -> VolumeUsage:
    """A folder that is part of a larger file system: what is in it counts. Raises OSError."""
    system = os.statvfs(folder)
    used, entries = _content(folder)
    return VolumeUsage(
        name,
        capacity=system.f_blocks * system.f_frsize,
        available=system.f_bavail * system.f_frsize,
        used=used,
        inodes=system.f_files,
        inodes_free=system.f_ffree,
        inodes_used=entries,
    )


def measure_file_system(name: str, folder: Path, claim: str) -> VolumeUsage:
    """A file system that is all the volume's own. Raises OSError."""
    system = os.statvfs(folder)
    return VolumeUsage(
        name,
        capacity=system.f_blocks * system.f_frsize,
        available=system.f_bavail * system.f_frsize,
        used=(system.f_blocks - system.f_bfree) * system.f_frsize,
        inodes=system.f_files,
        inodes_free=system.f_ffree,
        inodes_used=system.f_files - system.f_ffree,
        claim=claim,
    )


def told_by_driver(name: str, answer: Any, claim: str) -> VolumeUsage:
    """What a NodeGetVolumeStats answer says."""
    by_unit = {item.unit: (item.total, item.available, item.used) for item in answer.usage}
    capacity, available, used = by_unit.get(BYTES, (0, 0, 0))
    inodes, free, taken = by_unit.get(INODES, (0, 0, 0))
    return VolumeUsage(name, capacity, available, used, inodes, free, taken, claim)


def _content(folder: Path) -> tuple[int, int]:
    """Bytes on disk and the number of inodes; what is linked twice counts once."""
    seen: set[tuple[int, int]] = set()
    used = 0
    for parent, _, names in os.walk(folder):
        for name in (".", *names):
            try:
                found = os.lstat(os.path.join(parent, name))
            except FileNotFoundError:
                continue
            key = (found.st_dev, found.st_ino)
            if key not in seen:
                seen.add(key)
                used += found.st_blocks * _BLOCK
    return used, len(seen)
