"""Device selectors: CEL expressions about one device, which must compile and not cost too much.

Follows: staging/src/k8s.io/dynamic-resource-allocation/cel/compile.go, pkg/apis/resource/validation/validation.go
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from apiserver.resources.resource import limits
from apiserver.resources.resource.parts import validate_list
from openapi.cel import sizes
from openapi.cel.sizes import Sized
from openapi.cel.types import BOOL, DYN, STRING, MapOf, StructOf
from openapi.meta.field import FieldError, forbidden, invalid, required, too_long
from openapi.meta.names import size

Struct = Mapping[str, Any]

_DEVICE: Final = StructOf(
    "kubernetes.DRADevice",
    (("driver", STRING), ("attributes", DYN), ("capacity", DYN), ("allowMultipleAllocations", BOOL)),
)
_LOOSE: Final = (("device", _DEVICE),)
_VARIABLES: Final = (
    *_LOOSE,
    ("device.attributes", MapOf(MapOf(DYN))),
    ("device.capacity", MapOf(MapOf("kubernetes.Quantity"))),
)
"""Structs cannot have maps of maps: these are variables of their own, whose names have a dot."""
_TESTED: Final = re.compile(r"has\(\s*device\s*\.\s*(attributes|capacity)\s*\)")
_MOST_COST: Final = 1_000_000


def _domains(value: Sized) -> Sized:
    most = limits.ATTRIBUTES_AND_CAPACITIES
    return Sized(sizes.MAP, 0, most, Sized(sizes.MAP, 0, most, value))


_SIZES: Final = {
    "device": Sized(
        sizes.OBJECT,
        0,
        fields={
            "driver": Sized(sizes.STRING, 0, limits.DRIVER_NAME_BYTES),
            "attributes": _domains(Sized(sizes.DYN, 0, limits.VALUE_BYTES)),
            "capacity": _domains(Sized(sizes.OBJECT, 0)),
            "allowMultipleAllocations": Sized("bool", 0),
        },
    )
}


def validate_selectors(selectors: Sequence[Struct] | None, path: str) -> Iterator[FieldError]:
    return validate_list(selectors, limits.SELECTORS, _validate_selector, path)


def _validate_selector(selector: Struct, path: str) -> Iterator[FieldError]:
    from openapi.cel.cost import estimate
    from openapi.cel.syntax import NotParsed, parse

    cel = selector.get("cel")
    if cel is None:
        yield required(f"{path}.cel")
        return
    text, where = cel.get("expression", ""), f"{path}.cel.expression"
    if size(text) > limits.EXPRESSION_BYTES:
        yield too_long(where, limits.EXPRESSION_BYTES)
        return
    problem = _problem(text)
    if problem:
        yield invalid(where, text, problem)
        return
    try:
        cost = estimate(parse(text), _SIZES)
    except NotParsed:
        return
    if cost > _MOST_COST:
        yield forbidden(where, "too complex, exceeds cost limit")


def _problem(text: str) -> str:
    """Why an expression cannot be used; '' if it can."""
    from openapi.cel.environment import compile_expression
    from openapi.cel.errors import CompileError

    try:
        variables = _LOOSE if _TESTED.search(text) else _VARIABLES
        result = compile_expression(text, variables, binds=True).result_type
    except CompileError as err:
        return _told(f"compilation failed: {err}")
    return "" if result in (BOOL, DYN) else f"must evaluate to bool or the unknown type, not {_told(result)}"


def _told(text: str) -> str:
    """The values of attributes are of a type that has another name than others of which nothing is known."""
    return text.replace("map(string, dyn)", "map(string, any)")
