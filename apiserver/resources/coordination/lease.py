"""Leases: who leads, and since when.

The fields of coordinated leader election belong to a feature that is off, so they are left out.
Follows: pkg/registry/coordination/lease/strategy.go, pkg/apis/coordination/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from apiserver.resources.age import age
from apiserver.resources.coordination.columns import LEASE
from apiserver.resources.spec_rules import EMPTY, nonnegative_fields
from apiserver.resources.strategy import Object, Strategy, WriteContext
from openapi.meta.field import FieldError, invalid
from openapi.meta.metadata import validate_object_meta, validate_object_meta_update
from openapi.meta.names import name_is_dns_subdomain

_ELECTION = ("strategy", "preferredHolder")


class LeaseStrategy(Strategy):
    allow_create_on_update = True
    allow_unconditional_update = False
    columns = LEASE

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        spec = obj.get("spec")
        old_spec = EMPTY if old is None else old.get("spec") or EMPTY
        if spec and not any(old_spec.get(name) for name in _ELECTION):
            for name in _ELECTION:
                spec.pop(name, None)

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        if old is None:
            yield from validate_object_meta(obj["metadata"], namespaced=True, name=name_is_dns_subdomain)
        else:
            yield from validate_object_meta_update(obj["metadata"], old["metadata"])
        spec = obj.get("spec") or EMPTY
        duration = spec.get("leaseDurationSeconds")
        if duration is not None and duration <= 0:
            yield invalid("spec.leaseDurationSeconds", duration, "must be greater than 0")
        yield from nonnegative_fields(spec, ("leaseTransitions",), "spec")

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta = obj["metadata"]
        holder = (obj.get("spec") or EMPTY).get("holderIdentity", "")
        return [meta.get("name", ""), holder, age(meta.get("creationTimestamp"), now)]
