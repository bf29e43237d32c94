"""What a controller is: the resources it watches, how their changes become keys, and `reconcile(key)`.

Level-based: a key says that something may have changed, never what. See the package's docstring for a guide.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from controllers.runtime.accounts import ClientOf
from controllers.runtime.client import Client
from controllers.runtime.events import EventSink
from controllers.runtime.informer import Change, Informer, Informers
from controllers.runtime.metrics import Metrics
from controllers.runtime.objects import Key, Object, View, controller_of, key_of, labels_of, uid_of
from controllers.runtime.queue import WorkQueue
from controllers.runtime.store import Store
from openapi.catalog import Resource, split_api_version
from openapi.meta.times import Clock

ChangeToKeys = Callable[[Any, Change], Iterable[Key]]
"""A plain function of the controller's class body: `(controller, change) -> keys`."""

Predicate = Callable[[Change], bool]


@dataclass(frozen=True, slots=True)
class For:
    """The resource whose objects are reconciled: each change enqueues the object itself."""

    resource: Resource
    when: Predicate | None = None


@dataclass(frozen=True, slots=True)
class Owns:
    """Objects with a controller reference to one of ours: each change enqueues the owner, old and new.

    `orphans` (`(controller, object) -> keys`) tells who may want to adopt an object that has no controller. With
    `delay_s` changes are gathered for so long before the owner is looked at.
    """

    resource: Resource
    orphans: Callable[[Any, Object], Iterable[Key]] | None = None
    when: Predicate | None = None
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Watches:
    """Any other resource: `keys` tells what each change concerns; `delay_s` is as for `Owns`."""

    resource: Resource
    keys: ChangeToKeys
    when: Predicate | None = None
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Reads:
    """A resource that is only looked up in its store."""

    resource: Resource


Watch = For | Owns | Watches | Reads


@dataclass(frozen=True, slots=True)
class Requeue:
    """Reconcile the key again in `after_s` seconds; without it, as after a failure: later and later."""

    after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Runtime:
    """What the controllers of a process share."""

    client: Client
    """In the process's own name."""
    client_of: ClientOf
    informers: Informers
    events: EventSink
    metrics: Metrics
    clock: Clock


class Controller(ABC):
    """Base of all controllers. Subclasses set the class data and write `reconcile`."""

    name: ClassVar[str]
    """`deployment-controller`: who it is in events and metrics."""

    account: ClassVar[str] = ""
    """The service account whose rights it has; '' for those of the process itself."""

    watches: ClassVar[tuple[Watch, ...]] = ()
    workers: ClassVar[int] = 5
    """How many keys are worked on at once."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.client = runtime.client_of(self.name, self.account)
        self.events = runtime.events.recorder(self.name)
        self.clock = runtime.clock
        adds = runtime.metrics.queue_adds.labels(self.name)
        self.queue: WorkQueue[Key] = WorkQueue(on_add=lambda _key: adds.inc())
        self._listen()

    @abstractmethod
    async def reconcile(self, key: Key) -> Requeue | None:
        """Bring the world nearer to what the object wants. None: done until something changes."""

    def background(self) -> Iterable[Coroutine[Any, Any, None]]:
        """Coroutines that run as long as the controller leads (periodic scans); most controllers have none."""
        return ()

    def informer(self, resource: Resource) -> Informer:
        return self.runtime.informers.get(resource)

    def store(self, resource: Resource) -> Store:
        return self.runtime.informers.get(resource).store

    def enqueue(self, key: Key, after_s: float = 0.0) -> None:
        self.queue.add_after(key, after_s)

    def _listen(self) -> None:
        """Attach the handlers of `watches`. One class may watch a resource in several ways."""
        for watch in self.watches:
            informer = self.informer(watch.resource)
            if isinstance(watch, Reads):
                continue
            if isinstance(watch, Owns):
                informer.store.index_controllers()
            informer.add_handler(self._handler(watch))

    def _handler(self, watch: For | Owns | Watches) -> Callable[[Change], None]:
        keys, when, queue = self._mapper(watch), watch.when, self.queue
        delay_s = 0.0 if isinstance(watch, For) else watch.delay_s

        def handle(change: Change) -> None:
            if when is None or when(change):
                for key in keys(change):
                    queue.add_after(key, delay_s)

        return handle

    def _mapper(self, watch: For | Owns | Watches) -> Callable[[Change], Iterable[Key]]:
        if isinstance(watch, For):
            return lambda change: (key_of(change.obj),)
        if isinstance(watch, Owns):
            owner = next(candidate.resource for candidate in self.watches if isinstance(candidate, For))
            return lambda change: self._owner_keys(owner, watch.orphans, change)
        mapped = watch.keys
        return lambda change: mapped(self, change)

    def _owner_keys(
        self, owner: Resource, orphans: Callable[[Any, Object], Iterable[Key]] | None, change: Change
    ) -> Iterable[Key]:
        reference = controller_of(change.obj)
        previous = controller_of(change.old) if change.old is not None else None
        lost = previous is not None and (reference is None or reference["uid"] != previous["uid"])
        if previous is not None and lost:
            yield from self._owner_key(owner, change.obj, previous)
        if reference is not None:
            yield from self._owner_key(owner, change.obj, reference)
        elif orphans is not None and change.type != "DELETED" and (lost or _is_relabelled(change)):
            yield from orphans(self, change.obj)

    def _owner_key(self, owner: Resource, obj: View, reference: View) -> Iterable[Key]:
        """The key of the referenced owner, if it is one of ours and still the same object."""
        group, _ = split_api_version(reference["apiVersion"])
        if reference["kind"] != owner.kind or group != owner.group:
            return
        known = self.store(owner).get(obj["metadata"].get("namespace", ""), reference["name"])
        if known is not None and uid_of(known) == reference["uid"]:
            yield key_of(known)


def _is_relabelled(change: Change) -> bool:
    """Whether selectors may match the object that did not before."""
    return change.old is None or labels_of(change.old) != labels_of(change.obj)
