"""Whether the servers behind API services answer: their conditions, and what they say that they serve.

Follows: staging/src/k8s.io/kube-aggregator/pkg/controllers/status/remote/remote_available_controller.go
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import orjson

from apiserver.aggregation.identity import AGGREGATOR, identity_headers
from apiserver.aggregation.location import PORT, Locator, Unresolved
from apiserver.outbound import Target, dial_error, get
from apiserver.service_endpoints import ready_addresses
from openapi.documents.foreign import ForeignVersion, resources_of
from openapi.meta.field import quote

Object = dict[str, Any]
Struct = Mapping[str, Any]

ANSWER_TIMEOUT_S = 5.0


class Availability:
    """Asks, and remembers what each answered last."""

    def __init__(self, locator: Locator) -> None:
        self._locator = locator
        self._known: dict[str, ForeignVersion] = {}

    def foreign(self) -> tuple[ForeignVersion, ...]:
        """Everything that others serve, or would if they answered."""
        return tuple(self._known.values())

    def is_available(self, name: str) -> bool:
        known = self._known.get(name)
        return known is not None and known.resources is not None

    def forget_others(self, names: Iterable[str]) -> None:
        """Keep only these API services."""
        for gone in self._known.keys() - set(names):
            del self._known[gone]

    async def condition(self, name: str, spec: Struct) -> Object:
        """The Available condition of an API service, worked out anew by asking its server."""
        group, version = spec.get("group", ""), spec["version"]
        known = ForeignVersion(
            group, version, spec.get("groupPriorityMinimum") or 0, spec.get("versionPriority") or 0
        )
        self._known.setdefault(name, known)
        problem = self._problem(spec["service"])
        if problem is None:
            try:
                known = await self._asked(spec, known)
            except _Failed as err:
                problem = ("FailedDiscoveryCheck", str(err))
        self._known[name] = known
        if problem is None:
            return _condition("True", "Passed", "all checks passed")
        return _condition("False", *problem)

    def _problem(self, reference: Struct) -> tuple[str, str] | None:
        """Reason and message of what is known to fail without asking."""
        name, namespace, port = reference["name"], reference["namespace"], reference.get("port") or PORT
        where = f"service/{name} in {quote(namespace)}"
        service = self._locator.service(reference)
        if service is None:
            return "ServiceNotFound", f"{where} is not present"
        if service["spec"].get("type", "ClusterIP") != "ClusterIP":
            return None
        known = next((p for p in service["spec"].get("ports") or () if p["port"] == port), None)
        if known is None:
            return "ServicePortError", f"{where} is not listening on port {port}"
        slices, port_name = self._locator.slices(reference), known.get("name", "")
        if not slices:
            return "EndpointsNotFound", f"cannot find endpointslices for {where}"
        if not ready_addresses(slices, port_name):
            text = f"endpointslices for {where} have no addresses with port name {quote(port_name)}"
            return "MissingEndpoints", text
        return None

    async def _asked(self, spec: Struct, known: ForeignVersion) -> ForeignVersion:
        path = f"/apis/{known.group}/{known.version}"
        listed = await self._document(spec, path)
        resources = resources_of(listed, known.group, known.version)
        last = self._known.get(f"{known.version}.{known.group}")
        if last is not None and last.resources == resources:
            return replace(known, resources=resources, openapi_v3=last.openapi_v3, swagger=last.swagger)
        index = await self._optional(spec, "/openapi/v3")
        url = ((index.get("paths") or {}).get(path[1:]) or {}).get("serverRelativeURL", "")
        swagger = await self._optional(spec, "/openapi/v2")
        return replace(known, resources=resources, openapi_v3=url, swagger=swagger)

    async def _optional(self, spec: Struct, path: str) -> Struct:
        try:
            return await self._document(spec, path)
        except _Failed:
            return {}

    async def _document(self, spec: Struct, path: str) -> Struct:
        """A JSON object that the server gives for a path. Raises _Failed."""
        try:
            target = self._locator.target(spec, path)
        except Unresolved as err:
            raise _Failed(str(err)) from err
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                code, body = await get(target, identity_headers(AGGREGATOR))
        except TimeoutError:
            raise _Failed(f"timed out waiting for {target.url}") from None
        except (OSError, ssl.SSLError, ValueError) as err:
            raise _Failed(f'{_lacking(target)}Get "{target.url}": {dial_error(target, err)}') from err
        if not 200 <= code < 300:
            raise _Failed(f"{_lacking(target)}bad status from {target.url}: {code}")
        try:
            found = orjson.loads(body)
        except ValueError:
            found = None
        return found if isinstance(found, dict) else {}


class _Failed(Exception):
    pass


def _lacking(target: Target) -> str:
    return f"failing or missing response from {target.url}: "


def _condition(state: str, reason: str, message: str) -> Object:
    return {"type": "Available", "status": state, "reason": reason, "message": message}
