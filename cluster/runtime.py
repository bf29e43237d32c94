"""What runs the pods of a cluster that is brought up here: real containers where they are possible, and why (not)."""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import replace
from pathlib import Path

from cluster.errors import CommandError
from cluster.home import Home
from cluster.node import NAME, node_folder
from cluster.options import ClusterOptions

SOCKET = Path("/run/containerd/containerd.sock")


def settle(options: ClusterOptions, home: Home) -> tuple[ClusterOptions, str]:
    """The options with the runtime decided, and what to tell of it. Raises CommandError when a demand cannot be met.

    What the command line names holds. Else: a containerd that runs already, then the installed one, then none. A
    cluster whose node has a containerd of its own keeps that.
    """
    if options.runtime == "simulated":
        return options, "simulated, as asked for"
    if options.nodes > 1 and not options.runtime:
        return replace(options, runtime="simulated"), "simulated: a machine has room for one node with real containers"
    against = _against_any()
    if not against and options.containerd is not None:
        return _given(options, options.containerd)
    found: tuple[ClusterOptions, str] | None = None
    if not against:
        found, against = _found(options, home)
    if found is not None:
        return found
    if options.runtime or options.containerd is not None:
        raise CommandError(f"--runtime containerd: {against}")
    return replace(options, runtime="simulated"), f"simulated: {against}"


def _against_any() -> str:
    from nodeagent.runtime import fitness

    return fitness.against_containers()


def _given(options: ClusterOptions, path: Path) -> tuple[ClusterOptions, str]:
    from nodeagent.runtime import fitness

    is_program = path.is_file()
    against = fitness.against_own(path) if is_program else asyncio.run(fitness.against_running(path))
    if against:
        raise CommandError(f"--containerd: {against}")
    how = f"containerd, started from {path}" if is_program else f"containerd that runs at {path}"
    return replace(options, runtime="containerd"), f"{how}, as asked for"


def _found(options: ClusterOptions, home: Home) -> tuple[tuple[ClusterOptions, str] | None, str]:
    """A containerd that can be used; without one, why not."""
    from nodeagent.runtime import fitness

    own = replace(options, runtime="containerd")
    if (node_folder(home, NAME) / "containerd.toml").exists():
        return (own, "containerd, the one that this cluster has started before"), ""
    socket = Path(os.environ.get("CONTAINERD_ADDRESS") or SOCKET)
    against_running = asyncio.run(fitness.against_running(socket)) if socket.exists() else ""
    if socket.exists() and not against_running:
        return (replace(own, containerd=socket), f"containerd that runs at {socket}"), ""
    against = fitness.against_own()
    if against:
        return None, "; ".join(filter(None, (against_running, against)))
    why = f" ({against_running})" if against_running else ""
    return (own, f"containerd, started by this cluster from {shutil.which('containerd')}{why}"), ""
