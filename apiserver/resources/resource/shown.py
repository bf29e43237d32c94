"""Claims in messages: the server's internal form with its own field names and order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.resources.spec_rules import verbatim

Struct = Mapping[str, Any]
Shape = tuple[tuple[str, str, Any, Any], ...]
"""Internal name, name on the wire, what an absent field is, the shape of a struct or of the items of a list."""

_SELECTOR: Shape = (("CEL", "cel", None, (("Expression", "expression", "", None),)),)
_TOLERATION: Shape = (
    ("Key", "key", "", None),
    ("Operator", "operator", "", None),
    ("Value", "value", "", None),
    ("Effect", "effect", "", None),
    ("TolerationSeconds", "tolerationSeconds", None, None),
)
_CAPACITY: Shape = (("Requests", "requests", None, None),)
_WANTED: Shape = (
    ("DeviceClassName", "deviceClassName", "", None),
    ("Selectors", "selectors", None, _SELECTOR),
    ("AllocationMode", "allocationMode", "", None),
    ("Count", "count", 0, None),
)
_EXACTLY: Shape = (
    *_WANTED,
    ("AdminAccess", "adminAccess", None, None),
    ("Tolerations", "tolerations", None, _TOLERATION),
    ("Capacity", "capacity", None, _CAPACITY),
)
_ALTERNATIVE: Shape = (
    ("Name", "name", "", None),
    *_WANTED,
    ("Tolerations", "tolerations", None, _TOLERATION),
    ("Capacity", "capacity", None, _CAPACITY),
)
_REQUEST: Shape = (
    ("Name", "name", "", None),
    ("Exactly", "exactly", None, _EXACTLY),
    ("FirstAvailable", "firstAvailable", None, _ALTERNATIVE),
)
_CONSTRAINT: Shape = (
    ("Requests", "requests", None, None),
    ("MatchAttribute", "matchAttribute", None, None),
    ("DistinctAttribute", "distinctAttribute", None, None),
)
_OPAQUE: Shape = (("Driver", "driver", "", None), ("Parameters", "parameters", None, None))
_CONFIG: Shape = (("Requests", "requests", None, None), ("Opaque", "opaque", None, _OPAQUE))
_CLAIM: Shape = (
    ("Requests", "requests", None, _REQUEST),
    ("Constraints", "constraints", None, _CONSTRAINT),
    ("Config", "config", None, _CONFIG),
)
_CLAIM_SPEC: Shape = (("Devices", "devices", {}, _CLAIM),)
_TEMPLATE_SPEC: Shape = (("ObjectMeta", "metadata", {}, None), ("Spec", "spec", {}, _CLAIM_SPEC))
_RESULT: Shape = (
    ("Request", "request", "", None),
    ("Driver", "driver", "", None),
    ("Pool", "pool", "", None),
    ("Device", "device", "", None),
    ("AdminAccess", "adminAccess", None, None),
    ("Tolerations", "tolerations", None, _TOLERATION),
    ("BindingConditions", "bindingConditions", None, None),
    ("BindingFailureConditions", "bindingFailureConditions", None, None),
    ("ShareID", "shareID", None, None),
    ("ConsumedCapacity", "consumedCapacity", None, None),
)
_REQUIREMENT: Shape = (("Key", "key", "", None), ("Operator", "operator", "", None), ("Values", "values", None, None))
_TERM: Shape = (
    ("MatchExpressions", "matchExpressions", None, _REQUIREMENT),
    ("MatchFields", "matchFields", None, _REQUIREMENT),
)
_ALLOCATION: Shape = (
    (
        "Devices",
        "devices",
        {},
        (("Results", "results", None, _RESULT), ("Config", "config", None, (("Source", "source", "", None), *_CONFIG))),
    ),
    ("NodeSelector", "nodeSelector", None, (("NodeSelectorTerms", "nodeSelectorTerms", None, _TERM),)),
    ("AllocationTimestamp", "allocationTimestamp", None, None),
)
_ATTRIBUTE: Shape = (
    ("IntValue", "int", None, None),
    ("BoolValue", "bool", None, None),
    ("StringValue", "string", None, None),
    ("VersionValue", "version", None, None),
    ("IntValues", "ints", None, None),
    ("BoolValues", "bools", None, None),
    ("StringValues", "strings", None, None),
    ("VersionValues", "versions", None, None),
)


def _form(value: Any, shape: Shape | None) -> Any:
    if shape is None or value is None:
        return value
    if isinstance(value, list):
        return [_form(item, shape) for item in value]
    return {name: _form(value.get(field, absent), inner) for name, field, absent, inner in shape}


def show_claim_spec(spec: Struct) -> Any:
    return verbatim(_form(spec, _CLAIM_SPEC))


def show_template_spec(spec: Struct) -> Any:
    return verbatim(_form(spec, _TEMPLATE_SPEC))


def show_allocation(allocation: Struct) -> Any:
    return verbatim(_form(allocation, _ALLOCATION))


def show_attribute(attribute: Struct) -> Any:
    return verbatim(_form(attribute, _ATTRIBUTE))
