"""Requests below a group and version that an API service hands to another server, carried on to it.

Follows: staging/src/k8s.io/kube-aggregator/pkg/apiserver/handler_proxy.go
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apiserver.aggregation.availability import Availability
from apiserver.aggregation.identity import identity_headers
from apiserver.aggregation.location import Locator, Unresolved
from apiserver.outbound import Unreached, path_text, query_text
from apiserver.registry.context import Receive, read_body
from apiserver.request import RequestInfo
from apiserver.resources.strategy import User
from apiserver.response import Reply, Send
from apiserver.storage.store import Store
from apiserver.streams import carry
from openapi.catalog import Catalog

TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Delegated:
    """A request that is not ours to answer."""

    info: RequestInfo
    user: User
    headers: Mapping[bytes, bytes]
    all_headers: Sequence[tuple[bytes, bytes]]
    receive: Receive
    send: Send
    connection: Any = None


class Aggregator:
    """Knows which groups and versions others serve."""

    def __init__(self, store: Store, catalog: Catalog, locator: Locator, availability: Availability) -> None:
        row = catalog.by_gvr("apiregistration.k8s.io", "v1", "apiservices")
        assert row is not None
        self._services = store.cache(row)
        self._locator = locator
        self._availability = availability

    def serves(self, group: str, version: str) -> bool:
        """Whether an API service hands this group and version to a service."""
        entry = self._services.get("", f"{version}.{group}")
        return entry is not None and bool(entry.object()["spec"].get("service"))

    def openapi_owner(self, path: str) -> tuple[str, str] | None:
        """Group and version of an OpenAPI document's path (`/openapi/v3/apis/GROUP/VERSION`) that another serves."""
        match path.strip("/").split("/"):
            case ["openapi", "v3", "apis", group, version] if self.serves(group, version):
                return group, version
        return None

    async def answer(self, request: Delegated, group: str, version: str) -> Reply | None:
        """Carry a request on; None once it is answered."""
        name = f"{version}.{group}"
        entry = self._services.get("", name)
        if entry is None or not self._availability.is_available(name):
            return _plain(503, "service unavailable")
        info = request.info
        path = path_text(info.at.path) + query_text(dict(sorted(info.query.items())))
        try:
            target = self._locator.target(entry.object()["spec"], path)
        except Unresolved:
            return _plain(503, "service unavailable")
        body = None
        if b"content-length" in request.headers or b"transfer-encoding" in request.headers:
            body = await read_body(request.receive, request.headers)
        try:
            await carry(request, target, body=body, identity=identity_headers(request.user))
        except Unreached as err:
            return _plain(503, f"error trying to reach service: {err}")
        return None


def _plain(code: int, text: str) -> Reply:
    return Reply(code, (f"{text}\n".encode(),), TEXT, (("x-content-type-options", "nosniff"),))
