"""DynamicResources: devices for the resource claims of a pod.

Follows: pkg/scheduler/framework/plugins/dynamicresources/dynamicresources.go
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from controllers.scheduler.durations import duration_s
from controllers.scheduler.framework import (
    SKIP,
    Binder,
    Bools,
    ClusterEvent,
    Cycle,
    Diagnosis,
    Filter,
    Ints,
    PostFilter,
    PostFilterResult,
    PreBind,
    PreEnqueue,
    PreFilter,
    PreFilterAnswer,
    Refuse,
    Rejection,
    Reserve,
    Rows,
    SchedulingError,
    Score,
    normalize,
    rejected,
)
from controllers.scheduler.plugins.device_binding import all_ready, has_conditions, has_failed
from controllers.scheduler.plugins.device_capacity import Shares, nanos
from controllers.scheduler.plugins.devices import (
    TIMED_OUT,
    Allocator,
    DeviceId,
    Given,
    InUse,
    OutOfTime,
    Pool,
    allocation_of,
    gather_pools,
    name_of,
    preference,
    requests_of,
)
from controllers.scheduler.plugins.extended_resources import (
    backed_by_devices,
    claim_for,
    for_creation,
    is_made_for,
    wish_for,
)
from controllers.scheduler.pod import PodInfo
from controllers.scheduler.selection import NodeSelection
from controllers.scheduler.snapshot import Snapshot
from controllers.scheduler.world import Name, World
from openapi.meta.times import format_time, now

View = Mapping[str, Any]
FINALIZER = "resource.kubernetes.io/delete-protection"
MAX_CONSUMERS = 256

UNREACHABLE = "resourceclaim not available on the node"
IN_USE = "resourceclaim in use"
NO_STATE = "not found"
NOTHING_NEW = "no new claims to deallocate"
FREED = "deallocation of ResourceClaim completed"
HOPELESS = "still not schedulable"
STALE = "cannot schedule extended resource claim"
REMOVED = "deletion of ResourceClaim completed"
MAX_WRITES = 5
DEFAULT_FILTER_S, DEFAULT_BINDING_S = 10.0, 600.0
"""The search for devices of a pod must end after the one, their preparation after the other."""


@dataclass(slots=True)
class _State:
    """What the attempt knows of the pod's claims. `fresh` are those that get devices now."""

    is_filled: bool = False
    """Whether the look at the claims has come to its end."""
    claims: list[View] = field(default_factory=list)
    fresh: list[View] = field(default_factory=list)
    extended: frozenset[str] = frozenset()
    """The pod's extended resources that devices may stand for."""
    allocators: dict[frozenset[str], Allocator] = field(default_factory=dict)
    """By the extended resources that a node has none of."""
    by_row: dict[int, list[list[Given]]] = field(default_factory=dict)
    special: View | None = None
    """The claim for extended resources that the pod gets on the node that was chosen."""
    stale: View | None = None
    deadline: float = math.inf
    """When the search for devices ends, as `time.monotonic` counts."""
    unreachable: list[View] = field(default_factory=list)
    allocations: dict[str, View] = field(default_factory=dict)
    written: list[View] = field(default_factory=list)
    """The claims that have been allocated or reserved on the way to the node."""


class DynamicResources(PreEnqueue, PreFilter, Filter, PostFilter, Score, Reserve, PreBind):
    name = "DynamicResources"

    def __init__(self, args: View, world: World) -> None:
        super().__init__(args, world)
        self._filter_s = duration_s(args.get("filterTimeout"), DEFAULT_FILTER_S)
        self._binding_s = duration_s(args.get("bindingTimeout"), DEFAULT_BINDING_S)
        self._allocating: set[str] = set()
        self._pools: tuple[int, list[Pool]] = (-1, [])
        self._in_use: tuple[int, InUse] = (-1, InUse())

    def pre_enqueue(self, pod: PodInfo) -> bool:
        """Not before all of its claims exist."""
        return not pod.template.claims or not isinstance(pod_claims(pod, self.world), str)

    def pre_filter(self, cycle: Cycle) -> PreFilterAnswer:
        state = cycle.state[self.name] = _State()
        state.extended = backed_by_devices(cycle.template, self.world)
        if not cycle.template.claims and not state.extended:
            return SKIP
        claims = pod_claims(cycle.pod, self.world)
        if isinstance(claims, str):
            return Refuse(claims)
        if not claims and not state.extended:
            return SKIP
        if state.extended:
            state.stale = next((c for c in self.world.resource_claims if is_made_for(c, cycle.pod)), None)
            if state.stale is not None:
                return Refuse(STALE)
        for claim in claims:
            refusal = self._unusable(claim, cycle.pod)
            if refusal:
                return Refuse(refusal)
            if not _allocation(claim):
                state.fresh.append(claim)
        try:
            self._allocator(cycle, state, frozenset())
        except SchedulingError as error:
            return Refuse(str(error))
        state.claims, state.is_filled = claims, True
        if self._filter_s > 0:
            state.deadline = time.monotonic() + self._filter_s
        return None

    def _allocator(self, cycle: Cycle, state: _State, lacking: frozenset[str]) -> Allocator:
        """Gives devices to the pod's claims on nodes that have none of `lacking`. Raises SchedulingError."""
        found = state.allocators.get(lacking)
        if found is None:
            claims = list(state.fresh)
            if lacking:
                claims.append(claim_for(cycle.pod, wish_for(lacking, cycle.template, self.world)))
            requests = [requests_of(claim, self._device_class) for claim in claims]
            found = Allocator(claims, requests, self._all_pools(), self._used(), cycle.snapshot)
            state.allocators[lacking] = found
        return found

    @staticmethod
    def _lacking(cycle: Cycle, state: _State, row: int) -> frozenset[str]:
        """The extended resources that the row has none of, so that devices must stand for them."""
        if not state.extended:
            return state.extended
        resource = cycle.snapshot.resource
        return frozenset(name for name in state.extended if not resource(name).allocatable[row])

    def _unusable(self, claim: View, pod: PodInfo) -> str:
        """Why the pod cannot use the claim now; '' if it can."""
        metadata = claim["metadata"]
        if _allocation(claim):
            consumers = (claim.get("status") or {}).get("reservedFor") or ()
            if len(consumers) >= MAX_CONSUMERS and not _is_reserved_for(claim, pod):
                return IN_USE
        elif metadata["uid"] in self._allocating:
            return f"resource claim {metadata['namespace']}/{metadata['name']} is in the process of being allocated"
        return ""

    def _device_class(self, name: str) -> View | None:
        return self.world.device_classes.get("", name)

    def _all_pools(self) -> list[Pool]:
        version = self.world.resource_slices.version
        if self._pools[0] != version:
            self._pools = (version, gather_pools(self.world.resource_slices))
        return self._pools[1]

    def _used(self) -> InUse:
        """What is given away."""
        version = self.world.resource_claims.version
        if self._in_use[0] != version:
            self._in_use = (version, in_use(self.world.resource_claims))
        return self._in_use[1]

    def filter(self, cycle: Cycle, rows: Rows) -> Iterable[Rejection]:
        state: _State = cycle.state[self.name]
        snapshot = cycle.snapshot
        far: dict[int, Bools] = {}
        for number, claim in enumerate(state.claims):
            mask = self._lost(claim, snapshot)
            if mask is not None:
                far[number] = mask
        refused: dict[str, Bools] = {}
        if state.fresh or state.extended:
            for row in np.arange(snapshot.size)[rows]:
                if snapshot.alive[row]:
                    reason = self._search(cycle, state, int(row))
                    if reason:
                        refused.setdefault(reason, np.zeros(snapshot.size, dtype=np.bool_))[row] = True
        passed = np.ones(snapshot.size, dtype=np.bool_)
        for mask in refused.values():
            passed &= ~mask
        state.unreachable = [state.claims[number] for number, mask in far.items() if (mask & passed)[rows].any()]
        beyond = np.zeros(snapshot.size, dtype=np.bool_)
        for mask in far.values():
            beyond |= mask
        found = [r for reason, mask in refused.items() for r in rejected(mask[rows], reason, final=True)]
        return (*found, *rejected((beyond & passed)[rows], UNREACHABLE, final=True))

    def _lost(self, claim: View, snapshot: Snapshot) -> Bools | None:
        """The rows where the claim's devices are of no use; None: there are no such rows."""
        allocation = _allocation(claim)
        if allocation is None:
            return None
        if has_failed(claim, self._binding_s, now()):
            return np.ones(snapshot.size, dtype=np.bool_)
        selector = allocation.get("nodeSelector")
        return ~NodeSelection.of_selector(selector).mask(snapshot) if selector else None

    def _search(self, cycle: Cycle, state: _State, row: int) -> str:
        """Look for devices for a pod on that row; why there are none, or ''."""
        try:
            given = self._allocator(cycle, state, self._lacking(cycle, state, row)).allocate(row, state.deadline)
        except OutOfTime:
            raise SchedulingError(TIMED_OUT) from None
        if isinstance(given, str):
            return given
        state.by_row[row] = given
        return ""

    def score(self, cycle: Cycle, feasible: Ints) -> Ints | None:
        """Rather where the claims get what their requests name first."""
        state: _State | None = cycle.state.get(self.name)
        if state is None or not any(
            "firstAvailable" in r for c in state.fresh for r in c["spec"].get("devices", {}).get("requests") or ()
        ):
            return None
        points = np.zeros(len(feasible), dtype=np.int64)
        for number, row in enumerate(feasible):
            given = state.by_row.get(int(row)) or ()
            points[number] = sum(preference(claim, devices) for claim, devices in zip(state.fresh, given, strict=False))
        return normalize(points)

    def post_filter(self, cycle: Cycle, diagnosis: Diagnosis) -> PostFilterResult:
        """Free the devices of a claim that nobody uses, where they keep the pod from all nodes."""
        state: _State | None = cycle.state.get(self.name)
        if state is None:
            return PostFilterResult(False, NO_STATE, failed=True)
        if state.stale is not None:
            return PostFilterResult(False, REMOVED, remove=state.stale)
        if not state.is_filled:
            return PostFilterResult(False, NOTHING_NEW)
        for claim in state.unreachable:
            consumers = (claim.get("status") or {}).get("reservedFor") or ()
            if not consumers or (len(consumers) == 1 and consumers[0]["uid"] == cycle.pod.uid):
                status = {k: v for k, v in claim["status"].items() if k not in ("allocation", "reservedFor", "devices")}
                return PostFilterResult(False, FREED, deallocate={**claim, "status": status})
        return PostFilterResult(False, HOPELESS)

    def reserve(self, cycle: Cycle, node: str) -> Refuse | None:
        state: _State = cycle.state[self.name]
        if not state.fresh and not state.extended:
            return None
        row = cycle.snapshot.rows[node]
        lacking = self._lacking(cycle, state, row)
        allocator = self._allocator(cycle, state, lacking)
        given = state.by_row.get(row) or allocator.allocate(row)
        if isinstance(given, str):
            return Refuse(given)
        if lacking:
            state.special = allocator.claims[-1]
        for claim, devices in zip(allocator.claims, given, strict=True):
            allocation = allocation_of(claim, devices, node)
            uid = claim["metadata"]["uid"]
            state.allocations[uid] = allocation
            self._allocating.add(uid)
            self.world.resource_claims.assume(
                {**claim, "status": {**(claim.get("status") or {}), "allocation": allocation}}
            )
        return None

    def unreserve(self, cycle: Cycle, node: str) -> None:
        state: _State | None = cycle.state.get(self.name)
        if state is None:
            return
        for claim in (*state.fresh, *([state.special] if state.special is not None else ())):
            metadata = claim["metadata"]
            if metadata["uid"] in self._allocating and metadata["uid"] in state.allocations:
                self._allocating.discard(metadata["uid"])
                self.world.resource_claims.restore(metadata["namespace"], metadata["name"])

    def will_act(self, cycle: Cycle) -> bool:
        state: _State = cycle.state[self.name]
        return state.is_filled

    async def pre_bind(self, cycle: Cycle, node: str, binder: Binder) -> None:
        state: _State = cycle.state[self.name]
        for claim in state.claims:
            if not _is_reserved_for(claim, cycle.pod):
                allocation = state.allocations.get(claim["metadata"]["uid"])
                state.written.append(await self._write(claim, allocation, cycle.pod, binder))
        if state.special is not None:
            state.written.append(await self._create(state.special, state, cycle, binder))
        names = [
            (claim["metadata"]["namespace"], claim["metadata"]["name"]) for claim in (*state.claims, *state.written)
        ]
        if any(has_conditions(claim) for claim in (*state.claims, *state.written)):
            await self._until_ready(cycle.pod, names, node, binder)

    async def _until_ready(self, pod: PodInfo, names: Sequence[Name], node: str, binder: Binder) -> None:
        """Wait until the devices of the claims are ready for use."""
        binder.tell(pod, "BindingConditionsPending", f"waiting for binding conditions for device on node {node}")
        problem: list[str] = []

        def settled() -> bool:
            try:
                return all_ready((self.world.resource_claims.get(*name) for name in names), self._binding_s, now())
            except SchedulingError as error:
                problem[:] = [str(error)]
                return True

        if not await binder.until(settled, self._binding_s):
            raise SchedulingError("device binding timeout")
        if problem:
            raise SchedulingError(problem[0])

    async def roll_back(self, cycle: Cycle, node: str, binder: Binder) -> None:
        """Give up the pod's place among the users of its claims; remove the claim that was made for it."""
        state: _State = cycle.state[self.name]
        for claim in state.written:
            if is_made_for(claim, cycle.pod):
                await binder.remove("resource_claims", claim)
            else:
                await binder.release(claim, cycle.pod)

    async def _create(self, claim: View, state: _State, cycle: Cycle, binder: Binder) -> View:
        """Make the claim for the pod's extended resources, and tell its containers what is theirs."""
        allocation = state.allocations[claim["metadata"]["uid"]]
        created = await binder.create("resource_claims", for_creation(claim))
        try:
            written = await self._write(created, allocation, cycle.pod, binder)
            lacking = self._lacking(cycle, state, cycle.snapshot.rows[cycle.pod.node])
            mappings = wish_for(lacking, cycle.template, self.world).mappings
            status = {"requestMappings": mappings, "resourceClaimName": created["metadata"]["name"]}
            await binder.set_status(cycle.pod, {"extendedResourceClaimStatus": status})
            return written
        except Exception:
            await binder.remove("resource_claims", created)
            raise
        finally:
            self._allocating.discard(claim["metadata"]["uid"])
            self.world.resource_claims.restore(claim["metadata"]["namespace"], claim["metadata"]["name"])

    async def _write(self, claim: View, allocation: View | None, pod: PodInfo, binder: Binder) -> View:
        """Note allocation and reservation in the claim, whatever else changes in it meanwhile."""
        metadata, name = claim["metadata"], name_of(claim)
        try:
            for _ in range(MAX_WRITES):
                if "deletionTimestamp" in claim["metadata"]:
                    raise SchedulingError(f"claim {name} got deleted in the meantime")
                if allocation is not None and _allocation(claim):
                    raise SchedulingError(f"claim {name} got allocated elsewhere in the meantime")
                written = await _write_once(claim, allocation, pod, binder)
                if written is not None:
                    self.world.resource_claims.assume(written)
                    return written
                claim = await binder.fetch("resource_claims", metadata["namespace"], metadata["name"])
            raise SchedulingError(f"claim {name} keeps changing")
        finally:
            self._allocating.discard(metadata["uid"])

    def wakes(self, event: ClusterEvent, pod: PodInfo) -> bool:
        if event.resource == "pod":
            return "claims" in event.fields and not isinstance(pod_claims(pod, self.world), str)
        if event.resource == "resource_claims":
            return self._claim_wakes(event, pod)
        if event.resource == "nodes":
            return event.action == "add" or bool(event.fields & {"labels", "allocatable"})
        return event.resource in ("resource_slices", "device_classes") and event.action != "delete"

    def _claim_wakes(self, event: ClusterEvent, pod: PodInfo) -> bool:
        claims = pod_claims(pod, self.world)
        if event.new is None or isinstance(claims, str):
            return False
        if event.old is not None and _allocation(event.old) and not _allocation(event.new):
            return True  # devices are free again
        if all(claim["metadata"]["uid"] != event.new["metadata"]["uid"] for claim in claims):
            return False
        return event.old is None or (event.old.get("status") or {}) != (event.new.get("status") or {})


async def _write_once(claim: View, allocation: View | None, pod: PodInfo, binder: Binder) -> View | None:
    """One attempt; None: the claim has changed."""
    if allocation is not None and FINALIZER not in (claim["metadata"].get("finalizers") or ()):
        finalizers = [*(claim["metadata"].get("finalizers") or ()), FINALIZER]
        updated = await binder.update(
            "resource_claims", {**claim, "metadata": {**claim["metadata"], "finalizers": finalizers}}
        )
        if updated is None:
            return None
        claim = updated
    status = dict(claim.get("status") or {})
    status["allocation"] = {"allocationTimestamp": format_time(now()), **(allocation or status["allocation"])}
    consumer = {"resource": "pods", "name": pod.name, "uid": pod.uid}
    status["reservedFor"] = [*(status.get("reservedFor") or ()), consumer]
    return await binder.update("resource_claims", {**claim, "status": status}, "status")


def _allocation(claim: View) -> View | None:
    return (claim.get("status") or {}).get("allocation")


def _is_reserved_for(claim: View, pod: PodInfo) -> bool:
    consumers = (claim.get("status") or {}).get("reservedFor") or ()
    return any(consumer["uid"] == pod.uid for consumer in consumers)


def in_use(claims: Iterable[View]) -> InUse:
    """The devices and shares that the claims hold."""
    devices: set[DeviceId] = set()
    shares: dict[DeviceId, Shares] = {}
    for claim in claims:
        for result in ((_allocation(claim) or {}).get("devices") or {}).get("results") or ():
            device = DeviceId(result["driver"], result["pool"], result["device"])
            if result.get("shareID"):
                consumed = {name: nanos(amount) for name, amount in (result.get("consumedCapacity") or {}).items()}
                shares.setdefault(device, Counter()).update(consumed)
            elif not result.get("adminAccess"):
                devices.add(device)
    return InUse(frozenset(devices), shares)


def pod_claims(pod: PodInfo, world: World) -> list[View] | str:
    """The claims of the pod, or why they are not all there."""
    made = {
        status["name"]: status.get("resourceClaimName")
        for status in (pod.obj.get("status") or {}).get("resourceClaimStatuses") or ()
    }
    found: list[View] = []
    for reference in pod.template.claims:
        name = reference.get("resourceClaimName")
        is_made = name is None
        if is_made:
            if reference["name"] not in made:
                return f'pod "{pod.key}": ResourceClaim not created yet'
            name = made[reference["name"]]
            if not name:
                continue  # none is needed for this pod
        claim = world.resource_claims.get(pod.namespace, name)
        if claim is None:
            return f'resourceclaim.resource.k8s.io "{name}" not found'
        if "deletionTimestamp" in claim["metadata"]:
            return f'resourceclaim "{name}" is being deleted'
        owners = claim["metadata"].get("ownerReferences") or ()
        if is_made and not any(owner.get("controller") and owner["uid"] == pod.uid for owner in owners):
            return f"ResourceClaim {pod.namespace}/{name} was not created for pod {pod.key} (pod is not owner)"
        found.append(claim)
    return found
