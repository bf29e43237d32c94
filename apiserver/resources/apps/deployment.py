"""Deployments: a rolling or recreating rollout of one pod template.

Follows: pkg/registry/apps/deployment/strategy.go, pkg/apis/apps/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from apiserver.resources.age import age
from apiserver.resources.apps.columns import DEPLOYMENT
from apiserver.resources.apps.workload import (
    FixedSelector,
    container_cells,
    drop_disabled,
    selector_cell,
    validate_selected_template,
)
from apiserver.resources.object_meta import validate_object_meta_update
from apiserver.resources.pods.template import pod_template_warnings
from apiserver.resources.scale import WORKLOAD_SCALE
from apiserver.resources.spec_rules import (
    EMPTY,
    amount,
    at_most_100_percent,
    name_warning,
    nonnegative_fields,
    not_decremented,
    positive_int_or_percent,
    verbatim,
)
from apiserver.resources.strategy import Object, StatusOf, WriteContext
from openapi.meta.field import FieldError, forbidden, invalid, not_supported_listed, required

Struct = Mapping[str, Any]

_COUNTS = (
    "observedGeneration",
    "replicas",
    "updatedReplicas",
    "readyReplicas",
    "availableReplicas",
    "unavailableReplicas",
    "terminatingReplicas",
    "collisionCount",
)


class DeploymentStatus(StatusOf):
    reset_fields = (("spec",), ("metadata", "labels"))
    kept_metadata = ("labels",)

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        assert old is not None
        yield from validate_object_meta_update(obj["metadata"], old["metadata"])
        status = obj.get("status") or EMPTY
        yield from nonnegative_fields(status, _COUNTS, "status")
        yield from validate_replica_counts(status, ("updatedReplicas", "readyReplicas", "availableReplicas"))
        yield from not_decremented(status, old.get("status") or EMPTY, "collisionCount", "status")


def validate_replica_counts(status: Struct, names: Iterable[str], ready: str = "readyReplicas") -> Iterator[FieldError]:
    """No count exceeds the replicas, nor the available ones the ready ones; `ready` is what the message calls those."""
    replicas = status.get("replicas", 0)
    for name in names:
        count = status.get(name, 0)
        if count > replicas:
            yield invalid(f"status.{name}", count, "cannot be greater than status.replicas")
    available = status.get("availableReplicas", 0)
    if available > status.get("readyReplicas", 0):
        yield invalid("status.availableReplicas", available, f"cannot be greater than {ready}")


class DeploymentStrategy(FixedSelector):
    subresources = {"status": DeploymentStatus()}
    columns = DEPLOYMENT
    scale = WORKLOAD_SCALE

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        super().prepare(obj, old, context)
        drop_disabled(obj, old)
        if old is not None and obj["metadata"].get("annotations") != old["metadata"].get("annotations"):
            # Rollouts read revision annotations, so a change of them counts as one of the spec.
            obj["metadata"]["generation"] = int(old["metadata"].get("generation", 0)) + 1

    def validate_spec(self, spec: Struct, old_spec: Struct | None) -> Iterator[FieldError]:
        yield from nonnegative_fields(spec, ("replicas",), "spec")
        yield from validate_selected_template(spec, old_spec, "spec", kind="ReplicaSet", empty_kind="deployment")
        yield from _validate_strategy(spec.get("strategy") or EMPTY, "spec.strategy")
        counts = ("minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")
        yield from nonnegative_fields(spec, counts, "spec")
        deadline = spec.get("progressDeadlineSeconds")
        if deadline is not None and deadline <= spec.get("minReadySeconds", 0):
            yield invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")

    def warnings(self, obj: Object, old: Object | None) -> Iterable[str]:
        return workload_warnings(obj, old, named=True)

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta, spec, status = obj["metadata"], obj.get("spec") or EMPTY, obj.get("status") or EMPTY
        return [
            meta.get("name", ""),
            f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
            status.get("updatedReplicas", 0),
            status.get("availableReplicas", 0),
            age(meta.get("creationTimestamp"), now),
            *container_cells(spec.get("template")),
            selector_cell(spec.get("selector")),
        ]


def workload_warnings(obj: Object, old: Object | None, *, named: bool = False) -> list[str]:
    """Warnings of the template, on a change of the spec only; on create also of the name if pods are `named` by it."""
    warnings: list[str] = []
    if old is None:
        if named:
            warnings += name_warning(obj["metadata"].get("name", ""))
    elif obj["metadata"].get("generation") == old["metadata"].get("generation"):
        return warnings
    template = (obj.get("spec") or EMPTY).get("template") or EMPTY
    old_template = None if old is None else (old.get("spec") or EMPTY).get("template") or EMPTY
    return warnings + list(pod_template_warnings(template, "spec.template", old_template))


def _validate_strategy(strategy: Struct, path: str) -> Iterator[FieldError]:
    kind, rolling = strategy.get("type", ""), strategy.get("rollingUpdate")
    if kind == "Recreate":
        if rolling is not None:
            yield forbidden(f"{path}.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")
    elif kind == "RollingUpdate":
        if rolling is None:
            yield required(f"{path}.rollingUpdate", "this should be defaulted and never be nil")
        else:
            yield from _validate_rolling(rolling, f"{path}.rollingUpdate")
    else:
        shown = verbatim({"Type": kind, "RollingUpdate": show_rolling(rolling)})
        yield not_supported_listed(path, shown, ("Recreate", "RollingUpdate"))


def show_rolling(rolling: Struct | None) -> Any:
    """A rolling update's limits in a message."""
    if rolling is None:
        return None
    return {"MaxUnavailable": rolling.get("maxUnavailable", 0), "MaxSurge": rolling.get("maxSurge", 0)}


def _validate_rolling(rolling: Struct, path: str) -> Iterator[FieldError]:
    unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
    yield from positive_int_or_percent(unavailable, f"{path}.maxUnavailable")
    yield from positive_int_or_percent(surge, f"{path}.maxSurge")
    if amount(unavailable) == 0 and amount(surge) == 0:
        yield invalid(f"{path}.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0")
    yield from at_most_100_percent(unavailable, f"{path}.maxUnavailable")
