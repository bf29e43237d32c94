"""Whether this machine can run containers: with a containerd that runs already, or with one that the node starts.

Every answer is a reason in words, '' where there is none against it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

from nodeagent.runtime.containerd import CNI_PLUGIN_DIRS, can_lower_oom_score, cni_plugin_dir
from nodeagent.runtime.cri import CriRuntime
from nodeagent.runtime.protocol import RuntimeFailure

PROGRAMS = {"ctr": "containerd", "runc": "runc", "iptables": "iptables", "ip": "iproute2"}
"""What a node calls besides containerd, and Debian's package of each."""


def against_containers() -> str:
    """What speaks against real containers, whoever runs them."""
    if os.geteuid() != 0:
        return "only root can run containers"
    try:
        import grpc  # noqa: F401
    except ImportError:
        return "grpcio is not installed (pip install grpcio protobuf)"
    return ""


def against_own(program: Path | None = None) -> str:
    """What speaks against starting a containerd, `program` or the installed one."""
    if program is not None and not os.access(program, os.X_OK):
        return f"{program} is not a program"
    if program is None and shutil.which("containerd") is None:
        return "containerd is not installed (Debian: apt-get install containerd)"
    for name, package in PROGRAMS.items():
        if shutil.which(name) is None:
            return f"{name} is not installed (Debian: apt-get install {package})"
    if not os.access(f"{cni_plugin_dir()}/bridge", os.X_OK):
        where = ", ".join(CNI_PLUGIN_DIRS)
        return f"the CNI plugins are in none of {where} (Debian: apt-get install containernetworking-plugins)"
    return ""


async def against_running(socket: Path) -> str:
    """What speaks against a containerd that is said to run."""
    if not await asyncio.to_thread(socket.is_socket):
        return f"there is no socket at {socket}"
    runtime = CriRuntime(str(socket), "")
    try:
        readiness, settings = await runtime.readiness(), await runtime.settings()
        is_taken = await runtime.has_foreign_sandboxes()
    except RuntimeFailure as failure:
        return f"{socket} does not serve CRI: {failure}"
    finally:
        await runtime.close()
    if not readiness.runtime:
        return f"{socket} says: {readiness.runtime_message}"
    if is_taken:
        return f"{socket} has the pods of another cluster's kubelet"
    if not can_lower_oom_score() and not settings.get("restrictOOMScoreAdj"):
        return f"{socket} needs restrict_oom_score_adj, as this machine lacks CAP_SYS_RESOURCE"
    plugins = (settings.get("cni") or {}).get("binDir", "")
    if not readiness.network and not os.access(f"{plugins}/bridge", os.X_OK):
        return f"{socket} has no pod network, and no CNI plugins in {plugins}"
    return ""
