"""How much of the node's disk a pod may write: measured here, judged against its limits. A pod over one is evicted.

Follows: pkg/kubelet/eviction/eviction_manager.go localStorageEviction
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nodeagent.pods import spec
from nodeagent.pods.spec import View
from openapi.meta.quantity import Quantity

EVICTED = "Evicted"


@dataclass(frozen=True, slots=True)
class ScratchUse:
    """Bytes by name: of emptyDir volumes, and of containers (their own layer and their logs)."""

    volumes: Mapping[str, int]
    containers: Mapping[str, int]


def excess(pod: View, use: ScratchUse) -> str:
    """The message about the first limit that the pod has exceeded; '' when it keeps to all."""
    for volume in pod["spec"].get("volumes") or ():
        limit = (volume.get("emptyDir") or {}).get("sizeLimit")
        if limit and Quantity.parse(limit).value and use.volumes.get(volume["name"], 0) > Quantity.parse(limit).value:
            return f'Usage of EmptyDir volume "{volume["name"]}" exceeds the limit "{limit}". '
    limits = {c["name"]: spec.resources_of(c, "limits").get("ephemeral-storage") for c in spec.containers(pod)}
    if any(limits.values()):
        total = sum(Quantity.parse(limit).value for limit in limits.values() if limit)
        if sum(use.volumes.values()) + sum(use.containers.values()) > total:
            shown = Quantity.of(total, "BinarySI")
            return f"Pod ephemeral local storage usage exceeds the total limit of containers {shown}. "
    for name, limit in limits.items():
        if limit and use.containers.get(name, 0) > Quantity.parse(limit).value:
            return f'Container {name} exceeded its local ephemeral storage limit "{limit}". '
    return ""


def has_limits(pod: View) -> bool:
    """Whether there is anything to measure for."""
    if any((volume.get("emptyDir") or {}).get("sizeLimit") for volume in pod["spec"].get("volumes") or ()):
        return True
    return any("ephemeral-storage" in spec.resources_of(container, "limits") for container in spec.containers(pod))


def measure(folders: Mapping[str, Path]) -> dict[str, int]:
    """The bytes that each folder takes on disk."""
    return {name: _disk_use(folder) for name, folder in folders.items()}


def _disk_use(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in (".", *names):
            try:
                total += os.lstat(os.path.join(parent, name)).st_blocks * 512
            except FileNotFoundError:
                continue
    return total
