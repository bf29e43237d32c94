"""Converting a merged document to its kind, in the words of the converter that does so without JSON.

Strategic merge patches and applied configurations come out of merging as maps, and are turned into objects by another
reader than bodies are: it takes whole numbers written as floats, lets numbers that are too large wrap around, and says
what does not fit without saying where.
Follows: staging/src/k8s.io/apimachinery/pkg/runtime/converter.go
"""

from __future__ import annotations

from typing import Any

from openapi.meta.quantity import WRONG_FORMAT, QuantityError, canonical_quantity
from openapi.meta.times import TimeError, canonical_micro_time, canonical_time
from openapi.schema import node as types
from openapi.schema.gojson import base64_error, json_word
from openapi.schema.load import go_name
from openapi.schema.node import Node

_KINDS = {str: "string", bool: "bool", int: "int64", float: "float64", dict: "map", list: "slice"}
_NUMBERS = (int, float)
_CLASSES = {types.STRING: (str,), types.BOOLEAN: (bool,), types.FLOAT: _NUMBERS}
_BITS = {types.INT32: 32, types.INT64: 64}


class ConversionError(ValueError):
    """A value that does not fit its field."""


def convert(value: Any, node: Node) -> Any:
    """The value, with all numbers in the form of their fields, in place. Raises ConversionError for what is unfit."""
    if value is None:
        return None
    kind = node.type
    if kind == types.STRUCT:
        if not isinstance(value, dict):
            raise ConversionError(f"cannot restore struct from: {_kind(value)}")
        for field in node.fields.values():
            if field.name in value:
                value[field.name] = convert(value[field.name], field.node)
    elif kind == types.MAP:
        if not isinstance(value, dict):
            raise ConversionError(f"cannot restore map from {_kind(value)}")
        assert node.items is not None
        for key in value:
            value[key] = convert(value[key], node.items)
    elif kind == types.LIST:
        if not isinstance(value, list):
            raise ConversionError(f"cannot restore slice from {_kind(value)}")
        assert node.items is not None
        value[:] = [convert(item, node.items) for item in value]
    elif kind not in (types.ANY, types.FIELDS_V1, types.PROPS_OR_OTHER):
        return _scalar(value, node)
    return value


def _scalar(value: Any, node: Node) -> Any:
    kind = node.type
    if kind in _BITS:
        return _integer(value, node)
    if kind == types.INT_OR_STRING:
        return _integer_or_string(value)
    if kind in (types.TIME, types.MICRO_TIME, types.QUANTITY):
        _unmarshalled(value, kind)
    elif kind == types.BYTES:
        _bytes(value)
    elif kind == types.STRING and type(value) is int:
        raise _inconvertible(value, node)
    elif kind in _CLASSES and type(value) not in _CLASSES[kind]:
        raise _unrecognized(node)
    return value


def _integer(value: Any, node: Node) -> int:
    if type(value) not in _NUMBERS:
        raise _unrecognized(node)
    if isinstance(value, float) and not value.is_integer():
        raise _inconvertible(value, node)
    half = 1 << (_BITS[node.type] - 1)
    return (int(value) + half) % (2 * half) - half


def _integer_or_string(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if type(value) not in _NUMBERS:
        raise ConversionError(f"json: cannot unmarshal {json_word(value)} into Go value of type int32")
    if not float(value).is_integer() or not -(1 << 31) <= value < 1 << 31:
        raise ConversionError(f"json: cannot unmarshal number {value} into Go value of type int32")
    return int(value)


def _unmarshalled(value: Any, kind: str) -> None:
    """What reads itself from JSON."""
    if kind == types.QUANTITY:
        if type(value) not in (str, *_NUMBERS):
            raise ConversionError(WRONG_FORMAT)
    elif not isinstance(value, str):
        raise ConversionError(f"json: cannot unmarshal {json_word(value)} into Go value of type string")
    try:
        if kind == types.QUANTITY:
            canonical_quantity(str(value))
        elif kind == types.TIME:
            canonical_time(value)
        elif kind == types.MICRO_TIME:
            canonical_micro_time(value)
    except (QuantityError, TimeError) as error:
        raise ConversionError(str(error)) from None


def _bytes(value: Any) -> None:
    if not isinstance(value, str):
        raise ConversionError(f"cannot restore slice from {_kind(value)}")
    problem = base64_error(value)
    if problem:
        raise ConversionError(f"error decoding from json: {problem}")


def _inconvertible(value: Any, node: Node) -> ConversionError:
    """Of types that Go itself could convert."""
    return ConversionError(f"cannot convert {_kind(value)} to {go_name(node)}")


def _unrecognized(node: Node) -> ConversionError:
    """Of others, of which it knows nothing to say."""
    return ConversionError(f"unrecognized type: {node.type}")


def _kind(value: Any) -> str:
    return _KINDS[type(value)]
