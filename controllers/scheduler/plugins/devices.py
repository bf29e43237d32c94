"""Giving devices to claims: which devices a node can reach, which are free, and a choice that meets all requests.

The first solution is taken: devices in the order of pools and slices, alternatives in the order of the claim.
Follows: staging/src/k8s.io/dynamic-resource-allocation/structured/internal/stable/{allocator,pools}_stable.go
"""

from __future__ import annotations

import math
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from controllers.scheduler.framework import Bools, SchedulingError
from controllers.scheduler.plugins.device_capacity import Shares, is_large_enough, is_shared, share_of
from controllers.scheduler.plugins.device_capacity import fits as fits_share
from controllers.scheduler.plugins.device_selectors import selects
from controllers.scheduler.selection import NodeSelection, Taint, Toleration, tolerated
from controllers.scheduler.snapshot import Snapshot
from openapi.meta.quantity import Quantity

View = Mapping[str, Any]
CANNOT_ALLOCATE = "cannot allocate all claims"
INVALID_POOLS = "invalid resource pools were encountered"
TIMED_OUT = "timed out trying to allocate devices"
MAX_RESULTS = 32
"""A claim cannot hold more devices."""
MAX_ALTERNATIVES = 8
"""So many alternatives may a request have."""


class DeviceId(NamedTuple):
    driver: str
    pool: str
    device: str


@dataclass(frozen=True, slots=True)
class Device:
    """One device of a slice."""

    id: DeviceId
    spec: View
    slice: View


@dataclass(slots=True)
class Pool:
    """The slices of a pool's newest generation."""

    driver: str
    name: str
    slices: list[View] = field(default_factory=list)

    @property
    def is_usable(self) -> bool:
        """Whether all of its slices are there and no device name comes twice."""
        return not self.is_incomplete and not self.is_invalid

    @property
    def is_incomplete(self) -> bool:
        return bool(len(self.slices) != self.slices[0]["spec"]["pool"]["resourceSliceCount"])

    @property
    def is_invalid(self) -> bool:
        names = [device["name"] for piece in self.slices for device in piece["spec"].get("devices") or ()]
        return len(names) != len(set(names))

    @property
    def must_be_waited_for(self) -> bool:
        """Whether a device of it must first be made ready."""
        return any(d.get("bindingConditions") for piece in self.slices for d in piece["spec"].get("devices") or ())

    def counters(self) -> Counter[tuple[str, str]]:
        """What partitions of its devices may use up together, by counter set and counter."""
        total: Counter[tuple[str, str]] = Counter()
        for piece in self.slices:
            for counters in piece["spec"].get("sharedCounters") or ():
                total.update(_counters(counters))
        return total


def gather_pools(slices: Iterable[View]) -> list[Pool]:
    """All pools, sorted by driver and name; those with devices that must be waited for come last."""
    pools: dict[tuple[str, str], Pool] = {}
    for piece in sorted(slices, key=lambda s: str(s["metadata"]["name"])):
        spec = piece["spec"]
        key = (spec["driver"], spec["pool"]["name"])
        pool = pools.setdefault(key, Pool(*key))
        newest = pool.slices[0]["spec"]["pool"]["generation"] if pool.slices else -1
        if spec["pool"]["generation"] > newest:
            pool.slices = [piece]
        elif spec["pool"]["generation"] == newest:
            pool.slices.append(piece)
    return [pools[key] for key in sorted(pools, key=lambda key: (pools[key].must_be_waited_for, key))]


def reachable(spec: View, snapshot: Snapshot) -> Bools | None:
    """The rows that reach the devices of a slice, or one device with nodes of its own; None: all rows."""
    if spec.get("nodeName"):
        return snapshot.named((spec["nodeName"],))
    if spec.get("allNodes") or spec.get("perDeviceNodeSelection"):
        return None
    if spec.get("nodeSelector"):
        return NodeSelection.of_selector(spec["nodeSelector"]).mask(snapshot)
    return snapshot.named(())


@dataclass(slots=True)
class Request:
    """One request of a claim, or one of its alternatives. `name` is as results show it."""

    name: str
    parent: str
    spec: View
    device_class: View
    is_alternative: bool

    @property
    def own_name(self) -> str:
        return self.name.rpartition("/")[2]

    @property
    def takes_all(self) -> bool:
        return self.spec.get("allocationMode") == "All"

    @property
    def count(self) -> int:
        return int(self.spec.get("count") or 1)

    @property
    def is_admin(self) -> bool:
        return bool(self.spec.get("adminAccess"))

    @property
    def tolerations(self) -> list[Toleration]:
        return [Toleration.parse(toleration) for toleration in self.spec.get("tolerations") or ()]


class OutOfTime(Exception):
    """The search for devices takes too long."""


class Given(NamedTuple):
    """A device for a request, or a share of one."""

    request: Request
    device: Device
    share: Mapping[str, Quantity] | None = None


@dataclass(frozen=True, slots=True)
class InUse:
    """What others hold: whole devices, and shares of some."""

    devices: frozenset[DeviceId] = frozenset()
    shares: Mapping[DeviceId, Shares] = field(default_factory=dict)


def requests_of(claim: View, device_class: Callable[[str], View | None]) -> list[list[Request]]:
    """For each request of the claim its alternatives, the wanted one first. Raises SchedulingError."""
    found: list[list[Request]] = []
    for request in claim["spec"].get("devices", {}).get("requests") or ():
        name = request["name"]
        alternatives = request.get("firstAvailable")
        if alternatives:
            entries = [(f"{name}/{entry['name']}", entry, True) for entry in alternatives]
        else:
            entries = [(name, request.get("exactly") or {}, False)]
        mine: list[Request] = []
        for full_name, spec, is_alternative in entries:
            found_class = device_class(spec.get("deviceClassName") or "")
            if found_class is None:
                raise SchedulingError(f"request {full_name}: device class {spec.get('deviceClassName')} does not exist")
            mine.append(Request(full_name, name, spec, found_class, is_alternative))
        found.append(mine)
    return found


class Allocator:
    """Finds devices for the claims of one pod on any node. `in_use` are the devices that others hold."""

    def __init__(
        self,
        claims: Sequence[View],
        requests: Sequence[Sequence[Sequence[Request]]],
        pools: Sequence[Pool],
        in_use: InUse,
        snapshot: Snapshot,
    ) -> None:
        self.claims = claims
        self._requests = requests
        self._pools = pools
        self._in_use = in_use
        self._snapshot = snapshot
        self._masks = [[(piece, reachable(piece["spec"], snapshot)) for piece in pool.slices] for pool in pools]
        self._usable = [pool.is_usable for pool in pools]
        self._matches: dict[tuple[DeviceId, str, int], bool] = {}
        self._counters = {(pool.driver, pool.name): self._left(pool) for pool in pools}

    def allocate(self, row: int, deadline: float = math.inf) -> list[list[Given]] | str:
        """The devices of each claim if the pod ran on that row, or why it gets none there.

        `deadline`, as `time.monotonic` counts: when to give up. Raises SchedulingError where the claims themselves
        ask for what cannot be.
        """
        found = _Search(self, row, self._devices(row), deadline).run()
        if found is None and any(pool.is_invalid for pool in self.pools(row)):
            return INVALID_POOLS
        return CANNOT_ALLOCATE if found is None else found

    def pools(self, row: int) -> Iterator[Pool]:
        """The pools with slices for the row."""
        for pool, pieces in zip(self._pools, self._masks, strict=True):
            if any(mask is None or mask[row] for _, mask in pieces):
                yield pool

    def _devices(self, row: int) -> list[Device]:
        found: list[Device] = []
        for pool, pieces, usable in zip(self._pools, self._masks, self._usable, strict=True):
            if usable:
                for piece, mask in pieces:
                    if mask is None or mask[row]:
                        found += self._of_slice(pool, piece, row)
        return found

    def _of_slice(self, pool: Pool, piece: View, row: int) -> Iterator[Device]:
        own_nodes = piece["spec"].get("perDeviceNodeSelection")
        for spec in piece["spec"].get("devices") or ():
            if own_nodes:
                mask = reachable(spec, self._snapshot)
                if mask is not None and not mask[row]:
                    continue
            yield Device(DeviceId(pool.driver, pool.name, spec["name"]), spec, piece)

    def _left(self, pool: Pool) -> Counter[tuple[str, str]]:
        left = pool.counters()
        for piece in pool.slices:
            for spec in piece["spec"].get("devices") or ():
                device = DeviceId(pool.driver, pool.name, spec["name"])
                if device in self._in_use.devices or device in self._in_use.shares:
                    left.subtract(consumed(spec))
        return left

    def fits(self, device: Device, request: Request, claim_index: int) -> bool:
        """Whether the device is what class and request describe. Kept: it does not depend on the node."""
        key = (device.id, request.name, claim_index)
        known = self._matches.get(key)
        if known is None:
            of_class = f"class {request.device_class['metadata']['name']}"
            of_claim = f"claim {name_of(self.claims[claim_index])}"
            known = self._matches[key] = selects(
                (request.device_class.get("spec") or {}).get("selectors"), device.id, device.spec, of_class
            ) and selects(request.spec.get("selectors"), device.id, device.spec, of_claim)
        return known


class _Search:
    """One search: goes through the requests, gives devices one by one, takes them back where it leads nowhere."""

    def __init__(self, allocator: Allocator, row: int, devices: Sequence[Device], deadline: float) -> None:
        self._all = allocator
        self._row = row
        self._devices = devices
        self._deadline = deadline
        self._every: dict[tuple[int, str], list[Device]] = {}
        self._given: list[list[Given]] = [[] for _ in allocator.claims]
        self._taken: set[DeviceId] = set()
        self._spent: dict[tuple[str, str], Counter[tuple[str, str]]] = {}

    def run(self) -> list[list[Given]] | None:
        """Raises OutOfTime, SchedulingError."""
        for claim, requests in enumerate(self._all._requests):
            least = sum(min(self._count(claim, request) for request in alternatives) for alternatives in requests)
            if least > MAX_RESULTS:
                name = name_of(self._all.claims[claim])
                text = f"number of requested devices {least} exceeds the claim limit of {MAX_RESULTS}"
                raise SchedulingError(f"claim {name}: {text}")
        return self._given if self._request(0, 0) else None

    def _count(self, claim: int, request: Request) -> int:
        """How many devices the request asks for."""
        if not request.takes_all:
            return request.count
        for pool in self._all.pools(self._row):
            problem = "being updated" if pool.is_incomplete else "invalid" if pool.is_invalid else ""
            if problem:
                name = f"claim {name_of(self._all.claims[claim])}, request {request.own_name}"
                home = f"{pool.driver}/{pool.name}"
                raise SchedulingError(f"{name}: asks for all devices, but resource pool {home} is currently {problem}")
        wanted = [device for device in self._devices if self._all.fits(device, request, claim)]
        self._every[(claim, request.name)] = wanted
        return len(wanted)

    def _request(self, claim: int, number: int) -> bool:
        """Serve this request and all after it."""
        if claim == len(self._all.claims):
            return True
        requests = self._all._requests[claim]
        if number == len(requests):
            return self._request(claim + 1, 0)
        return any(self._alternative(claim, number, request) for request in requests[number])

    def _alternative(self, claim: int, number: int, request: Request) -> bool:
        wanted = self._every.get((claim, request.name), [])
        if request.takes_all and not wanted:
            return False
        count = len(wanted) or request.count
        if len(self._given[claim]) + count > MAX_RESULTS:
            return False
        return self._fill(claim, number, request, wanted, count)

    def _fill(self, claim: int, number: int, request: Request, wanted: Sequence[Device], left: int) -> bool:
        """Give `left` more devices for the request, then go on. `wanted`: exactly these, if any are named."""
        if not left:
            return self._request(claim, number + 1)
        if time.monotonic() > self._deadline:
            raise OutOfTime
        choices = (wanted[-left],) if wanted else self._devices
        for device in choices:
            if not self._is_free(device, request, claim) or not self._all.fits(device, request, claim):
                continue
            share = None
            if is_shared(device.spec) and not request.is_admin:
                share = share_of(device.spec, request.spec)
                if share is None or not fits_share(device.spec, share, self._shares(device.id)):
                    continue
            elif not is_large_enough(device.spec, request.spec):
                continue
            given = Given(request, device, share)
            if not self._tolerated(given):
                continue
            if not self._in_line(claim, given):
                if wanted:
                    name = f"claim {name_of(self._all.claims[claim])}, request {request.own_name}"
                    text = f"cannot add device {'/'.join(device.id)} because a claim constraint would not be satisfied"
                    raise SchedulingError(f"{name}: {text}")
                continue
            self._give(claim, given)
            if self._fill(claim, number, request, wanted, left - 1):
                return True
            self._take_back(claim, given)
        return False

    def _is_free(self, device: Device, request: Request, claim: int) -> bool:
        if request.is_admin:
            return all(given.device.id != device.id for given in self._given[claim])
        if device.id in self._all._in_use.devices or device.id in self._taken:
            return False
        if is_shared(device.spec) and self._shares(device.id):
            return True  # whoever came first has paid for the whole device
        key = (device.id.driver, device.id.pool)
        left, spent = self._all._counters[key], self._spent.get(key, Counter())
        return all(left[name] - spent[name] >= amount for name, amount in consumed(device.spec).items())

    @staticmethod
    def _tolerated(given: Given) -> bool:
        for taint in given.device.spec.get("taints") or ():
            if taint["effect"] in ("NoSchedule", "NoExecute"):
                text = Taint(taint["key"], taint.get("value") or "", taint["effect"])
                if not tolerated(text, given.request.tolerations):
                    return False
        return True

    def _in_line(self, claim: int, given: Given) -> bool:
        """Whether the claim's constraints let it have the device beside those it has."""
        constraints = self._all.claims[claim]["spec"].get("devices", {}).get("constraints") or ()
        return all(_holds(constraint, self._given[claim], given) for constraint in constraints)

    def _give(self, claim: int, given: Given) -> None:
        device = given.device
        is_first = given.share is None or not self._shares(device.id)
        self._given[claim].append(given)
        if given.request.is_admin or not is_first:
            return
        if given.share is None:
            self._taken.add(device.id)
        self._spent.setdefault((device.id.driver, device.id.pool), Counter()).update(consumed(device.spec))

    def _take_back(self, claim: int, given: Given) -> None:
        self._given[claim].pop()
        if given.request.is_admin:
            return
        device = given.device
        if given.share is None:
            self._taken.discard(device.id)
        elif self._shares(device.id):
            return
        self._spent[(device.id.driver, device.id.pool)].subtract(consumed(device.spec))

    def _shares(self, device: DeviceId) -> Shares:
        """What others and this search have taken of a shared device."""
        taken = Counter(self._all._in_use.shares.get(device, {}))
        for claim in self._given:
            for given in claim:
                if given.device.id == device and given.share is not None:
                    taken.update({name: amount.nanos for name, amount in given.share.items()})
        return taken


def preference(claim: View, given: Sequence[Given]) -> int:
    """Points for the alternatives that were taken: the earlier they stand in their requests, the more."""
    taken = {entry.request.name for entry in given if entry.request.is_alternative}
    return sum(
        MAX_ALTERNATIVES - index
        for request in claim["spec"].get("devices", {}).get("requests") or ()
        for index, alternative in enumerate(request.get("firstAvailable") or ())
        if f"{request['name']}/{alternative['name']}" in taken
    )


def name_of(claim: View) -> str:
    return f"{claim['metadata']['namespace']}/{claim['metadata']['name']}"


def _counters(entry: View) -> dict[tuple[str, str], int]:
    name = entry.get("name") or entry.get("counterSet") or ""
    return {
        (name, counter): Quantity.parse(value["value"]).nanos
        for counter, value in (entry.get("counters") or {}).items()
    }


def consumed(device: View) -> dict[tuple[str, str], int]:
    """What the device uses up of its pool's shared counters."""
    used: dict[tuple[str, str], int] = {}
    for entry in device.get("consumesCounters") or ():
        used |= _counters(entry)
    return used


def _holds(constraint: View, others: Sequence[Given], given: Given) -> bool:
    names = constraint.get("requests")
    matching, distinct = constraint.get("matchAttribute"), constraint.get("distinctAttribute")
    attribute = matching or distinct or ""
    if names and not _concerns(names, given.request):
        return True
    mine = attribute_of(given.device, attribute)
    if mine is None:
        return False
    for other in others:
        if names and not _concerns(names, other.request):
            continue
        if (attribute_of(other.device, attribute) == mine) != bool(matching):
            return False
    return True


def _concerns(names: Sequence[str], request: Request) -> bool:
    return request.name in names or request.parent in names


def attribute_of(device: Device, name: str) -> View | None:
    """The device's attribute of that full name."""
    attributes: Mapping[str, View] = device.spec.get("attributes") or {}
    if name in attributes:
        return attributes[name]
    domain, _, identifier = name.partition("/")
    return attributes.get(identifier) if domain == device.id.driver else None


# results


def allocation_of(claim: View, given: Sequence[Given], node: str) -> dict[str, Any]:
    """The `status.allocation` of the claim with these devices, for a pod on that node."""
    results: list[dict[str, Any]] = []
    for request, device, share in given:
        result: dict[str, Any] = {"request": request.name, **device.id._asdict()}
        if share is not None:
            result["shareID"] = str(uuid.uuid4())
            result["consumedCapacity"] = {name: str(amount) for name, amount in share.items()}
        if request.is_admin:
            result["adminAccess"] = True
        for conditions in ("bindingConditions", "bindingFailureConditions"):
            if device.spec.get(conditions):
                result[conditions] = device.spec[conditions]
        if request.spec.get("tolerations"):
            result["tolerations"] = request.spec["tolerations"]
        results.append(result)
    devices: dict[str, Any] = {"results": results}
    config = _configuration(claim, given)
    if config:
        devices["config"] = config
    allocation: dict[str, Any] = {"devices": devices}
    selector = _node_selector(given, node)
    if selector is not None:
        allocation["nodeSelector"] = selector
    return allocation


def _configuration(claim: View, given: Sequence[Given]) -> list[dict[str, Any]]:
    """What drivers are to be told: by the classes first, then by the claim."""
    spec = claim["spec"]["devices"]
    chosen = {entry.request.parent: entry.request for entry in given}
    by_class: dict[str, list[dict[str, Any]]] = {}
    for request in chosen.values():
        name = request.device_class["metadata"]["name"]
        if name in by_class:
            for entry in by_class[name]:
                entry["requests"].append(request.name)
            continue
        by_class[name] = [
            {"source": "FromClass", "requests": [request.name], **entry}
            for entry in (request.device_class.get("spec") or {}).get("config") or ()
        ]
    found = [entry for entries in by_class.values() for entry in entries]
    names = {name for request in chosen.values() for name in (request.name, request.parent)}
    for entry in spec.get("config") or ():
        if not entry.get("requests") or names & set(entry["requests"]):
            found.append({"source": "FromClaim", **entry})
    for entry in found:
        if len(entry.get("requests") or ()) == len(spec["requests"]):
            entry.pop("requests")
    return found


def _node_selector(given: Sequence[Given], node: str) -> dict[str, Any] | None:
    """The nodes that reach all devices; None: every node. Some devices bind the claim to the `node` it was made for."""
    expressions: list[View] = []
    fields: list[View] = []
    for _, device, _ in given:
        spec = device.spec if device.slice["spec"].get("perDeviceNodeSelection") else device.slice["spec"]
        if spec.get("nodeName") or device.spec.get("bindsToNode"):
            wanted = {"key": "metadata.name", "operator": "In", "values": [spec.get("nodeName") or node]}
            return {"nodeSelectorTerms": [{"matchFields": [wanted]}]}
        for term in (spec.get("nodeSelector") or {}).get("nodeSelectorTerms") or ():
            expressions += [e for e in term.get("matchExpressions") or () if e not in expressions]
            fields += [e for e in term.get("matchFields") or () if e not in fields]
    term = {name: value for name, value in (("matchExpressions", expressions), ("matchFields", fields)) if value}
    return {"nodeSelectorTerms": [term]} if term else None
