"""Keeps the Endpoints of services with a selector, the older form of EndpointSlices.

Follows: pkg/controller/endpoint/endpoints_controller.go
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from typing import Any, ClassVar

from controllers.endpoints.pods import matching_pods, selects_pods, services_of
from controllers.endpoints.subsets import OVER_CAPACITY, backends, endpoints_labels, repack, truncated
from controllers.endpoints.triggers import ANNOTATION, TriggerTimes
from controllers.runtime.controller import Controller, For, Requeue, Runtime, Watches
from controllers.runtime.errors import ApiError, NotFound
from controllers.runtime.informer import Change
from controllers.runtime.kinds import ENDPOINTS, PODS, SERVICES
from controllers.runtime.objects import Key, Object, View, annotations_of, key_of, labels_of

LEADER = "control-plane.alpha.kubernetes.io/leader"
NAMESPACE_TERMINATING = "NamespaceTerminating"


class EndpointsController(Controller):
    name = "endpoints-controller"
    account = "endpoint-controller"

    def pod_changed(self, change: Change) -> Iterable[Key]:
        return services_of(self.store(SERVICES), change)

    watches: ClassVar = (
        For(SERVICES),
        Watches(PODS, pod_changed),
        For(ENDPOINTS, when=lambda change: change.type == "DELETED"),
    )

    def __init__(self, runtime: Runtime) -> None:
        self._triggers = TriggerTimes()
        super().__init__(runtime)
        self.events = runtime.events.recorder("endpoint-controller")

    def background(self) -> Iterable[Coroutine[Any, Any, None]]:
        return (self._check_leftovers(),)

    async def _check_leftovers(self) -> None:
        """Services may have gone while nobody looked: once, look at all Endpoints."""
        for endpoints in self.store(ENDPOINTS).all():
            if LEADER not in annotations_of(endpoints):
                self.queue.add(key_of(endpoints))

    async def reconcile(self, key: Key) -> Requeue | None:
        service = self.store(SERVICES).get(*key)
        if service is None:
            self._triggers.forget(key)
            await self._delete(key)
            return None
        if not selects_pods(service):
            return None
        pods = matching_pods(service, self.store(PODS))
        moment = self._triggers.next(service, pods)
        current = self.store(ENDPOINTS).get(*key)
        wanted = _wanted(service, pods, current, moment)
        if wanted is not None:
            await self._write(service, wanted, is_new=current is None)
        return None

    async def _delete(self, key: Key) -> None:
        if self.store(ENDPOINTS).get(*key) is None:
            return
        try:
            await self.client.delete(ENDPOINTS, *key)
        except NotFound:
            return

    async def _write(self, service: View, endpoints: Object, *, is_new: bool) -> None:
        where = str(key_of(service))
        try:
            await (self.client.create(ENDPOINTS, endpoints) if is_new else self.client.update(ENDPOINTS, endpoints))
        except ApiError as error:
            if error.has_cause(NAMESPACE_TERMINATING):
                return
            if is_new:
                text = f"Failed to create endpoint for service {where}: {error}"
                self.events.warning(endpoints, "FailedToCreateEndpoint", text)
            else:
                self.events.warning(endpoints, "FailedToUpdateEndpoint", f"Failed to update endpoint {where}: {error}")
            raise


def _wanted(service: View, pods: Iterable[View], current: View | None, moment: str) -> Object | None:
    """The Endpoints object to write; None if the current one will do."""
    subsets, is_cut = truncated(repack(backends(service, pods)))
    labels = endpoints_labels(service)
    if current is not None:
        is_same = (current.get("subsets") or []) == subsets and labels_of(current) == labels
        if is_same and (OVER_CAPACITY in annotations_of(current)) == is_cut:
            return None
    annotations = dict(annotations_of(current)) if current is not None else {}
    for name, value in ((ANNOTATION, moment), (OVER_CAPACITY, "truncated" if is_cut else "")):
        annotations.pop(name, None)
        if value:
            annotations[name] = value
    metadata = {**(current["metadata"] if current is not None else {}), "labels": labels, "annotations": annotations}
    metadata |= {"name": service["metadata"]["name"], "namespace": service["metadata"]["namespace"]}
    return {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets}
