"""The pod network of a node by the standard CNI plugins: a bridge, addresses from the node's podCIDR, host ports.

The runtime reads the file that is written here whenever it appears or changes.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAME = "wherry"
INTERFACE = "eth0"
RESULTS = Path("/var/lib/cni/results")
"""Where containerd's CNI library keeps what the plugins have answered."""
CHAIN_LENGTH = 28
COMMAND_S = 10.0


def file_in(folder: Path, bridge: str) -> Path:
    """Where the network of that bridge is described."""
    return folder / f"10-{bridge}.conflist"


@dataclass(frozen=True, slots=True)
class Network:
    """The network that `file` describes; `state` is the folder with its addresses."""

    file: Path
    state: Path
    plugins: str

    def holders(self) -> dict[str, str]:
        """The addresses that are taken, and by which containers."""
        found = {}
        for file in (self.state / NAME).glob("*"):
            words = file.read_text().split() if is_address(file.name) else []
            if words:
                found[file.name] = words[0]
        return found

    def namespace_of(self, id: str) -> str:
        """The file that holds the network namespace of a container with an address; '' if that is not known, or gone.

        An answer that was not written to its end is removed: nobody could take down a network that has one.
        """
        file = self._result_of(id)
        try:
            result = json.loads(file.read_text())["result"]
        except (ValueError, KeyError):
            file.unlink()
            return ""
        except OSError:
            return ""
        paths = [link["sandbox"] for link in result.get("interfaces") or () if link.get("sandbox")]
        return next(filter(os.path.exists, paths), "")

    async def give_back(self, id: str, address: str, namespace: str) -> None:
        """Have the plugins undo what they did for a container, whether or not they came to their end then."""
        try:
            described = json.loads(self.file.read_text())
        except (OSError, ValueError):
            return
        common = {"cniVersion": described["cniVersion"], "name": described["name"]}
        for plugin in reversed(described["plugins"]):
            await self._delete({**common, **plugin}, id, namespace)
        if not namespace:
            await _unmasquerade(id, address)
        self._result_of(id).unlink(missing_ok=True)

    async def _delete(self, plugin: Mapping[str, Any], id: str, namespace: str) -> None:
        asked = {"COMMAND": "DEL", "CONTAINERID": id, "NETNS": namespace, "IFNAME": INTERFACE, "PATH": self.plugins}
        environment = {**os.environ, **{f"CNI_{name}": value for name, value in asked.items()}}
        command = (f"{self.plugins}/{plugin['type']}",)
        await _run(command, given=json.dumps(plugin).encode(), environment=environment)

    def _result_of(self, id: str) -> Path:
        return RESULTS / f"{NAME}-{id}-{INTERFACE}"


async def _unmasquerade(id: str, address: str) -> None:
    """Without a namespace the bridge plugin does not know any more for which address it has made its rules."""
    chain = f"CNI-{hashlib.sha512(f'{NAME}{id}'.encode()).hexdigest()}"[:CHAIN_LENGTH]
    version, length = ("6", 128) if ":" in address else ("", 32)
    why = ("-m", "comment", "--comment", f'name: "{NAME}" id: "{id}"')
    rules = (("-D", "POSTROUTING", "-s", f"{address}/{length}", *why, "-j", chain), ("-F", chain), ("-X", chain))
    for rule in rules:
        await _run((f"ip{version}tables", "-w", "-t", "nat", *rule))


async def _run(
    command: Sequence[str], *, given: bytes | None = None, environment: Mapping[str, str] | None = None
) -> None:
    """Whatever comes of it."""
    null, pipe = asyncio.subprocess.DEVNULL, asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command, stdin=null if given is None else pipe, stdout=null, stderr=null, env=environment
    )
    try:
        async with asyncio.timeout(COMMAND_S):
            await process.communicate(given)
    except TimeoutError:
        process.kill()


def is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


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
    return json.dumps({"cniVersion": "0.4.0", "name": NAME, "plugins": plugins}, indent=2)


async def remove_bridge(name: str) -> None:
    """Take down the bridge of a node that is no more; it is as well when there is none."""
    await _run(("ip", "link", "delete", name))


def write_configuration(path: Path, state: Path, pod_cidrs: list[str], bridge: str) -> None:
    """Write the file, at once and only if it says something new."""
    content = configuration(pod_cidrs, bridge, state)
    if path.exists() and path.read_text() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(content)
    draft.rename(path)
