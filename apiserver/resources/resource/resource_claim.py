"""Resource claims and their templates: a pod's wish for devices. What was asked for cannot change.

Follows: pkg/registry/resource/{resourceclaim,resourceclaimtemplate}/strategy.go
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from apiserver.resources.age import age
from apiserver.resources.field_rules import IMMUTABLE
from apiserver.resources.object_meta import validate_object_meta, validate_object_meta_update
from apiserver.resources.resource.claim_spec import validate_claim_spec
from apiserver.resources.resource.claim_status import drop_lost_devices, validate_claim_status
from apiserver.resources.resource.columns import CLAIM, CLAIM_TEMPLATE
from apiserver.resources.resource.shown import show_claim_spec, show_template_spec
from apiserver.resources.spec_rules import EMPTY
from apiserver.resources.status_only import StatusOnly
from apiserver.resources.strategy import Object, Strategy, WithStatus, WriteContext
from openapi.meta.field import FieldError, forbidden, invalid
from openapi.meta.metadata import validate_annotations, validate_labels
from openapi.meta.names import name_is_dns_subdomain

# Metadata that a template cannot give to its claims, in the order of the struct.
_NOT_OF_TEMPLATES = (
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "ownerReferences",
    "finalizers",
    "managedFields",
)


class ResourceClaimStatus(StatusOnly):
    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        super().prepare(obj, old, context)
        assert old is not None
        drop_lost_devices(obj.get("status") or {}, old.get("status") or EMPTY)

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        assert old is not None
        yield from validate_object_meta_update(obj["metadata"], old["metadata"])
        yield from validate_claim_status(obj, old)


class ResourceClaimStrategy(WithStatus):
    returns_deleted = True
    generation = False
    subresources = {"status": ResourceClaimStatus()}
    columns = CLAIM

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        spec = obj.get("spec") or EMPTY
        yield from validate_object_meta(obj["metadata"], namespaced=True, name=name_is_dns_subdomain)
        if old is None:
            yield from validate_claim_spec(spec, "spec")
            return
        yield from validate_object_meta_update(obj["metadata"], old["metadata"])
        if spec != (old.get("spec") or EMPTY):
            yield invalid("spec", show_claim_spec(spec), IMMUTABLE)

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta = obj["metadata"]
        return [meta.get("name", ""), _state(obj), age(meta.get("creationTimestamp"), now)]


class ResourceClaimTemplateStrategy(Strategy):
    returns_deleted = True
    columns = CLAIM_TEMPLATE

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        spec = obj.get("spec") or EMPTY
        if old is not None:
            yield from validate_object_meta_update(obj["metadata"], old["metadata"])
            if spec != (old.get("spec") or EMPTY):
                yield invalid("spec", show_template_spec(spec), IMMUTABLE)
            return
        yield from validate_object_meta(obj["metadata"], namespaced=True, name=name_is_dns_subdomain)
        meta = spec.get("metadata") or EMPTY
        yield from validate_annotations(meta.get("annotations"), "spec.metadata.annotations")
        yield from validate_labels(meta.get("labels"), "spec.metadata.labels")
        for name in _NOT_OF_TEMPLATES:
            if meta.get(name):
                yield forbidden(f"spec.metadata.{name}", "cannot be set")
        yield from validate_claim_spec(spec.get("spec") or EMPTY, "spec.spec")

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta = obj["metadata"]
        return [meta.get("name", ""), age(meta.get("creationTimestamp"), now)]


def _state(obj: Object) -> str:
    status, is_deleted = obj.get("status") or EMPTY, "deletionTimestamp" in obj["metadata"]
    states = ["deleted"] if is_deleted else []
    if status.get("allocation") is not None:
        states.append("allocated")
        if status.get("reservedFor"):
            states.append("reserved")
    elif not is_deleted:
        states.append("pending")
    return ",".join(states)
