"""Device classes: named choices of devices, with the configuration that all claims of a class share.

Follows: pkg/registry/resource/deviceclass/strategy.go, pkg/apis/resource/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from apiserver.resources.age import age
from apiserver.resources.object_meta import validate_object_meta, validate_object_meta_update
from apiserver.resources.resource import limits
from apiserver.resources.resource.columns import DEVICE_CLASS
from apiserver.resources.resource.parts import validate_configuration, validate_list
from apiserver.resources.resource.selectors import validate_selectors
from apiserver.resources.resource_names import is_extended
from apiserver.resources.spec_rules import EMPTY
from apiserver.resources.strategy import Object, WithStatus, WriteContext
from openapi.meta.field import FieldError, invalid
from openapi.meta.names import name_is_dns_subdomain


class DeviceClassStrategy(WithStatus):
    """It has no status, but its generation counts changes of the spec."""

    returns_deleted = True
    reset_fields = ()
    empty_status = False
    columns = DEVICE_CLASS

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        spec = obj.get("spec") or EMPTY
        old_spec = EMPTY if old is None else old.get("spec") or EMPTY
        yield from validate_object_meta(obj["metadata"], namespaced=False, name=name_is_dns_subdomain)
        if old is not None:
            yield from validate_object_meta_update(obj["metadata"], old["metadata"])
        if old is None or spec.get("selectors") != old_spec.get("selectors"):
            yield from validate_selectors(spec.get("selectors"), "spec.selectors")
        yield from validate_list(spec.get("config"), limits.CONFIGS, validate_configuration, "spec.config")
        name = spec.get("extendedResourceName")
        if name is not None and not is_extended(name):
            yield invalid("spec.extendedResourceName", name, "must be a valid extended resource name")

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta = obj["metadata"]
        return [meta.get("name", ""), age(meta.get("creationTimestamp"), now)]
