"""The node's own API on the network: its certificate, and the server behind it."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from controllers.runtime.client import Client
from nodeagent.identity import cluster_ca
from nodeagent.node.certificates import SERVING_SIGNER, PairFiles, Wanted, keep_fresh, key_pem, new_key, self_signed
from nodeagent.options import AgentOptions
from nodeagent.server.app import NodeServer, server_tls
from nodeagent.server.auth import Gate
from nodeagent.server.host import Host


class Door:
    """A certificate of the cluster's CA replaces the self-signed one as soon as it is there."""

    def __init__(self, options: AgentOptions, name: str, client: Client, addresses: Sequence[str]) -> None:
        self._options = options
        self._client = client
        self._wanted = Wanted(name, SERVING_SIGNER, [name, *addresses])
        folder = options.root / "pki"
        self._own = PairFiles(folder / "kubelet.crt", folder / "kubelet.key")
        self._issued = PairFiles(folder / "kubelet-server.crt", folder / "kubelet-server.key")
        self._gate = Gate(name, self._call)
        self._tls: ssl.SSLContext | None = None
        self._server: NodeServer | None = None

    async def open(self, host: Host, port: int) -> int:
        """Listen; the answer is the port (given 0, any free one). Raises OSError."""
        if self._issued.renew_in_s() <= 0 and self._own.renew_in_s() <= 0:
            key = new_key()
            self._own.write(self_signed(self._wanted.node, self._wanted.addresses[1:], key), key_pem(key))
        files = self._issued if self._issued.renew_in_s() > 0 else self._own
        with tempfile.NamedTemporaryFile() as authority:
            authority.write(cluster_ca(self._options.kubeconfig))
            authority.flush()
            self._tls = server_tls(str(files.cert), str(files.key), authority.name)
        self._server = NodeServer(host, self._gate)
        return await self._server.start(self._options.address, port, self._tls)

    async def keep_certificate(self, approver: Client) -> None:
        """Ask for certificates of the cluster's CA whenever one is needed, for ever."""
        while self._tls is not None:
            await keep_fresh(self._client, self._wanted, self._issued, approver)
            self._tls.load_cert_chain(self._issued.cert, self._issued.key)

    async def close(self) -> None:
        if self._server is not None:
            async with asyncio.timeout(5):
                await self._server.close()

    async def _call(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = orjson.loads(await self._client.raw("POST", path, dict(body)))
        return answer
