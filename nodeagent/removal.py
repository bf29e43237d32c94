"""The end of a node: its containers, its containerd, its mounts and interfaces go; its files too, where it is not to
come again.

First in order, as the runtime knows best what belongs to a container; then whatever is left by force, since a node
that is in a hurry, or whose runtime does not answer any more, must leave nothing either.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Coroutine
from pathlib import Path

from nodeagent import leftovers
from nodeagent.network import cni
from nodeagent.node.cgroups import Cgroups
from nodeagent.options import AgentOptions
from nodeagent.runtime import containerd
from nodeagent.runtime.protocol import Runtime, RuntimeFailure, Sandbox
from nodeagent.runtimes import NodeRuntime, bridge, cgroup_root, containerd_paths, open_runtime, own_network
from nodeagent.volumes import mounting

log = logging.getLogger(__name__)

AT_ONCE = 8
ORDERLY_S = 40.0
"""How long the runtime may take for all containers together."""
GENTLE_S = 5
"""How long a container may take to end by itself before it is killed."""
KILL_S = 5.0


async def remove_node(options: AgentOptions, opened: NodeRuntime) -> None:
    """End all containers of a node and remove what it had."""
    if options.runtime != "containerd":
        await asyncio.to_thread(shutil.rmtree, options.root, ignore_errors=True)
        return
    await _in_order(_end_all(opened.runtime, remove=True))
    if options.socket is None:
        await _end_containerd(options)
    if opened.cni_file is not None:
        await asyncio.to_thread(opened.cni_file.unlink, missing_ok=True)
    await asyncio.to_thread(mounting.remove_with_mounts, options.root)
    await _remove_what_needs_no_runtime(options)


async def rest_node(options: AgentOptions, opened: NodeRuntime) -> None:
    """End what runs on a node that will come again, as the end of a machine would: containers, with their records for
    the next agent to go on from, a containerd of its own, and mounts.
    """
    if options.runtime != "containerd":
        return
    await _in_order(_end_gently(opened.runtime))
    await _in_order(_end_all(opened.runtime, remove=False))
    if options.socket is None:
        await _end_containerd(options)
    for target in await asyncio.to_thread(mounting.mount_points, options.root):
        await asyncio.to_thread(mounting.unmount, Path(target))
    await _remove_what_needs_no_runtime(options)


async def _remove_what_needs_no_runtime(options: AgentOptions) -> None:
    await cni.remove_bridge(bridge(options))
    await asyncio.to_thread(Cgroups().remove, cgroup_root(options).partition("/")[0])


async def remove_abandoned(root: Path, name: str) -> None:
    """Remove a node whose agent was killed: `root` is its folder. Raises RuntimeFailure."""
    options = AgentOptions(kubeconfig=Path(), name=name, root=root, ephemeral=True)
    if not containerd_paths(options).config.exists():
        await asyncio.to_thread(shutil.rmtree, root, ignore_errors=True)
        return
    opened = await open_runtime(options)
    try:
        await remove_node(options, opened)
    finally:
        await opened.runtime.close()


async def _in_order(ending: Coroutine[None, None, None]) -> None:
    try:
        async with asyncio.timeout(ORDERLY_S):
            await ending
    except (RuntimeFailure, TimeoutError) as failure:
        log.warning("containers not ended in order: %s", failure)


async def _end_gently(runtime: Runtime) -> None:
    """SIGTERM to all at once, so that databases and the like can close their files."""
    stopping = (runtime.stop_container(one.id, GENTLE_S) for one in await runtime.containers())
    for failure in await asyncio.gather(*stopping, return_exceptions=True):
        if isinstance(failure, RuntimeFailure):
            log.warning("container not stopped: %s", failure)


async def _end_all(runtime: Runtime, *, remove: bool) -> None:
    limit = asyncio.Semaphore(AT_ONCE)

    async def end(sandbox: Sandbox) -> None:
        async with limit:
            try:
                await runtime.stop_sandbox(sandbox.id)
                if remove:
                    await runtime.remove_sandbox(sandbox.id)
            except RuntimeFailure as failure:
                log.warning("sandbox not ended: %s", failure, extra={"sandbox": sandbox.id})

    await asyncio.gather(*(end(sandbox) for sandbox in await runtime.sandboxes()))


async def _end_containerd(options: AgentOptions) -> None:
    """The daemon, what it left running, and its folder below /run."""
    paths, network = containerd_paths(options), own_network(options)
    await asyncio.to_thread(containerd.stop, paths)
    left = await asyncio.to_thread(leftovers.find, paths, network)
    await leftovers.clear(left, paths, network, tasks={}, known=())
    await asyncio.to_thread(mounting.remove_with_mounts, paths.socket.parent)
