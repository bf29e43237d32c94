"""Config maps and secrets are each followed by one watch, over an API that only lists and watches."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from controllers.runtime.client import Client
from controllers.runtime.errors import NotFound, Unavailable
from nodeagent.objects import Reference, WatchedObjects, references
from nodeagent.pods.environment import ConfigProblem

M = Reference("configmap", "ns", "m")
MAPS = "/api/v1/namespaces/ns/configmaps"


class OneObjectServer:
    """A transport: `held` are config maps by name; `change` sends a new one to the watches of it."""

    server = "test"

    def __init__(self) -> None:
        self.held: dict[str, dict[str, Any]] = {}
        self.watches: dict[str, asyncio.Queue[bytes]] = {}
        self.open: Counter[str] = Counter()
        self.is_away = False

    def put(self, name: str, value: str, revision: int) -> dict[str, Any]:
        metadata = {"name": name, "namespace": "ns", "uid": name, "resourceVersion": str(revision)}
        self.held[name] = {"metadata": metadata, "data": {"a": value}}
        return self.held[name]

    def change(self, name: str, value: str, revision: int) -> None:
        event = {"type": "MODIFIED", "object": self.put(name, value, revision)}
        self.watches[name].put_nowait(orjson.dumps(event) + b"\n")

    async def send(self, method: str, path: str, headers: Any, body: Any, timeout_s: float) -> bytes:
        if self.is_away:
            raise Unavailable("no answer")
        url = urlsplit(path)
        if url.path != MAPS:
            raise NotFound(404, "NotFound", "not found")
        [selector] = parse_qs(url.query)["fieldSelector"]
        found = self.held.get(selector.removeprefix("metadata.name="))
        return orjson.dumps({"metadata": {"resourceVersion": "1"}, "items": [found] if found else []})

    send_now = send

    @asynccontextmanager
    async def stream(self, path: str, headers: Any, timeout_s: float) -> AsyncIterator[AsyncIterator[bytes]]:
        [selector] = parse_qs(urlsplit(path).query)["fieldSelector"]
        name = selector.removeprefix("metadata.name=")
        queue = self.watches[name] = asyncio.Queue()

        async def pieces() -> AsyncIterator[bytes]:
            while True:
                yield await queue.get()

        self.open[name] += 1
        try:
            yield pieces()
        finally:
            self.open[name] -= 1


def naming(uid: str, *names: str) -> dict[str, Any]:
    volumes = [{"name": name, "configMap": {"name": name}} for name in names]
    return {"metadata": {"name": uid, "namespace": "ns", "uid": uid}, "spec": {"containers": [], "volumes": volumes}}


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to hold")


async def test_one_watch_serves_all_pods_that_name_an_object() -> None:
    server = OneObjectServer()
    server.put("m", "1", 1)
    objects = WatchedObjects(Client(server, "test"))  # type: ignore[arg-type]
    told: list[str] = []
    objects.add_listener(told.append)
    running = asyncio.create_task(objects.run())
    for uid in ("one", "two"):
        objects.register(naming(uid, "m"))
    found = await objects.get(M)
    assert found is not None and found["data"] == {"a": "1"} and told == []
    await until(lambda: server.open["m"] == 1)

    server.change("m", "2", 2)
    await until(lambda: sorted(told) == ["one", "two"])
    server.is_away = True
    found = await objects.get(M)
    assert found is not None and found["data"] == {"a": "2"}

    objects.register(naming("one"))
    assert objects.knows(M)
    objects.forget("two")
    await until(lambda: server.open["m"] == 0)
    assert not objects.knows(M)
    running.cancel()


async def test_an_object_that_nobody_could_list_yet_is_not_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodeagent.objects.SYNC_S", 0.0)
    server = OneObjectServer()
    server.is_away = True
    objects = WatchedObjects(Client(server, "test"))  # type: ignore[arg-type]
    running = asyncio.create_task(objects.run())
    objects.register(naming("one", "m"))
    with pytest.raises(ConfigProblem, match="failed to sync configmap cache: timed out waiting for the condition"):
        await objects.get(M)
    running.cancel()


def test_everything_that_a_pod_names_is_found() -> None:
    container = {
        "name": "c",
        "envFrom": [{"configMapRef": {"name": "a"}}, {"secretRef": {"name": "b"}}],
        "env": [
            {"name": "X", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
            {"name": "Y", "valueFrom": {"secretKeyRef": {"name": "d", "key": "k"}}},
            {"name": "Z", "value": "1"},
        ],
    }
    volumes = [
        {"name": "1", "secret": {"secretName": "e"}},
        {"name": "2", "projected": {"sources": [{"configMap": {"name": "f"}}, {"secret": {"name": "g"}}]}},
        {"name": "3", "csi": {"driver": "d", "nodePublishSecretRef": {"name": "h"}}},
        {"name": "4", "emptyDir": {}},
    ]
    spec = {"initContainers": [container], "containers": [], "volumes": volumes, "imagePullSecrets": [{"name": "i"}]}
    found = list(references({"metadata": {"name": "p", "namespace": "ns", "uid": "u"}, "spec": spec}))
    assert {reference.name for reference in found if reference.kind == "configmap"} == {"a", "c", "f"}
    assert {reference.name for reference in found if reference.kind == "secret"} == {"b", "d", "e", "g", "h", "i"}
