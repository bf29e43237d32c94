"""Events, in the core form that all of them are stored in. Writes through events.k8s.io follow stricter rules.

Follows: pkg/registry/core/event/strategy.go, pkg/apis/core/validation/events.go
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from apiserver.resources.age import age
from apiserver.resources.core import columns
from apiserver.resources.field_rules import immutable, named
from apiserver.resources.go_values import OBJECT_REFERENCE, GoField, go_struct
from apiserver.resources.object_meta import validate_object_meta, validate_object_meta_update
from apiserver.resources.strategy import Object, Strategy, WriteContext
from openapi.meta import names
from openapi.meta.field import FieldError, invalid, required
from openapi.meta.times import human_duration, parse_micro_time

TTL_S = 3600
MAX_WORDS, MAX_NOTE = 128, 1024
_STRANGER = "does not match event.namespace"
_REFERENCE_FIELDS = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
_SOURCE: tuple[GoField, ...] = (("Component", "component", ""), ("Host", "host", ""))
_NEW_NAMES = {
    **{f"regarding.{name}": f"involvedObject.{name}" for name in _REFERENCE_FIELDS},
    "reportingController": "reportingComponent",
}


class Events(Strategy):
    allow_create_on_update = True
    ttl_s = TTL_S
    columns = columns.EVENT
    field_aliases = {"events.k8s.io/v1": _NEW_NAMES}

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        yield from _validate_loosely(obj, "reportingComponent")

    def fields(self, obj: Object) -> dict[str, str]:
        reference, source = obj.get("involvedObject") or {}, obj.get("source") or {}
        fields = {f"involvedObject.{name}": reference.get(name, "") for name in _REFERENCE_FIELDS}
        fields["reason"] = obj.get("reason", "")
        fields["reportingComponent"] = obj.get("reportingComponent", "")
        fields["source"] = source.get("component") or obj.get("reportingComponent", "")
        fields["type"] = obj.get("type", "")
        return fields

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        first = _since(obj.get("firstTimestamp") or obj.get("eventTime"), now)
        last = _since(obj["lastTimestamp"], now) if obj.get("lastTimestamp") else first
        count = obj.get("count", 0) or 1
        series = obj.get("series")
        if series is not None:
            last, count = _since(series.get("lastObservedTime"), now), series.get("count", 0)
        reference = obj.get("involvedObject") or {}
        target = reference.get("kind", "").lower()
        if reference.get("name"):
            target = f"{target}/{reference['name']}"
        return [
            last,
            obj.get("type", ""),
            obj.get("reason", ""),
            target,
            reference.get("fieldPath", ""),
            _source_cell(obj),
            obj.get("message", "").strip(),
            first,
            count,
            obj["metadata"].get("name", ""),
        ]


class NewEvents(Events):
    """Events that are written through events.k8s.io; objects are in the core form here too."""

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        yield from _validate_loosely(obj, "reportingController")
        if old is not None:
            yield from _validate_change(obj, old)
            return
        yield from validate_object_meta(obj["metadata"], namespaced=True, name=names.name_is_dns_subdomain)
        yield from _validate_series(obj)
        if not obj.get("eventTime"):
            yield required("eventTime")
        kind = obj.get("type", "")
        if kind not in ("Normal", "Warning"):
            yield invalid("type", "", f"has invalid value: {kind}")
        source = obj.get("source") or {}
        old_style = {
            "firstTimestamp": obj.get("firstTimestamp"),
            "lastTimestamp": obj.get("lastTimestamp"),
            "count": obj.get("count"),
            "source": source.get("component") or source.get("host"),
        }
        for field, value in old_style.items():
            if value:
                yield invalid(field, "", "needs to be unset")


def _validate_loosely(event: Object, controller: str) -> Iterator[FieldError]:
    """What holds for events of both groups; `controller` is what the client's group calls the reporting controller."""
    namespace = event["metadata"].get("namespace", "")
    about = (event.get("involvedObject") or {}).get("namespace", "")
    if not event.get("eventTime"):
        fits = namespace in ("", "default") if not about else namespace == about
        if not fits:
            yield invalid("involvedObject.namespace", about, _STRANGER)
    else:
        if not about and namespace not in ("default", "kube-system"):
            yield invalid("involvedObject.namespace", about, _STRANGER)
        yield from _validate_new_fields(event, controller)
    yield from named(names.is_dns1123_subdomain, namespace, "namespace")


def _validate_new_fields(event: Object, controller_field: str) -> Iterator[FieldError]:
    controller = event.get("reportingComponent", "")
    if not controller:
        yield required(controller_field)
    yield from named(names.is_qualified_name, controller, controller_field)
    for field in ("reportingInstance", "action", "reason"):
        value = event.get(field, "")
        if not value:
            yield required(field)
        if names.size(value) > MAX_WORDS:
            yield invalid(field, "", f"can have at most {MAX_WORDS} characters")
    if names.size(event.get("message", "")) > MAX_NOTE:
        yield invalid("message", "", f"can have at most {MAX_NOTE} characters")


def _validate_series(event: Object) -> Iterator[FieldError]:
    series = event.get("series")
    if series is None:
        return
    if series.get("count", 0) < 2:
        yield invalid("series.count", "", "should be at least 2")
    if not series.get("lastObservedTime"):
        yield required("series.lastObservedTime")


def _validate_change(event: Object, old: Object) -> Iterator[FieldError]:
    yield from validate_object_meta_update(event["metadata"], old["metadata"])
    if event.get("series") != old.get("series"):
        yield from _validate_series(event)
    yield from _same_struct(event, old, "involvedObject", OBJECT_REFERENCE)
    for field in ("reason", "message"):
        yield from immutable(event.get(field, ""), old.get(field, ""), field)
    yield from _same_struct(event, old, "source", _SOURCE)
    for field in ("firstTimestamp", "lastTimestamp"):
        yield from immutable(event.get(field), old.get(field), field)
    yield from immutable(event.get("count", 0), old.get("count", 0), "count")
    for field in ("reason", "type"):
        yield from immutable(event.get(field, ""), old.get(field, ""), field)
    yield from immutable(event.get("eventTime"), old.get("eventTime"), "eventTime")
    yield from immutable(event.get("action", ""), old.get("action", ""), "action")
    yield from _same_struct(event, old, "related", OBJECT_REFERENCE)
    controller, before = event.get("reportingComponent", ""), old.get("reportingComponent", "")
    yield from immutable(controller, before, "reportingController")
    yield from immutable(event.get("reportingInstance", ""), old.get("reportingInstance", ""), "reportingInstance")


def _same_struct(event: Object, old: Object, field: str, shape: tuple[GoField, ...]) -> Iterator[FieldError]:
    new, before = event.get(field), old.get(field)
    if new != before:
        yield from immutable(new, before, field, None if new is None else go_struct(new, shape))


def _since(time: str | None, now: datetime) -> str:
    """As `age`, also for times with microseconds."""
    if not time or "." not in time:
        return age(time, now)
    return human_duration((now - parse_micro_time(time)).total_seconds())


def _source_cell(event: Object) -> str:
    source = event.get("source") or {}
    component = source.get("component") or event.get("reportingComponent", "")
    host = source.get("host") or event.get("reportingInstance", "")
    return f"{component}, {host}" if host else str(component)
