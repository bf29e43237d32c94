"""Acting as service accounts: tokens are asked for once, renewed when refused, and missing accounts are made."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from controllers.runtime.accounts import NAMESPACE, AccountClients, AccountToken
from controllers.runtime.client import Client
from controllers.runtime.errors import AlreadyExists, NotFound

ACCOUNTS = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"


class Server:
    """A transport that knows accounts and numbers the tokens it gives out."""

    server = "test"

    def __init__(self, *accounts: str) -> None:
        self.accounts = set(accounts)
        self.calls: list[str] = []
        self.tokens = 0

    async def send(self, method: str, path: str, headers: Any, body: Any, timeout_s: float) -> bytes:
        self.calls.append(f"{method} {path}")
        await asyncio.sleep(0)
        if path == ACCOUNTS:
            if body["metadata"]["name"] in self.accounts:
                raise AlreadyExists(409, "AlreadyExists", "there")
            self.accounts.add(body["metadata"]["name"])
            return orjson.dumps({"kind": "ServiceAccount", "metadata": {"resourceVersion": "1"}})
        account = path.removeprefix(ACCOUNTS + "/").removesuffix("/token")
        if account not in self.accounts:
            raise NotFound(404, "NotFound", "no such account")
        self.tokens += 1
        return orjson.dumps({"kind": "TokenRequest", "status": {"token": f"{account}-{self.tokens}"}})

    send_now = send


def client_of(server: Server) -> Client:
    return Client(server, "test")  # type: ignore[arg-type]


async def test_many_calls_at_once_ask_for_one_token() -> None:
    server = Server("a")
    token = AccountToken(client_of(server), "a")
    found = await asyncio.gather(*(token.headers() for _ in range(5)))
    assert found == [{"Authorization": "Bearer a-1"}] * 5
    assert server.calls == [f"POST {ACCOUNTS}/a/token"]


async def test_a_missing_account_is_made() -> None:
    server = Server()
    token = AccountToken(client_of(server), "a")
    assert await token.headers() == {"Authorization": "Bearer a-1"}
    assert server.calls == [f"POST {ACCOUNTS}/a/token", f"POST {ACCOUNTS}", f"POST {ACCOUNTS}/a/token"]


async def test_a_refused_token_is_replaced() -> None:
    token = AccountToken(client_of(Server("a")), "a")
    await token.headers()
    assert token.refused()
    assert await token.headers() == {"Authorization": "Bearer a-2"}


def test_a_controller_without_an_account_acts_in_the_own_name() -> None:
    class Nameless:
        def acting(self, credentials: object) -> Server:
            return Server()

    own = client_of(Server())
    clients = AccountClients(own, Nameless(), "test")  # type: ignore[arg-type]
    assert clients("tokens-controller", "")._transport is own._transport
    assert clients("job-controller", "job-controller")._transport is not own._transport
