"""Horizontal pod autoscalers, as version 2: version 1 is converted before it comes here.

Follows: pkg/registry/autoscaling/horizontalpodautoscaler/strategy.go, pkg/apis/autoscaling/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from apiserver.resources.age import age
from apiserver.resources.autoscaling.columns import AUTOSCALER
from apiserver.resources.autoscaling.conversion import to_v2
from apiserver.resources.autoscaling.metrics import (
    metrics_cell,
    validate_metrics,
    validate_reference,
    version_problem,
)
from apiserver.resources.object_meta import validate_object_meta, validate_object_meta_update
from apiserver.resources.spec_rules import EMPTY, nonnegative_fields
from apiserver.resources.strategy import Object, StatusOf, WithStatus, WriteContext
from openapi.meta.field import FieldError, forbidden, invalid, not_supported, required
from openapi.meta.names import name_is_dns_subdomain
from openapi.meta.quantity import Quantity

Struct = Mapping[str, Any]

MAX_PERIOD_S = 1800
MAX_STABILIZATION_S = 3600
_SELECT_POLICIES = ("Max", "Min", "Disabled")
_POLICY_TYPES = ("Pods", "Percent")


class HorizontalPodAutoscalerStatus(StatusOf):
    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        assert old is not None
        yield from validate_object_meta_update(obj["metadata"], old["metadata"])
        yield from nonnegative_fields(obj.get("status") or EMPTY, ("currentReplicas", "desiredReplicas"), "status")


class HorizontalPodAutoscalerStrategy(WithStatus):
    generation = False
    subresources = {"status": HorizontalPodAutoscalerStatus()}
    columns = AUTOSCALER

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        super().prepare(obj, old, context)
        if old is None:
            obj["status"] = {"desiredReplicas": 0, "currentMetrics": None}

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        spec = obj.get("spec") or EMPTY
        if old is None:
            yield from validate_object_meta(obj["metadata"], namespaced=True, name=name_is_dns_subdomain)
            yield from _validate_spec(spec, None)
        else:
            yield from validate_object_meta_update(obj["metadata"], old["metadata"])
            yield from _validate_spec(spec, old.get("spec") or EMPTY)

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        if obj.get("apiVersion") == "autoscaling/v1":
            obj = to_v2(obj)
        meta, spec, status = obj["metadata"], obj.get("spec") or EMPTY, obj.get("status") or EMPTY
        target = spec.get("scaleTargetRef") or EMPTY
        return [
            meta.get("name", ""),
            f"{target.get('kind', '')}/{target.get('name', '')}",
            metrics_cell(spec.get("metrics") or (), status.get("currentMetrics") or ()),
            str(spec.get("minReplicas", "<unset>")),
            spec.get("maxReplicas", 0),
            status.get("currentReplicas", 0),
            age(meta.get("creationTimestamp"), now),
        ]


def _validate_spec(spec: Struct, old_spec: Struct | None) -> Iterator[FieldError]:
    least, most = spec.get("minReplicas"), spec.get("maxReplicas", 0)
    bound = 0 if old_spec is not None and old_spec.get("minReplicas") == 0 else 1
    if least is not None and least < bound:
        yield invalid("spec.minReplicas", least, f"must be greater than or equal to {bound}")
    if most == 0:
        yield required("spec.maxReplicas", "must be set and greater than 0")
    elif most < 0:
        yield invalid("spec.maxReplicas", most, "must be greater than 0")
    if least is not None and most < least:
        yield invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`")
    yield from _validate_target(spec.get("scaleTargetRef") or EMPTY, old_spec)
    metrics = spec.get("metrics") or ()
    yield from validate_metrics(metrics, "spec.metrics", lax_object_versions=_has_bad_versions(old_spec))
    if least == 0 and not any(metric.get("type") in ("Object", "External") for metric in metrics):
        text = "must specify at least one Object or External metric to support scaling to zero replicas"
        yield forbidden("spec.metrics", text)
    behavior = spec.get("behavior") or EMPTY
    for name in ("scaleUp", "scaleDown"):
        if name in behavior:
            yield from _validate_rules(behavior[name], f"spec.behavior.{name}")


def _validate_target(target: Struct, old_spec: Struct | None) -> Iterator[FieldError]:
    """A stored reference keeps its apiVersion, whatever it is; only replication controllers have none."""
    old_target = None if old_spec is None else old_spec.get("scaleTargetRef") or EMPTY
    is_kept = old_target is not None and all(target.get(n) == old_target.get(n) for n in ("apiVersion", "kind"))
    empty_group = target.get("kind") == "ReplicationController"
    yield from validate_reference(target, "spec.scaleTargetRef", lax_version=is_kept, empty_group=empty_group)


def _has_bad_versions(old_spec: Struct | None) -> bool:
    for metric in (old_spec or EMPTY).get("metrics") or ():
        described = (metric.get("object") or EMPTY).get("describedObject") or EMPTY
        if version_problem(described.get("apiVersion", ""), True):
            return True
    return False


def _validate_rules(rules: Struct, path: str) -> Iterator[FieldError]:
    window, select = rules.get("stabilizationWindowSeconds"), rules.get("selectPolicy")
    if window is not None and window < 0:
        yield invalid(f"{path}.stabilizationWindowSeconds", window, "must be greater than or equal to zero")
    if window is not None and window > MAX_STABILIZATION_S:
        text = f"must be less than or equal to {MAX_STABILIZATION_S}"
        yield invalid(f"{path}.stabilizationWindowSeconds", window, text)
    if select is not None and select not in _SELECT_POLICIES:
        yield not_supported(f"{path}.selectPolicy", select, _SELECT_POLICIES)
    policies = rules.get("policies") or ()
    if not policies:
        yield required(f"{path}.policies", "must specify at least one Policy")
    for index, policy in enumerate(policies):
        yield from _validate_policy(policy, f"{path}.policies[{index}]")
    tolerance = rules.get("tolerance")
    if tolerance is not None and Quantity.parse(tolerance).sign < 0:
        yield invalid(f"{path}.tolerance", tolerance, "must be greater than or equal to 0")


def _validate_policy(policy: Struct, path: str) -> Iterator[FieldError]:
    kind, value, period = policy.get("type", ""), policy.get("value", 0), policy.get("periodSeconds", 0)
    if kind not in _POLICY_TYPES:
        yield not_supported(f"{path}.type", kind, _POLICY_TYPES)
    if value <= 0:
        yield invalid(f"{path}.value", value, "must be greater than zero")
    if period <= 0:
        yield invalid(f"{path}.periodSeconds", period, "must be greater than zero")
    if period > MAX_PERIOD_S:
        yield invalid(f"{path}.periodSeconds", period, f"must be less than or equal to {MAX_PERIOD_S}")
