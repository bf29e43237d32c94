"""The API as controllers call it: raw JSON objects in and out, refusals as exceptions of `controllers.runtime.errors`.

Every call has a time limit; what the server refuses for load (429, or 5xx that asks for patience) is tried again.
A write made while a key is reconciled is remembered for that key (see `consistency`).
"""

from __future__ import annotations

import asyncio
import platform
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal
from urllib.parse import quote, urlencode

import orjson

from controllers.runtime import consistency
from controllers.runtime.errors import ApiError
from controllers.runtime.objects import Key, Object, View
from controllers.runtime.transport import Transport
from openapi.catalog import Resource

VERSION = "v1.36.2"
TIMEOUT_S = 30.0
MAX_TRIES = 10

PatchType = Literal["json", "merge", "strategic"]
_PATCH_TYPES: Mapping[str, str] = {
    "json": "application/json-patch+json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}
_METADATA_ACCEPT = "application/json;as=PartialObjectMetadata{list};g=meta.k8s.io;v=v1,application/json"


def user_agent(component: str, name: str = "") -> str:
    """The User-Agent by which the real component is known; field ownership takes the manager's name from it."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    text = f"{component}/{VERSION} ({platform.system().lower()}/{machine}) kubernetes/wherry"
    return f"{text}/{name}" if name else text


class Client:
    """One caller's view of the API. `named` gives another caller's over the same connections."""

    def __init__(self, transport: Transport, component: str, name: str = "", timeout_s: float = TIMEOUT_S) -> None:
        self._transport = transport
        self._send = transport.send
        self._component = component
        self._timeout_s = timeout_s
        self._headers = {
            "User-Agent": user_agent(component, name),
            "Accept": "application/json",
            "Content-Type": "application/json",
        }

    def named(self, name: str) -> Client:
        """The same component as another caller: `deployment-controller`, `leader-election`."""
        return Client(self._transport, self._component, name, self._timeout_s)

    def urgent(self, name: str, timeout_s: float) -> Client:
        """A caller whose calls wait for nobody's."""
        client = Client(self._transport, self._component, name, timeout_s)
        client._send = self._transport.send_now
        return client

    @property
    def server(self) -> str:
        return self._transport.server

    async def get(self, resource: Resource, namespace: str, name: str, subresource: str = "") -> Object:
        return await self._call("GET", path_of(resource, namespace, name, subresource))

    async def list(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        labels: str = "",
        fields: str = "",
        resource_version: str = "",
        metadata_only: bool = False,
    ) -> Object:
        """The whole list object. Its items carry no kind and apiVersion of their own."""
        query = {"labelSelector": labels, "fieldSelector": fields, "resourceVersion": resource_version}
        headers = {"Accept": _METADATA_ACCEPT.format(list="List")} if metadata_only else {}
        return await self._call("GET", path_of(resource, namespace) + query_of(query), headers=headers)

    async def create(
        self, resource: Resource, obj: View, *, namespace: str = "", name: str = "", subresource: str = ""
    ) -> Object:
        """Create `obj` in its own namespace or the one given; `name` is the parent's where a subresource is created."""
        namespace = namespace or obj["metadata"].get("namespace", "")
        path = path_of(resource, namespace, name, subresource)
        return self._wrote(resource, await self._write(resource, namespace, "POST", path, obj), subresource)

    async def update(self, resource: Resource, obj: View, subresource: str = "") -> Object:
        """Replace the object by `obj`, provided that its resourceVersion is still the current one."""
        metadata = obj["metadata"]
        namespace = metadata.get("namespace", "")
        path = path_of(resource, namespace, metadata["name"], subresource)
        return self._wrote(resource, await self._write(resource, namespace, "PUT", path, obj), subresource)

    async def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        patch: Any,
        *,
        type: PatchType = "merge",
        subresource: str = "",
    ) -> Object:
        path, headers = path_of(resource, namespace, name, subresource), {"Content-Type": _PATCH_TYPES[type]}
        answer = await self._write(resource, namespace, "PATCH", path, patch, headers=headers)
        return self._wrote(resource, answer, subresource)

    async def apply(
        self, resource: Resource, obj: View, *, manager: str, force: bool = True, subresource: str = ""
    ) -> Object:
        """Server-side apply of the fields in `obj` in the name of `manager`."""
        metadata = obj["metadata"]
        namespace = metadata.get("namespace", "")
        path = path_of(resource, namespace, metadata["name"], subresource)
        path += query_of({"fieldManager": manager, "force": "true" if force else ""})
        headers = {"Content-Type": "application/apply-patch+yaml"}
        answer = await self._write(resource, namespace, "PATCH", path, obj, headers=headers)
        return self._wrote(resource, answer, subresource)

    async def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        uid: str = "",
        resource_version: str = "",
        grace_s: int | None = None,
        propagation: Literal["", "Foreground", "Background", "Orphan"] = "",
    ) -> Object:
        """Delete one object, if it still has that uid and resourceVersion. Answers the object or a Status."""
        options: Object = {"kind": "DeleteOptions", "apiVersion": "v1"}
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        if uid or resource_version:
            options["preconditions"] = {field: value for field, value in preconditions.items() if value}
        if grace_s is not None:
            options["gracePeriodSeconds"] = grace_s
        if propagation:
            options["propagationPolicy"] = propagation
        answer = await self._write(resource, namespace, "DELETE", path_of(resource, namespace, name), options)
        deleted = uid or answer.get("metadata", {}).get("uid") or answer.get("details", {}).get("uid") or ""
        consistency.deleted(resource, Key(namespace, name), deleted)
        return answer

    async def delete_collection(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        labels: str = "",
        fields: str = "",
        propagation: Literal["", "Foreground", "Background", "Orphan"] = "",
    ) -> Object:
        query = query_of({"labelSelector": labels, "fieldSelector": fields})
        options = {"kind": "DeleteOptions", "apiVersion": "v1"}
        if propagation:
            options["propagationPolicy"] = propagation
        return await self._call("DELETE", path_of(resource, namespace) + query, options)

    async def raw(
        self, method: str, path: str, body: Any = None, *, timeout_s: float | None = None, accept: str = ""
    ) -> bytes:
        """Any path of the server (`/readyz`, discovery); the answer as it is."""
        headers = {**self._headers, "Accept": accept} if accept else self._headers
        return await self._transport.send(method, path, headers, body, timeout_s or self._timeout_s)

    def watch(
        self,
        resource: Resource,
        resource_version: str,
        *,
        namespace: str = "",
        fields: str = "",
        timeout_s: int,
        metadata_only: bool = False,
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The bytes of a watch that the server ends after `timeout_s`; one JSON event a line."""
        query = {"watch": "1", "allowWatchBookmarks": "true", "resourceVersion": resource_version}
        query |= {"timeoutSeconds": str(timeout_s), "fieldSelector": fields}
        headers = self._headers
        if metadata_only:
            headers = {**headers, "Accept": _METADATA_ACCEPT.format(list="")}
        path = path_of(resource, namespace) + query_of(query)
        return self._transport.stream(path, headers, timeout_s + TIMEOUT_S)

    async def _write(
        self,
        resource: Resource,
        namespace: str,
        method: str,
        path: str,
        body: Any,
        headers: Mapping[str, str] | None = None,
    ) -> Object:
        """A call that changes something; without an answer nobody knows whether it did."""
        try:
            return await self._call(method, path, body, headers)
        except ApiError as error:
            if error.code == 0 or error.code >= 500:
                consistency.lost(resource, namespace)
            raise

    async def _call(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Object:
        sent = {**self._headers, **headers} if headers else self._headers
        for attempt in range(1, MAX_TRIES + 1):
            try:
                answer = await self._send(method, path, sent, body, self._timeout_s)
            except ApiError as error:
                if not _is_temporary(error) or attempt == MAX_TRIES:
                    raise
                await asyncio.sleep(error.retry_after_s)
            else:
                return orjson.loads(answer)  # type: ignore[no-any-return]
        raise AssertionError("unreachable: the last try returns or raises")

    @staticmethod
    def _wrote(resource: Resource, answer: Object, subresource: str) -> Object:
        # The answer of a subresource with a kind of its own (scale, eviction) names no revision of the parent's store.
        if not subresource or answer.get("kind") == resource.kind:
            consistency.wrote(resource, int(answer.get("metadata", {}).get("resourceVersion") or 0))
        return answer


def _is_temporary(error: ApiError) -> bool:
    """Whether the server asks to try the same call again: nothing of it was done."""
    return error.retry_after_s > 0 and (error.code == 429 or error.code >= 500)


def path_of(resource: Resource, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """The URL path of a collection, an object or a subresource."""
    root = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    scope = f"/namespaces/{quote(namespace, safe='')}" if namespace and resource.namespaced else ""
    path = f"{root}{scope}/{resource.resource}"
    if name:
        path = f"{path}/{quote(name, safe='')}"
    return f"{path}/{subresource}" if subresource else path


def query_of(parameters: Mapping[str, str]) -> str:
    """`?a=b` of the parameters that are not empty."""
    given = {name: value for name, value in parameters.items() if value}
    return "?" + urlencode(given) if given else ""
