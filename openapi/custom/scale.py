"""Where custom objects keep their scale, as objects are judged: whole numbers from 0 on, a selector that is text.

Follows: staging/src/k8s.io/apiextensions-apiserver/pkg/registry/customresource/validator.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from openapi.meta.field import FieldError, invalid

_MAX_INT32 = 2**31 - 1
_MAP, _LIST = "map[string]interface {}", "[]interface {}"
_TYPES = {str: "string", bool: "bool", int: "int64", float: "float64", dict: _MAP, list: _LIST, type(None): "<nil>"}


class _WrongType(Exception):
    """Something on the way, or at its end, is of another type than it has to be."""


def validate_scale(obj: Mapping[str, Any], scale: Mapping[str, str], *, with_spec: bool) -> Iterator[FieldError]:
    """What is wrong with the fields that the paths of a `scale` subresource name."""
    for key in ("specReplicasPath", "statusReplicasPath") if with_spec else ("statusReplicasPath",):
        try:
            replicas = _find(obj, scale[key], int)
        except _WrongType as err:
            yield invalid(scale[key], 0, str(err))
            continue
        if (replicas or 0) < 0:
            yield invalid(scale[key], replicas, "should be a non-negative integer")
        elif (replicas or 0) > _MAX_INT32:
            yield invalid(scale[key], replicas, f"should be less than or equal to {_MAX_INT32}")
    selector = scale.get("labelSelectorPath")
    if selector:
        try:
            _find(obj, selector, str)
        except _WrongType as err:
            yield invalid(selector, "", str(err))


def _find(obj: Mapping[str, Any], path: str, wanted: type) -> Any:
    """The value at a path like `.spec.replicas`; None if there is none. Raises _WrongType."""
    value: Any = obj
    names = path.removeprefix(".").split(".")
    for at, name in enumerate(names):
        if value is None:
            return None
        if value.__class__ is not dict:
            raise _wrong(names[: at + 1], value, "map[string]interface{}")
        if name not in value:
            return None
        value = value[name]
    if value.__class__ is not wanted:
        raise _wrong(names, value, _TYPES[wanted])
    return value


def _wrong(names: list[str], value: Any, wanted: str) -> _WrongType:
    where = "." + ".".join(names)
    return _WrongType(
        f"{where} accessor error: {_shown(value)} is of the type {_TYPES[type(value)]}, expected {wanted}"
    )


def _shown(value: Any) -> str:
    """As Go prints values plainly: `map[a:1]`, `[1 2]`, `<nil>`."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{_shown(value[key])}' for key in sorted(value))}]"
    return f"[{' '.join(map(_shown, value))}]" if isinstance(value, list) else str(value)
