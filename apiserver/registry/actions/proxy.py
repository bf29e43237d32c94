"""The proxy subresources: requests carried on to pods, services and nodes by any method.

Follows: pkg/registry/core/{pod,service,node}/rest, pkg/registry/core/service/storage/storage.go ResourceLocation
"""

from __future__ import annotations

import asyncio
import posixpath
import random
import socket
import string
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote as escape
from urllib.parse import urlsplit, urlunsplit

from apiserver.outbound import Target, Unreached, insecure_tls, path_text
from apiserver.registry.actions.connect import admit_connect
from apiserver.registry.actions.nodes import Nodes
from apiserver.registry.actions.services import Services
from apiserver.registry.context import Context
from apiserver.request import RequestInfo
from apiserver.response import Reply
from apiserver.streams import carry, upgrade_failure, wants_upgrade
from openapi.catalog import Resource
from openapi.meta import status
from openapi.meta.field import quote

Object = dict[str, Any]

_KNOWN_PORTS = {"http": 80, "https": 443}
_CORS = b"access-control-allow-"


class Proxy:
    """One handler for all methods; the path says what is asked for."""

    def __init__(self, services: Services, nodes: Nodes) -> None:
        self._services = services
        self._nodes = nodes

    async def pod(self, context: Context) -> Reply | None:
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
        return await self._carry(context, scheme, address, number)

    async def service(self, context: Context) -> Reply | None:
        await admit_connect(self._services, context)
        scheme, name, port = split_name(context.info.at.name, "service")
        if port.isdigit():
            port = self._port_name(context.namespace, name, int(port))
        address, number = self._endpoint(context, name, port)
        return await self._carry(context, scheme, address, number)

    async def node(self, context: Context) -> Reply | None:
        await admit_connect(self._services, context)
        scheme, name, port = split_name(context.info.at.name, "node")
        target = self._nodes.target(name, _onward(context.info))
        if port in ("", str(target.port)):
            return await _carried(context, target)
        if not port.isdigit():
            raise _unknown_port(port)
        return await self._carry(context, scheme, await _resolved(target.host), int(port))

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

    async def _carry(self, context: Context, scheme: str, address: str, port: int) -> Reply | None:
        if not _is_allowed(address):
            raise status.bad_request("address not allowed")
        tls = insecure_tls() if scheme == "https" else None
        return await _carried(context, Target(address, port, _onward(context.info), tls))

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


async def _carried(context: Context, target: Target) -> Reply | None:
    """Carry a request on. Relative links need a slash behind the bare subresource: who reads is sent there first."""
    info = context.info
    if not _path_behind(info) and info.method in ("GET", "HEAD") and not wants_upgrade(context):
        return Reply(301, (), "", (("location", f"{path_text(info.at.path)}/{_query(info)}"),))

    def revise(headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        prefix = info.at.path.removesuffix(_path_behind(info))
        hosts = (f"{target.host}:{target.port}", context.headers.get(b"host", b"").decode("latin-1"))
        return [
            (name, _moved(value.decode("latin-1"), prefix, *hosts).encode("latin-1") if name == b"location" else value)
            for name, value in headers
            if not name.startswith(_CORS)
        ]

    try:
        await carry(context, target, body=await _body(context), revise=revise)
    except Unreached as err:
        if wants_upgrade(context):
            raise upgrade_failure(err) from err
        raise _unreachable(str(err)) from err
    return None


def _path_behind(info: RequestInfo) -> str:
    """What follows the subresource in the path, decoded."""
    path = f"/{info.at.trailing}" if info.at.trailing else ""
    return path + "/" if info.at.path.endswith("/") and not path.endswith("/") else path


def _query(info: RequestInfo) -> str:
    return "?" + escape(info.query_string, safe=string.punctuation) if info.query_string else ""


def _onward(info: RequestInfo) -> str:
    """Path and query that the backend is asked for."""
    return (path_text(_path_behind(info)) or "/") + _query(info)


def _moved(location: str, prefix: str, backend: str, asked: str) -> str:
    """Where a backend's redirect leads by way of the proxy, whose paths begin with `prefix`.

    `backend` is its host, `asked` the one that the client asked. Other hosts and relative paths stay as they are.
    """
    url = urlsplit(location)
    if url.netloc not in ("", backend, asked) or not url.path.startswith("/"):
        return location
    if url.netloc != asked:
        url = url._replace(scheme="", netloc="")
    if not url.path.startswith(prefix):
        path = posixpath.normpath(prefix + url.path) + ("/" if url.path.endswith("/") else "")
        url = url._replace(path=path)
    return urlunsplit(url)


def _unreachable(why: str) -> status.StatusError:
    return status.service_unavailable(f"error trying to reach service: {why}")


def _unknown_port(name: str) -> status.StatusError:
    return _unreachable(f"dial tcp: lookup tcp/{name}: unknown port")


async def _body(context: Context) -> bytes | None:
    if b"content-length" not in context.headers and b"transfer-encoding" not in context.headers:
        return None
    return await context.body()
