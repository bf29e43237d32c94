from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from controllers.runtime.errors import Unavailable
from nodeagent.runtime.protocol import State


def put(path: str, data: bytes) -> None:
    Path(path).write_bytes(data)


async def test_nobody_is_let_in(client: Any) -> None:
    answer = await client.get("/pods", headers={"Authorization": ""})
    assert (answer.status, await answer.text()) == (401, "Unauthorized")
    assert "Server" not in answer.headers


async def test_who_may_not_is_told_what_was_missing(client: Any, gate: Any) -> None:
    gate.allowed = False
    answer = await client.get("/metrics")
    text = "Forbidden (user=u, verb=get, resource=nodes, subresource(s)=[metrics])"
    assert (answer.status, await answer.text()) == (403, text)


async def test_nobody_is_let_in_while_the_api_server_is_away(client: Any, gate: Any) -> None:
    async def away(*_: object) -> bool:
        raise Unavailable("connection refused")

    gate.allows = away
    assert (await client.get("/pods")).status == 500


async def test_unknown_paths_are_not_found(client: Any) -> None:
    answer = await client.get("/nope")
    assert (answer.status, await answer.text()) == (404, "404 page not found\n")


async def test_logs_come_as_plain_text(client: Any, runtime: Any) -> None:
    put(runtime.log_path, b"2026-01-01T10:00:00Z stdout F one\n2026-01-01T10:00:01Z stdout F two\n")
    answer = await client.get("/containerLogs/ns/p/c?tailLines=1")
    assert (answer.status, answer.content_type, await answer.text()) == (200, "text/plain", "two\n")


@pytest.mark.parametrize(
    ("path", "code", "text"),
    [
        ("/containerLogs/ns/q/c", 404, 'pod "q" does not exist'),
        ("/containerLogs/ns/p/d", 404, 'container "d" not found in pod "p"'),
        ("/containerLogs/ns/p/c?previous=true", 400, 'previous terminated container "c" in pod "p" not found'),
        ("/containerLogs/ns/p/c?limitBytes=0", 422, '{"message": "Invalid request."}'),
    ],
)
async def test_logs_that_are_not_there(client: Any, path: str, code: int, text: str) -> None:
    answer = await client.get(path)
    assert (answer.status, await answer.text()) == (code, text)


async def test_a_missing_file_is_named(client: Any, runtime: Any) -> None:
    answer = await client.get("/containerLogs/ns/p/c")
    text = f'failed to try resolving symlinks in path "{runtime.log_path}": '
    assert (answer.status, (await answer.text()).startswith(text)) == (400, True)


async def test_a_runtime_that_keeps_logs_itself_is_asked(client: Any, runtime: Any) -> None:
    runtime.log = lambda id: b"2026-01-01T10:00:00Z stdout F kept\n2026-01-01T10:00:01Z stderr F too\n"
    assert await (await client.get("/containerLogs/ns/p/c")).text() == "kept\ntoo\n"
    assert await (await client.get("/containerLogs/ns/p/c?tailLines=1")).text() == "too\n"


async def test_a_kept_log_is_followed_until_its_container_ends(client: Any, runtime: Any) -> None:
    lines = [b"2026-01-01T10:00:00Z stdout F first\n"]
    runtime.log = lambda id: b"".join(lines)
    answer = await client.get("/containerLogs/ns/p/c?follow=true&tailLines=1")
    assert await answer.content.readline() == b"first\n"
    lines.append(b"2026-01-01T10:00:01Z stdout F last\n")
    runtime.state = State.EXITED
    assert await answer.content.read() == b"last\n"


async def test_pods_are_as_in_the_api(client: Any) -> None:
    found = await (await client.get("/pods")).json()
    assert (found["kind"], [pod["metadata"]["name"] for pod in found["items"]]) == ("PodList", ["p"])
    assert "kind" not in found["items"][0]


async def test_running_pods_are_what_the_runtime_runs(client: Any) -> None:
    (pod,) = (await (await client.get("/runningpods/")).json())["items"]
    assert (pod["metadata"]["namespace"], [c["name"] for c in pod["spec"]["containers"]]) == ("ns", ["c"])


async def test_health_says_what_is_wrong(client: Any, host: Any) -> None:
    assert await (await client.get("/healthz")).text() == "ok"
    host.problem = "the runtime does not answer"
    answer = await client.get("/healthz/syncloop")
    assert (answer.status, "the runtime does not answer" in await answer.text()) == (500, True)


async def test_settings_and_metrics(client: Any) -> None:
    assert await (await client.get("/configz")).json() == {"kubeletconfig": {"kind": "KubeletConfiguration"}}
    answer = await client.get("/metrics")
    assert (answer.content_type, await answer.text()) == ("text/plain", "kubelet_running_pods 1\n")
    assert 'pod="p"' in await (await client.get("/metrics/resource")).text()
    assert 'pod="p"' in await (await client.get("/metrics/cadvisor")).text()


async def test_the_summary_can_be_shortened(client: Any) -> None:
    whole = await (await client.get("/stats/summary")).json()
    short = await (await client.get("/stats/summary?only_cpu_and_memory=true")).json()
    assert "fs" in whole["node"] and set(short["node"]) == {"nodeName", "startTime", "cpu", "memory"}
    assert "rootfs" not in short["pods"][0]["containers"][0]
