"""What is served besides resources: discovery, OpenAPI, version, health, metrics, and the tokens' public keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from apiserver.health import Health
from apiserver.metrics import Metrics
from apiserver.request import RequestInfo
from apiserver.response import PLAIN, Reply, object_reply
from openapi.catalog import Catalog
from openapi.documents import Documents

Object = dict[str, Any]
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


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
        return group in self._catalog.group_names()

    async def answer(self, info: RequestInfo, headers: Mapping[bytes, bytes]) -> Reply | None:
        path = info.at.path
        first = path.strip("/").partition("/")[0]
        if first in ("healthz", "livez", "readyz"):
            return await self._health.answer(info)
        if first == "metrics":
            return Reply(200, (self._metrics.text(),), METRICS_TYPE)
        if path in self._well_known:
            return object_reply(200, self._well_known[path](), PLAIN)
        return self._document(info, headers)

    def _document(self, info: RequestInfo, headers: Mapping[bytes, bytes]) -> Reply | None:
        found = self._documents.answer(
            info.method,
            info.at.path,
            accept=headers.get(b"accept", b"").decode("latin-1"),
            query=info.query,
            if_none_match=headers.get(b"if-none-match", b"").decode("latin-1"),
            server_address=self._server_address,
        )
        if found is None:
            return None
        return Reply(found.code, (found.body,), found.content_type, found.headers)
