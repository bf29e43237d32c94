"""Quantities of resources: quantity, isQuantity and what can be done with them.

Follows: staging/src/k8s.io/apiserver/pkg/cel/library/quantity.go
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from openapi.cel.libraries.declaring import T, function, method, overload
from openapi.cel.messages import Pool
from openapi.meta.quantity import Quantity, QuantityError

NAME = "kubernetes.Quantity"


def _is_quantity(text: str) -> bool:
    try:
        Quantity.parse(text)
    except QuantityError:
        return False
    return True


def _value(value: Any) -> Quantity:
    return Quantity.of(value) if isinstance(value, int) else Quantity.parse(value.text)


def compare_quantities(a: Any, b: Any) -> int:
    left, right = _value(a), _value(b)
    return (left > right) - (left < right)


def _integer(value: Any) -> int:
    quantity = _value(value)
    if not quantity.is_integer():
        raise ValueError("cannot convert value to integer")
    return quantity.value


def declare(pool: Pool) -> list[Any]:
    kind, make = T(NAME), pool.message_class(NAME)

    def parse(text: str) -> Any:
        return make(text=str(Quantity.parse(text)))

    def arithmetic(change: Callable[[Quantity, Quantity], Quantity]) -> Callable[[Any, Any], Any]:
        return lambda a, b: make(text=str(change(_value(a), _value(b))))

    add, subtract = arithmetic(lambda a, b: a + b), arithmetic(lambda a, b: a - b)
    return [
        function("quantity", overload("string_to_quantity", (T.STRING,), kind, parse)),
        function("isQuantity", overload("is_quantity_string", (T.STRING,), T.BOOL, _is_quantity)),
        method("sign", "quantity_sign", (kind,), T.INT, lambda q: _value(q).sign),
        method("isInteger", "quantity_is_integer", (kind,), T.BOOL, lambda q: _value(q).is_integer()),
        method("asInteger", "quantity_get_int", (kind,), T.INT, _integer),
        method("asApproximateFloat", "quantity_get_float", (kind,), T.DOUBLE, lambda q: _value(q).as_float()),
        function(
            "add",
            overload("quantity_add", (kind, kind), kind, add, member=True),
            overload("quantity_add_int", (kind, T.INT), kind, add, member=True),
        ),
        function(
            "sub",
            overload("quantity_sub", (kind, kind), kind, subtract, member=True),
            overload("quantity_sub_int", (kind, T.INT), kind, subtract, member=True),
        ),
    ]
