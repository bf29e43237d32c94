"""Events on their way: written once, as a patch where they are there, anew where the server has lost them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from controllers.runtime import event_queue
from controllers.runtime.errors import Forbidden, NotFound, Unavailable
from controllers.runtime.event_queue import EventQueue
from controllers.runtime.kinds import EVENTS

Object = dict[str, Any]


class Server:
    """Answers calls by script: an exception is raised, None is success."""

    def __init__(self, *outcomes: Exception | None) -> None:
        self.outcomes = list(outcomes)
        self.calls: list[tuple[str, str, Any]] = []

    async def create(self, resource: Any, event: Object) -> None:
        self._note("create", event["metadata"]["name"], dict(event))

    async def patch(self, resource: Any, namespace: str, name: str, patch: Object, *, type: str) -> None:
        self._note("patch", name, patch)

    def _note(self, verb: str, name: str, body: Any) -> None:
        self.calls.append((verb, name, body))
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if outcome is not None:
            raise outcome


def event(name: str) -> Object:
    return {"metadata": {"name": name, "namespace": "n"}, "reason": "R", "count": 2}


def renew(lost: Object) -> None:
    lost["metadata"]["name"] += "-again"
    lost["count"] = 1


async def written(server: Server, *events: tuple[Object, tuple[str, ...]], limit: int = 10) -> list[tuple[str, str]]:
    queue = EventQueue(server, EVENTS, renew, limit=limit)  # type: ignore[arg-type]
    for one, changed in events:
        queue.put(one, changed)
    running = asyncio.create_task(queue.run())
    await queue.flush(5)
    running.cancel()
    return [(verb, name) for verb, name, _ in server.calls]


async def test_a_known_event_is_patched_and_a_lost_one_made_anew() -> None:
    server = Server(None, None, NotFound(404, "NotFound", "gone"))
    assert await written(server, (event("a"), ()), (event("a"), ("count",)), (event("b"), ("count",))) == [
        ("create", "a"),
        ("patch", "a"),
        ("patch", "b"),
        ("create", "b-again"),
    ]
    assert server.calls[1][2] == {"count": 2}
    assert server.calls[3][2]["count"] == 1


async def test_what_is_refused_is_lost_and_what_got_no_answer_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_queue, "RETRY_S", 0.0)
    server = Server(Forbidden(403, "Forbidden", "no"), Unavailable("away"))
    assert await written(server, (event("a"), ()), (event("b"), ())) == [
        ("create", "a"),
        ("create", "b"),
        ("create", "b"),
    ]


async def test_a_full_queue_drops() -> None:
    assert await written(Server(), (event("a"), ()), (event("b"), ()), limit=1) == [("create", "a")]
