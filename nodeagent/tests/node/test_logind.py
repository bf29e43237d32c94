"""A node and logind, which the tests play on a bus of their own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from conformance.logind import Bus, played
from nodeagent import shutdown
from nodeagent.node.shutdown import ENDED, REFUSAL, ShutdownPeriods
from nodeagent.shutdown import NodeShutdown
from nodeagent.tests.node.test_shutdown import CRITICAL, pod_of


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bus]:
    found = Bus(tmp_path)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", found.address)
    found.start()
    yield found
    found.stop()


class PlayedPod:
    def __init__(self, uid: str, priority: int = 0) -> None:
        self.pod = pod_of(uid, priority, 30)
        self.finished = asyncio.Event()
        self.end: tuple[Any, ...] = ()

    def fail(self, reason: str, message: str, grace_s: int | None = None, disruption: str = "") -> None:
        self.end = (reason, message, grace_s, disruption)


class Following:
    """A `NodeShutdown` that runs, and what it has told."""

    def __init__(self, *pods: PlayedPod, periods: ShutdownPeriods = ShutdownPeriods(20, 10)) -> None:  # noqa: B008
        self.told: list[str] = []
        self.problems: list[str] = []
        self.shutdown = NodeShutdown(
            periods,
            lambda: pods,
            lambda: self.problems.append(self.shutdown.problem),
            lambda reason, message: self.told.append(f"{reason}: {message}"),
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Following]:
        task = asyncio.create_task(self.shutdown.run())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait({task})


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_shutdown_waits_for_the_pods(bus: Bus) -> None:
    normal, critical, ended = PlayedPod("normal"), PlayedPod("critical", CRITICAL), PlayedPod("ended")
    ended.finished.set()
    async with played(bus) as logind, Following(normal, critical, ended).running() as node:
        await until(lambda: logind.locks == [True])
        assert logind.asked == [["shutdown", "kubelet", "Kubelet needs time to handle node shutdown", "delay"]]
        assert node.shutdown.refusal() is None

        await logind.announce(True)
        await until(lambda: normal.end != ())
        assert node.problems == ["node is shutting down"] and node.shutdown.refusal() == REFUSAL
        assert (normal.end, critical.end, ended.end) == ((*ENDED, 20, ENDED[1]), (), ())
        normal.finished.set()
        await until(lambda: critical.end != ())
        assert critical.end == (*ENDED, 10, ENDED[1])
        assert logind.locks == [True]
        critical.finished.set()
        await until(lambda: logind.locks == [False])

        await logind.announce(False)
        await until(lambda: logind.locks == [False, True])
        assert node.problems[1:] == [""] and node.shutdown.refusal() is None
    assert node.told == [f"Shutdown: Shutdown manager detected shutdown {what}" for what in ("event", "cancellation")]


async def test_nobody_is_waited_for_longer_than_the_time_there_is(bus: Bus) -> None:
    normal, critical = PlayedPod("normal"), PlayedPod("critical", CRITICAL)
    async with played(bus) as logind, Following(normal, critical, periods=ShutdownPeriods(1, 0)).running():
        await until(lambda: logind.locks == [True])
        await logind.announce(True)
        await until(lambda: logind.locks == [False])
        assert (normal.end[2], critical.end[2]) == (1, 0)


async def test_a_lost_connection_is_made_anew(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutdown, "RECONNECT_S", 0.02)
    async with AsyncExitStack() as playing, AsyncExitStack() as stack:
        # It asks once, at its start, whether there is a logind at all.
        first = await playing.enter_async_context(played(bus))
        node = await stack.enter_async_context(Following().running())
        await until(lambda: first.locks == [True])
        bus.stop()
        await until(lambda: first.locks == [False])
        await playing.aclose()
        bus.start()
        async with played(bus) as second:
            await until(lambda: second.locks == [True])
            await second.announce(True)
            await until(lambda: node.problems == ["node is shutting down"])


async def test_without_logind_a_node_goes_on_and_says_so(
    bus: Bus, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, shutdown.__name__)
    await Following().shutdown.run()
    async with played(bus, max_delay_s=5) as logind:
        await Following().shutdown.run()
        assert logind.asked == []
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"{bus.address}-missing")
    await Following().shutdown.run()
    await Following(periods=ShutdownPeriods()).shutdown.run()
    told = [record.getMessage() for record in caplog.records if record.name == shutdown.__name__]
    assert [text.partition(": ")[0] for text in told] == [told[0].partition(": ")[0]] * 3
    assert "org.freedesktop.login1" in told[0] and "No such file" in told[2]
    assert told[1].endswith("InhibitDelayMaxSec of logind.conf is 5s, less than the 30s that pods get")
