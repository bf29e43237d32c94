"""Where a node's server is, as the node's object tells."""

from __future__ import annotations

import ssl
from typing import Any

from apiserver.outbound import Target
from apiserver.registry.actions.services import Services
from openapi.meta import status

Object = dict[str, Any]

ADDRESS_ORDER = ("InternalIP", "Hostname", "ExternalIP", "InternalDNS", "ExternalDNS")
DEFAULT_PORT = 10250


class Nodes:
    """Finds nodes' servers. `tls` is None where the API server has no client certificate for them."""

    def __init__(self, services: Services, tls: ssl.SSLContext | None) -> None:
        self._services = services
        self._tls = tls

    def target(self, node_name: str, path: str) -> Target:
        """The node's server. Raises 404, and 500 where it has no address."""
        endpoint = self._services.endpoints.find("", "v1", "nodes")
        assert endpoint is not None
        entry = self._services.store.cache(endpoint.stored).get("", node_name)
        if entry is None:
            raise status.not_found("", "nodes", node_name)
        state = entry.object().get("status") or {}
        address = _address(state.get("addresses") or [])
        if not address:
            raise status.StatusError(500, "", "no preferred addresses found; known addresses: []")
        known = ((state.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port") or DEFAULT_PORT
        if self._tls is None:
            raise status.service_unavailable("this server has no client certificate for nodes")
        return Target(address, known, path, self._tls)


def _address(addresses: list[Object]) -> str:
    for kind in ADDRESS_ORDER:
        for address in addresses:
            if address.get("type") == kind and address.get("address"):
                return str(address["address"])
    return ""
