"""The runtime of a node: simulated, a containerd that runs already, or one of its own; and what goes with it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from nodeagent import leftovers
from nodeagent.network import cni
from nodeagent.options import AgentOptions
from nodeagent.runtime import containerd
from nodeagent.runtime.cri import CriRuntime
from nodeagent.runtime.protocol import Runtime, RuntimeFailure
from nodeagent.runtime.simulated import SimulatedRuntime


@dataclass(frozen=True, slots=True)
class NodeRuntime:
    """`cni_file` is where the network of pods is described; None where somebody else does that."""

    runtime: Runtime
    cni_file: Path | None = None


async def open_runtime(options: AgentOptions) -> NodeRuntime:
    """The runtime of a node, started where needed. Raises RuntimeFailure."""
    if options.runtime == "simulated":
        return NodeRuntime(SimulatedRuntime(options.pod_cidr))
    if options.socket is not None:
        return await _open_running(options, options.socket)
    await start_containerd(options)
    paths = containerd_paths(options)
    runtime = CriRuntime(str(paths.socket), options.short_name)
    return NodeRuntime(runtime, cni.file_in(paths.cni_config, bridge(options)))


async def start_containerd(options: AgentOptions) -> None:
    """Have the node's own containerd run, and remove what one that was killed has left without knowing it.

    Raises RuntimeFailure.
    """
    paths, network = containerd_paths(options), own_network(options)
    left = leftovers.Leftovers()
    if not await containerd.listens(paths.socket):
        left = await asyncio.to_thread(leftovers.find, paths, network)
    await containerd.ensure_running(paths, options.root / "containerd.log", options.program)
    if left != leftovers.Leftovers():
        tasks, known = await containerd.tasks(paths.socket), await containerd.container_ids(paths.socket)
        await leftovers.clear(left, paths, network, tasks=tasks, known=known)


async def _open_running(options: AgentOptions, socket: Path) -> NodeRuntime:
    """With the network that it has; where it has none the node describes one."""
    runtime = CriRuntime(str(socket), options.short_name)
    settings = await runtime.settings()
    await _ensure_sandbox_image(runtime, socket, str(settings.get("sandboxImage", "")))
    folder = (settings.get("cni") or {}).get("confDir")
    file = cni.file_in(Path(folder), bridge(options)) if folder else None
    if file is not None and not file.exists() and (await runtime.readiness()).network:
        file = None
    return NodeRuntime(runtime, file)


async def _ensure_sandbox_image(runtime: CriRuntime, socket: Path, image: str) -> None:
    """As it is called there; where no registry is in reach, the node's own does as well."""
    if not image or await runtime.image(image) is not None:
        return
    try:
        await runtime.pull(image, None, None)
    except RuntimeFailure:
        await containerd.ensure_pause_image(socket, image)


def containerd_paths(options: AgentOptions) -> containerd.ContainerdPaths:
    """A socket's path must be short, so what is not to outlive the machine's uptime is below /run."""
    return containerd.ContainerdPaths.below(options.root, Path("/run/wherry") / options.short_name)


def own_network(options: AgentOptions) -> cni.Network:
    """The network of the pods of a containerd of the node's own."""
    file = cni.file_in(containerd_paths(options).cni_config, bridge(options))
    return cni.Network(file, addresses(options), containerd.cni_plugin_dir())


def addresses(options: AgentOptions) -> Path:
    """The folder with those that pods have."""
    return options.root / "cni-addresses"


def bridge(options: AgentOptions) -> str:
    """The interface by which the node's pods are reached."""
    return f"wherry{options.short_name}"


def cgroup_root(options: AgentOptions) -> str:
    """Below it are the cgroups of the node's pods; nodes that share a machine do not share it."""
    return f"wherry-{options.short_name}/kubepods"
