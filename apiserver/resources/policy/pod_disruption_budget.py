"""Pod disruption budgets: how many pods of a kind evictions must leave alone.

Follows: pkg/registry/policy/poddisruptionbudget/strategy.go, pkg/apis/policy/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from apiserver.resources.age import age
from apiserver.resources.policy.columns import DISRUPTION_BUDGET
from apiserver.resources.spec_rules import (
    EMPTY,
    at_most_100_percent,
    has_invalid_values,
    nonnegative_fields,
    positive_int_or_percent,
    selector_form,
    validate_conditions,
    verbatim,
)
from apiserver.resources.strategy import Object, StatusOf, WithStatus, WriteContext
from openapi.meta.field import FieldError, invalid, not_supported
from openapi.meta.selectors import validate_label_selector

Struct = Mapping[str, Any]

_EVICTION_POLICIES = ("AlwaysAllow", "IfHealthyBudget")
_NEW_STATUS = {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}


class PodDisruptionBudgetStatus(StatusOf):
    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        status = obj.get("status") or EMPTY
        yield from validate_conditions(status.get("conditions") or (), "status.conditions")
        allowed = status.get("disruptionsAllowed", 0)
        # The message names this field as the server's internal form does.
        yield from nonnegative_fields({"podDisruptionsAllowed": allowed}, ("podDisruptionsAllowed",), "status")
        yield from nonnegative_fields(status, ("currentHealthy", "desiredHealthy", "expectedPods"), "status")


class PodDisruptionBudgetStrategy(WithStatus):
    allow_unconditional_update = False
    subresources = {"status": PodDisruptionBudgetStatus()}
    columns = DISRUPTION_BUDGET

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        super().prepare(obj, old, context)
        if old is None:
            obj["status"] = dict(_NEW_STATUS)

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        spec = obj.get("spec") or EMPTY
        old_spec = None if old is None else old.get("spec") or EMPTY
        # The metadata has no rules but those of every object: a budget's name may be any part of a path.
        yield from _validate_spec(spec, old_spec)

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta, spec, status = obj["metadata"], obj.get("spec") or EMPTY, obj.get("status") or EMPTY
        return [
            meta.get("name", ""),
            str(spec.get("minAvailable", "N/A")),
            str(spec.get("maxUnavailable", "N/A")),
            status.get("disruptionsAllowed", 0),
            age(meta.get("creationTimestamp"), now),
        ]


def _validate_spec(spec: Struct, old_spec: Struct | None) -> Iterator[FieldError]:
    if "minAvailable" in spec and "maxUnavailable" in spec:
        yield invalid("spec", _show(spec), "minAvailable and maxUnavailable cannot be both set")
    for name in ("minAvailable", "maxUnavailable"):
        if name in spec:
            yield from positive_int_or_percent(spec[name], f"spec.{name}")
            yield from at_most_100_percent(spec[name], f"spec.{name}")
    lax = old_spec is not None and has_invalid_values(old_spec.get("selector"))
    yield from validate_label_selector(spec.get("selector"), "spec.selector", allow_invalid_values=lax)
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy is not None and policy not in _EVICTION_POLICIES:
        yield not_supported("spec.unhealthyPodEvictionPolicy", policy, _EVICTION_POLICIES)


def _show(spec: Struct) -> Any:
    return verbatim(
        {
            "MinAvailable": spec.get("minAvailable"),
            "Selector": selector_form(spec.get("selector")),
            "MaxUnavailable": spec.get("maxUnavailable"),
            "UnhealthyPodEvictionPolicy": spec.get("unhealthyPodEvictionPolicy"),
        }
    )
