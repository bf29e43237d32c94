"""How objects become those of another version of their resource, for kinds served at more than one.

Each function returns a new object and leaves its argument alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apiserver.resources.autoscaling import conversion as autoscaling
from apiserver.resources.core import event_conversion as events

Object = dict[str, Any]

CONVERSIONS: dict[tuple[str, str, str], Callable[[Object], Object]] = {
    ("autoscaling/v1", "autoscaling/v2", "HorizontalPodAutoscaler"): autoscaling.to_v2,
    ("autoscaling/v2", "autoscaling/v1", "HorizontalPodAutoscaler"): autoscaling.to_v1,
    ("events.k8s.io/v1", "v1", "Event"): events.to_core_v1,
    ("v1", "events.k8s.io/v1", "Event"): events.to_events_v1,
}
"""(from apiVersion, to apiVersion, kind) -> the conversion."""
