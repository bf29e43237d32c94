"""A whole API server in this process, over a store in memory, asked through its ASGI application."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from apiserver.app import ApiServer, Settings
from apiserver.storage.sqlite import SqliteBackend
from cluster.pki import Pki, ensure_pki

TOKENS = 'admin-token,admin,1,"system:masters"\nnobody-token,nobody,2,"nothing"\n'


@dataclass
class Answer:
    code: int = 0
    headers: dict[str, list[str]] = field(default_factory=dict)
    body: bytes = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[Any]:
        return [json.loads(line) for line in self.body.splitlines()]

    def header(self, name: str) -> str:
        return self.headers.get(name, [""])[0]


class Client:
    """Asks the application; `token` says who."""

    def __init__(self, app: Any, token: str = "admin-token") -> None:
        self._app = app
        self._token = token

    def as_(self, token: str) -> Client:
        return Client(self._app, token)

    async def ask(
        self, method: str, path: str, body: Any = None, *, content_type: str = "application/json", **headers: str
    ) -> Answer:
        raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        answer, disconnect = Answer(), asyncio.Event()
        messages: list[Any] = [{"type": "http.request", "body": raw, "more_body": False}]

        async def receive() -> Any:
            if messages:
                return messages.pop(0)
            await disconnect.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                answer.code = message["status"]
                for name, value in message["headers"]:
                    answer.headers.setdefault(name.decode(), []).append(value.decode())
            else:
                answer.body += message.get("body", b"")

        await self._app(self._scope(method, path, content_type, len(raw), headers), receive, send)
        disconnect.set()
        return answer

    def _scope(self, method: str, path: str, content_type: str, size: int, headers: dict[str, str]) -> Any:
        path, _, query = path.partition("?")
        sent = {"content-type": content_type, "content-length": str(size), "user-agent": "tests/1.0", **headers}
        if self._token:
            sent["authorization"] = f"Bearer {self._token}"
        return {
            "type": "http",
            "method": method,
            "path": unquote(path),
            "query_string": query.encode(),
            "headers": [(n.replace("_", "-").encode(), v.encode()) for n, v in sent.items()],
            "state": {"peer": None},
        }

    async def create(self, path: str, body: Any) -> Any:
        answer = await self.ask("POST", path, body)
        assert answer.code == 201, answer.body
        return answer.json

    async def patch(self, path: str, body: Any, kind: str = "merge", **headers: str) -> Answer:
        names = {"merge": "merge-patch+json", "json": "json-patch+json", "strategic": "strategic-merge-patch+json"}
        media = names.get(kind, "apply-patch+yaml")
        return await self.ask("PATCH", path, body, content_type=f"application/{media}", **headers)


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return ensure_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
async def api(pki: Pki, tmp_path: Path) -> AsyncIterator[ApiServer]:
    tokens = tmp_path / "tokens.csv"
    tokens.write_text(TOKENS)
    server = ApiServer(
        SqliteBackend(None),
        Settings("127.0.0.1", 6443, ("10.96.0.0/16",), pki.service_account_key, pki.ca.cert, tokens),
    )
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@pytest.fixture
async def client(api: ApiServer) -> Client:
    found = Client(api.app)
    await found.create("/api/v1/namespaces", {"metadata": {"name": "ns"}})
    await found.create("/api/v1/namespaces/ns/serviceaccounts", {"metadata": {"name": "default"}})
    return found
