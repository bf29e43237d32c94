"""Pods of a node that is not ready are not ready either.

Follows: pkg/controller/util/node/controller_utils.go MarkPodsNotReady
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from controllers.runtime.client import Client
from controllers.runtime.errors import NotFound
from controllers.runtime.events import Recorder
from controllers.runtime.kinds import PODS
from controllers.runtime.objects import Object, View
from openapi.meta.times import format_time


def unready(pod: View, now: datetime) -> Object | None:
    """The pod with its Ready condition False; None if it was not True."""
    status = pod.get("status") or {}
    conditions = [dict(condition) for condition in status.get("conditions") or ()]
    for condition in conditions:
        if condition["type"] == "Ready" and condition.get("status") == "True":
            condition |= {"status": "False", "lastTransitionTime": format_time(now)}
            return {**pod, "status": {**status, "conditions": conditions}}
    return None


async def mark_unready(client: Client, events: Recorder, pods: Iterable[View], now: datetime) -> None:
    """Write it to each of the pods that was ready. Raises the ApiError of the first refusal."""
    for pod in pods:
        changed = unready(pod, now)
        if changed is None:
            continue
        events.warning(pod, "NodeNotReady", "Node is not ready")
        try:
            await client.update(PODS, changed, "status")
        except NotFound:
            continue
