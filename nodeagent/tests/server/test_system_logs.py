from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from nodeagent.server.answers import Refusal
from nodeagent.server.system_logs import SystemLogs


@pytest.fixture
async def logs(tmp_path: Path) -> AsyncIterator[Any]:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a<b.log").write_text("text")

    @web.middleware
    async def guard(request: web.Request, handler: Any) -> Any:
        try:
            return await handler(request)
        except Refusal as refusal:
            return web.Response(status=refusal.code)

    app = web.Application(middlewares=[guard])
    app.router.add_get("/logs/{path:.*}", SystemLogs(tmp_path).serve)
    async with TestClient(TestServer(app)) as client:
        yield client


async def test_folders_are_listed(logs: Any) -> None:
    text = await (await logs.get("/logs/")).text()
    assert '<a href="a%3Cb.log">a&lt;b.log</a>\n<a href="sub/">sub/</a>\n' in text


async def test_files_are_served(logs: Any) -> None:
    answer = await logs.get("/logs/a%3Cb.log")
    assert (answer.content_type, await answer.text()) == ("text/plain", "text")


@pytest.mark.parametrize(("path", "code"), [("nope", 404), ("sub/..%2f..%2fetc/passwd", 400)])
async def test_nothing_else_is(logs: Any, path: str, code: int) -> None:
    from yarl import URL

    assert (await logs.get(URL("/logs/" + path, encoded=True))).status == code
