"""Resource slices: the devices that a driver offers, and on which nodes.

Follows: pkg/registry/resource/resourceslice/strategy.go, pkg/apis/resource/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from apiserver.resources.age import age
from apiserver.resources.field_rules import immutable, named
from apiserver.resources.node_selectors import validate_node_selector
from apiserver.resources.object_meta import validate_object_meta, validate_object_meta_update
from apiserver.resources.resource import limits
from apiserver.resources.resource.columns import SLICE
from apiserver.resources.resource.devices import LISTS, validate_counters, validate_device
from apiserver.resources.resource.parts import (
    name_of,
    validate_driver_name,
    validate_label,
    validate_pool_name,
    validate_set,
)
from apiserver.resources.spec_rules import EMPTY, verbatim
from apiserver.resources.strategy import Object, WithStatus, WriteContext
from openapi.meta.field import FieldError, invalid, required
from openapi.meta.names import is_dns1123_subdomain, name_is_dns_subdomain

Struct = Mapping[str, Any]

_ONE = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"


class ResourceSliceStrategy(WithStatus):
    """It has no status, but its generation counts changes of the spec."""

    returns_deleted = True
    reset_fields = ()
    unknown_field = "field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: {name}"
    empty_status = False
    columns = SLICE

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        """Attributes that are lists belong to a feature that is off."""
        if not any(name in attribute for attribute in _attributes(old or EMPTY) for name in LISTS):
            for attribute in _attributes(obj):
                for name in LISTS:
                    attribute.pop(name, None)
        super().prepare(obj, old, context)

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        spec = obj.get("spec") or EMPTY
        if old is None:
            yield from validate_object_meta(obj["metadata"], namespaced=False, name=name_is_dns_subdomain)
        else:
            yield from validate_object_meta_update(obj["metadata"], old["metadata"])
        yield from _validate_spec(spec, None if old is None else old.get("spec") or EMPTY)

    def fields(self, obj: Object) -> dict[str, str]:
        spec = obj.get("spec") or EMPTY
        return {"spec.nodeName": spec.get("nodeName") or "", "spec.driver": spec.get("driver", "")}

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta, spec = obj["metadata"], obj.get("spec") or EMPTY
        return [
            meta.get("name", ""),
            spec.get("nodeName") or "",
            spec.get("driver", ""),
            (spec.get("pool") or EMPTY).get("name", ""),
            age(meta.get("creationTimestamp"), now),
        ]


def _attributes(obj: Struct) -> Iterator[Object]:
    for device in (obj.get("spec") or EMPTY).get("devices") or ():
        yield from (device.get("attributes") or EMPTY).values()


def _validate_spec(spec: Struct, old: Struct | None) -> Iterator[FieldError]:
    pool = spec.get("pool") or EMPTY
    yield from validate_driver_name(spec.get("driver", ""), "spec.driver")
    yield from validate_pool_name(pool.get("name", ""), "spec.pool.name")
    if pool.get("resourceSliceCount", 0) <= 0:
        yield invalid("spec.pool.resourceSliceCount", pool.get("resourceSliceCount", 0), "must be greater than zero")
    if pool.get("generation", 0) < 0:
        yield invalid("spec.pool.generation", pool["generation"], "must be greater than or equal to zero")
    if old is not None:
        yield from immutable(pool.get("name"), (old.get("pool") or EMPTY).get("name"), "spec.pool.name")
        yield from immutable(spec.get("driver"), old.get("driver"), "spec.driver")
        yield from immutable(spec.get("nodeName"), old.get("nodeName"), "spec.nodeName")
    yield from _validate_nodes(spec)
    if spec.get("sharedCounters") is not None and spec.get("devices") is not None:
        yield invalid("spec", "", "only one of `sharedCounters` or `devices` is allowed")
    yield from _validate_devices(spec, old)
    path = "spec.sharedCounters"
    yield from validate_set(spec.get("sharedCounters"), limits.COUNTER_SETS, _validate_counter_set, path, name_of)


def _validate_nodes(spec: Struct) -> Iterator[FieldError]:
    chosen: list[str] = []
    name, selector = spec.get("nodeName"), spec.get("nodeSelector")
    if name:
        chosen.append("`nodeName`")
        yield from named(is_dns1123_subdomain, name, "spec.nodeName")
    elif name is not None:
        yield invalid("spec.nodeName", name, "must be either unset or set to a non-empty string")
    if selector is not None:
        chosen.append("`nodeSelector`")
        yield from validate_node_selector(selector, "spec.nodeSelector")
        terms = selector.get("nodeSelectorTerms")
        if len(terms or ()) != 1:
            path = "spec.nodeSelector.nodeSelectorTerms"
            yield invalid(path, verbatim(terms), "must have exactly one node selector term")
    for field in ("allNodes", "perDeviceNodeSelection"):
        if spec.get(field):
            chosen.append(f"`{field}`")
        elif spec.get(field) is not None:
            yield invalid(f"spec.{field}", spec[field], "must be either unset or set to true")
    if not chosen:
        yield required("spec", _ONE)
    elif len(chosen) > 1:
        yield invalid("spec", f"{{{', '.join(chosen)}}}", f"{_ONE}, but multiple fields are set")


def _validate_devices(spec: Struct, old: Struct | None) -> Iterator[FieldError]:
    devices = spec.get("devices")
    known = {name_of(device): device for device in (old or EMPTY).get("devices") or ()}
    own_nodes = bool(spec.get("perDeviceNodeSelection"))
    has_extras = any(device.get("taints") or device.get("consumesCounters") for device in devices or ())
    most = limits.DEVICES_WITH_EXTRAS if has_extras else limits.DEVICES

    def rule(device: Struct, path: str) -> Iterator[FieldError]:
        return validate_device(device, known.get(name_of(device)), path, own_nodes=own_nodes)

    yield from validate_set(devices, most, rule, "spec.devices", name_of)


def _validate_counter_set(counters: Struct, path: str) -> Iterator[FieldError]:
    name = name_of(counters)
    if not name:
        yield required(f"{path}.name")
    else:
        yield from validate_label(name, f"{path}.name")
    yield from validate_counters(counters.get("counters"), f"{path}.counters")
