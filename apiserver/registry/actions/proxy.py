"""The proxy subresources: requests carried on to pods, services and nodes by any method.

Follows: pkg/registry/core/{pod,service,node}/rest, pkg/registry/core/service/storage/storage.go ResourceLocation
"""

from __future__ import annotations

import asyncio
import random
import socket
from ipaddress import ip_address
from typing import Any

from apiserver.outbound import Target, Unreached, insecure_tls, query_text
from apiserver.registry.actions.connect import admit_connect
from apiserver.registry.actions.nodes import Nodes
from apiserver.registry.actions.services import Services
from apiserver.registry.context import Context
from apiserver.streams import carry, upgrade_failure, wants_upgrade
from openapi.catalog import Resource
from openapi.meta import status
from openapi.meta.field import quote

Object = dict[str, Any]

_KNOWN_PORTS = {"http": 80, "https": 443}


class Proxy:
    """One handler for all methods; the path says what is asked for."""

    def __init__(self, services: Services, nodes: Nodes) -> None:
        self._services = services
        self._nodes = nodes

    async def pod(self, context: Context) -> None:
        await admit_connect(self._services, context)
        scheme, name, port = split_name(context.info.at.name, "pod")
        entry = self._cached("pods").get(context.namespace, name)
        if entry is None:
            raise status.not_found("", "pods", name)
        pod = entry.object()
        addresses = (pod.get("status") or {}).get("podIPs")
        address = addresses[0].get("ip", "") if addresses else ""
        if not _is_allowed(address):
            raise status.bad_request("address not allowed")
        ports = [p for c in pod["spec"]["containers"] for p in c.get("ports") or ()]
        # Names of ports are not looked up in the pod: what is no number is one of the well-known ones, or nothing.
        first = ports[0]["containerPort"] if ports else _KNOWN_PORTS[scheme or "http"]
        number = _port_number(port) if port else first
        await self._carry(context, scheme, address, number)

    async def service(self, context: Context) -> None:
        await admit_connect(self._services, context)
        scheme, name, port = split_name(context.info.at.name, "service")
        if port.isdigit():
            port = self._port_name(context.namespace, name, int(port))
        address, number = self._endpoint(context, name, port)
        await self._carry(context, scheme, address, number)

    async def node(self, context: Context) -> None:
        await admit_connect(self._services, context)
        scheme, name, port = split_name(context.info.at.name, "node")
        target = self._nodes.target(name, f"/{context.info.at.trailing}{query_text(context.info.query)}")
        if port in ("", str(target.port)):
            await _carried(context, target)
        elif port.isdigit():
            await self._carry(context, scheme, await _resolved(target.host), int(port))
        else:
            raise _unknown_port(port)

    def _port_name(self, namespace: str, name: str, number: int) -> str:
        entry = self._cached("services").get(namespace, name)
        if entry is None:
            raise status.not_found("", "services", name)
        for port in entry.object()["spec"].get("ports") or ():
            if port["port"] == number:
                return str(port.get("name", ""))
        raise status.service_unavailable(f"no service port {number} found for service {quote(name)}")

    def _endpoint(self, context: Context, name: str, port: str) -> tuple[str, int]:
        """A pod's address and port behind the service. Raises 404 when none are known of, 503 when none is ready."""
        entry = self._cached("endpoints").get(context.namespace, name)
        if entry is None:
            raise status.not_found("", "services", name)
        subsets = entry.object().get("subsets") or []
        if not subsets:
            raise status.service_unavailable(f"no endpoints available for service {quote(name)}")
        found = [
            (address["ip"], one["port"])
            for subset in subsets
            for one in subset.get("ports") or ()
            if one.get("name", "") == port
            for address in subset.get("addresses") or ()
            if self._is_of_pod(context.namespace, address)
        ]
        if not found:
            raise status.service_unavailable(f"no endpoints available for service {quote(context.info.at.name)}")
        return random.choice(found)

    def _is_of_pod(self, namespace: str, address: Object) -> bool:
        """Nothing is carried to addresses that are not those of the namespace's pods."""
        target = address.get("targetRef") or {}
        if target.get("namespace", "") != namespace:
            return False
        pod = self._cached("pods").get(namespace, target.get("name", ""))
        addresses = (pod.object().get("status") or {}).get("podIPs") or () if pod is not None else ()
        return any(one.get("ip") == address["ip"] for one in addresses)

    async def _carry(self, context: Context, scheme: str, address: str, port: int) -> None:
        if not _is_allowed(address):
            raise status.bad_request("address not allowed")
        path = f"/{context.info.at.trailing}{query_text(context.info.query)}"
        tls = insecure_tls() if scheme == "https" else None
        await _carried(context, Target(address, port, path, tls))

    def _cached(self, resource: str, group: str = "") -> Any:
        row: Resource | None = self._services.catalog.by_gvr(group, "v1", resource)
        assert row is not None
        return self._services.store.cache(row)


def split_name(text: str, what: str) -> tuple[str, str, str]:
    """Scheme, name and port of `[scheme:]name[:port]`, the name of a `what`. Raises 400."""
    parts = text.split(":")
    if len(parts) == 3:
        scheme, name, port = parts
    else:
        scheme, name, port = "", parts[0], ":".join(parts[1:])
    if not name or ":" in port or scheme not in ("http", "https", ""):
        raise status.bad_request(f"invalid {what} request {quote(text)}")
    return scheme, name, port


def _port_number(port: str) -> int:
    """Raises 503 for a name that says nothing to a dialer."""
    if port.isdigit():
        return int(port)
    if port not in _KNOWN_PORTS:
        raise _unknown_port(port)
    return _KNOWN_PORTS[port]


def _is_allowed(address: str) -> bool:
    """Not the server's own host: loopback and link-local addresses are refused."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    return not (ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified)


async def _resolved(host: str) -> str:
    """An address of a host. Raises 400 where it has none, or one that nothing is carried to."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror as err:
        raise status.bad_request(f"lookup {host}: no such host") from err
    addresses = [str(item[4][0]) for item in found]
    if not all(map(_is_allowed, addresses)):
        raise status.bad_request("address not allowed")
    return addresses[0]


async def _carried(context: Context, target: Target) -> None:
    try:
        await carry(context, target, body=await _body(context))
    except Unreached as err:
        if wants_upgrade(context):
            raise upgrade_failure(err) from err
        raise _unreachable(str(err)) from err


def _unreachable(why: str) -> status.StatusError:
    return status.service_unavailable(f"error trying to reach service: {why}")


def _unknown_port(name: str) -> status.StatusError:
    return _unreachable(f"dial tcp: lookup tcp/{name}: unknown port")


async def _body(context: Context) -> bytes | None:
    if b"content-length" not in context.headers and b"transfer-encoding" not in context.headers:
        return None
    return await context.body()
