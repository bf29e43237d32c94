"""The pod network of a node by the standard CNI plugins: a bridge, addresses from the node's podCIDR, host ports.

The runtime reads the file that is written here whenever it appears or changes.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
from pathlib import Path


def file_in(folder: Path, bridge: str) -> Path:
    """Where the network of that bridge is described."""
    return folder / f"10-{bridge}.conflist"



def configuration(pod_cidrs: list[str], bridge: str, state: Path) -> str:
    """The plugin chain. Pods reach each other over the bridge and the world through the node's address."""
    networks = [ipaddress.ip_network(cidr) for cidr in pod_cidrs]
    routes = [{"dst": "0.0.0.0/0" if network.version == 4 else "::/0"} for network in networks]
    plugins = [
        {
            "type": "bridge",
            "bridge": bridge,
            "isGateway": True,
            "ipMasq": True,
            "hairpinMode": True,
            "ipam": {
                "type": "host-local",
                "dataDir": str(state),
                "ranges": [[{"subnet": str(network)}] for network in networks],
                "routes": routes,
            },
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    return json.dumps({"cniVersion": "0.4.0", "name": "wherry", "plugins": plugins}, indent=2)


async def remove_bridge(name: str) -> None:
    """Take down the bridge of a node that is no more; it is as well when there is none."""
    command = ("ip", "link", "delete", name)
    null = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdout=null, stderr=null)
    await process.wait()


def write_configuration(path: Path, state: Path, pod_cidrs: list[str], bridge: str) -> None:
    """Write the file, at once and only if it says something new."""
    content = configuration(pod_cidrs, bridge, state)
    if path.exists() and path.read_text() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(content)
    draft.rename(path)
