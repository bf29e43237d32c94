"""The nodes of a cluster on this machine: their names, their folders, and the certificates by which they are known."""

from __future__ import annotations

from pathlib import Path

from cluster.files import KeyPair
from cluster.home import Home


def node_folder(home: Home, name: str) -> Path:
    """Where a node keeps its volumes, logs and images. An ephemeral cluster's lie on disk too, as they may be large."""
    if home.ephemeral:
        return Path("/var/tmp") / f"{home.path.name}-{name}"
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
