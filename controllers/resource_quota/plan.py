"""What a quota has to count, and the status that follows. Pure.

Follows: pkg/controller/resourcequota/resource_quota_controller.go,
staging/src/k8s.io/apiserver/pkg/quota/v1/resources.go
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime

from controllers.runtime.objects import Object, View
from openapi.catalog import GroupResource
from openapi.kinds.pod_resources import Amounts
from openapi.meta.quantity import Quantity
from openapi.quota.amounts import amounts
from openapi.quota.scope import scope_selectors
from openapi.quota.usage import SPECIAL, Measure, measure_for

_COUNT = "count/"
_CORE = ("configmaps", "resourcequotas", "replicationcontrollers", "secrets")
"""Core resources that are counted by their plain names too."""

Lister = Callable[[GroupResource], Sequence[Object] | None]
"""The objects of a resource in the quota's namespace; None where there is no such resource."""


def counted(hard: Iterable[str]) -> Iterator[GroupResource]:
    """The resources whose objects use any of these limits, each once."""
    names = list(hard)
    found: dict[GroupResource, None] = {}
    for gr, measure in SPECIAL.items():
        if any(measure.matches(name) for name in names):
            found[gr] = None
    for name in names:
        if name in _CORE:
            found[GroupResource("", name)] = None
        elif name.startswith(_COUNT):
            resource, _, group = name.removeprefix(_COUNT).partition(".")
            found[GroupResource(group, resource)] = None
    yield from found


def concerns(quota: View, measure: Measure) -> bool:
    """Whether objects of that measure use any limit of the quota."""
    return any(measure.matches(name) for name in (quota["spec"].get("hard") or {}))


def plan_status(quota: Object, objects: Lister, now: datetime) -> Object | None:
    """The status after a recount; None if it is what it was."""
    hard = amounts(quota["spec"].get("hard"))
    old = quota.get("status") or {}
    old_used = amounts(old.get("used"))
    used = {name: amount for name, amount in old_used.items() if name in hard}
    for gr in counted(hard):
        found = objects(gr)
        if found is not None:
            used.update(_usage(quota, measure_for(gr), hard, found, now))
    if "hard" in old and "used" in old and amounts(old["hard"]) == hard and old_used == used:
        return None
    return {"hard": _texts(hard), "used": _texts(used)}


def _usage(quota: Object, measure: Measure, hard: Amounts, objects: Iterable[Object], now: datetime) -> Amounts:
    """What these objects use of the limits that they can use."""
    selectors = list(scope_selectors(quota))
    total: dict[str, Quantity] = {}
    for obj in objects:
        if all(measure.in_scope(selector, obj) for selector in selectors):
            for name, amount in measure.usage(obj, now).items():
                if name in hard:
                    total[name] = total[name] + amount if name in total else amount
    return {name: total.get(name, Quantity.of(0)) for name in hard if measure.matches(name)}


def _texts(values: Amounts) -> dict[str, str]:
    return {name: str(amount) for name, amount in values.items()}
