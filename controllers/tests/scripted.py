"""A controller over a server that only notes what it is asked: for sweeps whose rules are tested as pure functions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from controllers.runtime.accounts import own_name
from controllers.runtime.client import Client
from controllers.runtime.controller import Runtime
from controllers.runtime.errors import NotFound
from controllers.runtime.events import EventSink
from controllers.runtime.informer import Informers
from controllers.runtime.metrics import Metrics

Object = dict[str, Any]

START = datetime(2026, 1, 1, tzinfo=UTC)


class Server:
    """A transport: `objects` by path are there to be read; everything else is noted in `calls` and takes place."""

    server = "test"

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.calls: list[tuple[str, str, Any]] = []
        self.now = START

    async def send(self, method: str, path: str, headers: Any, body: Any, timeout_s: float) -> bytes:
        if method == "GET":
            if path not in self.objects:
                raise NotFound(404, "NotFound", f"no {path}")
            return orjson.dumps(self.objects[path])
        self.calls.append((method, path, body))
        return orjson.dumps({"kind": "Status", "metadata": {}})

    send_now = send

    def clock(self) -> datetime:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def runtime(self) -> Runtime:
        client = Client(self, "test")  # type: ignore[arg-type]
        clock: Callable[[], datetime] = self.clock
        return Runtime(client, own_name(client), Informers(client), EventSink(client, clock), Metrics(), clock)
