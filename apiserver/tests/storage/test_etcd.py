"""The shared store: the contract over a real etcd, and what only a store over the network must do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

pytest.importorskip("aetcd")

from aetcd import rpc

from apiserver.storage.backend import KeyExists, Unavailable
from apiserver.storage.etcd import EtcdBackend
from apiserver.tests.storage.conftest import EtcdServer, free_port
from apiserver.tests.storage.contract import BackendContract, Recorder, churn, kind, pod


class EtcdSite:
    survives_restart = True

    def __init__(self, url: str) -> None:
        self._url = url
        self._opened: list[EtcdBackend] = []

    async def open(self) -> EtcdBackend:
        self._opened.append(EtcdBackend([self._url]))
        return self._opened[-1]

    async def reopen(self) -> EtcdBackend:
        await self.close()
        return await self.open()

    async def advance(self, seconds: float) -> None:
        """etcd has its own clock: the test waits for what it does."""

    async def clear(self) -> None:
        await (await self.open()).call("DeleteRange", rpc.DeleteRangeRequest(key=b"/", range_end=b"0"), is_write=True)

    async def close(self) -> None:
        while self._opened:
            await self._opened.pop().close()


class TestEtcd(BackendContract):
    @pytest.fixture
    async def site(self, etcd: EtcdServer) -> AsyncIterator[EtcdSite]:
        site = EtcdSite(etcd.url)
        await site.clear()
        yield site
        await site.close()


@pytest.fixture
def own_etcd(etcd_binary: str, tmp_path: Path) -> Iterator[EtcdServer]:
    server = EtcdServer(etcd_binary, tmp_path / "etcd")
    server.start()
    yield server
    server.kill()


async def test_the_version_is_known(etcd: EtcdServer) -> None:
    backend = EtcdBackend([etcd.url])
    assert (await backend.check_version()).startswith("3.")
    await backend.close()


async def test_nobody_there_is_unavailable_within_the_timeout() -> None:
    backend = EtcdBackend([f"http://127.0.0.1:{free_port()}"], timeout_s=0.5)
    async with asyncio.timeout(5):
        with pytest.raises(Unavailable):
            await backend.get(pod("a"))
        with pytest.raises(Unavailable):
            await backend.create(pod("a"), b"")
        with pytest.raises(Unavailable):
            await backend.check_version()
        with pytest.raises(Unavailable):
            async for _ in backend.watch("/registry/", after=1):
                raise AssertionError
    await backend.close()


async def test_a_dead_endpoint_is_passed_over(etcd: EtcdServer) -> None:
    backend = EtcdBackend([f"http://127.0.0.1:{free_port()}", etcd.url])
    start = await backend.current_revision()
    recorder = Recorder(backend, start, "/registry/failover/")
    created = await backend.create("/registry/failover/a", b"1")
    assert [change.revision for change in await recorder.reach(created)] == [created]
    with pytest.raises(KeyExists):
        await backend.create("/registry/failover/a", b"1")
    await backend.delete("/registry/failover/a", expected=created)
    await recorder.stop()
    await backend.close()


async def test_kill_9_amid_a_thousand_concurrent_writes_loses_no_acknowledged_one(own_etcd: EtcdServer) -> None:
    backend = EtcdBackend([own_etcd.url], timeout_s=5)
    acknowledged: list[tuple[str, int]] = []
    enough = asyncio.Event()

    async def write(number: int) -> None:
        acknowledged.append((pod(f"{number}"), await backend.create(pod(f"{number}"), b"x" * 2000)))
        if len(acknowledged) == 200:
            enough.set()

    writes = [asyncio.create_task(write(number)) for number in range(1000)]
    await enough.wait()
    own_etcd.kill()
    done = asyncio.gather(*writes, return_exceptions=True)
    await asyncio.sleep(0.2)
    own_etcd.start()
    assert {type(result) for result in await done} <= {type(None), Unavailable, KeyExists}
    found = {item.key: item.revision for item in (await backend.range("/registry/")).items}
    assert all(found[key] == revision for key, revision in acknowledged)
    await backend.close()


async def test_a_watch_outlives_a_restart_of_etcd_without_gap_or_repeat(own_etcd: EtcdServer) -> None:
    backend = EtcdBackend([own_etcd.url], timeout_s=10)
    recorder = Recorder(backend, await backend.current_revision())
    written = await churn(backend, 200)
    await recorder.reach(written[100][1])
    own_etcd.kill()
    own_etcd.start()
    last = await backend.create(pod("after"), b"")
    seen = await recorder.reach(last)
    assert [(kind(change), change.revision) for change in seen] == [*written, ("create", last)]
    await recorder.stop()
    await backend.close()


async def test_leases_are_shared_by_keys_of_one_age(etcd: EtcdServer) -> None:
    backend = EtcdBackend([etcd.url])
    keys = [f"/registry/leased/{n}" for n in range(10)]
    await asyncio.gather(*(backend.create(key, b"", ttl_s=3600) for key in keys))
    found = await backend.call("Range", rpc.RangeRequest(key=b"/registry/leased/", range_end=b"/registry/leased0"))
    leases = {kv.lease for kv in found.kvs}
    assert len(found.kvs) == 10
    assert len(leases) == 1 and 0 not in leases
    await backend.close()


async def test_asked_progress_serves_where_etcd_keeps_it_in_order(
    etcd: EtcdServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = EtcdBackend([etcd.url])
    monkeypatch.setattr(backend, "_has_ordered_progress", True)
    recorder = Recorder(backend, await backend.current_revision(), "/registry/quiet/")
    await asyncio.sleep(0.05)
    await backend.create("/elsewhere/progress", b"")
    await recorder.reach(await backend.current_revision())
    assert recorder.changes == []
    await recorder.stop()
    await backend.close()


@pytest.mark.parametrize(
    ("version", "ordered"),
    [("3.4.23", False), ("3.4.25", True), ("3.5.7", False), ("3.5.8", True), ("3.6.0-rc.1", True)],
)
async def test_progress_is_trusted_by_version(monkeypatch: pytest.MonkeyPatch, version: str, ordered: bool) -> None:
    async def check_version(_: EtcdBackend) -> str:
        return version

    monkeypatch.setattr(EtcdBackend, "check_version", check_version)
    assert await EtcdBackend(["http://127.0.0.1:1"]).has_ordered_progress() is ordered
