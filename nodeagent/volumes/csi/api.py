"""What mounting CSI volumes needs of the API."""

from __future__ import annotations

from typing import Any

from controllers.runtime.client import Client
from controllers.runtime.errors import ApiError, NotFound
from controllers.runtime.kinds import CSI_DRIVERS, NODES, PERSISTENT_VOLUME_CLAIMS, SECRETS, VOLUME_ATTACHMENTS
from nodeagent.pods.environment import ConfigProblem
from nodeagent.pods.spec import Object, View
from openapi.catalog import Resource


class CsiApi:
    """Every method raises ConfigProblem while the server does not answer. None: there is no such object."""

    def __init__(self, client: Client, node: str) -> None:
        self._client = client
        self.node_name = node

    async def driver(self, name: str) -> View | None:
        return await self._get(CSI_DRIVERS, "", name)

    async def attachment(self, name: str) -> View | None:
        return await self._get(VOLUME_ATTACHMENTS, "", name)

    async def node(self) -> View:
        return await self._get(NODES, "", self.node_name) or {}

    async def secret(self, namespace: str, name: str) -> View | None:
        return await self._get(SECRETS, namespace, name)

    async def set_claim_status(self, claim: View, status: View) -> None:
        metadata = claim["metadata"]
        try:
            await self._client.patch(
                PERSISTENT_VOLUME_CLAIMS,
                metadata["namespace"],
                metadata["name"],
                {"status": status},
                subresource="status",
            )
        except ApiError as error:
            raise ConfigProblem(error.message) from error

    async def _get(self, kind: Resource, namespace: str, name: str) -> Object | None:
        try:
            found: dict[str, Any] = await self._client.get(kind, namespace, name)
        except NotFound:
            return None
        except ApiError as error:
            raise ConfigProblem(error.message) from error
        return found
