"""What the machine is: processors, memory, disk, system, and the address by which others reach it."""

from __future__ import annotations

import os
import platform
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

APPARMOR_SWITCH = "/sys/module/apparmor/parameters/enabled"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "ppc64le": "ppc64le", "s390x": "s390x"}


@dataclass(frozen=True, slots=True)
class Reserved:
    """What of the machine is not for pods: kept for the system, and kept free by eviction."""

    cpu_milli: int = 0
    memory_bytes: int = 0
    disk_bytes: int = 0
    free_memory_bytes: int = 0
    free_disk_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Machine:
    """Facts about a machine. Bytes of memory and of the disk that holds the node's data."""

    hostname: str
    architecture: str
    kernel: str
    os_image: str
    machine_id: str
    system_uuid: str
    boot_id: str
    cpus: int
    memory_bytes: int
    disk_bytes: int
    addresses: tuple[str, ...]
    reserved: Reserved = Reserved()


def read_machine(folder: Path) -> Machine:
    """The machine this runs on; `folder` is where the node's data are."""
    memory_kib = _meminfo().get("MemTotal", 0)
    return Machine(
        hostname=socket.gethostname().lower(),
        architecture=ARCHITECTURES.get(platform.machine(), platform.machine()),
        kernel=platform.release(),
        os_image=_os_image(),
        machine_id=_read("/etc/machine-id"),
        system_uuid=_read("/sys/class/dmi/id/product_uuid") or _read("/etc/machine-id"),
        boot_id=_read("/proc/sys/kernel/random/boot_id"),
        cpus=os.cpu_count() or 1,
        memory_bytes=memory_kib * 1024,
        disk_bytes=shutil.disk_usage(_existing(folder)).total,
        addresses=default_addresses(),
    )


def default_addresses() -> tuple[str, ...]:
    """The address that packets to the world start from; the loopback one where there is no way out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Connecting a datagram socket sends nothing; it only picks a route.
            probe.connect(("192.0.2.1", 9))
            return (str(probe.getsockname()[0]),)
        except OSError:
            return ("127.0.0.1",)


def has_apparmor() -> bool:
    """Whether the kernel confines programs by AppArmor."""
    return Path("/sys/kernel/security/apparmor").exists() and _read(APPARMOR_SWITCH).startswith("Y")


def available_memory_bytes() -> int:
    return _meminfo().get("MemAvailable", 0) * 1024


def _meminfo() -> Mapping[str, int]:
    found = {}
    for line in _read("/proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        found[name] = int(rest.split()[0])
    return found


def _os_image() -> str:
    for line in _read("/etc/os-release").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return "Linux"


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
