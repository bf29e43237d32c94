"""A volume that is ready for containers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Volume:
    """`path` is a folder, a file or a device of the node. `readonly` is so for every container.

    An image volume has a reference instead of a path. `is_file_system`: the path leads to a disk of its own.
    `group`: containers need it to use the volume.
    """

    name: str
    path: Path
    readonly: bool = False
    image: str = ""
    is_file_system: bool = False
    group: int | None = None
