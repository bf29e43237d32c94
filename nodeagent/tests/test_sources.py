from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from controllers.runtime.client import Client
from controllers.runtime.errors import ApiError, Forbidden, NotFound, Unavailable
from controllers.runtime.store import Store
from nodeagent.objects import WatchedObjects
from nodeagent.pods.environment import ConfigProblem
from nodeagent.sources import ApiSources


class Server:
    """A transport that answers with `answer`, or raises it."""

    server = "test"

    def __init__(self) -> None:
        self.answer: Any = NotFound(404, "NotFound", "not found")
        self.hangs = False

    async def send(self, method: str, path: str, headers: Any, body: Any, timeout_s: float) -> bytes:
        if self.hangs:
            await asyncio.Event().wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return orjson.dumps(self.answer)


def make_sources(server: Server) -> ApiSources:
    client = Client(server, "test")  # type: ignore[arg-type]
    return ApiSources(client, Store(), WatchedObjects(client), lambda *_: None)


@pytest.mark.parametrize("away", [Unavailable("no answer"), ApiError(500, "InternalError", "etcd is away")])
async def test_what_was_read_last_stands_in_while_the_server_is_away(away: ApiError) -> None:
    server = Server()
    sources = make_sources(server)
    server.answer = {"metadata": {"name": "c"}}
    assert await sources.claim("ns", "c") == server.answer
    seen, server.answer = server.answer, away
    assert await sources.claim("ns", "c") == seen
    with pytest.raises(ConfigProblem):
        await sources.claim("ns", "other")


async def test_nobody_waits_long_for_a_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodeagent.sources.PATIENCE_S", 0.01)
    server = Server()
    sources = make_sources(server)
    server.answer = {"metadata": {"name": "c"}}
    pod = {"metadata": {"name": "p", "namespace": "ns", "uid": "u"}, "spec": {}}
    seen = await sources.claim("ns", "c")
    server.answer = {"status": {"token": "t1", "expirationTimestamp": "2000-01-01T00:00:00Z"}}
    assert await sources.token(pod, "a", 600) == "t1"
    server.hangs = True
    for _ in range(2):
        assert await sources.claim("ns", "c") == seen
        assert await sources.token(pod, "a", 600) == "t1"


async def test_what_is_refused_or_gone_is_not_made_up() -> None:
    server = Server()
    sources = make_sources(server)
    server.answer = {"metadata": {"name": "c"}}
    await sources.claim("ns", "c")
    server.answer = Forbidden(403, "Forbidden", "not yours")
    with pytest.raises(ConfigProblem, match="not yours"):
        await sources.claim("ns", "c")
    server.answer = NotFound(404, "NotFound", "not found")
    assert await sources.claim("ns", "c") is None
    server.answer = Unavailable("no answer")
    with pytest.raises(ConfigProblem):
        await sources.claim("ns", "c")


async def test_tokens_are_kept_until_most_of_their_life_is_over() -> None:
    server = Server()
    sources = make_sources(server)
    pod = {"metadata": {"name": "p", "namespace": "ns", "uid": "u"}, "spec": {}}
    server.answer = {"status": {"token": "t1", "expirationTimestamp": "2999-01-01T00:00:00Z"}}
    assert await sources.token(pod, "a", 600) == "t1"
    server.answer = {"status": {"token": "t2", "expirationTimestamp": "2000-01-01T00:00:00Z"}}
    assert await sources.token(pod, "a", 600) == "t1"
    assert await sources.token(pod, "b", 600) == "t2"
    server.answer = {"status": {"token": "t3", "expirationTimestamp": "2999-01-01T00:00:00Z"}}
    assert await sources.token(pod, "b", 600) == "t3"
    sources.forget("u")
    server.answer = Unavailable("no answer")
    with pytest.raises(ConfigProblem, match="failed to fetch token: no answer"):
        await sources.token(pod, "a", 600)
