"""Deletes finished Jobs once their time to live after finishing is over.

Follows: pkg/controller/ttlafterfinished/ttlafterfinished_controller.go
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar

from controllers.runtime.controller import Controller, For, Requeue
from controllers.runtime.errors import Conflict, NotFound
from controllers.runtime.kinds import JOBS
from controllers.runtime.objects import Key, View, is_deleting, uid_of
from openapi.meta.times import parse_time


def left_s(job: View, now: datetime) -> float | None:
    """Seconds until the job is to be deleted, 0 or less when it is time; None as long as it is not finished."""
    ttl_s = job["spec"].get("ttlSecondsAfterFinished")
    if ttl_s is None or is_deleting(job):
        return None
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
            since = condition.get("lastTransitionTime")
            return (parse_time(since) + timedelta(seconds=ttl_s) - now).total_seconds() if since else None
    return None


class TtlAfterFinished(Controller):
    name = "ttl-after-finished-controller"
    account = "ttl-after-finished-controller"
    watches: ClassVar = (For(JOBS, when=lambda change: change.type != "DELETED" and _has_ttl(change.obj)),)

    async def reconcile(self, key: Key) -> Requeue | None:
        job = self.store(JOBS).get(*key)
        wait_s = left_s(job, self.clock()) if job is not None else None
        if wait_s is not None and wait_s <= 0:
            # The store may lag behind a longer time to live.
            try:
                job = await self.client.get(JOBS, *key)
            except NotFound:
                return None
            wait_s = left_s(job, self.clock())
        if job is None or wait_s is None:
            return None
        if wait_s > 0:
            return Requeue(wait_s)
        try:
            await self.client.delete(JOBS, *key, uid=uid_of(job), propagation="Foreground")
        except (Conflict, NotFound):
            return None
        return None


def _has_ttl(job: View) -> bool:
    return job["spec"].get("ttlSecondsAfterFinished") is not None
