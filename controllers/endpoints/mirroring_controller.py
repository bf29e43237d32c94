"""Mirrors Endpoints made by hand to EndpointSlices, for readers that only know those.

Follows: pkg/controller/endpointslicemirroring/endpointslicemirroring_controller.go
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from controllers.endpoints.mirroring import CONTROLLER, MAX_PER_SUBSET, is_mirrored, plan_mirrors
from controllers.endpoints.slices import MANAGED_BY, SERVICE_NAME, SlicePlan
from controllers.runtime.controller import Controller, For, Requeue, Runtime, Watches
from controllers.runtime.errors import ApiError, NotFound
from controllers.runtime.informer import Change
from controllers.runtime.kinds import ENDPOINT_SLICES, ENDPOINTS, SERVICES
from controllers.runtime.objects import Key, is_deleting, labels_of, namespace_of

NAMESPACE_TERMINATING = "NamespaceTerminating"
BY_SERVICE = "slices of service"


class EndpointSliceMirroringController(Controller):
    name = "endpointslice-mirroring-controller"
    account = "endpointslicemirroring-controller"

    def slice_changed(self, change: Change) -> Iterable[Key]:
        for one in (change.obj, change.old):
            if one is not None and labels_of(one).get(MANAGED_BY) == CONTROLLER and SERVICE_NAME in labels_of(one):
                yield Key(namespace_of(one), labels_of(one)[SERVICE_NAME])

    watches: ClassVar = (
        For(ENDPOINTS),
        For(SERVICES, when=lambda change: change.old is None or _selector_changed(change)),
        Watches(ENDPOINT_SLICES, slice_changed),
    )

    def __init__(self, runtime: Runtime) -> None:
        slices = runtime.informers.get(ENDPOINT_SLICES).store
        slices.add_index(BY_SERVICE, lambda one: (f"{namespace_of(one)}/{labels_of(one).get(SERVICE_NAME, '')}",))
        super().__init__(runtime)
        self.events = runtime.events.recorder("endpoint-slice-mirroring-controller")

    async def reconcile(self, key: Key) -> Requeue | None:
        endpoints = self.store(ENDPOINTS).get(*key)
        existing = [
            one
            for one in self.store(ENDPOINT_SLICES).by_index(BY_SERVICE, str(key))
            if labels_of(one).get(MANAGED_BY) == CONTROLLER and not is_deleting(one)
        ]
        if endpoints is None or not is_mirrored(endpoints, self.store(SERVICES).get(*key)):
            await self._carry_out(SlicePlan(delete=existing), may_create=False)
            return None
        plan, skipped = plan_mirrors(endpoints, existing)
        if skipped:
            text = (
                f"A max of {MAX_PER_SUBSET} addresses can be mirrored to EndpointSlices per Endpoints subset. "
                f"{skipped} addresses were skipped"
            )
            self.events.warning(endpoints, "TooManyAddressesToMirror", text)
        try:
            await self._carry_out(plan, may_create=not is_deleting(endpoints))
        except ApiError as error:
            text = f"Error updating mirrored EndpointSlices for Endpoints {key}: {error}"
            self.events.warning(endpoints, "FailedToUpdateEndpointSlices", text)
            raise
        return None

    async def _carry_out(self, plan: SlicePlan, *, may_create: bool) -> None:
        for one in plan.create if may_create else ():
            try:
                await self.client.create(ENDPOINT_SLICES, one)
            except ApiError as error:
                if not error.has_cause(NAMESPACE_TERMINATING):
                    raise
                return
        for one in plan.update:
            await self.client.update(ENDPOINT_SLICES, one)
        for one in plan.delete:
            try:
                await self.client.delete(ENDPOINT_SLICES, namespace_of(one), one["metadata"]["name"])
            except NotFound:
                continue


def _selector_changed(change: Change) -> bool:
    old = change.old or {}
    return change.type == "DELETED" or (old["spec"].get("selector") is None) != (
        change.obj["spec"].get("selector") is None
    )
