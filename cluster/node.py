"""The nodes of a cluster on this machine: their names, their folders, and the certificates by which they are known."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from cluster.files import KeyPair
from cluster.home import Home, ephemeral_homes, home_prefix, remove_abandoned_homes

NAME = "node-0"
"""A cluster's only node has the same name whatever runs its pods."""
LARGE = Path("/var/tmp")


def node_folder(home: Home, name: str) -> Path:
    """Where a node keeps its volumes, logs and images. An ephemeral cluster's lie on disk too, as they may be large."""
    if home.ephemeral:
        return LARGE / f"{home.path.name}-{name}"
    return home.path / "nodes" / name


def give_certificates(home: Home, folder: Path, name: str) -> None:
    """Issue the node its client and serving certificates, so that it need not wait for its requests to be signed."""
    from cluster.files import write_private
    from cluster.pki import load_authority

    authority = load_authority(KeyPair(home.pki / "ca.crt", home.pki / "ca.key"))
    pki = folder / "pki"
    pki.mkdir(parents=True, exist_ok=True, mode=0o700)
    identity = f"system:node:{name}"
    pairs = {
        "kubelet-client": authority.client(identity, ["system:nodes"]),
        "kubelet-server": authority.server(identity, [name, "127.0.0.1"]),
    }
    for file, (certificate, key) in pairs.items():
        write_private(pki / f"{file}.crt", certificate)
        write_private(pki / f"{file}.key", key)


def remove_rest(home: Home) -> None:
    """End what the node of an ephemeral cluster has left: it may have been killed before it could do so itself."""
    folder = node_folder(home, NAME)
    if folder.exists():
        _remove(folder, NAME)


def remove_abandoned() -> None:
    """End what nodes of this user's ephemeral clusters left running that were killed with all their processes."""
    remove_abandoned_homes()
    homes = {home.path.name for home in ephemeral_homes()}
    for folder in LARGE.glob(f"{home_prefix()}*-*"):
        home, _, name = folder.name.removeprefix(home_prefix()).partition("-")
        if f"{home_prefix()}{home}" not in homes and folder.stat().st_uid == os.getuid():
            _remove(folder, name)


def _remove(folder: Path, name: str) -> None:
    from nodeagent.removal import remove_abandoned
    from nodeagent.runtime.protocol import RuntimeFailure

    try:
        asyncio.run(remove_abandoned(folder, name))
    except RuntimeFailure as failure:
        print(f"wherry: {folder} is left of a cluster that was killed, and stays: {failure}", file=sys.stderr)
