"""Controllers in the names of their service accounts: each has its own rights, and none has all of them.

An account's token is asked for when its controller first calls the server, and again before it ends or when the server
does not take it any more. Accounts that are missing are made, in kube-system.
Follows: staging/src/k8s.io/controller-manager/pkg/clientbuilder/client_builder_dynamic.go
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from controllers.runtime.client import TIMEOUT_S, Client
from controllers.runtime.errors import AlreadyExists, NotFound
from controllers.runtime.kinds import SERVICE_ACCOUNTS
from controllers.runtime.objects import Object
from controllers.runtime.transport import Transport

ClientOf = Callable[[str, str], Client]
"""The client of a controller, by its name and its account's ('': in the process's own name)."""


NAMESPACE = "kube-system"
LIFETIME_S = 7200
RENEW_AFTER_S = 0.8 * LIFETIME_S


def own_name(client: Client) -> ClientOf:
    """All controllers with the process's own rights."""
    return lambda controller, _account: client.named(controller)


class AccountToken:
    """The credentials of one account, kept fresh through `client`."""

    def __init__(self, client: Client, account: str) -> None:
        self._client = client
        self._account = account
        self._lock = asyncio.Lock()
        self._headers: Mapping[str, str] = {}
        self._renew_at = 0.0

    async def headers(self) -> Mapping[str, str]:
        if time.monotonic() < self._renew_at:
            return self._headers
        async with self._lock:
            if time.monotonic() >= self._renew_at:
                answer = await self._ask()
                self._headers = {"Authorization": f"Bearer {answer['status']['token']}"}
                self._renew_at = time.monotonic() + RENEW_AFTER_S
        return self._headers

    def refused(self) -> bool:
        """The account may have been deleted, and its tokens with it: there is a new one for another account."""
        self._renew_at = 0.0
        return True

    async def _ask(self) -> Object:
        try:
            return await self._request()
        except NotFound:
            account = {
                "apiVersion": SERVICE_ACCOUNTS.api_version,
                "kind": SERVICE_ACCOUNTS.kind,
                "metadata": {"name": self._account, "namespace": NAMESPACE},
            }
            try:
                await self._client.create(SERVICE_ACCOUNTS, account)
            except AlreadyExists:
                pass  # another process was faster
            return await self._request()

    async def _request(self) -> Object:
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "metadata": {"name": self._account, "namespace": NAMESPACE},
            "spec": {"expirationSeconds": LIFETIME_S},
        }
        return await self._client.create(SERVICE_ACCOUNTS, request, name=self._account, subresource="token")


class AccountClients:
    """Gives each controller the client of its account. `nameless` carries their calls, `own` asks for tokens."""

    def __init__(self, own: Client, nameless: Transport, component: str) -> None:
        self._own = own
        self._nameless = nameless
        self._component = component
        self._tokens: dict[str, AccountToken] = {}

    def __call__(self, controller: str, account: str) -> Client:
        if not account:
            return self._own.named(controller)
        # Urgent: who asks for a token already has one of the turns to call.
        asking = self._own.urgent("tokens", TIMEOUT_S)
        token = self._tokens.setdefault(account, AccountToken(asking, account))
        user = f"system:serviceaccount:{NAMESPACE}:{account}"
        return Client(self._nameless.acting(token), self._component, user)
