"""Since when the endpoints of a service are out of date: the first change that they do not show yet.

Follows: staging/src/k8s.io/endpointslice/util/trigger_time_tracker.go
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from controllers.runtime.objects import Key, View, condition_of, key_of
from openapi.meta.times import canonical_time, format_time, parse_time

ANNOTATION = "endpoints.kubernetes.io/last-change-trigger-time"


@dataclass(slots=True)
class _Seen:
    pods: Mapping[str, datetime] = field(default_factory=dict)
    service: str = ""


class TriggerTimes:
    """What was seen of each service at its last turn."""

    def __init__(self) -> None:
        self._seen: dict[Key, _Seen] = {}

    def forget(self, service: Key) -> None:
        self._seen.pop(service, None)

    def next(self, service: View, pods: Iterable[View]) -> str:
        """The time of the earliest change since the last turn, '' if there is none to tell."""
        key, created = key_of(service), canonical_time(service["metadata"]["creationTimestamp"])
        seen = self._seen.get(key)
        now = {pod["metadata"]["name"]: moment for pod in pods if (moment := _ready_since(pod)) is not None}
        self._seen[key] = _Seen(now, created)
        if seen is None:
            return created
        changed = [moment for name, moment in now.items() if name not in seen.pods or moment > seen.pods[name]]
        if created > seen.service:
            changed.append(parse_time(created))
        return format_time(min(changed)) if changed else ""


def _ready_since(pod: View) -> datetime | None:
    condition = condition_of(pod, "Ready")
    moment = condition.get("lastTransitionTime") if condition is not None else None
    return parse_time(moment) if moment else None
