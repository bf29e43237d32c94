"""Events between their stored core form and events.k8s.io: the same content under other names.

Follows: pkg/apis/events/v1/conversion.go
"""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]

_RENAMED = (
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
)
_TO_NEW = dict(_RENAMED)
_TO_CORE = {new: core for core, new in _RENAMED}
# What each form writes even when it is empty.
_ALWAYS_NEW: Object = {"deprecatedFirstTimestamp": None, "deprecatedLastTimestamp": None, "eventTime": None}
_ALWAYS_CORE: Object = {
    "eventTime": None, "firstTimestamp": None, "lastTimestamp": None, "reportingComponent": "", "reportingInstance": "",
}


def to_events_v1(event: Object) -> Object:
    """The event as events.k8s.io/v1."""
    new = {_TO_NEW.get(field, field): value for field, value in event.items()}
    new["apiVersion"] = "events.k8s.io/v1"
    for field in ("reportingController", "reportingInstance"):
        if not new.get(field):
            new.pop(field, None)
    new.setdefault("deprecatedSource", {})
    new.setdefault("regarding", {})
    return {**_ALWAYS_NEW, **new}


def to_core_v1(event: Object) -> Object:
    """The event as core/v1."""
    core = {_TO_CORE.get(field, field): value for field, value in event.items()}
    core["apiVersion"] = "v1"
    core.setdefault("source", {})
    core.setdefault("involvedObject", {})
    return {**_ALWAYS_CORE, **core}
