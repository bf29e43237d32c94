"""The devices of a slice: their attributes, capacities, taints, counters and nodes.

Follows: pkg/apis/resource/validation/validation.go validateDevice
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from apiserver.resources.field_rules import named
from apiserver.resources.node_selectors import validate_node_selector
from apiserver.resources.resource import limits
from apiserver.resources.resource.parts import (
    Rule,
    validate_binding_conditions,
    validate_label,
    validate_list,
    validate_qualified_name,
    validate_set,
    validate_taint,
)
from apiserver.resources.resource.shown import show_attribute
from openapi.cel.semantic_versions import is_semver
from openapi.meta.field import FieldError, forbidden, invalid, required, too_long, too_many
from openapi.meta.names import is_dns1123_subdomain, size
from openapi.meta.quantity import Quantity

Struct = Mapping[str, Any]

_ONE_VALUE = "exactly one value must be specified"
LISTS = ("bools", "ints", "strings", "versions")
_SCALARS = ("bool", "int", "string", "version")
_ONE_NODE = (
    "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true "
    "in the ResourceSlice spec"
)
_NO_NODE = (
    "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the "
    "ResourceSlice spec"
)


def validate_device(device: Struct, old: Struct | None, path: str, *, own_nodes: bool) -> Iterator[FieldError]:
    """`old` is the stored device of the same name; `own_nodes`: each device says on which nodes it is."""
    attributes, capacity = device.get("attributes") or {}, device.get("capacity") or {}
    yield from validate_label(device.get("name", ""), f"{path}.name")
    count = len(attributes) + len(capacity)
    if count > limits.ATTRIBUTES_AND_CAPACITIES:
        most = limits.ATTRIBUTES_AND_CAPACITIES
        yield invalid(path, count, f"the total number of attributes and capacities must not exceed {most}")
    yield from _validate_map(attributes, validate_qualified_name, _validate_attribute, f"{path}.attributes")
    if old is None or (old.get("capacity") or {}) != capacity:
        rule: Rule = _validate_policy if device.get("allowMultipleAllocations") else _validate_plain_capacity
        yield from _validate_map(capacity, validate_qualified_name, rule, f"{path}.capacity")
    if old is None or old.get("taints") != device.get("taints"):
        yield from validate_list(device.get("taints"), limits.TAINTS, validate_taint, f"{path}.taints")
    yield from validate_set(
        device.get("consumesCounters"),
        limits.CONSUMED_SETS,
        _validate_consumption,
        f"{path}.consumesCounters",
        lambda consumption: consumption.get("counterSet", ""),
    )
    if own_nodes:
        yield from _validate_nodes(device, path)
    elif any(device.get(name) is not None for name in ("nodeName", "nodeSelector", "allNodes")):
        yield invalid(path, None, _NO_NODE)
    yield from validate_binding_conditions(device, path)


def _validate_map(values: Mapping[str, Any], key_rule: Rule, rule: Rule, path: str) -> Iterator[FieldError]:
    for key, value in values.items():
        yield from key_rule(key, path)
        yield from rule(value, f"{path}[{key}]")


def _validate_attribute(attribute: Struct, path: str) -> Iterator[FieldError]:
    yield from _validate_text(attribute.get("string"), f"{path}.string")
    yield from _validate_version(attribute.get("version"), f"{path}.version")
    for name in LISTS:
        values = attribute.get(name)
        if values is not None and not values:
            yield invalid(f"{path}.{name}", values, "must not be empty if specified")
        for i, value in enumerate(values or ()):
            if name == "strings":
                yield from _validate_text(value, f"{path}.{name}[{i}]")
            elif name == "versions":
                yield from _validate_version(value, f"{path}.{name}[{i}]")
    given = sum(attribute.get(name) is not None for name in (*_SCALARS, *LISTS))
    if not given:
        yield invalid(path, "", _ONE_VALUE)
    elif given > 1:
        yield invalid(path, show_attribute(attribute), _ONE_VALUE)


def _validate_text(value: str | None, path: str) -> Iterator[FieldError]:
    if value is not None and size(value) > limits.VALUE_BYTES:
        yield too_long(path, limits.VALUE_BYTES)


def _validate_version(value: str | None, path: str) -> Iterator[FieldError]:
    if value is not None and not is_semver(value):
        yield invalid(path, value, "must be a string compatible with semver.org spec 2.0.0")
    yield from _validate_text(value, path)


def _validate_plain_capacity(capacity: Struct, path: str) -> Iterator[FieldError]:
    if capacity.get("requestPolicy") is not None:
        yield forbidden(f"{path}.requestPolicy", "allowMultipleAllocations must be true")


def _validate_policy(capacity: Struct, path: str) -> Iterator[FieldError]:
    policy, path = capacity.get("requestPolicy"), f"{path}.requestPolicy"
    if policy is None:
        return
    most, values, bounds = Quantity.parse(capacity["value"]), policy.get("validValues"), policy.get("validRange")
    if values and bounds is not None:
        text = 'exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time'
        yield forbidden(path, text)
    elif values or bounds is not None:
        name = "validValues" if values else "validRange"
        if policy.get("default") is None:
            yield required(f"{path}.default", f"required when {name} is defined")
        elif values:
            yield from _validate_values(Quantity.parse(policy["default"]), most, values, f"{path}.validValues")
        else:
            yield from _validate_range(Quantity.parse(policy["default"]), most, bounds, f"{path}.validRange")


def _validate_values(default: Quantity, most: Quantity, values: Sequence[str], path: str) -> Iterator[FieldError]:
    options = [Quantity.parse(value) for value in values]
    for i in range(1, len(options)):
        if options[i - 1] > options[i]:
            yield invalid(f"{path}[{i}]", str(options[i]), "values must be sorted in ascending order")

    def rule(option: Quantity, where: str) -> Iterator[FieldError]:
        if option > most:
            yield invalid(where, str(option), f"option is larger than capacity value: {most}")

    yield from validate_set(options, limits.REQUEST_OPTIONS, rule, path, lambda option: str(option.value))
    if default not in options:
        yield invalid(path, str(default), "default value is not valid according to the requestPolicy")


def _validate_range(default: Quantity, most: Quantity, bounds: Struct, path: str) -> Iterator[FieldError]:
    low, high, step = (Quantity.parse(bounds[n]) if bounds.get(n) is not None else None for n in ("min", "max", "step"))
    if low is None:
        yield required(f"{path}.min", "required when validRange is defined")
        return
    if low > most:
        yield invalid(f"{path}.min", str(low), f"min is larger than capacity value: {most}")
    if default < low:
        yield invalid(f"{path}.min", str(default), f"default is less than min: {low}")
    if high is not None:
        if low > high:
            yield invalid(f"{path}.max", str(low), f"min is larger than max: {high}")
        if high > most:
            yield invalid(f"{path}.max", str(high), f"max is larger than capacity value: {most}")
        if default > high:
            yield invalid(f"{path}.max", str(default), f"default is more than max: {high}")
    if step is not None:
        if low + step > most:
            text = f"one step {low + step} is larger than capacity value: {most}"
            yield invalid(f"{path}.step", str(step), text)
        for value in (default, high):
            if value is not None and step.value > 0 and (value.value - low.value) % step.value:
                text = f"value is not a multiple of a given step ({step}) from ({low})"
                yield invalid(f"{path}.step", str(value), text)


def validate_counters(counters: Mapping[str, Any] | None, path: str) -> Iterator[FieldError]:
    if not counters:
        yield required(path)
    elif len(counters) > limits.COUNTERS:
        yield too_many(path, len(counters), limits.COUNTERS)
    else:
        for name in counters:
            yield from validate_label(name, path)


def _validate_consumption(consumption: Struct, path: str) -> Iterator[FieldError]:
    name = consumption.get("counterSet", "")
    if not name:
        yield required(f"{path}.counterSet")
    else:
        yield from validate_label(name, f"{path}.counterSet")
    yield from validate_counters(consumption.get("counters"), f"{path}.counters")


def _validate_nodes(device: Struct, path: str) -> Iterator[FieldError]:
    chosen: list[str] = []
    name, selector, everywhere = device.get("nodeName"), device.get("nodeSelector"), device.get("allNodes")
    if name:
        chosen.append("`nodeName`")
        yield from named(is_dns1123_subdomain, name, f"{path}.nodeName")
    elif name is not None:
        yield invalid(f"{path}.nodeName", name, "must not be empty")
    if selector is not None:
        chosen.append("`nodeSelector`")
        yield from validate_node_selector(selector, f"{path}.nodeSelector")
    if everywhere:
        chosen.append("`allNodes`")
    elif everywhere is not None:
        yield invalid(f"{path}.allNodes", everywhere, "must be either unset or set to true")
    if not chosen:
        yield required(path, _ONE_NODE)
    elif len(chosen) > 1:
        yield invalid(path, f"{{{', '.join(chosen)}}}", _ONE_NODE)
