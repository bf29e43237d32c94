"""How the agent is known to the API server: a kubeconfig with its own certificate, asked for when it has none yet."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import yaml

from controllers.runtime.client import Client
from controllers.runtime.transport import open_transport
from nodeagent.node.certificates import CLIENT_SIGNER, PairFiles, Wanted, key_pem, new_key, obtain
from nodeagent.pods.tell import COMPONENT


async def ensure_kubeconfig(bootstrap: Path, folder: Path, node: str) -> Path:
    """A kubeconfig in the node's own name. With `bootstrap` credentials a certificate is asked for first.

    Raises NotIssued, ApiError.
    """
    files = PairFiles(folder / "kubelet-client.crt", folder / "kubelet-client.key")
    if files.renew_in_s() <= 0:
        transport = await open_transport(bootstrap)
        try:
            key = new_key()
            client = Client(transport, COMPONENT)
            certificate = await obtain(client, Wanted(node, CLIENT_SIGNER), key, client)
            files.write(certificate, key_pem(key))
        finally:
            await transport.close()
    return _write_kubeconfig(bootstrap, files, folder / "kubelet.kubeconfig", node)


def _write_kubeconfig(bootstrap: Path, files: PairFiles, path: Path, node: str) -> Path:
    """The bootstrap one's cluster with the node as user."""
    given = yaml.safe_load(bootstrap.read_text())
    cluster = _current_cluster(given)
    config = {
        "kind": "Config",
        "apiVersion": "v1",
        "clusters": [{"name": "default", "cluster": cluster}],
        "users": [
            {
                "name": f"system:node:{node}",
                "user": {"client-certificate": str(files.cert), "client-key": str(files.key)},
            }
        ],
        "contexts": [{"name": "default", "context": {"cluster": "default", "user": f"system:node:{node}"}}],
        "current-context": "default",
    }
    path.write_text(yaml.safe_dump(config))
    path.chmod(0o600)
    return path


def cluster_ca(kubeconfig: Path) -> bytes:
    """The certificates of the cluster's CA, which also sign the API server's client certificate."""
    cluster = _current_cluster(yaml.safe_load(kubeconfig.read_text()))
    if cluster.get("certificate-authority-data"):
        return base64.b64decode(cluster["certificate-authority-data"])
    path = cluster.get("certificate-authority")
    return Path(path).read_bytes() if path else b""


def _current_cluster(config: Any) -> dict[str, str]:
    contexts = {item["name"]: item["context"] for item in config.get("contexts") or ()}
    wanted = contexts[config.get("current-context")]["cluster"]
    found: dict[str, str] = next(item["cluster"] for item in config["clusters"] if item["name"] == wanted)
    return found
