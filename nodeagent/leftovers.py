"""What a containerd that was killed has left without knowing it: shims, their processes, and pods' networks.

It is looked for while no containerd runs, so that nothing of it is still being made, and removed once the next one has
said what it knows.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nodeagent.network import cni
from nodeagent.runtime import containerd
from nodeagent.runtime.containerd import ContainerdPaths
from nodeagent.volumes import mounting

log = logging.getLogger(__name__)

BUNDLES = "io.containerd.runtime.v2.task/k8s.io"
"""Where containerd keeps what belongs to a container that runs, below its state and its root."""
NAMESPACES = "io.containerd.grpc.v1.cri/netns"
RUNC_ROOT = "/run/containerd/runc/k8s.io"
WAITING = b"runc\0init"
"""How the process of a container begins that was made, but not started."""
KILL_S = 5.0
PLUGINS_S = 10.0


@dataclass(frozen=True, slots=True)
class Leftovers:
    """Perhaps. `shims` are processes by the container they were started for, `addresses` tell which has them."""

    shims: Mapping[str, int] = field(default_factory=dict)
    addresses: Mapping[str, str] = field(default_factory=dict)
    namespaces: Collection[Path] = ()


def find(paths: ContainerdPaths, network: cni.Network) -> Leftovers:
    """What there is now, once plugins have ended that were at work for a pod's network."""
    deadline = time.monotonic() + PLUGINS_S
    while any(_works_on(pid, paths.state) for pid in _pids()) and time.monotonic() < deadline:
        time.sleep(0.05)
    folder = paths.state / NAMESPACES
    namespaces = list(folder.iterdir()) if folder.is_dir() else []
    return Leftovers(dict(_shims(str(paths.socket))), network.holders(), namespaces)


async def clear(
    found: Leftovers, paths: ContainerdPaths, network: cni.Network, *, tasks: Mapping[str, int], known: Collection[str]
) -> None:
    """Remove what belongs to none of the `tasks` (processes by container), nor to any container that is `known`."""
    lost = {id: pid for id, pid in found.shims.items() if id not in tasks}
    doomed = [child for pid in lost.values() for child in children(pid)]
    for pid in set(found.shims.values()) - set(lost.values()):
        doomed += [child for child in children(pid) if child not in tasks.values() and _waits(child)]
    await asyncio.to_thread(kill_all, [*doomed, *lost.values()])
    for id in lost:
        await _remove_container(id, paths)
    kept = set()
    for address, id in found.addresses.items():
        namespace = network.namespace_of(id)
        if id in known:
            kept.add(namespace or await containerd.network_namespace(paths.socket, id))
        else:
            log.info("giving back what a lost pod had of the network", extra={"container": id})
            await network.give_back(id, address, namespace)
    for path in found.namespaces:
        if str(path) not in kept:
            await asyncio.to_thread(_remove_namespace, path)


async def _remove_container(id: str, paths: ContainerdPaths) -> None:
    log.info("removing a container that containerd does not know", extra={"container": id})
    null = asyncio.subprocess.DEVNULL
    command = ("runc", "--root", RUNC_ROOT, "delete", "--force", id)
    process = await asyncio.create_subprocess_exec(*command, stdin=null, stdout=null, stderr=null)
    await process.wait()
    for folder in (paths.state / BUNDLES / id, paths.root / BUNDLES / id):
        await asyncio.to_thread(mounting.remove_with_mounts, folder)


def _remove_namespace(path: Path) -> None:
    for target in mounting.mount_points(path):
        mounting.unmount(Path(target))
    path.unlink(missing_ok=True)


def _shims(socket: str) -> Iterator[tuple[str, int]]:
    """The processes that stand between that containerd and its containers."""
    for pid in _pids():
        words = _read(pid, "cmdline").decode(errors="replace").split("\0")
        if socket in words and "containerd-shim" in words[0] and "-id" in words:
            yield words[words.index("-id") + 1], pid


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def _works_on(pid: int, state: Path) -> bool:
    """Whether it is a CNI plugin that was called for a pod of that containerd."""
    return f"CNI_NETNS={state}/".encode() in _read(pid, "environ")


def children(pid: int) -> list[int]:
    """Those of any of its threads."""
    found = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(child) for child in file.read_text().split()]
        except OSError:
            continue
    return found


def _waits(pid: int) -> bool:
    return _read(pid, "cmdline").startswith(WAITING)


def kill_all(pids: Collection[int]) -> None:
    """kill -9, and wait a moment for them to be gone."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    deadline = time.monotonic() + KILL_S
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
