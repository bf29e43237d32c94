"""One watch of all pods for a process that runs many nodes, each of which sees only its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from controllers.runtime.informer import Change, Handler, Informer
from nodeagent.pods.spec import View


class Pods(Protocol):
    """The pods of one node: an `Informer`, or a part of one."""

    synced: asyncio.Event

    def add_handler(self, handler: Handler) -> None: ...

    async def run(self) -> None: ...


class PodFleet:
    """Deals the changes of all pods out to the nodes they are on."""

    def __init__(self, informer: Informer) -> None:
        self.informer = informer
        self._handlers: dict[str, Handler] = {}
        informer.add_handler(self._deal)

    def node(self, name: str) -> NodePods:
        return NodePods(self.informer, name, lambda handler: self._handlers.__setitem__(name, handler))

    def _deal(self, change: Change) -> None:
        handler = self._handlers.get(_node_of(change.obj))
        if handler is None:
            return
        if change.old is not None and not _node_of(change.old):
            change = Change("ADDED", change.obj)
        handler(change)


class NodePods:
    """The pods of one node of a fleet. The fleet's informer is run by whoever has made it."""

    def __init__(self, informer: Informer, name: str, listen: Callable[[Handler], None]) -> None:
        self.synced = informer.synced
        self._informer = informer
        self._name = name
        self._listen = listen

    def add_handler(self, handler: Handler) -> None:
        for obj in self._informer.store.all():
            if _node_of(obj) == self._name:
                handler(Change("ADDED", obj))
        self._listen(handler)

    async def run(self) -> None:
        await asyncio.Event().wait()


def _node_of(pod: View) -> str:
    return pod["spec"].get("nodeName") or ""
