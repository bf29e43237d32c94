"""Read your own writes: which revisions a key's last reconcile has produced, and whether the stores have seen them.

Informers lag behind writes. A controller that decides from a store which lacks its own last write makes things twice;
so the worker notes what the client writes while a key is reconciled, and does not start with that key again until the
informers of the written resources have come that far. Resource versions are compared as numbers. Where an answer was
lost, the server is asked first how far that is.
Follows: pkg/controller/util/consistency
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING

from controllers.runtime.objects import Key, is_deleting, uid_of
from openapi.catalog import GroupVersionResource, Resource

if TYPE_CHECKING:
    from controllers.runtime.informer import Informer


class Writes:
    """What one reconcile has written: the highest revision per resource, and the objects it has deleted.

    `unknown` are the resources and namespaces of writes whose answers were lost: they may have been done or not.
    """

    __slots__ = ("deleted", "revisions", "unknown")

    def __init__(self) -> None:
        self.revisions: dict[GroupVersionResource, int] = {}
        self.deleted: dict[tuple[GroupVersionResource, Key], str] = {}
        self.unknown: set[tuple[Resource, str]] = set()

    def __bool__(self) -> bool:
        return bool(self.revisions or self.deleted or self.unknown)

    def note(self, gvr: GroupVersionResource, revision: int) -> None:
        """The stores must come as far as this revision."""
        if revision > self.revisions.get(gvr, 0):
            self.revisions[gvr] = revision

    def forget_seen(self, find: Callable[[GroupVersionResource], Informer | None]) -> list[Informer]:
        """Drop what the informers have seen (or nobody watches); the informers that still lag behind remain."""
        lagging: dict[int, Informer] = {}
        for gvr, revision in list(self.revisions.items()):
            informer = find(gvr)
            if informer is None or informer.revision >= revision:
                del self.revisions[gvr]
            else:
                lagging[id(informer)] = informer
        for (gvr, key), uid in list(self.deleted.items()):
            informer = find(gvr)
            known = informer.store.get(key.namespace, key.name) if informer is not None else None
            if informer is None or known is None or is_deleting(known) or uid_of(known) != uid:
                del self.deleted[gvr, key]
            else:
                lagging[id(informer)] = informer
        return list(lagging.values())


current: ContextVar[Writes | None] = ContextVar("current", default=None)
"""The writes of the reconcile that the running task belongs to."""


def wrote(resource: Resource, revision: int) -> None:
    """A write of the resource came back with this revision."""
    writes = current.get()
    if writes is not None:
        writes.note(resource.gvr, revision)


def lost(resource: Resource, namespace: str) -> None:
    """A write in the namespace got no answer."""
    writes = current.get()
    if writes is not None:
        writes.unknown.add((resource, namespace))


def deleted(resource: Resource, key: Key, uid: str) -> None:
    """The server has accepted to delete the object with that uid."""
    writes = current.get()
    if writes is not None and uid:
        writes.deleted[resource.gvr, key] = uid
