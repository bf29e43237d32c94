"""VolumeBinding: bound volumes limit the nodes; unbound claims of a class that waits get a volume for the chosen node.

Follows: pkg/scheduler/framework/plugins/volumebinding/{volume_binding,binder}.go
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from controllers.scheduler.framework import (
    SKIP,
    Binder,
    Bools,
    ClusterEvent,
    Cycle,
    Filter,
    Ints,
    PreBind,
    PreFilter,
    PreFilterAnswer,
    Refuse,
    Rejection,
    Reserve,
    Rows,
    SchedulingError,
    rejected,
)
from controllers.scheduler.plugins.storage import (
    BOUND_BY_CONTROLLER,
    NO_PROVISIONER,
    SELECTED_NODE,
    candidates,
    claim_problem,
    claims_of,
    class_of,
    is_bound,
    is_for,
    label_selector_mask,
    requested_bytes,
    topology_mask,
    volume_mask,
    waits_for_pod,
)
from controllers.scheduler.pod import PodInfo, Template
from controllers.scheduler.resources import amount
from controllers.scheduler.snapshot import Snapshot
from controllers.scheduler.world import World

View = Mapping[str, Any]

UNREACHABLE = "node(s) didn't match PersistentVolume's node affinity"
MISSING = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
NO_VOLUME = "node(s) didn't find available persistent volumes to bind"
NO_SPACE = "node(s) did not have enough free storage"
UNBOUND = "pod has unbound immediate PersistentVolumeClaims"
DEFAULT_TIMEOUT_S = 600


@dataclass(slots=True)
class _Choice:
    """For one claim: the volumes it may get and, per row, the number of the one it would get there (-1: a new one)."""

    claim: View
    volumes: Sequence[View]
    chosen: Ints


@dataclass(slots=True)
class _Plan:
    """What is to be done for a pod: first per row, then for the node that was chosen."""

    bound: list[View] = field(default_factory=list)
    waiting: list[View] = field(default_factory=list)
    choices: list[_Choice] = field(default_factory=list)
    bindings: list[View] = field(default_factory=list)
    provisions: list[View] = field(default_factory=list)


class VolumeBinding(PreFilter, Filter, Reserve, PreBind):
    name = "VolumeBinding"

    def __init__(self, args: Mapping[str, Any], world: World) -> None:
        super().__init__(args, world)
        self._timeout_s = float(args.get("bindTimeoutSeconds", DEFAULT_TIMEOUT_S))

    def concerns(self, template: Template) -> bool:
        return bool(template.volume_claims)

    def pre_filter(self, cycle: Cycle) -> PreFilterAnswer:
        if not cycle.template.volume_claims:
            return SKIP
        problem = claim_problem(cycle.pod, self.world)
        if problem:
            return Refuse(problem)
        plan = cycle.state[self.name] = _Plan()
        for claim in claims_of(cycle.pod, self.world):
            if is_bound(claim):
                plan.bound.append(claim)
            elif waits_for_pod(claim, self.world) and not claim["spec"].get("volumeName"):
                plan.waiting.append(claim)
            else:
                return Refuse(UNBOUND)
        plan.waiting.sort(key=requested_bytes)
        return None

    def filter(self, cycle: Cycle, rows: Rows) -> Iterable[Rejection]:
        plan: _Plan = cycle.state[self.name]
        missing, unreachable = self._bound(plan.bound, cycle.snapshot)
        no_volume, no_space = self._waiting(plan, cycle.snapshot)
        return (
            *rejected(missing[rows], MISSING, final=True),
            *rejected(unreachable[rows], UNREACHABLE, final=True),
            *rejected(no_volume[rows], NO_VOLUME, final=True),
            *rejected(no_space[rows], NO_SPACE, final=True),
        )

    def _bound(self, claims: Iterable[View], snapshot: Snapshot) -> tuple[Bools, Bools]:
        """The rows for which a volume does not exist (all or none), and those that cannot reach one."""
        missing = np.zeros(snapshot.size, dtype=np.bool_)
        unreachable = np.zeros(snapshot.size, dtype=np.bool_)
        for claim in claims:
            volume = self.world.volumes.get("", claim["spec"]["volumeName"])
            if volume is None:
                missing = ~unreachable  # a row is told its first problem
                break
            mask = volume_mask(volume, snapshot)
            if mask is not None:
                unreachable |= ~mask
        return missing, unreachable

    def _waiting(self, plan: _Plan, snapshot: Snapshot) -> tuple[Bools, Bools]:
        """Choose a volume for each claim on every row. The rows where one finds none, and those short of storage."""
        no_volume = np.zeros(snapshot.size, dtype=np.bool_)
        no_space = np.zeros(snapshot.size, dtype=np.bool_)
        plan.choices = []
        taken: dict[str, Bools] = {}
        for claim in plan.waiting:
            selected = (claim["metadata"].get("annotations") or {}).get(SELECTED_NODE)
            if selected:
                no_volume |= ~snapshot.named((selected,))
                choice = _Choice(claim, (), np.full(snapshot.size, -1, dtype=np.int64))
            else:
                choice = _choose(claim, candidates(claim, self.world.volumes), taken, snapshot)
            plan.choices.append(choice)
            unserved = (choice.chosen < 0) & ~no_volume & ~no_space
            if unserved.any():
                possible, roomy = self._provisioning(claim, snapshot)
                no_volume |= unserved & ~possible
                no_space |= unserved & possible & ~roomy
        return no_volume, no_space

    def _provisioning(self, claim: View, snapshot: Snapshot) -> tuple[Bools, Bools]:
        """The rows for which the class can make a volume, and those where its driver has room for it."""
        everywhere = np.ones(snapshot.size, dtype=np.bool_)
        storage_class = self.world.storage_classes.get("", class_of(claim))
        if storage_class is None or storage_class.get("provisioner") in (None, "", NO_PROVISIONER):
            return ~everywhere, everywhere
        possible = topology_mask(storage_class.get("allowedTopologies"), snapshot)
        return (everywhere if possible is None else possible), self._roomy(claim, storage_class, snapshot)

    def _roomy(self, claim: View, storage_class: View, snapshot: Snapshot) -> Bools:
        driver = self.world.csi_drivers.get("", storage_class["provisioner"])
        if driver is None or not (driver.get("spec") or {}).get("storageCapacity"):
            return np.ones(snapshot.size, dtype=np.bool_)
        result = np.zeros(snapshot.size, dtype=np.bool_)
        wanted_bytes = requested_bytes(claim)
        for capacity in self.world.csi_capacities:
            limit = _limit_bytes(capacity)
            if capacity["storageClassName"] != storage_class["metadata"]["name"] or limit is None:
                continue
            topology = capacity.get("nodeTopology")
            if topology is not None and limit >= wanted_bytes:
                result |= label_selector_mask(topology, snapshot)
        return result

    # the node is chosen

    def reserve(self, cycle: Cycle, node: str) -> Refuse | None:
        plan: _Plan | None = cycle.state.get(self.name)
        if plan is None or not plan.waiting:
            return None
        self._waiting(plan, cycle.snapshot)
        row = cycle.snapshot.rows[node]
        for choice in plan.choices:
            number = int(choice.chosen[row])
            if number >= 0:
                volume = _bound_to(choice.volumes[number], choice.claim)
                self.world.volumes.assume(volume)
                plan.bindings.append(volume)
            else:
                claim = _with_node(choice.claim, node)
                self.world.claims.assume(claim)
                plan.provisions.append(claim)
        return None

    def unreserve(self, cycle: Cycle, node: str) -> None:
        plan: _Plan | None = cycle.state.get(self.name)
        if plan is None:
            return
        for volume in plan.bindings:
            self.world.volumes.restore("", volume["metadata"]["name"])
        for claim in plan.provisions:
            self.world.claims.restore(claim["metadata"]["namespace"], claim["metadata"]["name"])
        plan.bindings, plan.provisions = [], []

    def will_act(self, cycle: Cycle) -> bool:
        plan: _Plan | None = cycle.state.get(self.name)
        return plan is not None and bool(plan.bindings or plan.provisions)

    async def pre_bind(self, cycle: Cycle, node: str, binder: Binder) -> None:
        if not self.will_act(cycle):
            return
        plan: _Plan = cycle.state[self.name]
        for collection, objects in (("volumes", plan.bindings), ("claims", plan.provisions)):
            for obj in objects:
                if await binder.update(collection, obj) is None:
                    raise SchedulingError(f"{collection}: {obj['metadata']['name']} has been modified")
        names = [(claim["metadata"]["namespace"], claim["metadata"]["name"]) for claim in plan.waiting]
        provisioned = {(claim["metadata"]["namespace"], claim["metadata"]["name"]) for claim in plan.provisions}
        problem: list[str] = []

        def settled() -> bool:
            problem[:] = [text for name in names if (text := self._failed(name, name in provisioned, node))]
            if cycle.pod.uid not in cycle.snapshot.pods:
                problem[:] = [f'pod does not exist any more: pod "{cycle.pod.name}" not found']
            return bool(problem) or all(self._is_done(name) for name in names)

        if not await binder.until(settled, self._timeout_s):
            raise SchedulingError("binding volumes: context deadline exceeded")
        if problem:
            raise SchedulingError(f"binding volumes: {problem[0]}")

    def _is_done(self, name: tuple[str, str]) -> bool:
        claim = self.world.claims.stored(*name)
        return claim is not None and is_bound(claim)

    def _failed(self, name: tuple[str, str], is_provisioned: bool, node: str) -> str:
        """Why there is no use in waiting for the claim any more; '' if there is."""
        claim = self.world.claims.stored(*name)
        if claim is None:
            return f'failed to check binding: persistentvolumeclaim "{name[1]}" not found'
        assumed = self.world.claims.get(*name)
        if is_provisioned and assumed is claim:
            selected = (claim["metadata"].get("annotations") or {}).get(SELECTED_NODE)
            if selected != node and not is_bound(claim):
                return f'provisioning failed for PVC "{name[1]}"'
        return ""

    def wakes(self, event: ClusterEvent, pod: PodInfo) -> bool:
        if event.action == "delete":
            return False
        if event.resource == "claims" and event.new is not None:
            metadata = event.new["metadata"]
            return (metadata["namespace"], metadata["name"]) in pod.template.volume_claims
        if event.resource == "storage_classes" and event.old is not None and event.new is not None:
            return event.old.get("allowedTopologies") != event.new.get("allowedTopologies")
        if event.resource == "nodes":
            return event.action == "add" or "labels" in event.fields
        if event.resource == "csi_nodes":
            return event.action == "add"
        if event.resource == "csi_drivers":
            return self._driver_wakes(event, pod)
        if event.resource == "csi_capacities" and event.new is not None:
            limit = _limit_bytes(event.new)
            before = None if event.old is None else _limit_bytes(event.old)
            return event.old is None or (limit is not None and (before is None or limit > before))
        return event.resource in ("volumes", "storage_classes")

    @staticmethod
    def _driver_wakes(event: ClusterEvent, pod: PodInfo) -> bool:
        """Whether a driver of the pod's own volumes does not look at capacity any more."""
        if event.old is None or event.new is None:
            return False
        looked, looks = (bool((d.get("spec") or {}).get("storageCapacity")) for d in (event.old, event.new))
        name = event.new["metadata"]["name"]
        return looked and not looks and any((v.get("csi") or {}).get("driver") == name for v in pod.template.volumes)


def _limit_bytes(capacity: View) -> int | None:
    """The largest volume that the capacity object promises."""
    limit = capacity.get("maximumVolumeSize") or capacity.get("capacity")
    return None if limit is None else amount("storage", limit)


def _choose(claim: View, volumes: Sequence[View], taken: dict[str, Bools], snapshot: Snapshot) -> _Choice:
    """On each row the first of the volumes that it can reach and that no other claim of the pod would get there."""
    chosen = np.full(snapshot.size, -1, dtype=np.int64)
    for number, volume in enumerate(volumes):
        name = volume["metadata"]["name"]
        mask = volume_mask(volume, snapshot)
        free = chosen < 0 if mask is None else (chosen < 0) & mask
        if name in taken:
            free &= ~taken[name]
        chosen[free] = number
        taken[name] = taken[name] | free if name in taken else free
    return _Choice(claim, volumes, chosen)


def _bound_to(volume: View, claim: View) -> View:
    """The volume, promised to the claim."""
    metadata = claim["metadata"]
    reference = {
        "kind": "PersistentVolumeClaim",
        "apiVersion": "v1",
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "resourceVersion": metadata.get("resourceVersion", ""),
    }
    own = dict(volume["metadata"])
    if not is_for(volume, claim):
        own["annotations"] = {**(own.get("annotations") or {}), BOUND_BY_CONTROLLER: "yes"}
    return {**volume, "metadata": own, "spec": {**volume["spec"], "claimRef": reference}}


def _with_node(claim: View, node: str) -> View:
    """The claim, asking for a volume for that node."""
    metadata = dict(claim["metadata"])
    metadata["annotations"] = {**(metadata.get("annotations") or {}), SELECTED_NODE: node}
    return {**claim, "metadata": metadata}
