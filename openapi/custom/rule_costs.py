"""What the rules of a schema may cost at most, each alone and all together, before any of them has run.

Follows: apiextensions-apiserver/pkg/apis/apiextensions/validation/{validation,cel_validation}.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from openapi.cel.cost import MOST, estimate
from openapi.cel.objects import escaped
from openapi.cel.sizes import MOST_BYTES, Sized, sized
from openapi.cel.syntax import NotParsed, parse
from openapi.custom.structural import RULES, Schema
from openapi.meta.field import FieldError, forbidden

RULE_LIMIT: Final = 10_000_000
SCHEMA_LIMIT: Final = 100_000_000
_SHOWN: Final = 4
"""So many rules are named where all together cost too much."""
_HINT = (
    "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are "
    "declared)"
)
_ALL = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
_PART = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"


@dataclass(slots=True)
class _Total:
    cost: int = 0
    parts: list[tuple[int, str]] = field(default_factory=list)

    def add(self, cost: int, path: str) -> None:
        self.cost = min(self.cost + cost, MOST)
        if cost >= SCHEMA_LIMIT // 100:
            self.parts.append((cost, path))


def validate_costs(schema: Schema, path: str) -> Iterator[FieldError]:
    """Rules that compile, but would cost too much on some object that fits into a request."""
    total = _Total()
    yield from _walk(schema, path, 1, total, is_root=True)
    if total.cost > SCHEMA_LIMIT:
        for _, where in sorted(total.parts, key=lambda part: -part[0])[:_SHOWN]:
            yield forbidden(where, _PART)
        yield forbidden(path, _exceeded(_ALL, total.cost, SCHEMA_LIMIT))


def _walk(
    schema: Schema, path: str, times: int | None, total: _Total, *, is_root: bool = False
) -> Iterator[FieldError]:
    """`times`: how many such values an object can have, None where the schema sets no limit."""
    rules = schema.get(RULES) or ()
    if rules:
        own = sized(schema, escaped, is_root=is_root)
        count = MOST_BYTES // (own.least + 1) if times is None else times
        for i, rule in enumerate(rules):
            yield from _judge(rule, own, count, f"{path}.{RULES}[{i}]", total)
    extra, items = schema.get("additionalProperties"), schema.get("items")
    if isinstance(extra, Mapping):
        below = _multiplied(times, schema.get("maxProperties"))
        yield from _walk(extra, f"{path}.additionalProperties", below, total)
    for name, part in sorted((schema.get("properties") or {}).items()):
        yield from _walk(part, f"{path}.properties[{name}]", times, total)
    if isinstance(items, Mapping):
        yield from _walk(items, f"{path}.items", _multiplied(times, schema.get("maxItems")), total)


def _judge(rule: Mapping[str, Any], own: Sized, count: int, path: str, total: _Total) -> Iterator[FieldError]:
    cost = min(_cost(rule.get("rule", ""), own) * count, MOST)
    if cost > RULE_LIMIT:
        yield forbidden(f"{path}.rule", _exceeded("estimated rule cost", cost, RULE_LIMIT))
    total.add(cost, f"{path}.rule")
    dynamic = rule.get("messageExpression", "")
    if dynamic:
        cost = _cost(dynamic, own)
        if cost > RULE_LIMIT:
            text = _exceeded("estimated messageExpression cost", cost, RULE_LIMIT)
            yield forbidden(f"{path}.messageExpression", text)
        total.add(cost, f"{path}.messageExpression")


def _cost(text: str, own: Sized) -> int:
    try:
        return estimate(parse(text), {"self": own, "oldSelf": own})
    except NotParsed:
        return 0


def _multiplied(times: int | None, most: int | None) -> int | None:
    return None if times is None or most is None else min(times * max(most, 0), MOST)


def _exceeded(what: str, cost: int, limit: int) -> str:
    factor = cost / limit
    shown = "more than 100x" if factor > 100 else f"{factor:f}x" if factor < 1.5 else f"{factor:.1f}x"
    return f"{what} exceeds budget by factor of {shown} {_HINT}"
