"""Local volumes that are disks: a file system is made on a new one, and it is mounted once for all pods that have it.

    <root>/plugins/kubernetes.io/local-volume/mounts/<volume>       the file system
    <root>/pods/<uid>/volumes/kubernetes.io~local-volume/<volume>   bound for each pod

A disk whose content is not known is never formatted.
Follows: pkg/volume/local/local.go MountDevice, k8s.io/mount-utils mount_linux.go formatAndMountSensitive
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from nodeagent.volumes import mounting

log = logging.getLogger(__name__)

DEFAULT_TYPE = "ext4"
_UNKNOWN, _CORRECTED = 2, 1
"""Exit codes: of blkid for a disk without anything on it, of fsck for errors that it has put right."""
_FORCE = {"ext3": ("-F", "-m0"), "ext4": ("-F", "-m0"), "xfs": ("-f",)}


class DiskProblem(Exception):
    """A disk could not be mounted."""


class Disks:
    """The local disks of a node."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._mounts = root / "plugins/kubernetes.io/local-volume/mounts"
        self._lock = asyncio.Lock()

    async def mount(
        self, uid: str, volume: str, device: Path, *, type: str, options: Sequence[str], readonly: bool
    ) -> Path:
        """The disk's file system as the pod is to have it. Raises DiskProblem, OSError."""
        own = self._root / "pods" / uid / "volumes/kubernetes.io~local-volume" / volume
        shared = self._mounts / volume
        async with self._lock:
            own.mkdir(parents=True, exist_ok=True, mode=0o750)
            if not mounting.is_mount_point(shared):
                shared.mkdir(parents=True, exist_ok=True, mode=0o750)
                await _format_and_mount(device, shared, type or DEFAULT_TYPE, options, readonly=readonly)
            if not mounting.is_mount_point(own):
                mounting.mount(str(shared), own, "", mounting.MS_BIND)
        return own

    async def unmount_unused(self) -> None:
        """Unmount the disks that no pod has any more."""
        if not self._mounts.is_dir():
            return
        async with self._lock:
            for shared in self._mounts.iterdir():
                users = self._root.glob(f"pods/*/volumes/kubernetes.io~local-volume/{shared.name}")
                if any(users):
                    continue
                try:
                    if mounting.is_mount_point(shared):
                        mounting.unmount(shared)
                    shared.rmdir()
                except OSError as error:
                    log.warning("disk not unmounted: %s", error, extra={"volume": shared.name})


async def _format_and_mount(device: Path, target: Path, type: str, options: Sequence[str], *, readonly: bool) -> None:
    found = await _file_system_of(device)
    if not found:
        if readonly:
            raise DiskProblem(f"cannot mount unformatted disk {device} as we are manipulating it in read-only mode")
        await _run(f"mkfs.{type}", *_FORCE.get(type, ()), str(device))
    elif not readonly:
        await _run("fsck", "-a", str(device), may=(_CORRECTED,))
    if found and found != type:
        log.warning("disk has another file system than is asked for", extra={"device": str(device), "type": found})
    given = ",".join([*options, "ro" if readonly else "defaults"])
    await _run("mount", "-t", type, "-o", given, str(device), str(target))


async def _file_system_of(device: Path) -> str:
    """The type; '' for a disk with nothing on it. Raises DiskProblem where it carries something else."""
    code, printed = await _run(
        "blkid", "-p", "-s", "TYPE", "-s", "PTTYPE", "-o", "export", str(device), may=(_UNKNOWN,)
    )
    if code == _UNKNOWN:
        return ""
    facts = dict(line.split("=", 1) for line in printed.splitlines() if "=" in line)
    if facts.get("PTTYPE"):
        raise DiskProblem(f"disk {device} has a partition table and is not formatted")
    return facts.get("TYPE", "")


async def _run(*command: str, may: Sequence[int] = ()) -> tuple[int, str]:
    """Exit code and output. Raises DiskProblem for codes other than 0 and what `may` be."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
    except FileNotFoundError:
        raise DiskProblem(f"executable file not found: {command[0]}") from None
    output, _ = await process.communicate()
    printed, code = output.decode(errors="replace"), process.returncode or 0
    if code and code not in may:
        raise DiskProblem(f"{command[0]} failed: exit status {code}\nOutput: {printed}")
    return code, printed
