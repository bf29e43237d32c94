"""Empties namespaces that are being deleted, then releases them.

Pods go first and everything else waits until they are gone, so that no pod outlives the policies and secrets it relies
on. A namespace is released only after the server has listed nothing of any kind in it.
Follows: pkg/controller/namespace/{namespace_controller.go,deletion/namespaced_resources_deleter.go}
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar

from controllers.namespace.conditions import Progress, discovery_failure, plan_conditions
from controllers.runtime.controller import Controller, Requeue, Runtime, Watches
from controllers.runtime.discovery import Discovery
from controllers.runtime.errors import ApiError, Conflict, NotFound
from controllers.runtime.informer import Change
from controllers.runtime.kinds import NAMESPACES, PODS
from controllers.runtime.objects import Key, Object, is_deleting, key_of
from openapi.catalog import GroupResource, GroupVersionResource, Resource
from openapi.meta.times import format_time, parse_time

log = logging.getLogger(__name__)

FINALIZER = "kubernetes"
GRACE_S = 0.2
"""Other API servers must have seen that the namespace is going before it is emptied: nobody may add to it later."""
AT_ONCE = 6
FIRST_PAUSE_S = 0.1
FINALIZERS_TAKE_S = 15
"""How long finalizers are expected to take."""


@dataclass(slots=True)
class Remains:
    """What one resource has left in the namespace. `estimate_s`: when it may be gone, 0: unknown."""

    count: int = 0
    finalizers: Counter[str] = field(default_factory=Counter)
    estimate_s: int = 0
    failure: str = ""


class ContentRemains(Exception):
    """Not all could be deleted."""


class NamespaceController(Controller):
    name = "namespace-controller"
    account = "namespace-controller"
    workers = 10

    def deleted(self, change: Change) -> Iterable[Key]:
        if change.type == "DELETED":
            self._attempts.pop(key_of(change.obj), None)
        elif is_deleting(change.obj) and (change.old is None or change.old.get("spec") != change.obj.get("spec")):
            return (key_of(change.obj),)
        elif is_deleting(change.obj) and change.old is not None and not is_deleting(change.old):
            self.enqueue(key_of(change.obj), GRACE_S)
        return ()

    def pod_deleted(self, change: Change) -> Iterable[Key]:
        """The last pod of a namespace in deletion: the rest need not wait any longer."""
        namespace = change.obj["metadata"]["namespace"]
        owner = self.store(NAMESPACES).get("", namespace) if change.type == "DELETED" else None
        if owner is None or not is_deleting(owner) or self.store(PODS).all(namespace):
            return ()
        return (Key("", namespace),)

    watches: ClassVar = (Watches(NAMESPACES, deleted), Watches(PODS, pod_deleted))

    def __init__(self, runtime: Runtime) -> None:
        self._attempts: dict[Key, int] = {}
        super().__init__(runtime)
        self._discovery = Discovery(self.client)

    async def reconcile(self, key: Key) -> Requeue | None:
        try:
            namespace = await self.client.get(NAMESPACES, "", key.name)
        except NotFound:
            return None
        if not is_deleting(namespace) or not namespace["spec"].get("finalizers"):
            return None
        estimate_s, namespace = await self._empty(namespace)
        if estimate_s:
            attempts = self._attempts[key] = self._attempts.get(key, 0) + 1
            return Requeue(min(estimate_s / 2 + 1, FIRST_PAUSE_S * 2.0 ** min(attempts - 1, 10)))
        self._attempts.pop(key, None)
        await self._release(namespace)
        return None

    async def _empty(self, namespace: Object) -> tuple[int, Object]:
        """Delete what can be deleted; how long to wait for the rest, and the namespace with its new conditions.

        Raises ContentRemains if something went wrong, once the conditions say what.
        """
        served = await self._discovery.look()
        resources = {row.gvr: row for row in served.preferred("delete") if row.namespaced}
        progress = Progress(undiscovered=served.failed)
        errors = [discovery_failure(served.failed)] if served.failed else []
        estimate_s = 0
        pods = resources.pop(GroupVersionResource("", "v1", "pods"), None)
        if pods is not None:
            remains = await self._delete_all(pods, namespace)
            _note_failure(progress, errors, remains)
            if remains.count or remains.failure:
                return remains.estimate_s, await self._report(namespace, progress, errors)
        limit = asyncio.Semaphore(AT_ONCE)

        async def empty(resource: Resource) -> tuple[GroupResource, Remains]:
            async with limit:
                return resource.gr, await self._delete_all(resource, namespace)

        for gr, remains in await asyncio.gather(*map(empty, resources.values())):
            _note_failure(progress, errors, remains)
            estimate_s = max(estimate_s, remains.estimate_s)
            if remains.count:
                progress.remaining[gr] = remains.count
                progress.finalizers += remains.finalizers
        return estimate_s, await self._report(namespace, progress, errors)

    async def _report(self, namespace: Object, progress: Progress, errors: list[str]) -> Object:
        """Write the conditions if they have changed; raises ContentRemains if there were errors."""
        status = namespace.get("status") or {}
        conditions = plan_conditions(status, progress, format_time(self.clock()))
        if conditions is not None:
            changed = {**namespace, "status": {**status, "phase": "Terminating", "conditions": conditions}}
            try:
                namespace = await self.client.update(NAMESPACES, changed, "status")
            except (Conflict, NotFound) as error:
                log.info("conditions not written: %s", error, extra={"object": namespace["metadata"]["name"]})
        if errors:
            raise ContentRemains("; ".join(errors))
        return namespace

    async def _release(self, namespace: Object) -> None:
        """Take our finalizer out; the server deletes the namespace with the last one."""
        name = namespace["metadata"]["name"]
        while True:
            finalizers = [one for one in namespace["spec"].get("finalizers") or () if one != FINALIZER]
            try:
                await self.client.update(NAMESPACES, {**namespace, "spec": {"finalizers": finalizers}}, "finalize")
            except NotFound:
                return
            except Conflict:
                uid = namespace["metadata"]["uid"]
                namespace = await self.client.get(NAMESPACES, "", name)
                if namespace["metadata"]["uid"] != uid:
                    return
            else:
                return

    # One resource

    async def _delete_all(self, resource: Resource, namespace: Object) -> Remains:
        name = namespace["metadata"]["name"]
        try:
            items = await self._items(resource, name)
            if not items:
                return Remains()
            estimate_s = self._grace_left(namespace) if resource.gr == PODS.gr else 0
            await self._delete_items(resource, name, items)
            items = await self._items(resource, name)
        except ApiError as error:
            return Remains(failure=str(error))
        finalizers = Counter(one for item in items for one in item["metadata"].get("finalizers") or ())
        remains = Remains(len(items), finalizers, estimate_s if items else 0)
        if items and not estimate_s:
            if finalizers:
                remains.estimate_s = FINALIZERS_TAKE_S
            else:
                gvr = f"{resource.group}/{resource.version}, Resource={resource.resource}"
                remains.failure = f"unexpected items still remain in namespace: {name} for gvr: {gvr}"
        return remains

    async def _delete_items(self, resource: Resource, namespace: str, items: list[Object]) -> None:
        if "deletecollection" in resource.verbs:
            try:
                await self.client.delete_collection(resource, namespace, propagation="Background")
            except ApiError as error:
                if error.code not in (404, 405):
                    raise
            else:
                return
        for item in items:
            try:
                await self.client.delete(resource, namespace, item["metadata"]["name"], propagation="Background")
            except ApiError as error:
                if error.code not in (404, 405):
                    raise

    async def _items(self, resource: Resource, namespace: str) -> list[Object]:
        """What the server has, names and finalizers; nothing where it does not list."""
        if "list" not in resource.verbs:
            return []
        try:
            answer = await self.client.list(resource, namespace, metadata_only=True)
        except ApiError as error:
            if error.code in (404, 405):
                return []
            raise
        return answer.get("items") or []

    def _grace_left(self, namespace: Object) -> int:
        """The longest time that a running pod may take to end; 0 once it is over."""
        name = namespace["metadata"]["name"]
        grace_s = 0
        for pod in self.store(PODS).all(name):
            if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed"):
                grace_s = max(grace_s, pod["spec"].get("terminationGracePeriodSeconds") or 0)
        since = parse_time(namespace["metadata"]["deletionTimestamp"])
        return grace_s if self.clock() < since + timedelta(seconds=grace_s) else 0


def _note_failure(progress: Progress, errors: list[str], remains: Remains) -> None:
    if remains.failure:
        progress.failures.append(remains.failure)
        errors.append(remains.failure)
