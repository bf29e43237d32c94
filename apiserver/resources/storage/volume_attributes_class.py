"""Volume attributes classes: parameters of a volume that a driver can change while it is in use.

Follows: pkg/registry/storage/volumeattributesclass/strategy.go, pkg/apis/storage/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from apiserver.resources.age import age
from apiserver.resources.object_meta import validate_object_meta, validate_object_meta_update
from apiserver.resources.spec_rules import EMPTY
from apiserver.resources.storage.columns import VOLUME_ATTRIBUTES_CLASS
from apiserver.resources.storage.parameters import validate_parameters, validate_provisioner
from apiserver.resources.strategy import Object, Strategy, WriteContext
from openapi.meta.field import FieldError, forbidden
from openapi.meta.names import name_is_dns_subdomain

DEFAULT_CLASS_ANNOTATION = "volumeattributesclass.alpha.kubernetes.io/is-default-class"


class VolumeAttributesClassStrategy(Strategy):
    returns_deleted = True
    columns = VOLUME_ATTRIBUTES_CLASS

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        yield from validate_object_meta(obj["metadata"], namespaced=False, name=name_is_dns_subdomain)
        yield from validate_provisioner(obj.get("driverName", ""), "driverName")
        yield from validate_parameters(obj.get("parameters"), "parameters", allow_empty=False)
        if old is not None:
            yield from validate_object_meta_update(obj["metadata"], old["metadata"])
            for name in ("driverName", "parameters"):
                if obj.get(name) != old.get(name):
                    yield forbidden(name, f"updates to {name} are forbidden.")

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta = obj["metadata"]
        name = meta.get("name", "")
        if (meta.get("annotations") or EMPTY).get(DEFAULT_CLASS_ANNOTATION) == "true":
            name += " (default)"
        return [name, obj.get("driverName", ""), age(meta.get("creationTimestamp"), now)]
