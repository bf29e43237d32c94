"""How Go prints JSON values, for the messages in which the API shows them."""

from __future__ import annotations

import math
from typing import Any

import orjson

from openapi.meta.field import quote


def go_value(value: Any) -> str:
    """As %v does: `map[a:1 b:[x y]]`."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{name}:{go_value(value[name])}" for name in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(go_value, value)) + "]"
    if isinstance(value, str):
        return value
    return _plain(value, "<nil>")


def go_syntax(value: Any) -> str:
    """As %#v does: `map[string]interface {}{"a":1}`."""
    if isinstance(value, dict):
        inner = ", ".join(f"{quote(name)}:{go_syntax(value[name])}" for name in sorted(value))
        return f"map[string]interface {{}}{{{inner}}}"
    if isinstance(value, list):
        return f"[]interface {{}}{{{', '.join(map(go_syntax, value))}}}"
    if isinstance(value, str):
        return quote(value)
    return _plain(value, "interface {}(nil)")


def go_type(value: Any) -> str:
    """As %T does for a decoded JSON value."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, int):
        return "int64"
    if isinstance(value, float):
        return "float64"
    if isinstance(value, dict):
        return "map[string]interface {}"
    return "[]interface {}" if isinstance(value, list) else "<nil>"


def _plain(value: Any, null: str) -> str:
    if value is None:
        return null
    if isinstance(value, bool):
        return "true" if value else "false"
    return _float(value) if isinstance(value, float) else str(value)


def _float(value: float) -> str:
    """The shortest text that reads back as %g has it: with an exponent from a million up."""
    if not math.isfinite(value) or value == 0:
        return {math.inf: "+Inf", -math.inf: "-Inf", 0.0: "0"}.get(value, "NaN")
    texts = (f"{value:.{precision}e}" for precision in range(17))
    digits, _, exponent_text = next(text for text in texts if float(text) == value).partition("e")
    exponent = int(exponent_text)
    if exponent < -4 or exponent >= 6:
        return f"{digits}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    count = len(digits.lstrip("-").replace(".", ""))
    return f"{value:.{max(count - 1 - exponent, 0)}f}"


_META_ORDER = (
    "name", "generateName", "namespace", "selfLink", "uid", "resourceVersion", "generation", "creationTimestamp",
    "deletionTimestamp", "deletionGracePeriodSeconds", "labels", "annotations", "ownerReferences", "finalizers",
    "managedFields",
)  # fmt: skip
_OWNER_ORDER = ("manager", "operation", "apiVersion", "time", "fieldsType", "fieldsV1", "subresource")


def _ordered(obj: dict[str, Any], order: tuple[str, ...]) -> dict[str, Any]:
    known = {name: obj[name] for name in order if name in obj}
    return {**known, **{k: v for k, v in obj.items() if k not in known}}


def _sorted_fields(entry: dict[str, Any]) -> dict[str, Any]:
    fields = orjson.dumps(entry.get("fieldsV1"), option=orjson.OPT_SORT_KEYS)
    return {**entry, "fieldsV1": orjson.loads(fields)} if "fieldsV1" in entry else entry


def in_go_order(meta: dict[str, Any]) -> dict[str, Any]:
    """An object's metadata with its fields in the order of their Go type, as JSON in messages shows them."""
    shown = _ordered(meta, _META_ORDER)
    owners = shown.get("managedFields")
    if isinstance(owners, list):
        shown["managedFields"] = [
            _ordered(_sorted_fields(each), _OWNER_ORDER) if isinstance(each, dict) else each for each in owners
        ]
    return shown
