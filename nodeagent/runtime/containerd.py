"""Starts containerd for an agent that was not given a running one: own configuration, socket, images and state.

containerd outlives the agent, as containers do; an agent that starts again finds it by its socket. `stop` is for
nodes that end for good.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from nodeagent.runtime import pause
from nodeagent.runtime.protocol import RuntimeFailure

log = logging.getLogger(__name__)

START_TIMEOUT_S = 30.0
CHECK_S = 1.0
CNI_PLUGIN_DIRS = ("/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni")
_CAP_SYS_RESOURCE = 24
_NAMESPACE = "k8s.io"


@dataclass(frozen=True, slots=True)
class ContainerdPaths:
    """Where a containerd of our own keeps things. Sockets need short paths, so its state is not in the data folder."""

    root: Path
    state: Path
    config: Path
    socket: Path
    cni_config: Path

    @classmethod
    def below(cls, data: Path, run: Path) -> ContainerdPaths:
        return cls(
            root=data / "containerd",
            state=run / "containerd",
            config=data / "containerd.toml",
            socket=run / "containerd.sock",
            cni_config=data / "cni",
        )


def cni_plugin_dir() -> str:
    """The folder with the CNI plugins of this machine."""
    for folder in CNI_PLUGIN_DIRS:
        if os.access(f"{folder}/bridge", os.X_OK):
            return folder
    return CNI_PLUGIN_DIRS[0]


def configuration(paths: ContainerdPaths, *, can_lower_oom_score: bool) -> str:
    """containerd's configuration file."""
    restrict = "false" if can_lower_oom_score else "true"
    return f"""version = 2
root = "{paths.root}"
state = "{paths.state}"
[grpc]
  address = "{paths.socket}"
[ttrpc]
  address = "{paths.socket}.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "{paths.root}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause.IMAGE}"
  restrict_oom_score_adj = {restrict}
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni_plugin_dir()}"
    conf_dir = "{paths.cni_config}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
"""


def can_lower_oom_score() -> bool:
    """Whether this process may make others less likely to be killed for memory; containerd must know when not."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _CAP_SYS_RESOURCE & 1)
    return False


async def ensure_running(paths: ContainerdPaths, log_file: Path, program: Path | None = None) -> None:
    """Start containerd unless it answers already, and see that it has the pause image."""
    if not await _answers(paths.socket):
        await _start(paths, log_file, program)
    await ensure_pause_image(paths.socket)


async def keep_running(socket: Path, start: Callable[[], Awaitable[None]]) -> None:
    """Have containerd started again whenever it has ended, until cancelled. Containers go on without it meanwhile."""
    while True:
        await asyncio.sleep(CHECK_S)
        if await listens(socket):
            continue
        log.warning("containerd has ended and is started again")
        try:
            await start()
        except RuntimeFailure as failure:
            log.error("containerd does not start: %s", failure)


async def tasks(socket: Path) -> dict[str, int]:
    """The first process of each container that runs. Raises RuntimeFailure."""
    lines = (await _ctr(socket, "tasks", "list")).decode().splitlines()[1:]
    return {line.split()[0]: int(line.split()[1]) for line in lines}


async def container_ids(socket: Path) -> set[str]:
    """Of all that it knows, sandboxes too. Raises RuntimeFailure."""
    return set((await _ctr(socket, "containers", "list", "--quiet")).decode().split())


async def listens(socket: Path) -> bool:
    """Whether anybody is at the socket at all, busy or not."""
    try:
        _, writer = await asyncio.open_unix_connection(str(socket))
    except OSError:
        return False
    writer.close()
    return True


async def _start(paths: ContainerdPaths, log_file: Path, program: Path | None) -> None:
    binary = str(program) if program is not None else shutil.which("containerd")
    if binary is None:
        raise RuntimeFailure("containerd is not installed (Debian: apt-get install containerd runc)")
    for folder in (paths.root, paths.state, paths.socket.parent, paths.cni_config, log_file.parent):
        folder.mkdir(parents=True, exist_ok=True, mode=0o711)
    paths.config.write_text(configuration(paths, can_lower_oom_score=can_lower_oom_score()))
    paths.socket.unlink(missing_ok=True)
    with log_file.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            binary,
            "--config",
            str(paths.config),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    _pid_file(paths).write_text(str(process.pid))
    for _ in range(int(START_TIMEOUT_S * 20)):
        if await _answers(paths.socket):
            return
        if process.returncode is not None:
            raise RuntimeFailure(f"containerd ended with exit code {process.returncode}; see {log_file}")
        await asyncio.sleep(0.05)
    raise RuntimeFailure(f"containerd did not answer within {START_TIMEOUT_S:.0f} s; see {log_file}")


async def network_namespace(socket: Path, id: str) -> str:
    """The file that holds the network namespace of a container; '' if it has none of its own. Raises RuntimeFailure."""
    spec = json.loads(await _ctr(socket, "containers", "info", id))["Spec"]
    namespaces = (spec.get("linux") or {}).get("namespaces") or ()
    return next((item.get("path", "") for item in namespaces if item["type"] == "network"), "")


def stop(paths: ContainerdPaths) -> None:
    """End the containerd that was started here, if it still runs."""
    try:
        pid = int(_pid_file(paths).read_text())
        if str(paths.config).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGTERM)
            _wait_for_end(pid)
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return


def _wait_for_end(pid: int) -> None:
    """It may be somebody else's child, so it cannot be waited for as one."""
    for _ in range(100):
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        if state == "Z":
            return
        time.sleep(0.05)


async def ensure_pause_image(socket: Path, name: str = pause.IMAGE) -> None:
    """Import the pause image, under the name by which containerd asks for it, if containerd does not have it."""
    listed = (await _ctr(socket, "images", "list", "--quiet")).decode().split()
    if name in listed:
        return
    if pause.IMAGE not in listed:
        await _ctr(socket, "images", "import", "-", given=pause.archive())
    if name != pause.IMAGE:
        await _ctr(socket, "images", "tag", pause.IMAGE, name)


async def _ctr(socket: Path, *arguments: str, given: bytes | None = None) -> bytes:
    process = await asyncio.create_subprocess_exec(
        "ctr",
        *("--address", str(socket), "--namespace", _NAMESPACE, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate(given)
    if process.returncode:
        raise RuntimeFailure(f"ctr {' '.join(arguments)}: {errors.decode(errors='replace').strip()}")
    return output


async def _answers(socket: Path) -> bool:
    # ctr itself would wait long for a socket that is not there.
    if not await asyncio.to_thread(socket.exists):
        return False
    try:
        await _ctr(socket, "version")
    except RuntimeFailure:
        return False
    return True


def _pid_file(paths: ContainerdPaths) -> Path:
    return paths.socket.with_suffix(".pid")
