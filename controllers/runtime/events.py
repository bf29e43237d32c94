"""The event recorder: what controllers tell people, as core/v1 Events.

Recording never waits and never fails the caller. Repeated events become a count, many similar ones become one combined
event, and an object that causes too many is cut off, each by upstream's own limits.
Follows: staging/src/k8s.io/client-go/tools/record/{event.go,events_cache.go}
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from controllers.runtime.client import Client
from controllers.runtime.event_queue import EventQueue
from controllers.runtime.kinds import EVENTS
from controllers.runtime.objects import Object, View
from openapi.meta.times import Clock, format_time

CACHE_SIZE = 4096
SIMILAR_LIMIT, SIMILAR_INTERVAL_S = 10, 600.0
SPAM_BURST, SPAM_PER_S = 25, 1 / 300
QUEUE_LIMIT = 1000
REPEATED = ("count", "lastTimestamp", "message")
"""What changes of an event that is seen again."""
COMBINED = "(combined from similar events): "

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Recent(Generic[K, V]):
    """The most recently used values."""

    def __init__(self, make: Callable[[], V]) -> None:
        self._make = make
        self._values: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V:
        value = self._values.get(key)
        if value is None:
            value = self._values[key] = self._make()
            if len(self._values) > CACHE_SIZE:
                self._values.popitem(last=False)
        else:
            self._values.move_to_end(key)
        return value


@dataclass(slots=True)
class _Similar:
    messages: dict[str, None] = field(default_factory=dict)
    last: float = 0.0


@dataclass(slots=True)
class _Bucket:
    tokens: float = SPAM_BURST
    last: float = 0.0


@dataclass(slots=True)
class _Observed:
    """An event already written: how often it was seen."""

    count: int = 0
    name: str = ""
    first: str = ""


class Correlator:
    """Decides what becomes of an event: a new one, one more of an old one, or none."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._similar: _Recent[Hashable, _Similar] = _Recent(_Similar)
        self._observed: _Recent[Hashable, _Observed] = _Recent(_Observed)
        self._buckets: _Recent[Hashable, _Bucket] = _Recent(_Bucket)

    def correlate(self, event: Object) -> tuple[Object, bool] | None:
        """The event to write and whether it exists already; None when the object has had its share."""
        now = self._clock().timestamp()
        key = self._aggregate(event, now)
        seen = self._observed.get(key)
        seen.count += 1
        if seen.count == 1:
            seen.name, seen.first = event["metadata"]["name"], event["firstTimestamp"]
        else:
            event["metadata"]["name"], event["firstTimestamp"] = seen.name, seen.first
            event["count"] = seen.count
        if not self._allow(event, now):
            return None
        return event, seen.count > 1

    def recreated(self, event: Object) -> None:
        """The server has lost the event: from now on it is the one just made anew."""
        seen = self._observed.get(_identity(event, event["message"]))
        seen.count, seen.name, seen.first = 1, event["metadata"]["name"], event["firstTimestamp"]

    def _aggregate(self, event: Object, now: float) -> Hashable:
        """Turn the event into the combined one once there are many like it; the key that tells it from others."""
        similar_key = _identity(event, None)
        similar = self._similar.get(similar_key)
        if now - similar.last > SIMILAR_INTERVAL_S:
            similar.messages.clear()
        similar.last = now
        message = event["message"]
        similar.messages[message] = None
        if len(similar.messages) < SIMILAR_LIMIT:
            return _identity(event, message)
        similar.messages.pop(next(iter(similar.messages)))
        event["message"] = COMBINED + message
        return similar_key

    def _allow(self, event: Object, now: float) -> bool:
        involved = event["involvedObject"]
        key = (event["source"]["component"], *(involved.get(part, "") for part in _REFERENCE))
        bucket = self._buckets.get(key)
        if bucket.last:
            bucket.tokens = min(SPAM_BURST, bucket.tokens + (now - bucket.last) * SPAM_PER_S)
        bucket.last = now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True


_REFERENCE = ("kind", "namespace", "name", "uid", "apiVersion")


def _identity(event: View, message: str | None) -> Hashable:
    involved = event["involvedObject"]
    parts = (*(involved.get(part, "") for part in _REFERENCE), involved.get("fieldPath", ""))
    return (event["source"]["component"], *parts, event["type"], event["reason"], message)


class EventSink:
    """Writes the events of a process, one after the other. `run` it; `flush` before the end."""

    def __init__(self, client: Client, clock: Clock, host: str = "") -> None:
        self._clock = clock
        self._host = host
        self._correlator = Correlator(clock)
        self._queue = EventQueue(client, EVENTS, self._renew, limit=QUEUE_LIMIT)

    def recorder(self, component: str) -> Recorder:
        return Recorder(self, component)

    def put(self, component: str, involved: Object, kind: str, reason: str, message: str) -> None:
        """Queue what becomes of an event; with a full queue it is dropped."""
        now = format_time(self._clock())
        source = {"component": component, "host": self._host} if self._host else {"component": component}
        event = {
            "kind": "Event",
            "apiVersion": "v1",
            "metadata": {
                "name": f"{involved['name']}.{time.time_ns():x}",
                "namespace": involved.get("namespace") or "default",
            },
            "involvedObject": involved,
            "reason": reason,
            "message": message,
            "source": source,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "type": kind,
            "reportingComponent": component,
            "reportingInstance": self._host,
        }
        correlated = self._correlator.correlate(event)
        if correlated is not None:
            event, exists = correlated
            self._queue.put(event, REPEATED if exists else ())

    async def run(self) -> None:
        await self._queue.run()

    async def flush(self, timeout_s: float) -> None:
        """Wait until what was queued is written, at most so long."""
        await self._queue.flush(timeout_s)

    def _renew(self, event: Object) -> None:
        """The server has lost the event: it begins anew, under another name."""
        event["metadata"]["name"] = f"{event['involvedObject']['name']}.{time.time_ns():x}"
        event["count"] = 1
        self._correlator.recreated(event)


class Recorder:
    """The events of one component."""

    def __init__(self, sink: EventSink, component: str) -> None:
        self._sink = sink
        self._component = component

    def event(self, obj: View, kind: Literal["Normal", "Warning"], reason: str, message: str, path: str = "") -> None:
        """Tell something about `obj`, or about the field `path` of it."""
        metadata = obj["metadata"]
        involved = {
            "kind": obj["kind"],
            "namespace": metadata.get("namespace", ""),
            "name": metadata["name"],
            "uid": metadata.get("uid", ""),
            "apiVersion": obj["apiVersion"],
            "resourceVersion": metadata.get("resourceVersion", ""),
            "fieldPath": path,
        }
        reference = {name: value for name, value in involved.items() if value}
        self._sink.put(self._component, reference, kind, reason, message)

    def normal(self, obj: View, reason: str, message: str) -> None:
        self.event(obj, "Normal", reason, message)

    def warning(self, obj: View, reason: str, message: str) -> None:
        self.event(obj, "Warning", reason, message)
