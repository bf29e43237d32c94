"""Replica sets: a number of pods of one template.

Follows: pkg/registry/apps/replicaset/strategy.go, pkg/apis/apps/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from apiserver.resources.age import age
from apiserver.resources.apps.columns import REPLICA_SET
from apiserver.resources.apps.deployment import validate_replica_counts, workload_warnings
from apiserver.resources.apps.workload import (
    FixedSelector,
    container_cells,
    drop_disabled,
    selector_cell,
    validate_selected_template,
)
from apiserver.resources.object_meta import validate_object_meta_update
from apiserver.resources.scale import WORKLOAD_SCALE
from apiserver.resources.spec_rules import EMPTY, nonnegative_fields
from apiserver.resources.strategy import Object, StatusOf, WriteContext
from openapi.meta.field import FieldError

_COUNTS = (
    "replicas",
    "fullyLabeledReplicas",
    "readyReplicas",
    "availableReplicas",
    "observedGeneration",
    "terminatingReplicas",
)


class ReplicaSetStatus(StatusOf):
    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        assert old is not None
        yield from validate_object_meta_update(obj["metadata"], old["metadata"])
        status = obj.get("status") or EMPTY
        yield from nonnegative_fields(status, _COUNTS, "status")
        yield from validate_replica_counts(status, ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"))


class ReplicaSetStrategy(FixedSelector):
    subresources = {"status": ReplicaSetStatus()}
    columns = REPLICA_SET
    scale = WORKLOAD_SCALE

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        super().prepare(obj, old, context)
        if old is None:
            obj["status"] = {"replicas": 0}
        drop_disabled(obj, old)

    def validate_spec(self, spec: Mapping[str, Any], old_spec: Mapping[str, Any] | None) -> Iterator[FieldError]:
        yield from nonnegative_fields(spec, ("replicas", "minReadySeconds"), "spec")
        yield from validate_selected_template(spec, old_spec, "spec", kind="ReplicaSet", empty_kind="deployment")

    def warnings(self, obj: Object, old: Object | None) -> Iterable[str]:
        return workload_warnings(obj, old, named=True)

    def fields(self, obj: Object) -> dict[str, str]:
        return {"status.replicas": str((obj.get("status") or EMPTY).get("replicas", 0))}

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta, spec, status = obj["metadata"], obj.get("spec") or EMPTY, obj.get("status") or EMPTY
        return [
            meta.get("name", ""),
            spec.get("replicas", 0),
            status.get("replicas", 0),
            status.get("readyReplicas", 0),
            age(meta.get("creationTimestamp"), now),
            *container_cells(spec.get("template")),
            selector_cell(spec.get("selector")),
        ]
