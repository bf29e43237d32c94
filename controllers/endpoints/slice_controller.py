"""Keeps the EndpointSlices of services with a selector. Slices of deleted services are the garbage collector's.

Follows: pkg/controller/endpointslice/endpointslice_controller.go
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from controllers.endpoints.pods import matching_pods, selects_pods, services_of
from controllers.endpoints.slices import (
    CONTROLLER,
    MANAGED_BY,
    SERVICE_NAME,
    SlicePlan,
    address_types,
    hint,
    plan_slices,
    wanted_endpoints,
    with_trigger_time,
)
from controllers.endpoints.topology import ZONE, NoHints, cpu_of, cpu_shares, give_hints, is_wanted
from controllers.endpoints.triggers import TriggerTimes
from controllers.runtime.controller import Controller, For, Requeue, Runtime, Watches
from controllers.runtime.errors import ApiError, NotFound
from controllers.runtime.informer import Change
from controllers.runtime.kinds import ENDPOINT_SLICES, NODES, PODS, SERVICES
from controllers.runtime.objects import Key, Object, View, is_deleting, key_of, labels_of, namespace_of

NAMESPACE_TERMINATING = "NamespaceTerminating"
BY_SERVICE, BY_NODE = "slices of service", "pods of node"


class EndpointSliceController(Controller):
    name = "endpointslice-controller"
    account = "endpointslice-controller"

    def pod_changed(self, change: Change) -> Iterable[Key]:
        return services_of(self.store(SERVICES), change)

    def node_changed(self, change: Change) -> Iterable[Key]:
        """A node that comes, or moves to another zone, shows in the endpoints of its pods, and in all hints by CPU."""
        if self._hinted and _cpu_changed(change):
            yield from self._hinted
        if change.old is not None and labels_of(change.old).get(ZONE) == labels_of(change.obj).get(ZONE):
            return
        for pod in self.store(PODS).by_index(BY_NODE, change.obj["metadata"]["name"]):
            yield from services_of(self.store(SERVICES), Change("ADDED", pod))

    def slice_changed(self, change: Change) -> Iterable[Key]:
        for one in (change.obj, change.old):
            if one is not None and labels_of(one).get(MANAGED_BY) == CONTROLLER and SERVICE_NAME in labels_of(one):
                yield Key(namespace_of(one), labels_of(one)[SERVICE_NAME])

    watches: ClassVar = (
        For(SERVICES),
        Watches(PODS, pod_changed),
        Watches(ENDPOINT_SLICES, slice_changed, when=lambda change: change.type != "ADDED"),
        Watches(NODES, node_changed),
    )

    def __init__(self, runtime: Runtime) -> None:
        slices = runtime.informers.get(ENDPOINT_SLICES).store
        slices.add_index(BY_SERVICE, lambda one: (f"{namespace_of(one)}/{labels_of(one).get(SERVICE_NAME, '')}",))
        pods = runtime.informers.get(PODS).store
        pods.add_index(BY_NODE, lambda pod: (pod["spec"].get("nodeName", ""),))
        self._triggers = TriggerTimes()
        self._hinted: set[Key] = set()
        super().__init__(runtime)
        self.events = runtime.events.recorder("endpoint-slice-controller")

    async def reconcile(self, key: Key) -> Requeue | None:
        service = self.store(SERVICES).get(*key)
        if service is None:
            self._triggers.forget(key)
            self._hinted.discard(key)
            return None
        if not selects_pods(service):
            return None
        pods = matching_pods(service, self.store(PODS))
        existing = [
            one
            for one in self.store(ENDPOINT_SLICES).by_index(BY_SERVICE, str(key))
            if labels_of(one).get(MANAGED_BY) == CONTROLLER and not is_deleting(one)
        ]
        moment = self._triggers.next(service, pods)
        try:
            skipped = await self._sync(service, pods, existing, moment)
        except ApiError as error:
            self._tell(service, str(error))
            raise
        if skipped:
            self._tell(service, skipped[0] if len(skipped) == 1 else f"[{', '.join(skipped)}]")
            return Requeue()
        return None

    async def _sync(
        self, service: View, pods: Sequence[View], existing: Sequence[Object], moment: str
    ) -> Sequence[str]:
        """Write what differs; why pods were left out."""
        nodes = {name: self.store(NODES).get("", name) for name in {pod["spec"].get("nodeName", "") for pod in pods}}
        families = address_types(service)
        skipped: dict[str, None] = {}
        for family in families:
            wanted, left_out = wanted_endpoints(service, pods, nodes, family)
            skipped.update(dict.fromkeys(left_out))
            of_family = [one for one in existing if one.get("addressType") == family]
            plan = plan_slices(service, wanted, of_family, family)
            self._hint(service, plan, family)
            await self._carry_out(service, plan, moment)
        others = [one for one in existing if one.get("addressType") not in families]
        await self._carry_out(service, SlicePlan(delete=others), moment)
        return list(skipped)

    def _hint(self, service: View, plan: SlicePlan, family: str) -> None:
        """Give hints by the zones' CPUs or by the traffic distribution, and tell when the former begin or end."""
        key, kind = key_of(service), "TopologyAwareHintsDisabled"
        if not is_wanted(service):
            if key in self._hinted:
                self._hinted.discard(key)
                self.events.warning(service, kind, f"Topology Aware Hints has been disabled, addressType: {family}")
            hint(plan, service["spec"].get("trafficDistribution"))
            return
        try:
            give_hints(plan, cpu_shares(self.store(NODES).all()))
        except NoHints as error:
            self._hinted.discard(key)
            self.events.warning(service, kind, f"{error}, addressType: {family}")
            hint(plan, None)
            return
        if key not in self._hinted:
            self._hinted.add(key)
            text = f"Topology Aware Hints has been enabled, addressType: {family}"
            self.events.normal(service, "TopologyAwareHintsEnabled", text)

    async def _carry_out(self, service: View, plan: SlicePlan, moment: str) -> None:
        if not is_deleting(service):
            for one in plan.create:
                try:
                    await self.client.create(ENDPOINT_SLICES, with_trigger_time(one, moment))
                except ApiError as error:
                    if not error.has_cause(NAMESPACE_TERMINATING):
                        raise
                    return
        for one in plan.update:
            await self.client.update(ENDPOINT_SLICES, with_trigger_time(one, moment))
        for one in plan.delete:
            try:
                await self.client.delete(ENDPOINT_SLICES, namespace_of(one), one["metadata"]["name"])
            except NotFound:
                continue

    def _tell(self, service: View, trouble: str) -> None:
        where = f"{namespace_of(service)}/{service['metadata']['name']}"
        text = f"Error updating Endpoint Slices for Service {where}: {trouble}"
        self.events.warning(service, "FailedToUpdateEndpointSlices", text)


def _cpu_changed(change: Change) -> bool:
    before = cpu_of(change.old) if change.old is not None and change.type != "ADDED" else None
    return before != (None if change.type == "DELETED" else cpu_of(change.obj))
