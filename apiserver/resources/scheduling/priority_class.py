"""Priority classes: a name for a priority. The two of the system are its own.

Follows: pkg/registry/scheduling/priorityclass/strategy.go, pkg/apis/scheduling/{helpers.go,validation/validation.go}
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from apiserver.resources.age import age
from apiserver.resources.field_rules import immutable
from apiserver.resources.object_meta import validate_object_meta, validate_object_meta_update
from apiserver.resources.scheduling.columns import PRIORITY_CLASS
from apiserver.resources.strategy import Object, WithStatus, WriteContext
from openapi.meta.field import FieldError, forbidden, not_supported_listed, required
from openapi.meta.names import name_is_dns_subdomain

SYSTEM_PREFIX = "system-"
SYSTEM_CLASSES = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}
HIGHEST_USER_PRIORITY = 1_000_000_000
_POLICIES = ("PreemptLowerPriority", "Never")


class PriorityClassStrategy(WithStatus):
    reset_fields = ()
    empty_status = False
    spec_fields = ()
    columns = PRIORITY_CLASS

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        if old is not None:
            yield from validate_object_meta_update(obj["metadata"], old["metadata"])
            if obj.get("value", 0) != old.get("value", 0):
                yield forbidden("value", "may not be changed in an update.")
            yield from immutable(obj.get("preemptionPolicy"), old.get("preemptionPolicy"), "preemptionPolicy")
            return
        yield from validate_object_meta(obj["metadata"], namespaced=False, name=name_is_dns_subdomain)
        yield from _validate_value(obj)
        policy = obj.get("preemptionPolicy")
        if policy == "":
            yield required("preemptionPolicy")
        elif policy is not None and policy not in _POLICIES:
            yield not_supported_listed("preemptionPolicy", policy, _POLICIES)

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta = obj["metadata"]
        return [
            meta.get("name", ""),
            obj.get("value", 0),
            obj.get("globalDefault", False),
            age(meta.get("creationTimestamp"), now),
            obj.get("preemptionPolicy", ""),
        ]


def _validate_value(obj: Object) -> Iterator[FieldError]:
    name, value = obj["metadata"].get("name", ""), obj.get("value", 0)
    if name.startswith(SYSTEM_PREFIX):
        problem = _system_problem(name, value, bool(obj.get("globalDefault")))
        if problem:
            text = "priority class names with 'system-' prefix are reserved for system use only. error: "
            yield forbidden("metadata.name", text + problem)
    elif value > HIGHEST_USER_PRIORITY:
        yield forbidden("value", f"maximum allowed value of a user defined priority is {HIGHEST_USER_PRIORITY}")


def _system_problem(name: str, value: int, is_default: bool) -> str | None:
    expected = SYSTEM_CLASSES.get(name)
    if expected is None:
        return f"{name} is not a known system priority class"
    if value != expected:
        return f"value of {name} PriorityClass must be {expected}"
    return f"globalDefault of {name} PriorityClass must be false" if is_default else None
