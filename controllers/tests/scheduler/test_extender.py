"""Other programs that have a say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import orjson
import pytest

from controllers.scheduler.durations import parse_duration
from controllers.scheduler.extender import Extenders
from controllers.scheduler.framework import Cycle, Ints, SchedulingError, Victims
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


def names_of(cluster: Cluster, rows: Ints) -> list[str]:
    return [cluster.world.snapshot.names[row] for row in rows]


async def test_it_rules_nodes_out_and_says_why(cluster: Cluster) -> None:
    def answer(verb: str, body: Any) -> Any:
        assert (verb, body["NodeNames"], body["Nodes"]) == ("filter", ["a", "b", "c"], None)
        return {
            "nodenames": ["a"],
            "failedNodes": {"b": "no", "c": "no"},
            "FailedAndUnresolvableNodes": {"c": "never"},
        }

    cycle, rows = cycle_of(cluster)
    async with program(answer) as url:
        kept, refusals = await extenders(url).filter(cycle, rows)
    assert names_of(cluster, kept) == ["a"]
    told = {(names_of(cluster, np.flatnonzero(f.rows))[0], f.reason, f.final) for f in refusals}
    assert told == {("b", "no", False), ("c", "never", True)}


async def test_whole_nodes_are_sent_to_those_that_keep_none(cluster: Cluster) -> None:
    def answer(verb: str, body: Any) -> Any:
        return {"Nodes": {"items": [item for item in body["Nodes"]["items"] if item["metadata"]["name"] == "c"]}}

    cycle, rows = cycle_of(cluster)
    async with program(answer) as url:
        kept, _ = await extenders(url, nodeCacheCapable=False).filter(cycle, rows)
    assert names_of(cluster, kept) == ["c"]


async def test_a_node_that_was_not_asked_about_is_an_error(cluster: Cluster) -> None:
    cycle, rows = cycle_of(cluster)
    async with program(lambda verb, body: {"NodeNames": ["z"]}) as url:
        with pytest.raises(SchedulingError, match='claims a filtered node "z" which is not found'):
            await extenders(url).filter(cycle, rows)


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
        kept, _ = await extenders(url, ignorable=True).filter(cycle, rows)
    assert len(kept) == 3


async def test_one_that_is_not_there_is_told_of(cluster: Cluster) -> None:
    cycle, rows = cycle_of(cluster)
    async with program(lambda verb, body: {}) as url:
        pass
    host = url.split("/")[2]
    text = f'^Post "{url}/filter": dial tcp {host}: connect: connection refused$'
    with pytest.raises(SchedulingError, match=text):
        await extenders(url).filter(cycle, rows)


async def test_it_may_protect_victims(cluster: Cluster) -> None:
    cycle, _ = cycle_of(cluster)
    first, second = cluster.run(pod("v"), "a"), cluster.run(pod("w"), "a")
    candidates = [Victims("a", [first, second], 1), Victims("b", [cluster.run(pod("x"), "b")])]

    def spare(verb: str, body: Any) -> Any:
        offered = body["NodeNameToMetaVictims"]
        assert offered["a"] == {"Pods": [{"UID": "uid-v"}, {"UID": "uid-w"}], "NumPDBViolations": 1}
        return {"nodeNameToMetaVictims": {"a": {"pods": [{"uid": "uid-w"}], "numPDBViolations": 0}}}

    async with program(spare) as url:
        (left,) = await extenders(url).preempt(cycle, candidates)
    assert (left.node, [pod.name for pod in left.pods], left.violations) == ("a", ["w"], 0)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"NodeNameToMetaVictims": {"a": {"Pods": []}}}, 'expected at least one victim pod on node "a"'),
        ({"NodeNameToMetaVictims": {"z": {"Pods": [{"UID": "u"}]}}}, "the node is not found"),
        ({"NodeNameToMetaVictims": {"a": {"Pods": [{"UID": "u"}]}}}, "preempt pod"),
    ],
    ids=["no victims", "another node", "another pod"],
)
async def test_victims_that_make_no_sense_are_an_error(cluster: Cluster, answer: Any, error: str) -> None:
    cycle, _ = cycle_of(cluster)
    candidates = [Victims("a", [cluster.run(pod("v"), "a")])]
    async with program(lambda verb, body: answer) as url:
        with pytest.raises(SchedulingError, match=error):
            await extenders(url).preempt(cycle, candidates)
        if not answer["NodeNameToMetaVictims"].get("a", {"Pods": [1]})["Pods"]:
            assert not await extenders(url, ignorable=True).preempt(cycle, candidates)


async def test_it_may_bind(cluster: Cluster) -> None:
    asked: list[Any] = []
    info = cluster.templates.info(pod("p"))
    async with program(lambda verb, body: asked.append(body) or {}) as url:
        assert await extenders(url).bind(info, "a")
        assert not await extenders(url, managedResources=[{"name": "x.example.com/y"}]).bind(info, "a")
    assert asked == [{"PodName": "p", "PodNamespace": "default", "PodUID": "uid-p", "Node": "a"}]
    async with program(lambda verb, body: {"Error": "taken"}) as url:
        with pytest.raises(SchedulingError, match="taken"):
            await extenders(url).bind(info, "a")
        assert not await extenders(url, ignorable=True).bind(info, "a")


@pytest.mark.parametrize(("text", "seconds"), [("1m30s", 90), ("500ms", 0.5), ("2h", 7200), ("1.5s", 1.5), ("0", 0)])
def test_durations_are_those_of_go(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "5x", "1m30"])
def test_other_texts_are_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="invalid duration"):
        parse_duration(text)
