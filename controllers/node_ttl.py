"""Tells nodes, by an annotation, how long to keep secrets and config maps: the longer, the more nodes there are.

Follows: pkg/controller/ttl/ttl_controller.go
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from controllers.runtime.controller import Controller, For, Requeue, Runtime
from controllers.runtime.errors import NotFound
from controllers.runtime.informer import Change
from controllers.runtime.kinds import NODES
from controllers.runtime.objects import Key, annotations_of, key_of

ANNOTATION = "node.alpha.kubernetes.io/ttl"


@dataclass(frozen=True, slots=True)
class _Step:
    """A time for clusters of some sizes. The sizes of neighbours overlap, so that a cluster does not go to and fro."""

    least: int
    most: int
    seconds: int


_STEPS = (
    _Step(0, 100, 0),
    _Step(90, 500, 15),
    _Step(450, 1000, 30),
    _Step(900, 2000, 60),
    _Step(1800, 10_000, 300),
    _Step(9000, 2**31 - 1, 600),
)


def step_for(size: int, step: int) -> int:
    """The step for so many nodes, coming from `step`."""
    while size > _STEPS[step].most:
        step += 1
    while size < _STEPS[step].least:
        step -= 1
    return step


class NodeTtlController(Controller):
    name = "ttl-controller"
    account = "ttl-controller"
    watches: ClassVar = (For(NODES, when=lambda change: change.type != "DELETED"),)

    def __init__(self, runtime: Runtime) -> None:
        self._step = 0
        super().__init__(runtime)
        self.informer(NODES).add_handler(self._count)

    async def reconcile(self, key: Key) -> Requeue | None:
        node, wanted = self.store(NODES).get(*key), str(_STEPS[self._step].seconds)
        if node is None or annotations_of(node).get(ANNOTATION) == wanted:
            return None
        try:
            await self.client.patch(NODES, *key, {"metadata": {"annotations": {ANNOTATION: wanted}}})
        except NotFound:
            return None
        return None

    def _count(self, change: Change) -> None:
        """With another step all nodes are to be told."""
        if change.type == "MODIFIED":
            return
        store = self.store(NODES)
        step = step_for(len(store), self._step)
        if step != self._step:
            self._step = step
            for node in store.all():
                self.enqueue(key_of(node))
