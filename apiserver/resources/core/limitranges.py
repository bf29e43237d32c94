"""LimitRanges: minimum, maximum, defaults and ratios that must not contradict each other.

Follows: pkg/registry/core/limitrange/strategy.go, pkg/apis/core/validation/validation.go ValidateLimitRange
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from apiserver.resources.field_rules import named
from apiserver.resources.object_meta import validate_object_meta
from apiserver.resources.resource_names import (
    may_overcommit,
    validate_container_resource_name,
    validate_resource_name,
)
from apiserver.resources.strategy import Object, Strategy, WriteContext
from openapi.meta import names
from openapi.meta.field import FieldError, duplicate, forbidden, invalid, required
from openapi.meta.quantity import Quantity

CLAIM = "PersistentVolumeClaim"
_TYPES = frozenset(("Pod", "Container", CLAIM))
_MAX_MILLI = (1 << 63) // 1000
_ONE = Quantity.parse("1")


class LimitRanges(Strategy):
    allow_create_on_update = True

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        meta = obj["metadata"]
        if old is None and not meta.get("name") and not meta.get("generateName"):
            meta["name"] = str(uuid.uuid4())

    def canonicalize(self, obj: Object) -> None:
        """No limits at all are stored as null."""
        spec = obj["spec"]
        spec["limits"] = spec.get("limits") or None

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        yield from validate_object_meta(obj["metadata"], namespaced=True, name=names.name_is_dns_subdomain)
        seen: set[str] = set()
        for i, item in enumerate((obj.get("spec") or {}).get("limits") or ()):
            path, kind = f"spec.limits[{i}]", item.get("type", "")
            problems = list(named(names.is_qualified_name, kind, f"{path}.type"))
            yield from problems
            if not problems and "/" not in kind and kind not in _TYPES:
                yield invalid(f"{path}.type", kind, "must be a standard limit type or fully qualified")
            if kind in seen:
                yield duplicate(f"{path}.type", kind)
            seen.add(kind)
            yield from _validate_item(item, kind, path)


def _validate_item(item: Object, kind: str, path: str) -> Iterator[FieldError]:
    check = validate_container_resource_name if kind in ("Pod", "Container") else validate_resource_name
    for field in ("max", "min"):
        for name in sorted(item.get(field) or ()):
            yield from check(name, f"{path}.{field}[{name}]")
    for field in ("default", "defaultRequest"):
        if kind == "Pod":
            if item.get(field):
                yield forbidden(f"{path}.{field}", "may not be specified when `type` is 'Pod'")
            continue
        for name in sorted(item.get(field) or ()):
            yield from check(name, f"{path}.{field}[{name}]")
    if kind == CLAIM and "storage" not in (item.get("min") or ()) and "storage" not in (item.get("max") or ()):
        text = "either minimum or maximum storage value is required, but neither was provided"
        yield required(f"{path}.limits", text)
    for name in sorted(item.get("maxLimitRequestRatio") or ()):
        yield from check(name, f"{path}.maxLimitRequestRatio[{name}]")
    fields = ["max", "min", "maxLimitRequestRatio"] + ([] if kind == "Pod" else ["default", "defaultRequest"])
    keys = {name for field in fields for name in item.get(field) or ()}
    for name in sorted(keys):
        amounts = {f: Quantity.parse(item[f][name]) for f in fields if name in (item.get(f) or ())}
        yield from _validate_order(name, amounts, path)


def _validate_order(name: str, amounts: dict[str, Quantity], path: str) -> Iterator[FieldError]:
    low, high = amounts.get("min"), amounts.get("max")
    limit, request = amounts.get("default"), amounts.get("defaultRequest")
    ratio = amounts.get("maxLimitRequestRatio")
    if low is not None and high is not None and low > high:
        yield invalid(f"{path}.min[{name}]", str(low), f"min value {low} is greater than max value {high}")
    if request is not None:
        where = f"{path}.defaultRequest[{name}]"
        if low is not None and low > request:
            text = f"min value {low} is greater than default request value {request}"
            yield invalid(where, str(request), text)
        if high is not None and request > high:
            text = f"default request value {request} is greater than max value {high}"
            yield invalid(where, str(request), text)
        if limit is not None and request > limit:
            text = f"default request value {request} is greater than default limit value {limit}"
            yield invalid(where, str(request), text)
    if limit is not None:
        where = f"{path}.default[{name}]"
        if low is not None and low > limit:
            yield invalid(where, str(low), f"min value {low} is greater than default value {limit}")
        if high is not None and limit > high:
            yield invalid(where, str(high), f"default value {limit} is greater than max value {high}")
    if ratio is not None:
        yield from _validate_ratio(ratio, low, high, f"{path}.maxLimitRequestRatio[{name}]")
    if not may_overcommit(name) and limit is not None and request is not None and limit != request:
        text = f"default value {limit} must equal to defaultRequest value {request} in {name}"
        yield invalid(f"{path}.defaultRequest[{name}]", str(request), text)


def _validate_ratio(ratio: Quantity, low: Quantity | None, high: Quantity | None, path: str) -> Iterator[FieldError]:
    if ratio < _ONE:
        yield invalid(path, str(ratio), f"ratio {ratio} is less than 1")
    if low is None or high is None or not low.milli:
        return
    if max(ratio.value, low.value, high.value) < _MAX_MILLI:
        wanted, most = ratio.milli / 1000, high.milli / low.milli
    else:
        wanted, most = float(ratio.value), high.value / low.value
    if wanted > most:
        yield invalid(path, str(ratio), f"ratio {ratio} is greater than max/min = {most:f}")
