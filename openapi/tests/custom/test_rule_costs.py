"""What rules may cost: estimates by the sizes that a schema allows, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from openapi.cel.cost import MOST, estimate
from openapi.cel.sizes import sized
from openapi.cel.syntax import parse
from openapi.custom.rule_costs import validate_costs


def text(**more: Any) -> dict[str, Any]:
    return {"type": "string", **more}


def items(of: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": of, **more}


SCHEMA = {
    "type": "object",
    "properties": {
        "n": {"type": "integer"},
        "short": text(maxLength=10),
        "long": text(),
        "few": items(text(maxLength=10), maxItems=10),
        "many": items(text()),
        "map": {"type": "object", "additionalProperties": text()},
    },
}


@pytest.mark.parametrize(
    ("rule", "cost"),
    [
        ("self.n > 0", 3),
        ("has(self.n) && self.n > 0", 4),
        ("self.short == 'abc'", 3),
        ("self.short.matches('^[a-z]+$')", 2 + 5 * 2),
        ("self.long.startsWith('a')", 3),
        ("self.many.all(x, x.size() < 100)", 2 + 1 + 1048575 * (3 + 3)),
        ("self.few.all(x, self.few.all(y, x != y))", 2 + 1 + 10 * (3 + 2 + 1 + 10 * (3 + 2 + 4))),
        ("self.few.map(x, x + 'a').exists(y, y == 'b')", 2 + 11 + 10 * (12 + 1 + 5) + 1 + 10 * (4 + 1 + 1)),
        ("'a' in self.map", 3),
        ("sets.contains(self.few, ['a', 'b'])", 1 + 2 + 10 + 10 * 2),
        ("'n is ' + string(self.n) == ''", MOST),
    ],
)
def test_costs_follow_from_sizes(rule: str, cost: int) -> None:
    assert estimate(parse(rule), {"self": sized(SCHEMA, lambda name: name)}) == cost


def ruled(schema: dict[str, Any], rule: str, **more: Any) -> dict[str, Any]:
    return {**schema, "x-kubernetes-validations": [{"rule": rule, **more}]}


HINT = (
    "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings "
    "are declared)"
)


def test_rules_that_may_cost_too_much_are_refused() -> None:
    spec = ruled(SCHEMA, "self.many.all(x, self.many.all(y, x != y))")
    found = [str(e) for e in validate_costs({"type": "object", "properties": {"spec": spec}}, "s")]
    rule = "s.properties[spec].x-kubernetes-validations[0].rule: Forbidden: "
    total = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
    assert found == [
        f"{rule}estimated rule cost exceeds budget by factor of more than 100x {HINT}",
        f"{rule}contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema",
        f"s: Forbidden: {total} exceeds budget by factor of more than 100x {HINT}",
    ]


def test_a_rule_costs_as_often_as_its_value_can_be_there() -> None:
    bounded = items(ruled(text(maxLength=10), "self == 'a'"), maxItems=100)
    assert not list(validate_costs(bounded, "s"))
    costly = items(ruled(text(maxLength=5000), "self.matches('^[a-z]+$')"), maxItems=10_000)
    assert "exceeds budget by factor of 4.0x" in str(next(iter(validate_costs(costly, "s"))))
    message = ruled({"type": "integer"}, "self > 0", messageExpression="'got ' + string(self)")
    first = str(next(iter(validate_costs(message, "s"))))
    where = "s.x-kubernetes-validations[0].messageExpression"
    assert first.startswith(f"{where}: Forbidden: estimated messageExpression cost exceeds")
