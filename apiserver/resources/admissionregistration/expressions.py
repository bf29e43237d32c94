"""The CEL expressions of webhooks and policies: what they must evaluate to.

Follows: pkg/apis/admissionregistration/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from apiserver.resources.field_rules import named
from openapi.cel.admission import Variables, variables_of
from openapi.cel.types import BOOL, DYN
from openapi.meta.field import FieldError, duplicate, invalid, required, too_many
from openapi.meta.names import is_qualified_name

Struct = Mapping[str, Any]

MAX_CONDITIONS = 64


def compile_problem(text: str, variables: Variables, allowed: Sequence[str]) -> tuple[str, str]:
    """The result type of an expression, and what is wrong with it ('' for nothing). No `allowed`: any result."""
    from openapi.cel.environment import compile_expression
    from openapi.cel.errors import CompileError

    try:
        result = compile_expression(text, variables).result_type
    except CompileError as err:
        return DYN, f"compilation failed: {err}"
    if not allowed or result in allowed:
        return result, ""
    if len(allowed) == 1:
        return result, f"must evaluate to {allowed[0]} but got {result}"
    return result, f"must evaluate to one of [{' '.join(allowed)}] but got {result}"


def validate_expression(text: str, variables: Variables, allowed: Sequence[str], path: str) -> Iterator[FieldError]:
    _, problem = compile_problem(text, variables, allowed)
    if problem:
        yield invalid(path, text, problem)


def validate_match_conditions(
    conditions: Sequence[Struct], path: str, *, has_params: bool = False
) -> Iterator[FieldError]:
    if len(conditions) > MAX_CONDITIONS:
        yield too_many(path, len(conditions), MAX_CONDITIONS)
    seen: set[str] = set()
    for i, condition in enumerate(conditions):
        name, text = condition.get("name", ""), condition.get("expression", "").strip()
        if not text:
            yield required(f"{path}[{i}].expression")
        else:
            yield from validate_expression(text, variables_of(has_params), (BOOL,), f"{path}[{i}].expression")
        if not name:
            yield required(f"{path}[{i}].name")
            continue
        yield from named(is_qualified_name, name, f"{path}[{i}].name")
        if name in seen:
            yield duplicate(f"{path}[{i}].name", name)
        seen.add(name)


def same_conditions(hooks: Iterable[Struct], old_hooks: Iterable[Struct]) -> bool:
    """An update that leaves match conditions alone does not check them again."""
    new = [hook.get("matchConditions") or [] for hook in hooks]
    return new == [hook.get("matchConditions") or [] for hook in old_hooks]
