"""The scheduler's events, as events.k8s.io/v1: one object per kind of happening and pod, repeated ones as a series.

Recording never waits and never fails the caller.
Follows: staging/src/k8s.io/client-go/tools/events/{event_broadcaster,event_recorder}.go
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from controllers.runtime.client import Client
from controllers.runtime.event_queue import EventQueue
from controllers.runtime.kinds import resource
from controllers.runtime.objects import Object
from openapi.meta.times import Clock, format_micro_time

EVENTS = resource("events.k8s.io", "v1", "events")
SERIES_S = 360.0
"""A happening this long after the last one of its kind starts a new event."""
REFRESH_S = 1800.0
MAX_NOTE = 1024
KNOWN, WAITING = 4096, 10000
WRITERS = 4

View = Mapping[str, Any]


class _Seen:
    """An event that was written: its object, and how often and when it has happened since."""

    __slots__ = ("count", "last", "obj")

    def __init__(self, obj: Object, last: float) -> None:
        self.obj = obj
        self.count = 1
        self.last = last


class EventRecorder:
    """Writes events in the background; `run` it."""

    def __init__(self, client: Client, clock: Clock, host: str) -> None:
        self._clock = clock
        self._host = host
        self._queue = EventQueue(client, EVENTS, _same, limit=WAITING, writers=WRITERS)
        self._seen: OrderedDict[tuple[str, ...], _Seen] = OrderedDict()

    def record(self, pod: View, kind: str, reason: str, action: str, note: str, controller: str) -> None:
        """Tell that `action` had the result `reason` for the pod, in the name of the profile `controller`.

        The same about a later version of the pod is another event.
        """
        metadata = pod["metadata"]
        regarding = {
            "kind": "Pod",
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
            "apiVersion": "v1",
            "resourceVersion": metadata.get("resourceVersion", ""),
        }
        moment = self._clock()
        key = (kind, reason, action, controller, metadata["uid"], regarding["resourceVersion"])
        seen = self._seen.get(key)
        if seen is not None and moment.timestamp() - seen.last < SERIES_S:
            self._repeat(seen, moment.timestamp(), format_micro_time(moment))
            return
        event: Object = {
            "kind": "Event",
            "apiVersion": "events.k8s.io/v1",
            "metadata": {"name": f"{metadata['name']}.{time.time_ns():x}", "namespace": metadata["namespace"]},
            "eventTime": format_micro_time(moment),
            "reportingController": controller,
            "reportingInstance": f"{controller}-{self._host}",
            "action": action,
            "reason": reason,
            "regarding": regarding,
            "note": truncated(note),
            "type": kind,
        }
        self._seen[key] = _Seen(event, moment.timestamp())
        if len(self._seen) > KNOWN:
            self._seen.popitem(last=False)
        self._queue.put(event)

    def _repeat(self, seen: _Seen, now: float, time_text: str) -> None:
        """One more of a known event: the first repetition is written at once, later ones now and then."""
        seen.count += 1
        first, late = seen.count == 2, now - seen.last > REFRESH_S
        seen.last = now
        seen.obj["series"] = {"count": seen.count, "lastObservedTime": time_text}
        if first or late:
            self._queue.put(seen.obj, ("series",))

    async def run(self) -> None:
        """Write events for ever."""
        await self._queue.run()


def _same(_event: Object) -> None:
    """An event that the server has lost goes there again as it is."""


def truncated(note: str) -> str:
    """The note within the API's limit."""
    return note if len(note) <= MAX_NOTE else note[: MAX_NOTE - 4] + " ..."
