"""Gives volumes to the group that a pod asks for (`fsGroup`).

Follows: pkg/volume/volume_linux.go SetVolumeOwnership
"""

from __future__ import annotations

from pathlib import Path

from nodeagent.pods.spec import View
from nodeagent.volumes import mounting


def group_of(pod: View) -> int | None:
    group = (pod["spec"].get("securityContext") or {}).get("fsGroup")
    return None if group is None else int(group)


def apply(pod: View, path: Path) -> None:
    """Have the pod's group own and use what is below `path`. Raises OSError."""
    group = group_of(pod)
    if group is None:
        return
    policy = (pod["spec"].get("securityContext") or {}).get("fsGroupChangePolicy")
    if policy != "OnRootMismatch" or not mounting.belongs_to_group(path, group):
        mounting.give_to_group(path, group)
