"""Decoding: a parsed body becomes an object of its kind, exactly as a Go server would have read and written it.

Types are checked, unknown fields pruned and reported, values brought to canonical form, all in place. A sound object
takes the fast way of `openapi.schema.canonical`; one that needs a message is walked here, in the order of its fields.
Follows: sigs.k8s.io/json, staging/src/k8s.io/apimachinery/pkg/runtime/serializer/json/json.go
"""

from __future__ import annotations

import base64
from typing import Any

from openapi.catalog import GroupVersionKind, api_version
from openapi.meta.quantity import WRONG_FORMAT, QuantityError, canonical_quantity
from openapi.meta.times import TimeError, canonical_micro_time, canonical_time
from openapi.schema import node as types
from openapi.schema.canonical import Unsound, canonicalize, canonicalize_changed, dropped_when_empty, empty_value
from openapi.schema.gojson import JSONSyntaxError, base64_error, json_word
from openapi.schema.load import go_name
from openapi.schema.node import Field, Node
from openapi.schema.parse import MAX_STRICT_ERRORS, parse
from openapi.schema.yamlbody import YAMLError, dump_yaml, parse_yaml

__all__ = [
    "CUSTOM_DECODER",
    "DecodeError",
    "JSONSyntaxError",
    "YAMLError",
    "decode",
    "dump_yaml",
    "kind_error",
    "parse",
    "parse_yaml",
]

Object = dict[str, Any]

CUSTOM_DECODER = "decode"
"""What a node's memo calls the decoder of a custom kind, which takes the place of the walk over the node."""

_RANGES = {types.INT32: 2**31, types.INT64: 2**63}


class DecodeError(ValueError):
    """A value of the wrong type or form, in Go's words."""


def decode(
    obj: Any, node: Node, gvk: GroupVersionKind | None = None, *, at: str = "", known: Object | None = None
) -> list[str]:
    """Make a parsed body a canonical object of the struct `node`, in place; raises DecodeError.

    Gives `unknown field "spec.x"` for each field that was pruned, in the order of the body; `at` is put before these
    paths (a part of a custom object is decoded alone). With a `gvk`, a missing kind and apiVersion are filled in.
    `known` is a canonical object with which this one shares all that was not changed, by identity.
    """
    if obj.__class__ is not dict:
        raise DecodeError(f"json: cannot unmarshal {json_word(obj)} into Go value of type {go_name(node)}")
    if gvk is not None:
        if not obj.get("kind"):
            obj["kind"] = gvk.kind
        if not obj.get("apiVersion"):
            obj["apiVersion"] = api_version(gvk.group, gvk.version)
    custom = node.memo.get(CUSTOM_DECODER)
    if custom is not None:
        unknown: list[str] = custom(obj, gvk)
        return unknown
    try:
        if known is None:
            canonicalize(obj, node)
        else:
            canonicalize_changed(obj, known, node)
    except Unsound:
        walk = _Walk()
        walk.struct(obj, node, at)
        if walk.error:
            raise DecodeError(walk.error) from None
        return list(dict.fromkeys(walk.unknown))[:MAX_STRICT_ERRORS]
    return []


def kind_error(obj: Any) -> str:
    """What Go says of a body in which kind and apiVersion cannot be read; '' if they can."""
    tags = 'APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\""'
    prefix = "couldn't get version/kind; json parse error: json: cannot unmarshal"
    if not isinstance(obj, dict):
        return "" if obj is None else f"{prefix} {json_word(obj)} into Go value of type struct {{ {tags} }}"
    for name in ("apiVersion", "kind"):
        value = obj.get(name)
        if value is not None and not isinstance(value, str):
            return f"{prefix} {json_word(value)} into Go struct field .{name} of type string"
    return ""


class NumberText(float):
    """A number that knows how it was written."""

    def __init__(self, text: str) -> None:
        self.text = text


def _number_text(value: float) -> str:
    if isinstance(value, NumberText):
        return value.text
    return str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) >= 2**63 else str(value)


class _Walk:
    """One walk over an object. `error` is the first wrong type; where Go stops at once, DecodeError is raised.

    `owner` is the innermost Go struct, `names` the JSON names that lead to the value: what Go's messages show.
    """

    def __init__(self) -> None:
        self.error = ""
        self.unknown: list[str] = []
        self.owner = ""
        self.names: list[str] = []
        self.silent = 0

    def struct(self, obj: Object, node: Node, path: str) -> None:
        owner, self.owner = self.owner, node.go_name
        for name in list(obj):
            field = node.fields.get(name)
            if field is None:
                if not node.preserve_unknown:
                    del obj[name]
                    self.report(f"{path}.{name}" if path else name)
                continue
            self.names.append(name)
            self.field(obj, field, f"{path}.{name}" if path else name)
            self.names.pop()
            self.owner = node.go_name
        for field in node.fields.values():
            if field.always and field.name not in obj:
                obj[field.name] = empty_value(field)
        self.owner = owner

    def report(self, path: str) -> None:
        if not self.silent:
            self.unknown.append(f'unknown field "{path}"')

    def field(self, obj: Object, field: Field, path: str) -> None:
        value = obj[field.name]
        if value is None:
            del obj[field.name]
            return
        value = obj[field.name] = self.value(value, field.node, path)
        if dropped_when_empty(field) and not value:
            del obj[field.name]

    def value(self, value: Any, node: Node, path: str) -> Any:
        """The canonical form of a value that is not null; a wrong one stays as it is."""
        kind = node.type
        if kind == types.STRUCT:
            if isinstance(value, dict):
                self.struct(value, node, path)
            else:
                self.wrong(value, node)
        elif kind == types.MAP:
            self.map(value, node, path)
        elif kind == types.LIST:
            self.list(value, node, path)
        elif kind == types.PROPS_OR_OTHER:
            self.props(value, node)
        elif kind not in (types.ANY, types.FIELDS_V1):
            return self.scalar(value, node)
        return value

    def map(self, value: Any, node: Node, path: str) -> None:
        assert node.items is not None
        if not isinstance(value, dict):
            self.wrong(value, node)
            return
        for key, item in value.items():
            value[key] = self.item(item, node.items, f"{path}.{key}")

    def list(self, value: Any, node: Node, path: str) -> None:
        assert node.items is not None
        if not isinstance(value, list):
            self.wrong(value, node)
            return
        for index, item in enumerate(value):
            value[index] = self.item(item, node.items, f"{path}[{index}]")

    def item(self, value: Any, node: Node, path: str) -> Any:
        if value is None:
            return empty_value(Field("", node, always=True, value=True))
        return self.value(value, node, path)

    def props(self, value: Any, node: Node) -> None:
        """A schema, a boolean or a list, whose own decoder tells nobody of unknown fields."""
        assert node.items is not None
        if node.go_name.endswith("OrBool") and not isinstance(value, dict | bool):
            raise DecodeError("boolean or JSON schema expected")
        self.silent += 1
        for item in value if isinstance(value, list) else (value,):
            if isinstance(item, dict):
                self.struct(item, node.items, "")
        self.silent -= 1

    def scalar(self, value: Any, node: Node) -> Any:
        kind = node.type
        if kind == types.STRING:
            if not isinstance(value, str):
                self.wrong(value, node)
        elif kind == types.BOOLEAN:
            if not isinstance(value, bool):
                self.wrong(value, node)
        elif kind in _RANGES:
            self.integer(value, node.go_name, _RANGES[kind])
        elif kind == types.FLOAT:
            if isinstance(value, bool) or not isinstance(value, int | float):
                self.wrong(value, node)
        elif kind == types.BYTES:
            return self.bytes(value, node)
        elif kind == types.QUANTITY:
            return self.quantity(value)
        elif kind == types.INT_OR_STRING:
            if not isinstance(value, str):
                self.integer(value, "int32", 2**31, fatal=True)
        elif kind in (types.TIME, types.MICRO_TIME):
            return self.time(value, kind)
        return value

    def integer(self, value: Any, type_name: str, limit: int, *, fatal: bool = False) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            text = self.mismatch(json_word(value), type_name)
        elif isinstance(value, int) and -limit <= value < limit:
            return
        else:
            text = self.mismatch(f"number {_number_text(value)}", type_name)
        if fatal:
            raise DecodeError(text)
        self.error = self.error or text

    def quantity(self, value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise DecodeError(WRONG_FORMAT)
        try:
            return canonical_quantity(str(value))
        except QuantityError as error:
            raise DecodeError(str(error)) from None

    def time(self, value: Any, kind: str) -> str:
        if not isinstance(value, str):
            raise DecodeError(self.mismatch(json_word(value), "string"))
        try:
            return canonical_time(value) if kind == types.TIME else canonical_micro_time(value)
        except TimeError as error:
            raise DecodeError(str(error)) from None

    def bytes(self, value: Any, node: Node) -> Any:
        if not isinstance(value, str):
            self.wrong(value, node)
            return value
        problem = base64_error(value)
        if problem:
            self.error = self.error or problem
            return value
        return base64.b64encode(base64.b64decode(value)).decode()

    def wrong(self, value: Any, node: Node) -> None:
        self.error = self.error or self.mismatch(json_word(value), go_name(node))

    def mismatch(self, what: str, type_name: str) -> str:
        place = f"struct field {self.owner}.{'.'.join(self.names)}" if self.names else "value"
        return f"json: cannot unmarshal {what} into Go {place} of type {type_name}"
