"""Priority levels: how many requests may run at once, and what happens to the others.

Follows: pkg/registry/flowcontrol/prioritylevelconfiguration/strategy.go, pkg/apis/flowcontrol/validation/validation.go
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from apiserver.resources.age import age
from apiserver.resources.flowcontrol.columns import PRIORITY_LEVEL
from apiserver.resources.flowcontrol.conditions import validate_conditions
from apiserver.resources.flowcontrol.fixed import EXEMPT, PRIORITY_LEVELS
from apiserver.resources.flowcontrol.shown import show_priority_level
from apiserver.resources.object_meta import validate_object_meta
from apiserver.resources.spec_rules import EMPTY
from apiserver.resources.status_only import StatusOnly
from apiserver.resources.strategy import Object, WithStatus, WriteContext
from openapi.meta.field import FieldError, forbidden, invalid, not_supported, required
from openapi.meta.names import name_is_dns_subdomain

Struct = Mapping[str, Any]

MAX_QUEUES = 10_000_000
MAX_HASH_BITS = 60
_NONE = "<none>"
_NONNEGATIVE = "must be a non-negative integer"


class PriorityLevelStatus(StatusOnly):
    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        return validate_conditions(obj)


class PriorityLevelStrategy(WithStatus):
    subresources = {"status": PriorityLevelStatus()}
    columns = PRIORITY_LEVEL

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        name, spec = obj["metadata"].get("name", ""), obj.get("spec") or EMPTY
        yield from validate_object_meta(obj["metadata"], namespaced=False, name=name_is_dns_subdomain)
        yield from _validate_spec(name, spec)
        yield from _validate_fixed(name, spec)
        yield from validate_conditions(obj)

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta, spec = obj["metadata"], obj.get("spec") or EMPTY
        limited = spec.get("limited") or EMPTY
        queuing = (limited.get("limitResponse") or EMPTY).get("queuing") or EMPTY
        return [
            meta.get("name", ""),
            spec.get("type", ""),
            limited.get("nominalConcurrencyShares", _NONE),
            queuing.get("queues", _NONE),
            queuing.get("handSize", _NONE),
            queuing.get("queueLengthLimit", _NONE),
            age(meta.get("creationTimestamp"), now),
        ]


def _validate_fixed(name: str, spec: Struct) -> Iterator[FieldError]:
    if name not in PRIORITY_LEVELS:
        return
    text = f"spec of '{name}' must equal the fixed value"
    if name == EXEMPT:
        text = f"spec of '{name}' except the 'spec.exempt' field must equal the fixed value"
        spec_to_compare = {k: v for k, v in spec.items() if k != "exempt"}
    else:
        spec_to_compare = dict(spec)
    if spec_to_compare != PRIORITY_LEVELS[name]:
        yield invalid("spec", show_priority_level(spec), text)


def _validate_spec(name: str, spec: Struct) -> Iterator[FieldError]:
    kind, limited, exempt = spec.get("type", ""), spec.get("limited"), spec.get("exempt")
    if (name == EXEMPT) != (kind == "Exempt"):
        yield invalid("spec.type", kind, "must be 'Exempt' if and only if `name` is 'exempt'")
    if kind == "Exempt":
        if limited is not None:
            yield forbidden("spec.limited", "must be nil if the type is not Limited")
        if exempt is not None:
            yield from _validate_exempt(exempt)
    elif kind == "Limited":
        if exempt is not None:
            yield forbidden("spec.exempt", "must be nil if the type is Limited")
        if limited is None:
            yield required("spec.limited", "must not be empty when type is Limited")
        else:
            yield from _validate_limited(limited)
    else:
        yield not_supported("spec.type", kind, ("Exempt", "Limited"))


def _validate_exempt(exempt: Struct) -> Iterator[FieldError]:
    shares = exempt.get("nominalConcurrencyShares", 0)
    if shares < 0:
        yield invalid("spec.exempt.nominalConcurrencyShares", shares, _NONNEGATIVE)
    yield from _validate_lent(exempt, "spec.exempt")


def _validate_lent(struct: Struct, path: str) -> Iterator[FieldError]:
    lent = struct.get("lendablePercent", 0)
    if not 0 <= lent <= 100:
        yield invalid(f"{path}.lendablePercent", lent, "must be between 0 and 100, inclusive")


def _validate_limited(limited: Struct) -> Iterator[FieldError]:
    shares = limited.get("nominalConcurrencyShares", 0)
    if shares < 0:
        yield invalid("spec.limited.nominalConcurrencyShares", shares, _NONNEGATIVE)
    yield from _validate_response(limited.get("limitResponse") or EMPTY, "spec.limited.limitResponse")
    yield from _validate_lent(limited, "spec.limited")
    borrowed = limited.get("borrowingLimitPercent", 0)
    if borrowed < 0:
        yield invalid("spec.limited.borrowingLimitPercent", borrowed, f"if specified, {_NONNEGATIVE}")


def _validate_response(response: Struct, path: str) -> Iterator[FieldError]:
    kind, queuing = response.get("type", ""), response.get("queuing")
    if kind == "Reject":
        if queuing is not None:
            yield forbidden(f"{path}.queuing", "must be nil if limited.limitResponse.type is not Limited")
    elif kind == "Queue":
        if queuing is None:
            yield required(f"{path}.queuing", "must not be empty if limited.limitResponse.type is Limited")
        else:
            yield from _validate_queuing(queuing, f"{path}.queuing")
    else:
        yield not_supported(f"{path}.type", kind, ("Queue", "Reject"))


def _validate_queuing(queuing: Struct, path: str) -> Iterator[FieldError]:
    length, queues, hand = (queuing.get(f, 0) for f in ("queueLengthLimit", "queues", "handSize"))
    if length <= 0:
        yield invalid(f"{path}.queueLengthLimit", length, "must be positive")
    if queues <= 0:
        yield invalid(f"{path}.queues", queues, "must be positive")
    elif queues > MAX_QUEUES:
        yield invalid(f"{path}.queues", queues, f"must not be greater than {MAX_QUEUES}")
    if hand <= 0:
        yield invalid(f"{path}.handSize", hand, "must be positive")
    elif hand > queues:
        yield invalid(f"{path}.handSize", hand, f"should not be greater than queues ({queues})")
    elif math.ceil(math.log2(queues) * hand) > MAX_HASH_BITS:
        text = (
            f"required entropy bits of deckSize {queues} and handSize {hand} should not be greater than {MAX_HASH_BITS}"
        )
        yield invalid(f"{path}.handSize", hand, text)
