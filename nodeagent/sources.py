"""What pods need from the API besides themselves: config maps, secrets, tokens, claims, runtime classes.

Config maps and secrets are watched, the rest is read when needed; what was read last stands in while the server is
away. Tokens are kept until four fifths of their life are over.
Follows: pkg/kubelet/token/token_manager.go
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from controllers.runtime.client import Client
from controllers.runtime.errors import ApiError, NotFound
from controllers.runtime.kinds import (
    CONFIG_MAPS,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    SECRETS,
    SERVICE_ACCOUNTS,
    resource,
)
from controllers.runtime.store import Store
from nodeagent.objects import Reference, WatchedObjects
from nodeagent.pods import spec
from nodeagent.pods.environment import ConfigProblem
from nodeagent.pods.spec import View
from openapi.catalog import Resource
from openapi.meta.times import parse_time

RUNTIME_CLASSES = resource("node.k8s.io", "v1", "runtimeclasses")
TOKEN_LIFE_SHARE = 0.8
TOKEN_LONGEST_S = 24 * 3600.0
KEPT_OBJECTS = 1000
"""How many objects are remembered for when the server is away."""
PATIENCE_S = 2.0
SILENCE_S = 10.0
"""After a server has not answered in time it is not waited for for so long."""


@dataclass(frozen=True, slots=True)
class _Token:
    status: Mapping[str, str]
    fresh_until: float


class ApiSources:
    """Everything through one client. `file_in` finds a file in a pod's volume."""

    def __init__(
        self,
        client: Client,
        services: Store,
        objects: WatchedObjects,
        file_in: Callable[[View, str, str], Path | None],
    ) -> None:
        self._client = client
        self._services = services
        self._objects = objects
        self._kept: dict[tuple[str, str, str], View] = {}
        self._file_in = file_in
        self._tokens: dict[tuple[str, str, int], _Token] = {}
        self._silent_since = -SILENCE_S

    async def config_map(self, namespace: str, name: str) -> View | None:
        return await self._object(Reference("configmap", namespace, name), CONFIG_MAPS)

    async def secret(self, namespace: str, name: str) -> View | None:
        return await self._object(Reference("secret", namespace, name), SECRETS)

    async def claim(self, namespace: str, name: str) -> View | None:
        return await self._get(PERSISTENT_VOLUME_CLAIMS, namespace, name)

    async def persistent_volume(self, name: str) -> View | None:
        return await self._get(PERSISTENT_VOLUMES, "", name)

    def file_in(self, pod: View, volume: str, path: str) -> Path | None:
        return self._file_in(pod, volume, path)

    def services(self) -> Iterable[View]:
        return self._services.all()

    async def runtime_handler(self, name: str) -> str:
        if not name:
            return ""
        found = await self._get(RUNTIME_CLASSES, "", name)
        if found is None:
            raise ConfigProblem(f'failed to get sandbox runtime: runtimeclasses.node.k8s.io "{name}" not found')
        return str(found.get("handler", ""))

    async def token(self, pod: View, audience: str, lifetime_s: int) -> str:
        return (await self.token_status(pod, audience, lifetime_s))["token"]

    async def token_status(self, pod: View, audience: str, lifetime_s: int) -> Mapping[str, str]:
        """`token` and `expirationTimestamp` of a token that is still fresh. Raises ConfigProblem."""
        key = (spec.uid_of(pod), audience, lifetime_s)
        known = self._tokens.get(key)
        if known is not None and known.fresh_until > time.time():
            return known.status
        metadata = pod["metadata"]
        account = pod["spec"].get("serviceAccountName") or "default"
        bound = {"kind": "Pod", "apiVersion": "v1", "name": metadata["name"], "uid": metadata["uid"]}
        request = {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": account, "namespace": metadata["namespace"]},
            "spec": {
                "audiences": [audience] if audience else None,
                "expirationSeconds": lifetime_s,
                "boundObjectRef": bound,
            },
        }
        try:
            async with asyncio.timeout(self._patience_s() if known is not None else None):
                answer = await self._client.create(SERVICE_ACCOUNTS, request, name=account, subresource="token")
        except TimeoutError:
            assert known is not None
            self._silent_since = time.monotonic()
            return known.status
        except ApiError as error:
            if known is not None:
                return known.status
            message = f'failed to fetch token: {error.message}'
            raise ConfigProblem(message) from error
        status = answer["status"]
        left_s = parse_time(status["expirationTimestamp"]).timestamp() - time.time()
        fresh_until = time.time() + min(left_s * TOKEN_LIFE_SHARE, TOKEN_LONGEST_S)
        self._tokens[key] = _Token(status, fresh_until)
        return self._tokens[key].status

    async def trust_bundle(self, source: View) -> str | None:
        """The certificates of a ClusterTrustBundle by name, or of all bundles of a signer with certain labels."""
        from openapi.meta.selectors import from_label_selector

        bundles = resource("certificates.k8s.io", "v1beta1", "clustertrustbundles")
        if source.get("name"):
            found = await self._get(bundles, "", source["name"])
            return str(found["spec"]["trustBundle"]) if found is not None else None
        signer = source.get("signerName", "")
        answer = await self._client.list(bundles, fields=f"spec.signerName={signer}")
        selector = from_label_selector(source.get("labelSelector"))
        chosen = [
            item["spec"]["trustBundle"]
            for item in answer.get("items") or ()
            if selector.matches(item["metadata"].get("labels") or {})
        ]
        return "".join(chosen) if chosen else None

    def add_listener(self, listener: Callable[[str], None]) -> None:
        """Call it with the uid of a pod whenever an object has changed that the pod names."""
        self._objects.add_listener(listener)

    def register(self, pod: View) -> None:
        """Have what the pod names at hand, until it is forgotten."""
        self._objects.register(pod)

    def forget(self, uid: str) -> None:
        """Drop what was kept for a pod that is gone."""
        self._objects.forget(uid)
        for key in [key for key in self._tokens if key[0] == uid]:
            del self._tokens[key]

    async def _object(self, reference: Reference, kind: Resource) -> View | None:
        if self._objects.knows(reference):
            return await self._objects.get(reference)
        return await self._get(kind, reference.namespace, reference.name)

    def _patience_s(self) -> float:
        """How long to wait for what is known from before: one who waits may have to start a container."""
        was_silent = time.monotonic() - self._silent_since < SILENCE_S
        return 0.0 if was_silent else PATIENCE_S

    async def _get(self, kind: Resource, namespace: str, name: str) -> View | None:
        key = (kind.resource, namespace, name)
        try:
            async with asyncio.timeout(self._patience_s() if key in self._kept else None):
                found = self._kept[key] = await self._client.get(kind, namespace, name)
        except NotFound:
            self._kept.pop(key, None)
            return None
        except TimeoutError:
            self._silent_since = time.monotonic()
            return self._kept[key]
        except ApiError as error:
            is_away = error.code == 0 or error.code >= 500
            if is_away and key in self._kept:
                return self._kept[key]
            raise ConfigProblem(error.message) from error
        if len(self._kept) > KEPT_OBJECTS:
            del self._kept[next(iter(self._kept))]
        return found
