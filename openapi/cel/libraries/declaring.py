"""A short way to write function declarations down: `overload("string_to_ip", (STRING,), IP, parse)`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cel_expr_python import cel

T = cel.Type
DYN_LIST = T.List(T.DYN)


def overload(
    name: str, parameters: Sequence[Any], result: Any, implementation: Callable[..., Any], *, member: bool = False
) -> Any:
    """`name` is unique among all overloads; the first parameter of a member is its receiver."""
    return cel.Overload(
        name, return_type=result, parameters=list(parameters), impl=implementation, is_member=member
    )


def alias(name: str, parameters: Sequence[Any], result: Any, *, member: bool = True) -> Any:
    """An overload that runs what another of the same function with the same kinds of parameters runs."""
    return cel.Overload(name, return_type=result, parameters=list(parameters), is_member=member)


def function(name: str, *overloads: Any) -> Any:
    return cel.FunctionDecl(name, list(overloads))


def method(name: str, overload_name: str, parameters: Sequence[Any], result: Any, run: Callable[..., Any]) -> Any:
    """A function with one member overload."""
    return function(name, overload(overload_name, parameters, result, run, member=True))
