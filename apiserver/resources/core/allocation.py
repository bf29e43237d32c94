"""What services hold outside their own object: cluster IPs, node ports and the health-check port.

An address is claimed by creating the IPAddress object of its name, which the store grants only once; ports are bits of
`node_ports`. Both are taken before the service is stored and given back if it is not; what a crash leaves behind is
found by `repair`, which runs at the start and from then on periodically.
Follows: pkg/registry/core/service/storage/alloc.go, pkg/registry/core/service/ipallocator,
pkg/registry/core/service/*/controller/repair*.go
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Any

from apiserver.resources.addresses import address_text, is_ipv6_text
from apiserver.resources.core.ip_ranges import IpRange, range_of
from apiserver.resources.core.ip_records import default_cidr, ip_record, is_ready, parent_of
from apiserver.resources.core.node_ports import FULL, ROUNDS_BEFORE_CLEANUP, NodePorts, PortError, PortPlan, PortRange
from apiserver.resources.core.service_families import unchanged_preference
from apiserver.resources.core.service_spec import (
    IPV4,
    IPV6,
    NONE,
    cluster_ips,
    families,
    kind_of,
    may_have_node_ports,
    needs_health_port,
    needs_node_ports,
    own_ips,
    own_ports,
)
from apiserver.resources.strategy import Finish, Object, WriteContext
from apiserver.storage.backend import KeyExists, RevisionConflict, StorageError
from apiserver.storage.store import Store
from openapi.catalog import Resource
from openapi.kinds import RESOURCES
from openapi.meta import names, status, times
from openapi.meta.field import invalid

log = logging.getLogger(__name__)

REPAIR_S = 180.0
GRACE_S = 60.0
"""A claim may be this old before the service that it is for must be there."""
TAKEN = "provided IP is already allocated"
MISMATCH = "the provided network does not match the current range"


def _row(group: str, resource: str) -> Resource:
    return next(row for row in RESOURCES if row.group == group and row.resource == resource)


SERVICES = _row("", "services")
ENDPOINTS = _row("", "endpoints")
IP_ADDRESSES = _row("networking.k8s.io", "ipaddresses")
SERVICE_CIDRS = _row("networking.k8s.io", "servicecidrs")


class AddressError(Exception):
    """An address cannot be had, in the words of the API."""


class ServiceAllocator:
    """`cidrs`: the configured ranges, one a family, the default family first. Ranges added as ServiceCIDR count too."""

    def __init__(
        self, store: Store, cidrs: Sequence[str], node_port_range: str, *, rng: random.Random | None = None
    ) -> None:
        self._store = store
        self._cidrs = tuple(cidrs)
        self._rng = rng or random.SystemRandom()
        self._ports = NodePorts(store.backend, PortRange.parse(node_port_range), self._rng)
        self.families = tuple(IPV6 if ip_network(cidr).version == 6 else IPV4 for cidr in cidrs)

    # -- the life of the cluster -------------------------------------------------------------------------------

    async def start(self) -> None:
        """Make the default ServiceCIDR and repair once, before the first request. The store must have started."""
        try:
            await self._store.create(SERVICE_CIDRS, "", "kubernetes", default_cidr(self._cidrs, times.now()))
        except KeyExists:
            pass
        await self.repair(alone=self._store.backend.embedded)

    async def run(self) -> None:
        """Repair for ever."""
        while True:
            await asyncio.sleep(REPAIR_S)
            try:
                await self.repair()
            except StorageError:
                log.warning("repair of service addresses failed", exc_info=True)

    async def repair(self, *, alone: bool = False) -> None:
        """Take for the services what they hold, and give back what nobody holds.

        `alone`: no write is under way anywhere, so what looks left behind is.
        """
        services = [entry.object() for entry in (await self._store.fresh(SERVICES)).entries()]
        used = [port for service in services for port in own_ports(service["spec"])]
        await self._ports.repair(used, rounds=1 if alone else ROUNDS_BEFORE_CLEANUP)
        await self._repair_ips(services, 0.0 if alone else GRACE_S)

    async def _repair_ips(self, services: Sequence[Object], grace_s: float) -> None:
        records = await self._store.fresh(IP_ADDRESSES)
        owners: dict[str, tuple[str, str]] = {}
        for service in services:
            meta = service["metadata"]
            for ip in own_ips(service["spec"]):
                name = _canonical(ip)
                owners.setdefault(name, (meta["namespace"], meta["name"]))
                if owners[name] != (meta["namespace"], meta["name"]):
                    log.error("cluster IP belongs to two services", extra={"key": name, "object": meta["name"]})
                elif records.get("", name) is None:
                    await self._claim(name, meta["namespace"], meta["name"])
        oldest = times.now() - timedelta(seconds=grace_s)
        for entry in records.entries():
            record = entry.object()
            parent = parent_of(record)
            young = _created(record) > oldest
            if parent is None or young or owners.get(entry.name) == parent:
                continue
            if not await self._holds(parent, entry.name):
                await self._drop(entry.name, entry.revision)

    async def _holds(self, parent: tuple[str, str], name: str) -> bool:
        entry = await self._store.get(SERVICES, *parent)
        return entry is not None and name in {_canonical(ip) for ip in own_ips(entry.object()["spec"])}

    # -- writes ------------------------------------------------------------------------------------------------

    async def allocate(self, service: Object, old: Object | None, context: WriteContext) -> Finish | None:
        """Fill in addresses and ports in place; the result is called with whether the service was stored."""
        claimed: list[str] = []
        released = [] if old is None else _released_ips(service["spec"], old["spec"])
        try:
            await self._allocate_ips(service, old, claimed, dry_run=context.dry_run)
            taken, freed = await self._allocate_ports(service, old, dry_run=context.dry_run)
        except BaseException:
            await self._release_ips(claimed, service)
            raise
        if context.dry_run or not (claimed or released or taken or freed):
            return None

        async def finish(stored: bool) -> None:
            await self._release_ips(released if stored else claimed, service)
            await self._ports.give_back(freed if stored else taken)

        return finish

    async def release(self, service: Object) -> None:
        """Give back all that a deleted service held, and remove its Endpoints with it.

        What cannot be given back now, `repair` will.
        """
        await self._release_ips(own_ips(service["spec"]), service)
        await self._drop_endpoints(service["metadata"])
        try:
            await self._ports.give_back(own_ports(service["spec"]))
        except StorageError:
            log.warning("node ports were not given back", extra={"object": service["metadata"]["name"]})

    async def _drop_endpoints(self, meta: Object) -> None:
        """Endpoints of a service that is gone would be found by the next one of its name."""
        namespace, name = meta["namespace"], meta["name"]
        try:
            entry = await self._store.get(ENDPOINTS, namespace, name)
            if entry is not None and not entry.object()["metadata"].get("finalizers"):
                await self._store.delete(ENDPOINTS, namespace, name, entry.revision)
        except StorageError:
            log.warning("endpoints of a deleted service remain", extra={"object": name})

    # -- addresses ---------------------------------------------------------------------------------------------

    async def _allocate_ips(
        self, service: Object, old: Object | None, claimed: list[str], *, dry_run: bool
    ) -> None:
        spec = service["spec"]
        if kind_of(spec) == "ExternalName" or cluster_ips(spec)[:1] == [NONE]:
            return
        first = 0
        if old is not None and kind_of(old["spec"]) != "ExternalName":
            before = old["spec"]
            grown = len(families(before)) == 1 and len(families(spec)) == 2
            if unchanged_preference(spec, before) or cluster_ips(before)[:1] == [NONE] or not grown:
                return
            first = 1
        ips = list(cluster_ips(spec))
        for i, family in enumerate(families(spec)):
            if i >= len(ips):
                ips.append("")
            if i >= first:
                ips[i] = await self._obtain(service, ips[i], family, claimed, dry_run=dry_run)
        if ips:
            spec["clusterIPs"], spec["clusterIP"] = ips, ips[0]

    async def _obtain(self, service: Object, ip: str, family: str, claimed: list[str], *, dry_run: bool) -> str:
        meta = service["metadata"]
        try:
            if ip:
                await self._take(ip, family, meta["namespace"], meta["name"], dry_run=dry_run)
            else:
                ip = await self._take_any(family, meta["namespace"], meta["name"], dry_run=dry_run)
        except AddressError as err:
            if not ip:
                raise status.internal_error(f"failed to allocate a serviceIP: {err}") from err
            given = [value for value in cluster_ips(service["spec"]) if value]
            error = invalid("spec.clusterIPs", given, f"failed to allocate IP {ip}: {err}")
            raise status.invalid("", "Service", meta["name"], [error]) from err
        if not dry_run:
            claimed.append(ip)
        return ip

    def ranges(self, family: str) -> list[IpRange]:
        """The ranges of a family that addresses may be taken from."""
        found = {}
        for entry in self._store.cache(SERVICE_CIDRS).entries():
            obj = entry.object()
            if is_ready(obj):
                found.update({cidr: range_of(cidr) for cidr in obj["spec"].get("cidrs") or ()})
        found = found or {cidr: range_of(cidr) for cidr in self._cidrs}
        return [one for one in found.values() if one is not None and one.family == family]

    async def _take(self, ip: str, family: str, namespace: str, name: str, *, dry_run: bool) -> None:
        address = names.parse_ip(ip)
        assert address is not None, "addresses are checked before they are allocated"
        text = address_text(address)
        ranges = self.ranges(family)
        inside = [one for one in ranges if one.covers(address)]
        if not inside and not (dry_run and ranges):
            raise AddressError(MISMATCH)
        if not any(one.usable(address) for one in inside):
            valid = (inside or ranges)[0]
            raise AddressError(f"the provided IP ({text}) is not in the valid range. The range of valid IPs is {valid}")
        if not dry_run and not await self._claim(text, namespace, name):
            raise AddressError(TAKEN)

    async def _take_any(self, family: str, namespace: str, name: str, *, dry_run: bool) -> str:
        ranges = self.ranges(family)
        if dry_run and ranges:
            return ranges[0].network_text
        taken = self._store.cache(IP_ADDRESSES)
        for one in ranges:
            for candidate in one.candidates(self._rng):
                if taken.get("", candidate) is None and await self._claim(candidate, namespace, name):
                    return candidate
        raise AddressError(FULL)

    async def _claim(self, ip: str, namespace: str, name: str) -> bool:
        """Whether the address is now held for the service; False if somebody has it."""
        family = IPV6 if is_ipv6_text(ip) else IPV4
        try:
            await self._store.create(IP_ADDRESSES, "", ip, ip_record(ip, family, namespace, name, times.now()))
        except KeyExists:
            return False
        return True

    async def _release_ips(self, ips: Sequence[str], service: Object) -> None:
        meta = service["metadata"]
        owner = (meta["namespace"], meta["name"])
        for ip in map(_canonical, ips):
            try:
                entry = await self._store.get(IP_ADDRESSES, "", ip)
                if entry is not None and parent_of(entry.object()) == owner:
                    await self._drop(ip, entry.revision)
            except StorageError:
                log.warning("cluster IP was not given back", extra={"key": ip})

    async def _drop(self, ip: str, revision: int) -> None:
        try:
            await self._store.delete(IP_ADDRESSES, "", ip, revision)
        except RevisionConflict:
            log.info("cluster IP changed while it was given back", extra={"key": ip})

    # -- ports -------------------------------------------------------------------------------------------------

    async def _allocate_ports(
        self, service: Object, old: Object | None, *, dry_run: bool
    ) -> tuple[list[int], list[int]]:
        """Ports newly taken, and those of the old service that are no longer needed."""
        spec = service["spec"]
        held = [] if old is None else own_ports(old["spec"])
        wants = may_have_node_ports(spec) and any(
            port.get("nodePort") or needs_node_ports(spec) for port in spec.get("ports") or ()
        )
        if not held and not wants and not needs_health_port(spec):
            return [], []
        if old is not None:
            _refuse_doubles(spec)
        planner = _PortPlanner(service, held, new=old is None)
        taken: list[int] = []
        if planner.idle():
            planner.keep()
        elif dry_run:
            await self._ports.trial(planner.plan)
        else:
            taken = await self._ports.change(planner.plan)
        planner.apply()
        freed = [port for port in held if port not in own_ports(spec)]
        return taken, freed


class _PortPlanner:
    """Which ports a service needs. `plan` may run several times; `apply` writes the last outcome into the service."""

    def __init__(self, service: Object, held: Sequence[int], *, new: bool) -> None:
        self._service = service
        self._new = new
        self._spec = service["spec"]
        self._held = frozenset(held)
        self._numbers: list[int] = []
        self._health = 0

    def _ports(self) -> list[Object]:
        return self._spec.get("ports") or [] if may_have_node_ports(self._spec) else []

    def idle(self) -> bool:
        """All that is needed is held already."""
        if needs_health_port(self._spec) and self._spec.get("healthCheckNodePort", 0) not in self._held:
            return False
        every = needs_node_ports(self._spec)
        return all(
            number in self._held if number else not every
            for number in (port.get("nodePort", 0) for port in self._ports())
        )

    def keep(self) -> None:
        self._numbers = [port.get("nodePort", 0) for port in self._ports()]
        self._health = self._spec.get("healthCheckNodePort", 0)

    def plan(self, plan: PortPlan) -> None:
        """Ports of a new service with the same number, as TCP and as UDP, share their node port."""
        self._numbers = []
        shared: dict[int, int] = {}
        mine = set(self._held)
        ports = self._ports()
        for i, port in enumerate(ports):
            wanted, number = port.get("nodePort", 0), port.get("port", 0)
            if not wanted and not needs_node_ports(self._spec):
                self._numbers.append(0)
                continue
            if self._new:
                wanted = wanted or shared.get(number, 0) or _fixed_later(ports, number)
            if not wanted:
                wanted = self._any(plan, "failed to allocate a nodePort")
            elif wanted not in mine:
                self._take(plan, wanted, i)
            mine.add(wanted)
            shared.setdefault(number, wanted)
            self._numbers.append(wanted)
        self._plan_health(plan, mine)

    def _plan_health(self, plan: PortPlan, mine: set[int]) -> None:
        self._health = self._spec.get("healthCheckNodePort", 0)
        if not needs_health_port(self._spec):
            return
        if not self._health:
            self._health = self._any(plan, "failed to allocate a HealthCheck NodePort 0")
        elif self._health not in self._held:
            try:
                plan.take(self._health)
            except PortError as err:
                text = f"failed to allocate requested HealthCheck NodePort {self._health}: {err}"
                raise status.internal_error(text) from err

    def _take(self, plan: PortPlan, port: int, index: int) -> None:
        try:
            plan.take(port)
        except PortError as err:
            error = invalid(f"spec.ports[{index}].nodePort", port, str(err))
            raise status.invalid("", "Service", self._service["metadata"]["name"], [error]) from err

    def _any(self, plan: PortPlan, text: str) -> int:
        try:
            return plan.take_any()
        except PortError as err:
            raise status.internal_error(f"{text}: {err}") from err

    def apply(self) -> None:
        for port, number in zip(self._ports(), self._numbers, strict=True):
            if number:
                port["nodePort"] = number
        if needs_health_port(self._spec):
            self._spec["healthCheckNodePort"] = self._health


def _refuse_doubles(spec: Object) -> None:
    """A changed service may not name a node port twice; that is no matter of validity there, but an internal error."""
    seen = set()
    for port in (spec.get("ports") or ()) if may_have_node_ports(spec) else ():
        protocol, number = port.get("protocol", ""), port.get("nodePort", 0)
        if number and (protocol, number) in seen:
            raise status.StatusError(500, "", f"duplicate nodePort: {{{protocol} {number}}}")
        seen.add((protocol, number))


def _fixed_later(ports: Sequence[Object], number: int) -> int:
    """The node port that another entry of the same port number asks for."""
    return next((int(port["nodePort"]) for port in ports if port.get("port") == number and port.get("nodePort")), 0)


def _canonical(ip: str) -> str:
    address = names.parse_ip(ip)
    return ip if address is None else address_text(address)


def _created(record: Object) -> datetime:
    return times.parse_time(record["metadata"]["creationTimestamp"])


def _released_ips(spec: Object, old: Object) -> list[str]:
    kept: Any = own_ips(spec)
    return [ip for ip in own_ips(old) if ip not in kept]
