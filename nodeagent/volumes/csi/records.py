"""What a node must remember of CSI volumes to unmount them without asking anybody: files beside the mounts.

    <root>/pods/<uid>/volumes/kubernetes.io~csi/<name>/{mount,vol_data.json}      for each pod
    <root>/plugins/kubernetes.io/csi/<driver>/<hash>/{globalmount,vol_data.json}  for each volume

Follows: pkg/volume/csi/{csi_util,csi_attacher,csi_block}.go
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from nodeagent.volumes.csi.spec import CsiVolume

FILE = "vol_data.json"
_PODS_PART = "volumes/kubernetes.io~csi"


@dataclass(frozen=True, slots=True)
class Record:
    """A volume as the drivers' calls need it. `attachment` is '' for what nobody attaches."""

    name: str
    driver: str
    handle: str
    lifecycle: str
    is_block: bool
    attachment: str

    @property
    def unique_name(self) -> str:
        return f"kubernetes.io/csi/{self.driver}^{self.handle}"


class Records:
    """The records below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def pod_folder(self, uid: str, name: str) -> Path:
        return self._root / "pods" / uid / _PODS_PART / name

    def target(self, uid: str, record: Record | CsiVolume) -> Path:
        """Where a driver publishes the volume for a pod: a folder, or a device."""
        return self.pod_folder(uid, record.name) / ("device" if record.is_block else "mount")

    def volume_folder(self, record: Record | CsiVolume) -> Path:
        digest = hashlib.sha256(record.handle.encode()).hexdigest()
        return self._root / "plugins/kubernetes.io/csi" / record.driver / digest

    def staging(self, record: Record | CsiVolume) -> Path:
        return self.volume_folder(record) / "globalmount"

    def of_pod(self, uid: str) -> list[Record]:
        return list(_records(self._root / "pods" / uid / _PODS_PART, "*"))

    def of_volumes(self) -> list[Record]:
        """The volumes that are, or may be, staged on the node."""
        return list(_records(self._root / "plugins/kubernetes.io/csi", "*/*"))

    def users(self, record: Record) -> set[str]:
        """The uids of pods that have the volume."""
        found = set()
        for file in (self._root / "pods").glob(f"*/{_PODS_PART}/{record.name}/{FILE}"):
            other = _read(file)
            if other is not None and (other.driver, other.handle) == (record.driver, record.handle):
                found.add(file.relative_to(self._root / "pods").parts[0])
        return found


def keep(folder: Path, record: Record) -> None:
    """Write the record, whole or not at all. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o750)
    draft = folder / f".{FILE}"
    draft.write_bytes(orjson.dumps(asdict(record)))
    draft.rename(folder / FILE)


def drop(folder: Path, mount: Path) -> None:
    """Remove a record with the mount's folder, unless something is still mounted there. Raises OSError."""
    if mount.is_dir() and not mount.is_symlink():
        mount.rmdir()
    else:
        mount.unlink(missing_ok=True)
    (folder / FILE).unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        shutil.rmtree(folder) if not os.listdir(folder) else None


def _records(folder: Path, pattern: str) -> Iterator[Record]:
    for file in folder.glob(f"{pattern}/{FILE}"):
        found = _read(file)
        if found is not None:
            yield found


def _read(file: Path) -> Record | None:
    try:
        return Record(**orjson.loads(file.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
