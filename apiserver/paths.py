"""What is served besides resources: discovery, OpenAPI, version, health, metrics, and the tokens' public keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from apiserver.health import Health
from apiserver.metrics import Metrics
from apiserver.request import RequestInfo
from apiserver.response import JSON, PLAIN, PRODUCED, Reply, object_reply, routes_to, unavailable
from openapi.catalog import Catalog
from openapi.documents import Document, Documents
from openapi.meta import status

Object = dict[str, Any]
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
JWK_SET = "application/jwk-set+json"
AGGREGATOR = "apiregistration.k8s.io"
"""The only group whose own page is a route; those of others are put together from the API services."""


class SystemPaths:
    """Answers every path that is not a resource's."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        documents: Documents,
        health: Health,
        metrics: Metrics,
        well_known: Mapping[str, Callable[[], Object]],
        server_address: str,
    ) -> None:
        self._catalog = catalog
        self._documents = documents
        self._health = health
        self._metrics = metrics
        self._well_known = well_known
        self._server_address = server_address

    def serves_group(self, group: str) -> bool:
        """Whether the group is one of the server's own; paths below custom groups are just not there."""
        return any(not row.custom for version in self._catalog.versions(group)
                   for row in self._catalog.of_group_version(group, version))  # fmt: skip

    async def answer(self, info: RequestInfo, headers: Mapping[bytes, bytes]) -> Reply | None:
        path = info.at.path
        first = path.strip("/").partition("/")[0]
        if first in ("healthz", "livez", "readyz"):
            return await self._health.answer(info)
        if path == "/metrics":
            return Reply(200, (self._metrics.text(),), METRICS_TYPE)
        if path == "/metrics/slis":
            return Reply(200, (await self._health.indicators(),), METRICS_TYPE)
        accept = headers.get(b"accept", b"").decode("latin-1")
        self._check_route(info, accept)
        if path in self._well_known:
            reply = object_reply(200, self._well_known[path](), PLAIN)
            reply.content_type = self._offers(path)[0]
            return reply
        found = self._document(info, accept)
        if found is None:
            return None
        known = headers.get(b"if-none-match", b"").decode("latin-1")
        extra = (("etag", found.etag), *found.headers) if found.etag else found.headers
        if found.etag and known == found.etag:
            return Reply(304, (), found.content_type, extra)
        return Reply(found.status, (found.body,), found.content_type, extra)

    def _check_route(self, info: RequestInfo, accept: str) -> None:
        """What is a route of its own takes GET alone, and makes only some media types. Raises 405 and 406."""
        offers = self._offers(info.at.path)
        if not offers:
            return
        if info.method != "GET":
            raise status.method_not_allowed()
        if not routes_to(accept, offers):
            raise unavailable(offers)

    def _offers(self, path: str) -> tuple[str, ...]:
        """The media types of a route; () for what is no route: everything else answers any method."""
        if path in self._well_known:
            return (JWK_SET,) if path.endswith("/jwks") else (JSON,)
        match path.strip("/").split("/"):
            case ["version"]:
                return (JSON,)
            case ["api"]:
                return PRODUCED
            case ["api", version]:
                return PRODUCED if self._catalog.of_group_version("", version) else ()
            case ["apis", group, version]:
                rows = self._catalog.of_group_version(group, version)
                return PRODUCED if any(not row.custom for row in rows) else ()
            case ["apis", group]:
                return PRODUCED if group == AGGREGATOR else ()
        return ()

    def _document(self, info: RequestInfo, accept: str) -> Document | None:
        path = info.at.path.strip("/")
        first, _, rest = path.partition("/")
        if first in ("api", "apis"):
            found = self._documents.discover(path, accept, self._server_address)
            if found is None and (first == "api" or self.serves_group(rest.partition("/")[0])):
                raise status.page_not_found()
            return found
        if path == "version":
            return self._documents.version()
        if path == "openapi/v2":
            return self._documents.openapi_v2(accept)
        if path == "openapi/v3":
            return self._documents.openapi_v3_index()
        if path.startswith("openapi/v3/"):
            name = path.removeprefix("openapi/v3/")
            return self._documents.openapi_v3(name, accept, info.first("hash")) or Document("", b"", status=404)
        if path in ("", "index.html"):
            return self._root()
        return None

    def _root(self) -> Document:
        """All paths that the server knows, for who looks at / ."""
        rows = {f"/apis/{r.group}/{r.version}" if r.group else f"/api/{r.version}" for r in self._catalog.rows()}
        groups = {f"/apis/{g}" for g in self._catalog.group_names() if g}
        known = {"/api", "/apis", "/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/readyz", "/version"}
        paths = sorted(rows | groups | known | set(self._well_known) | self._health.paths())
        return Document(JSON, orjson.dumps({"paths": paths}, option=orjson.OPT_INDENT_2))
