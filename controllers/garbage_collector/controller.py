"""Deletes what has lost its owners, and carries out deletion in the foreground and the release of orphans.

It watches the metadata of everything that can be listed, watched and deleted, custom kinds included. A delete is sent
only for the object as it was judged (uid and resourceVersion); an owner counts as gone only when its deletion was seen
or the server says so.
Follows: pkg/controller/garbagecollector/garbagecollector.go
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, ClassVar, Literal

from controllers.garbage_collector.graph import (
    FOREGROUND,
    ORPHAN,
    Graph,
    Node,
    Standing,
    Todo,
    has_finalizer,
    waits_for_dependents,
)
from controllers.runtime.controller import Controller, Requeue, Runtime, Watches
from controllers.runtime.discovery import Discovery, Served
from controllers.runtime.errors import ApiError, Conflict, NotFound
from controllers.runtime.informer import Change
from controllers.runtime.kinds import API_SERVICES, CUSTOM_RESOURCE_DEFINITIONS
from controllers.runtime.objects import Key, Object, View, is_deleting, namespace_of, owners_of, revision_of, uid_of
from openapi.catalog import GroupResource, GroupVersionResource, Resource

log = logging.getLogger(__name__)

REDISCOVER_S = 30.0
SETTLE_S = 0.5
"""How long after a change of a definition its resource is looked for: it takes the server a moment to serve it."""
SYNC_S = 30.0
MAX_TRIES = 5

IGNORED = frozenset({GroupResource("", "events"), GroupResource("events.k8s.io", "events")})
"""Many, short-lived, and never owners or owned."""

CHECK, RELEASE = "check", "release"
"""What to do with the uid of a key: they stand where other controllers' keys have the namespace."""

Policy = Literal["Foreground", "Background", "Orphan"]


class UnknownKind(Exception):
    """A reference names a kind that the server does not serve (yet)."""


class NamespacedOwner(Exception):
    """A cluster-scoped object refers to a namespaced owner, which cannot be looked up anywhere."""


class GarbageCollector(Controller):
    name = "garbage-collector-controller"
    account = "generic-garbage-collector"
    workers = 20

    def definition_changed(self, change: Change) -> Iterable[Key]:
        if change.old is None or change.old.get("spec") != change.obj.get("spec") or _conditions_differ(change):
            self._definitions.set()
        return ()

    watches: ClassVar = (
        Watches(CUSTOM_RESOURCE_DEFINITIONS, definition_changed),
        Watches(API_SERVICES, definition_changed),
    )

    def __init__(self, runtime: Runtime) -> None:
        self._definitions = asyncio.Event()
        self._ready = asyncio.Event()
        self._discovery = Discovery(runtime.client.named(self.name))
        self._kinds: dict[tuple[str, str], Resource] = {}
        self._watched: dict[GroupVersionResource, tuple[Resource, Callable[[Change], None]]] = {}
        self.graph = Graph()
        super().__init__(runtime)

    def background(self) -> Iterable[Coroutine[Any, Any, None]]:
        return (self._discover(),)

    async def reconcile(self, key: Key) -> Requeue | None:
        await self._ready.wait()
        node = self.graph.nodes.get(key.name)
        if node is None:
            return None
        if key.namespace == RELEASE:
            return await self._release(node)
        return await self._check(node)

    # What is there to watch

    async def _discover(self) -> None:
        """Keep an informer on everything that can be garbage or own it."""
        while True:
            try:
                self._watch(await self._discovery.look())
            except ApiError as error:
                log.warning("discovery failed: %s", error)
            if not self._ready.is_set() and self._watched:
                await self._first_sync()
                self._ready.set()
            try:
                async with asyncio.timeout(REDISCOVER_S if self._watched else 1.0):
                    await self._definitions.wait()
                await asyncio.sleep(SETTLE_S)
            except TimeoutError:
                continue
            finally:
                self._definitions.clear()

    async def _first_sync(self) -> None:
        informers = [self.runtime.informers.get(resource, metadata_only=True) for resource, _ in self._watched.values()]
        try:
            async with asyncio.timeout(SYNC_S):
                await asyncio.gather(*(informer.synced.wait() for informer in informers))
        except TimeoutError:
            missing = [informer.resource.gvr for informer in informers if not informer.synced.is_set()]
            log.warning("going on without all lists", extra={"missing": missing})

    def _watch(self, served: Served) -> None:
        self._kinds.update(served.by_kind())
        wanted = {
            resource.gvr: resource
            for resource in served.preferred("list", "watch", "delete")
            if resource.gr not in IGNORED
        }
        for gvr, (resource, handler) in list(self._watched.items()):
            if gvr not in wanted and not served.has_failed(gvr):
                self._unwatch(resource, handler)
        for gvr, resource in wanted.items():
            if gvr not in self._watched:
                handler = self._observer(resource)
                self._watched[gvr] = (resource, handler)
                self.runtime.informers.get(resource, metadata_only=True).add_handler(handler)

    def _unwatch(self, resource: Resource, handler: Callable[[Change], None]) -> None:
        del self._watched[resource.gvr]
        informer = self.runtime.informers.find(resource.gvr)
        if informer is not None:
            # First the handler: that the objects cannot be seen any more does not mean that they are gone.
            informer.remove_handler(handler)
        self.runtime.informers.drop(resource)
        self.graph.forget(resource)
        self._kinds.pop((resource.api_version, resource.kind), None)

    def _observer(self, resource: Resource) -> Callable[[Change], None]:
        def observe(change: Change) -> None:
            uid = uid_of(change.obj)
            if change.old is not None and uid_of(change.old) != uid:
                self._take(self.graph.remove(uid_of(change.old)))
            if change.type == "DELETED":
                self._take(self.graph.remove(uid))
            else:
                self._take(self.graph.put(resource, change.obj))

        return observe

    def _take(self, todo: Todo) -> None:
        for uid in todo.check:
            self.queue.add(Key(CHECK, uid))
        for uid in todo.orphan:
            self.queue.add(Key(RELEASE, uid))
        for node, reference in todo.misplaced:
            self.events.warning(_reference(node), "OwnerRefInvalidNamespace", _misplaced(node, reference))

    # Deleting

    async def _check(self, node: Node) -> Requeue | None:
        """Delete the object if none of its owners is left, or end its wait for dependents."""
        if node.waits_for_dependents:
            return await self._finish_foreground(node)
        if is_deleting(node.obj) or not node.owners:
            return None
        try:
            judged = [(reference, *await self._judge(node, reference)) for reference in node.owners]
        except UnknownKind as error:
            log.debug("owner cannot be looked up: %s", error, extra={"uid": node.uid})
            return Requeue()
        except NamespacedOwner:
            return None
        solid = [reference for reference, standing, _ in judged if standing is Standing.SOLID]
        waiting = [reference for reference, standing, _ in judged if standing is Standing.WAITING]
        unseen = any(is_unseen for _, _, is_unseen in judged)
        if solid:
            if len(solid) < len(judged):
                await self._drop_owners(node, {owner["uid"] for owner in node.owners} - {s["uid"] for s in solid})
            return Requeue() if unseen else None
        return await self._delete(node, in_foreground=bool(waiting) and bool(self.graph.dependents(node.uid)))

    async def _judge(self, node: Node, reference: View) -> tuple[Standing, bool]:
        """What a reference is worth, and whether its owner exists without having been seen by the watch."""
        standing = self.graph.standing(node, reference)
        if standing is not Standing.UNKNOWN:
            return standing, False
        resource = self._kinds.get((reference["apiVersion"], reference["kind"]))
        if resource is None:
            raise UnknownKind(f'no matches for kind "{reference["kind"]}" in version "{reference["apiVersion"]}"')
        if resource.namespaced and not node.namespace:
            raise NamespacedOwner
        try:
            owner = await self.client.get(resource, node.namespace, reference["name"])
        except NotFound:
            owner = {}
        if not owner or uid_of(owner) != reference["uid"]:
            self.graph.note_absent(node, reference)
            return Standing.DANGLING, False
        is_unseen = reference["uid"] not in self.graph.nodes and resource.gvr in self._watched
        return (Standing.WAITING if waits_for_dependents(owner) else Standing.SOLID), is_unseen

    async def _delete(self, node: Node, *, in_foreground: bool) -> Requeue | None:
        obj = node.obj
        policy: Policy = "Background"
        if in_foreground:
            policy = "Foreground"
            if any(dependent.waits_for_dependents for dependent in self.graph.dependents(node.uid)):
                # It may own, through others, what it is owned by: nobody must wait for it.
                obj = await self._unblock(node) or obj
        elif has_finalizer(obj, ORPHAN):
            policy = "Orphan"
        elif has_finalizer(obj, FOREGROUND):
            policy = "Foreground"
        try:
            await self._send_delete(node, policy, resource_version=str(revision_of(obj)))
        except NotFound:
            return None
        except Conflict:
            return await self._delete_again(node, policy)
        return None

    async def _delete_again(self, node: Node, policy: Policy) -> Requeue | None:
        """The object has changed since it was judged: that is of no matter as long as its owners are the same."""
        latest = await self._latest(node)
        if latest is None:
            return None
        if owners_of(latest) != node.owners:
            return Requeue()
        try:
            await self._send_delete(node, policy, resource_version="")
        except NotFound:
            return None
        return None

    async def _send_delete(self, node: Node, policy: Policy, *, resource_version: str) -> None:
        await self.client.delete(
            node.resource,
            node.namespace,
            node.name,
            uid=node.uid,
            resource_version=resource_version,
            propagation=policy,
        )

    async def _finish_foreground(self, node: Node) -> Requeue | None:
        blocking = self.graph.blocking(node.uid)
        if not blocking:
            await self._remove_finalizer(node, FOREGROUND)
        for dependent in blocking:
            if not dependent.waits_for_dependents:
                self.queue.add(Key(CHECK, dependent.uid))
        return None

    # Changing owners and finalizers

    async def _release(self, node: Node) -> Requeue | None:
        """Take the object out of its dependents' references, then let it go."""
        if not is_deleting(node.obj) or not has_finalizer(node.obj, ORPHAN):
            return None
        gone = {node.uid}
        results = await asyncio.gather(
            *(self._drop_owners(dependent, gone) for dependent in self.graph.dependents(node.uid)),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result
        await self._remove_finalizer(node, ORPHAN)
        return None

    async def _drop_owners(self, node: Node, gone: set[str]) -> None:
        """Take the references to these uids out."""

        def without(obj: View) -> Object | None:
            kept = [reference for reference in owners_of(obj) if reference["uid"] not in gone]
            return {"ownerReferences": kept or None} if len(kept) < len(owners_of(obj)) else None

        await self._change_metadata(node, without)

    async def _unblock(self, node: Node) -> Object | None:
        """Let no owner wait for the object."""

        def unblocked(obj: View) -> Object | None:
            references: Sequence[View] = owners_of(obj)
            if not any(reference.get("blockOwnerDeletion") for reference in references):
                return None
            return {"ownerReferences": [{**reference, "blockOwnerDeletion": False} for reference in references]}

        return await self._change_metadata(node, unblocked)

    async def _remove_finalizer(self, node: Node, finalizer: str) -> None:
        def without(obj: View) -> Object | None:
            finalizers = obj["metadata"].get("finalizers") or []
            return {"finalizers": [one for one in finalizers if one != finalizer]} if finalizer in finalizers else None

        await self._change_metadata(node, without)

    async def _change_metadata(self, node: Node, change: Callable[[View], Object | None]) -> Object | None:
        """Patch the metadata by what `change` says of the latest object (None: nothing). None: nothing was written."""
        obj: View | None = node.obj
        for _ in range(MAX_TRIES):
            fields = change(obj) if obj is not None else None
            if obj is None or fields is None:
                return None
            metadata = {"resourceVersion": obj["metadata"]["resourceVersion"], "uid": node.uid, **fields}
            try:
                return await self.client.patch(node.resource, node.namespace, node.name, {"metadata": metadata})
            except NotFound:
                return None
            except Conflict:
                obj = await self._latest(node)
        raise Conflict(409, "Conflict", f"{node.resource.resource} {namespace_of(node.obj)}/{node.name} keeps changing")

    async def _latest(self, node: Node) -> Object | None:
        """The object as the server has it; None if it is gone."""
        try:
            latest = await self.client.get(node.resource, node.namespace, node.name)
        except NotFound:
            return None
        return latest if uid_of(latest) == node.uid else None


def _conditions_differ(change: Change) -> bool:
    old = (change.old or {}).get("status") or {}
    new = change.obj.get("status") or {}
    return bool(old.get("conditions") != new.get("conditions"))


def _reference(node: Node) -> Object:
    """The object as events name it."""
    return {
        "kind": node.resource.kind,
        "apiVersion": node.resource.api_version,
        "metadata": {"name": node.name, "namespace": node.namespace, "uid": node.uid},
    }


def _misplaced(node: Node, reference: View) -> str:
    owner = (
        f"[{reference['apiVersion']}/{reference['kind']}, namespace: {node.namespace}, "
        f"name: {reference['name']}, uid: {reference['uid']}]"
    )
    return f'ownerRef {owner} does not exist in namespace "{node.namespace}"'
