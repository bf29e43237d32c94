"""events.k8s.io: events in their newer form; they are stored with the core ones."""

from __future__ import annotations

from openapi.catalog import Resource
from openapi.kinds.row import ApiGroup

EVENTS = ApiGroup("events.k8s.io", "v1", "io.k8s.api.events.v1")

RESOURCES: tuple[Resource, ...] = (
    EVENTS.row("events", "Event", "ev", storage_version="v1"),
)
