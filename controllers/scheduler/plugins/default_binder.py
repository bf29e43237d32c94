"""DefaultBinder: tells the API server where the pod runs."""

from __future__ import annotations

from controllers.scheduler.framework import Bind, Binder, Cycle


class DefaultBinder(Bind):
    name = "DefaultBinder"

    async def bind(self, cycle: Cycle, node: str, binder: Binder) -> bool:
        await binder.bind(cycle.pod, node)
        return True
