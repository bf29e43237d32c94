"""Services get addresses and ports that nobody else has, and give them back, whatever fails in between."""

from __future__ import annotations

import asyncio
import copy
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from apiserver.resources.core import allocation
from apiserver.resources.core.allocation import ENDPOINTS, IP_ADDRESSES, SERVICE_CIDRS, SERVICES, ServiceAllocator
from apiserver.resources.core.node_ports import ROUNDS_BEFORE_CLEANUP, PortRange
from apiserver.resources.core.services import build_services
from apiserver.resources.strategy import User, WriteContext
from apiserver.storage.backend import Unavailable
from apiserver.storage.sqlite import SqliteBackend
from apiserver.storage.store import Store
from openapi.kinds.core_defaults import DEFAULTS
from openapi.meta import times
from openapi.meta.status import StatusError

Object = dict[str, Any]
V4, V6 = "10.96.0.0/24", "fd00::/108"
USER = User("tester")


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    store = Store(SqliteBackend(None))
    for row in (SERVICES, ENDPOINTS, IP_ADDRESSES, SERVICE_CIDRS):
        store.register(row, lambda obj: {})
    await store.start()
    yield store
    await store.close()


def allocator(store: Store, *cidrs: str, ports: str = "30000-32767") -> ServiceAllocator:
    return ServiceAllocator(store, cidrs or (V4,), ports, rng=random.Random(1))


def context(*, dry_run: bool = False) -> WriteContext:
    return WriteContext(USER, times.now(), "default", dry_run=dry_run)


def service(name: str, **spec: Any) -> Object:
    made: Object = {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }
    for rule in DEFAULTS["io.k8s.api.core.v1.Service"]:
        assert callable(rule)
        rule(made)
    return made


async def create(store: Store, taker: ServiceAllocator, made: Object, *, fails: bool = False) -> Object:
    """What a write does: prepare, take, store (or fail), settle."""
    strategy = build_services(taker)
    strategy.prepare(made, None, context())
    assert not list(strategy.validate(made, None, context()))
    finish = await strategy.begin_write(made, None, context())
    if not fails:
        await store.create(SERVICES, "default", made["metadata"]["name"], made)
    if finish is not None:
        await finish(not fails)
    return made


async def change(taker: ServiceAllocator, old: Object, **spec: Any) -> Object:
    old["metadata"]["resourceVersion"] = "1"
    made = copy.deepcopy(old)
    made["spec"].update(spec)
    for rule in DEFAULTS["io.k8s.api.core.v1.Service"]:
        rule(made)  # type: ignore[operator]
    strategy = build_services(taker)
    strategy.prepare(made, old, context())
    assert [str(e) for e in strategy.validate(made, old, context())] == []
    finish = await strategy.begin_write(made, old, context())
    if finish is not None:
        await finish(True)
    return made


async def addresses(store: Store) -> list[str]:
    return sorted(entry.name for entry in (await store.fresh(IP_ADDRESSES)).entries())


async def test_a_service_gets_an_address_of_the_range_and_a_record_of_it(store: Store) -> None:
    made = await create(store, allocator(store), service("a", ports=[{"port": 80}]))
    ip = made["spec"]["clusterIP"]
    assert made["spec"]["clusterIPs"] == [ip] and ip.startswith("10.96.0.")
    record = (await store.fresh(IP_ADDRESSES)).get("", ip)
    assert record is not None
    assert record.object()["spec"]["parentRef"] == {"resource": "services", "namespace": "default", "name": "a"}


async def test_no_two_services_share_address_or_port_when_made_at_once(store: Store) -> None:
    one, other = allocator(store), allocator(store)
    made = await asyncio.gather(
        *(
            create(store, (one, other)[i % 2], service(f"s{i}", type="NodePort", ports=[{"port": 80}]))
            for i in range(60)
        )
    )
    assert len({s["spec"]["clusterIP"] for s in made}) == 60
    assert len({s["spec"]["ports"][0]["nodePort"] for s in made}) == 60


async def test_a_full_range_is_an_internal_error(store: Store) -> None:
    taker = allocator(store, "10.96.0.0/29")
    for i in range(6):
        await create(store, taker, service(f"s{i}", ports=[{"port": 80}]))
    with pytest.raises(StatusError, match="failed to allocate a serviceIP: range is full"):
        await create(store, taker, service("more", ports=[{"port": 80}]))


async def test_ports_run_out_without_holding_an_address(store: Store) -> None:
    taker = allocator(store, ports="30000-30001")
    wanted = [{"name": "a", "port": 1}, {"name": "b", "port": 2}, {"name": "c", "port": 3}]
    with pytest.raises(StatusError, match="failed to allocate a nodePort: range is full"):
        await create(store, taker, service("a", type="NodePort", ports=wanted))
    assert await addresses(store) == []
    await create(store, taker, service("b", type="NodePort", ports=wanted[:2]))


@pytest.mark.parametrize(
    ("ip", "text"),
    [
        ("10.97.0.1", "the provided network does not match the current range"),
        ("10.96.0.0", "the provided IP (10.96.0.0) is not in the valid range. The range of valid IPs is " + V4),
        ("10.96.0.255", "the provided IP (10.96.0.255) is not in the valid range. The range of valid IPs is " + V4),
        ("10.96.0.7", "provided IP is already allocated"),
    ],
)
async def test_an_address_that_cannot_be_had_says_why(store: Store, ip: str, text: str) -> None:
    taker = allocator(store)
    await create(store, taker, service("first", clusterIP="10.96.0.7", ports=[{"port": 80}]))
    with pytest.raises(StatusError) as refused:
        await create(store, taker, service("a", clusterIP=ip, ports=[{"port": 80}]))
    expected = f'Service "a" is invalid: spec.clusterIPs: Invalid value: ["{ip}"]: failed to allocate IP {ip}: {text}'
    assert refused.value.message == expected


async def test_a_failed_write_gives_all_back(store: Store) -> None:
    taker = allocator(store, ports="30000-30000")
    wanted = service("a", type="NodePort", ports=[{"port": 80}])
    await create(store, taker, wanted, fails=True)
    assert await addresses(store) == []
    await create(store, taker, service("b", type="NodePort", ports=[{"port": 80}]))


async def test_a_dry_run_takes_nothing(store: Store) -> None:
    taker = allocator(store)
    made = service("a", type="NodePort", ports=[{"port": 80}])
    strategy = build_services(taker)
    strategy.prepare(made, None, context(dry_run=True))
    assert await strategy.begin_write(made, None, context(dry_run=True)) is None
    assert made["spec"]["clusterIP"] and made["spec"]["ports"][0]["nodePort"]
    assert await addresses(store) == []


@pytest.mark.parametrize(
    ("ports", "numbers"),
    [
        ([{"port": 80}, {"port": 81}], [32769, 32770]),
        ([{"port": 80, "nodePort": 30080}, {"port": 81}], [30080, 30081]),
        ([{"port": 80}, {"port": 81, "nodePort": 30080}], [32769, 30080]),
        ([{"port": 80}, {"port": 80, "protocol": "UDP", "nodePort": 7}], [7, 7]),
    ],
)
async def test_a_dry_run_shows_numbers_that_no_service_gets(
    store: Store, ports: list[Object], numbers: list[int]
) -> None:
    made = service("a", type="NodePort", ports=ports)
    strategy = build_services(allocator(store))
    strategy.prepare(made, None, context(dry_run=True))
    await strategy.begin_write(made, None, context(dry_run=True))
    assert [port["nodePort"] for port in made["spec"]["ports"]] == numbers


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (
            {"clusterIP": "192.0.2.1"},
            "the provided IP (192.0.2.1) is not in the valid range. The range of valid IPs is",
        ),
        ({"type": "NodePort", "ports": [{"port": 1, "nodePort": 30080}]}, "provided port is already allocated"),
    ],
)
async def test_a_dry_run_is_refused_what_cannot_be_had(store: Store, spec: Object, text: str) -> None:
    taker = allocator(store)
    await create(store, taker, service("a", type="NodePort", ports=[{"port": 80, "nodePort": 30080}]))
    made, strategy = service("b", **{"ports": [{"port": 80}], **spec}), build_services(taker)
    strategy.prepare(made, None, context(dry_run=True))
    with pytest.raises(StatusError) as refused:
        await strategy.begin_write(made, None, context(dry_run=True))
    assert text in refused.value.message


async def test_deletion_gives_all_back(store: Store) -> None:
    taker = allocator(store, ports="30000-30001")
    wanted = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{"port": 80}]}
    made = await create(store, taker, service("a", **wanted))
    assert made["spec"]["healthCheckNodePort"] != made["spec"]["ports"][0]["nodePort"]
    await taker.release(made)
    assert await addresses(store) == []
    await create(store, taker, service("b", **wanted))


async def test_deletion_removes_the_endpoints_of_the_service(store: Store) -> None:
    taker = allocator(store)
    made = await create(store, taker, service("a", ports=[{"port": 80}]))
    endpoints = {"kind": "Endpoints", "apiVersion": "v1", "metadata": {"name": "a", "namespace": "default"}}
    await store.create(ENDPOINTS, "default", "a", endpoints)
    await taker.release(made)
    assert await store.get(ENDPOINTS, "default", "a") is None


async def test_another_type_gives_back_what_it_has_no_use_for(store: Store) -> None:
    taker = allocator(store, ports="30000-30000")
    made = await create(store, taker, service("a", type="NodePort", ports=[{"port": 80}]))
    inner = await change(taker, made, type="ClusterIP")
    assert "nodePort" not in inner["spec"]["ports"][0] and "externalTrafficPolicy" not in inner["spec"]
    await create(store, taker, service("b", type="NodePort", ports=[{"port": 80}]))
    named = await change(taker, inner, type="ExternalName", externalName="a.example.com")
    assert "clusterIP" not in named["spec"] and made["spec"]["clusterIP"] not in await addresses(store)


async def test_tcp_and_udp_of_one_number_share_their_node_port(store: Store) -> None:
    ports = [{"name": "t", "port": 53}, {"name": "u", "port": 53, "protocol": "UDP"}]
    made = await create(store, allocator(store), service("dns", type="NodePort", ports=ports))
    first, second = (port["nodePort"] for port in made["spec"]["ports"])
    assert first == second


async def test_ports_added_later_share_nothing(store: Store) -> None:
    taker = allocator(store)
    old = await create(store, taker, service("a", type="NodePort", ports=[{"port": 80, "name": "a"}]))
    kept = old["spec"]["ports"][0]
    changed = await change(taker, old, ports=[kept, {"port": 80, "name": "b", "protocol": "UDP"}])
    assert changed["spec"]["ports"][1]["nodePort"] not in (0, kept["nodePort"])


async def test_two_families_get_one_address_each(store: Store) -> None:
    taker = allocator(store, V4, V6)
    made = await create(store, taker, service("a", ipFamilyPolicy="PreferDualStack", ports=[{"port": 80}]))
    assert made["spec"]["ipFamilies"] == ["IPv4", "IPv6"]
    assert [":" in ip for ip in made["spec"]["clusterIPs"]] == [False, True]
    single = await change(taker, made, ipFamilyPolicy="SingleStack")
    assert single["spec"]["clusterIPs"] == made["spec"]["clusterIPs"][:1]
    assert await addresses(store) == made["spec"]["clusterIPs"][:1]
    again = await change(taker, single, ipFamilyPolicy="RequireDualStack")
    assert len(again["spec"]["clusterIPs"]) == 2 and again["spec"]["ipFamilies"] == ["IPv4", "IPv6"]


async def test_addresses_come_from_added_ranges_too(store: Store) -> None:
    taker = allocator(store, "10.96.0.0/30")
    await taker.start()
    cidr = {"kind": "ServiceCIDR", "apiVersion": "networking.k8s.io/v1", "metadata": {"name": "more"}}
    await store.create(SERVICE_CIDRS, "", "more", {**cidr, "spec": {"cidrs": ["10.99.0.0/30"]}})
    await store.fresh(SERVICE_CIDRS)
    made = [await create(store, taker, service(f"s{i}", ports=[{"port": 80}])) for i in range(4)]
    assert sorted(s["spec"]["clusterIP"] for s in made) == ["10.96.0.1", "10.96.0.2", "10.99.0.1", "10.99.0.2"]


async def test_the_upper_part_of_a_range_is_given_out_first(store: Store) -> None:
    taker = allocator(store)
    made = [await create(store, taker, service(f"s{i}", ports=[{"port": 80}])) for i in range(20)]
    assert min(int(s["spec"]["clusterIP"].split(".")[-1]) for s in made) > 16
    assert PortRange.parse("30000-32767").static_size == 86


async def test_repair_frees_the_claims_of_a_crash_when_they_are_old(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    taker = allocator(store, ports="30000-30000")
    made = service("a", type="NodePort", ports=[{"port": 80}])
    strategy = build_services(taker)
    strategy.prepare(made, None, context())
    await strategy.begin_write(made, None, context())
    await taker.repair()
    assert await addresses(store) == made["spec"]["clusterIPs"], "the write may still be under way"
    later = times.now() + timedelta(seconds=allocation.GRACE_S + 2)
    monkeypatch.setattr(allocation.times, "now", lambda: later)
    for _ in range(ROUNDS_BEFORE_CLEANUP):
        await taker.repair()
    assert await addresses(store) == []
    fresh = allocator(store, ports="30000-30000")
    await create(store, fresh, service("b", type="NodePort", ports=[{"port": 80}]))


async def test_a_start_alone_on_the_store_frees_the_claims_of_a_crash_at_once(store: Store) -> None:
    made = service("a", type="NodePort", ports=[{"port": 80}])
    crashed = allocator(store, ports="30000-30000")
    strategy = build_services(crashed)
    strategy.prepare(made, None, context())
    await strategy.begin_write(made, None, context())
    taker = allocator(store, ports="30000-30000")
    await taker.start()
    assert await addresses(store) == []
    await create(store, taker, service("b", type="NodePort", ports=[{"port": 80}]))


async def test_repair_takes_for_services_what_they_hold(store: Store) -> None:
    held = service(
        "a", type="NodePort", clusterIP="10.96.0.9", clusterIPs=["10.96.0.9"], ports=[{"port": 80, "nodePort": 30000}]
    )
    await store.create(SERVICES, "default", "a", held)
    taker = allocator(store, ports="30000-30001")
    await taker.repair()
    assert await addresses(store) == ["10.96.0.9"]
    made = await create(store, taker, service("b", type="NodePort", ports=[{"port": 80}]))
    assert made["spec"]["ports"][0]["nodePort"] == 30001


async def test_a_store_that_cannot_take_back_does_not_fail_a_deletion(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    taker = allocator(store)
    made = await create(store, taker, service("a", type="NodePort", ports=[{"port": 80}]))

    async def broken(*args: Any, **kwargs: Any) -> int:
        raise Unavailable("gone")

    monkeypatch.setattr(store.backend, "delete", broken)
    monkeypatch.setattr(store.backend, "update", broken)
    await taker.release(made)
    assert await addresses(store) == made["spec"]["clusterIPs"]
