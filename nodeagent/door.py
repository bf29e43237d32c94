"""The node's own API on the network: its certificate, and the server behind it."""

from __future__ import annotations

import asyncio
import logging
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

log = logging.getLogger(__name__)


class Door:
    """Serves until cancelled; a certificate of the cluster's CA replaces the self-signed one as soon as it is there."""

    def __init__(
        self, options: AgentOptions, client: Client, approver: Client | None, addresses: Sequence[str]
    ) -> None:
        self._options = options
        self._client = client
        self._approver = approver
        self._addresses = addresses

    async def serve(self, host: Host) -> None:
        options = self._options
        files = PairFiles(options.root / "pki" / "kubelet.crt", options.root / "pki" / "kubelet.key")
        if files.renew_in_s() <= 0:
            key = new_key()
            files.write(self_signed(options.name, self._addresses, key), key_pem(key))
        tls = self._tls(files)
        server = NodeServer(host, Gate(options.name, self._call))
        try:
            await server.start(options.address, options.port, tls)
            wanted = Wanted(options.name, SERVING_SIGNER, [options.name, *self._addresses])
            issued = PairFiles(options.root / "pki" / "kubelet-server.crt", options.root / "pki" / "kubelet-server.key")
            if issued.renew_in_s() > 0:
                tls.load_cert_chain(issued.cert, issued.key)
            while self._approver is not None:
                await keep_fresh(self._client, wanted, issued, self._approver)
                tls.load_cert_chain(issued.cert, issued.key)
            await asyncio.Event().wait()
        finally:
            await server.close()

    def _tls(self, files: PairFiles) -> Any:
        with tempfile.NamedTemporaryFile() as authority:
            authority.write(cluster_ca(self._options.kubeconfig))
            authority.flush()
            return server_tls(str(files.cert), str(files.key), authority.name)

    async def _call(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = orjson.loads(await self._client.raw("POST", path, dict(body)))
        return answer
