"""The shared store: the contract over a real etcd, and what only a store over the network must do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

pytest.importorskip("aetcd")

from aetcd import rpc

from apiserver.storage.backend import KeyExists, Unavailable
from apiserver.storage.etcd import EtcdBackend
from apiserver.storage.store import Store
from apiserver.tests.storage.conftest import EtcdServer, free_port, peer_url
from apiserver.tests.storage.contract import BackendContract, Recorder, churn, kind, pod
from openapi.catalog import Resource


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


PODS = Resource("", "v1", "pods", "Pod", "", True, prefix="pods")


async def test_two_servers_over_one_etcd_see_each_others_writes(own_etcd: EtcdServer) -> None:
    one, two = Store(EtcdBackend([own_etcd.url])), Store(EtcdBackend([own_etcd.url]))
    for store in (one, two):
        store.register(PODS, lambda obj: {})
        await store.start()
    for number in range(20):
        name = f"a{number}"
        await one.create(PODS, "default", name, {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name}})
        assert (await two.fresh(PODS)).get("default", name) is not None
    await two.backend.create("/elsewhere/a", b"")
    assert len(await one.fresh(PODS)) == 20
    for store in (one, two):
        await store.close()


async def test_a_store_outlives_the_loss_of_etcd(own_etcd: EtcdServer) -> None:
    store = Store(EtcdBackend([own_etcd.url], timeout_s=0.3))
    cache = store.register(PODS, lambda obj: {})
    await store.start()
    pod_object = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a"}}
    await store.create(PODS, "default", "a", pod_object)
    own_etcd.kill()
    with pytest.raises(Unavailable):
        await store.fresh(PODS)
    with pytest.raises(Unavailable):
        await store.create(PODS, "default", "b", pod_object)
    await asyncio.to_thread(own_etcd.start)
    async with asyncio.timeout(20):
        while cache.get("default", "c") is None:
            try:
                await store.create(PODS, "default", "c", pod_object)
            except (Unavailable, KeyExists):
                await asyncio.sleep(0.05)
            else:
                await store.fresh(PODS)
    assert [entry.name for entry in cache.entries()] == ["a", "c"]
    await store.close()


@pytest.fixture
def members(etcd_binary: str, tmp_path: Path) -> Iterator[list[EtcdServer]]:
    peers = {name: peer_url() for name in ("one", "two", "three")}
    quick = ("--heartbeat-interval", "50", "--election-timeout", "500")
    servers = [EtcdServer(etcd_binary, tmp_path / name, name=name, peers=peers, flags=quick) for name in peers]
    for server in servers:
        server.launch()
    for server in servers:
        server.wait()
    yield servers
    for server in servers:
        server.kill()


async def test_the_death_of_any_one_member_loses_no_write_and_no_event(members: list[EtcdServer]) -> None:
    backend = EtcdBackend([server.url for server in members], timeout_s=3)
    start = await backend.current_revision()
    recorder = Recorder(backend, start)
    written: list[str] = []

    async def write(key: str) -> None:
        """As a client would: a write whose outcome is unknown is made again."""
        while True:
            try:
                await backend.create(key, b"")
            except Unavailable:
                await asyncio.sleep(0.05)
                continue
            except KeyExists:
                pass
            written.append(key)
            return

    for round_, victim in enumerate(members):
        await asyncio.gather(*(write(pod(f"{round_}-{n}")) for n in range(50)))
        writes = asyncio.gather(*(write(pod(f"{round_}-late-{n}")) for n in range(50)))
        await asyncio.sleep(0)
        victim.kill()
        await writes
        await asyncio.to_thread(victim.start)
    changes = await recorder.reach(await backend.current_revision())
    seen = [change for change in changes if not change.key.endswith(".progress")]  # An older etcd is made to tell it.
    assert sorted(change.key for change in seen) == sorted(written)
    assert [change.revision for change in seen] == sorted({change.revision for change in seen})
    await recorder.stop()
    await backend.close()


def issue(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 that serves as authority, server and client."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "etcd")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_path, key_path = folder / "cert.pem", folder / "key.pem"
    cert_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    key_path.write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    return cert_path, key_path


async def test_etcd_over_mutual_tls(etcd_binary: str, tmp_path: Path) -> None:
    cert, key = issue(tmp_path)
    flags = ("--cert-file", cert, "--key-file", key, "--trusted-ca-file", cert, "--client-cert-auth")
    server = EtcdServer(etcd_binary, tmp_path / "etcd", flags=tuple(map(str, flags)), scheme="https")
    server.start()
    try:
        backend = EtcdBackend([server.url], ca=cert, cert=cert, key=key)
        revision = await backend.create(pod("a"), b"1")
        assert await backend.current_revision() == revision
        await backend.close()
        stranger = EtcdBackend([server.url], ca=cert, timeout_s=0.3)
        with pytest.raises(Unavailable):
            await stranger.get(pod("a"))
        await stranger.close()
    finally:
        server.kill()


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
