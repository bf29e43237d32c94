"""Other programs that have a say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import orjson
import pytest

from controllers.scheduler.extender import Extenders, duration_s
from controllers.scheduler.framework import Cycle, Diagnosis, Ints, SchedulingError, Victims
from controllers.tests.scheduler.cluster import Cluster, node, pod

Answer = Callable[[str, Any], Any]


@asynccontextmanager
async def program(answer: Answer) -> AsyncIterator[str]:
    """A program that answers POSTs with what `answer(verb, body)` gives; yields its URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(
            int(line.split(":")[1]) for line in head.splitlines() if line.lower().startswith("content-length")
        )
        body = orjson.loads(await reader.readexactly(length))
        result = answer(head.split(" ")[1].rsplit("/", 1)[1], body)
        data = orjson.dumps(result)
        status = "500 Internal Server Error" if result is None else "200 OK"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n".encode() + data)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
    finally:
        server.close()
        await server.wait_closed()


def extenders(url: str, **spec: Any) -> Extenders:
    verbs = {f"{verb}Verb": verb for verb in ("filter", "prioritize", "preempt", "bind")}
    return Extenders([{"urlPrefix": url, "weight": 2, "nodeCacheCapable": True, **verbs, **spec}])


def cycle_of(cluster: Cluster) -> tuple[Cycle, Ints]:
    names = ("a", "b", "c")
    return cluster.cycle(pod("p")), np.array([cluster.world.snapshot.rows[name] for name in names])


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(node("a"), node("b"), node("c"))


async def test_it_rules_nodes_out(cluster: Cluster) -> None:
    def answer(verb: str, body: Any) -> Any:
        assert (verb, body["nodenames"]) == ("filter", ["a", "b", "c"])
        return {"nodenames": ["b"], "failedNodes": {"a": "no", "c": "no"}}

    cycle, rows = cycle_of(cluster)
    async with program(answer) as url:
        kept = await extenders(url).filter(cycle, rows)
    assert not isinstance(kept, Diagnosis)
    assert [cluster.world.snapshot.names[row] for row in kept] == ["b"]


async def test_it_says_why_no_node_is_left(cluster: Cluster) -> None:
    failed = {
        "nodenames": [],
        "failedNodes": {"a": "no", "b": "no"},
        "failedAndUnresolvableNodes": {"b": "never", "c": "never"},
    }
    cycle, rows = cycle_of(cluster)
    async with program(lambda verb, body: failed) as url:
        result = await extenders(url).filter(cycle, rows)
    assert isinstance(result, Diagnosis)
    assert result.message() == "0/3 nodes are available: 1 no, 2 never."
    assert result.helpable(cluster.world.snapshot.alive).sum() == 1


async def test_whole_nodes_are_sent_to_those_that_keep_none(cluster: Cluster) -> None:
    def answer(verb: str, body: Any) -> Any:
        return {"nodes": {"items": [item for item in body["nodes"]["items"] if item["metadata"]["name"] == "c"]}}

    cycle, rows = cycle_of(cluster)
    async with program(answer) as url:
        kept = await extenders(url, nodeCacheCapable=False).filter(cycle, rows)
    assert not isinstance(kept, Diagnosis) and len(kept) == 1


async def test_its_points_are_scaled_and_weighed(cluster: Cluster) -> None:
    cycle, rows = cycle_of(cluster)
    async with program(lambda verb, body: [{"host": "a", "score": 10}, {"host": "b", "score": 1}]) as url:
        points = await extenders(url).prioritize(cycle, rows)
    assert points is not None and list(points) == [200, 20, 0]


async def test_one_that_fails_stops_the_attempt_unless_it_may_be_ignored(cluster: Cluster) -> None:
    cycle, rows = cycle_of(cluster)
    async with program(lambda verb, body: None) as url:
        with pytest.raises(SchedulingError, match="code 500"):
            await extenders(url).filter(cycle, rows)
        kept = await extenders(url, ignorable=True).filter(cycle, rows)
    assert not isinstance(kept, Diagnosis) and len(kept) == 3


async def test_it_may_protect_victims(cluster: Cluster) -> None:
    cycle, _ = cycle_of(cluster)
    victims = Victims("a", [cluster.run(pod("v"), "a")])
    async with program(lambda verb, body: {"nodeNameToMetaVictims": {}}) as url:
        assert not await extenders(url).preempt(cycle, victims)
    async with program(lambda verb, body: body) as url:
        assert await extenders(url).preempt(cycle, victims)


async def test_it_may_bind(cluster: Cluster) -> None:
    asked: list[Any] = []
    info = cluster.templates.info(pod("p"))
    async with program(lambda verb, body: asked.append(body) or {}) as url:
        assert await extenders(url).bind(info, "a")
        assert not await extenders(url, managedResources=[{"name": "x.example.com/y"}]).bind(info, "a")
    assert asked == [{"podName": "p", "podNamespace": "default", "podUID": "uid-p", "node": "a"}]


@pytest.mark.parametrize(("text", "seconds"), [("1m30s", 90), ("500ms", 0.5), ("2h", 7200), (None, 5)])
def test_durations_are_those_of_go(text: str | None, seconds: float) -> None:
    assert duration_s(text) == seconds
