"""One watch of all objects for a process that runs many nodes, each of which sees only its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from controllers.runtime.informer import Change, Handler, Informer
from nodeagent.pods.spec import View


class Own(Protocol):
    """The objects of one node: an `Informer`, or a part of one."""

    synced: asyncio.Event

    def add_handler(self, handler: Handler) -> None: ...

    async def run(self) -> None: ...


class Fleet:
    """Deals the changes of all objects out to the nodes that they concern; `node_of` tells which, '' for none."""

    def __init__(self, informer: Informer, node_of: Callable[[View], str]) -> None:
        self.informer = informer
        self.node_of = node_of
        self._handlers: dict[str, Handler] = {}
        informer.add_handler(self._deal)

    def of(self, name: str) -> Share:
        return Share(self, name, lambda handler: self._handlers.__setitem__(name, handler))

    def _deal(self, change: Change) -> None:
        handler = self._handlers.get(self.node_of(change.obj))
        if handler is None:
            return
        if change.old is not None and not self.node_of(change.old):
            change = Change("ADDED", change.obj)
        handler(change)


class Share:
    """What one node of a fleet sees. The fleet's informer is run by whoever has made it."""

    def __init__(self, fleet: Fleet, name: str, listen: Callable[[Handler], None]) -> None:
        self.synced = fleet.informer.synced
        self._fleet = fleet
        self._name = name
        self._listen = listen

    def add_handler(self, handler: Handler) -> None:
        for obj in self._fleet.informer.store.all():
            if self._fleet.node_of(obj) == self._name:
                handler(Change("ADDED", obj))
        self._listen(handler)

    async def run(self) -> None:
        await asyncio.Event().wait()


def node_of_pod(pod: View) -> str:
    return pod["spec"].get("nodeName") or ""
