"""Parts that claims, classes and slices share: names, configurations, tolerations, bounded lists.

Follows: pkg/apis/resource/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from apiserver.resources.core.volume_sources import validate_csi_driver_name
from apiserver.resources.field_rules import named
from apiserver.resources.resource import limits
from openapi.meta.field import FieldError, duplicate, invalid, not_supported, required, too_long, too_many
from openapi.meta.metadata import validate_label_name
from openapi.meta.names import is_c_identifier, is_dns1123_label, is_dns1123_subdomain, is_label_value, size

Struct = Mapping[str, Any]
Rule = Callable[[Any, str], Iterator[FieldError]]

EFFECTS = ("NoExecute", "NoSchedule", "None")
_OMITTED = "<value omitted>"


def validate_list(items: Sequence[Any] | None, most: int, rule: Rule, path: str) -> Iterator[FieldError]:
    """Each item by its rule, unless there are too many of them."""
    if items is None:
        return
    if 0 <= most < len(items):
        yield too_many(path, len(items), most)
        return
    for i, item in enumerate(items):
        yield from rule(item, f"{path}[{i}]")


def validate_set(
    items: Sequence[Any] | None, most: int, rule: Rule, path: str, key: Callable[[Any], Any] = lambda item: item
) -> Iterator[FieldError]:
    """A list without duplicates; those are named after all items have been looked at."""
    if items is None or 0 <= most < len(items):
        yield from validate_list(items, most, rule, path)
        return
    yield from validate_list(items, most, rule, path)
    seen: set[Any] = set()
    for i, item in enumerate(items):
        value = key(item)
        if value in seen:
            yield duplicate(f"{path}[{i}]", value)
        seen.add(value)


def name_of(item: Struct) -> str:
    return str(item.get("name", ""))


def validate_driver_name(name: str, path: str) -> Iterator[FieldError]:
    """Drivers of devices are called as those of volumes are."""
    return validate_csi_driver_name(name, path)


def validate_label(value: str, path: str) -> Iterator[FieldError]:
    return named(is_dns1123_label, value, path)


def validate_pool_name(name: str, path: str) -> Iterator[FieldError]:
    if not name:
        yield required(path)
        return
    if size(name) > limits.POOL_NAME_BYTES:
        yield too_long(path, limits.POOL_NAME_BYTES)
    for part in name.split("/"):
        yield from named(is_dns1123_subdomain, part, path)


def validate_qualified_name(name: str, path: str) -> Iterator[FieldError]:
    """`name` or `domain/name`, as attributes and capacities are called."""
    parts = name.split("/")
    if len(parts) == 1:
        yield from _validate_identifier(name, path)
    elif len(parts) == 2:
        if not parts[0]:
            yield invalid(path, "", "the domain must not be empty")
        else:
            yield from validate_driver_name(parts[0], path)
        if not parts[1]:
            yield invalid(path, "", "the name must not be empty")
        else:
            yield from _validate_identifier(parts[1], path)


def validate_fully_qualified_name(name: str, path: str) -> Iterator[FieldError]:
    yield from validate_qualified_name(name, path)
    if "/" not in name:
        yield invalid(path, name, "a fully qualified name must be a domain and a name separated by a slash")


def _validate_identifier(name: str, path: str) -> Iterator[FieldError]:
    if size(name) > limits.ID_BYTES:
        yield too_long(path, limits.ID_BYTES)
    yield from named(is_c_identifier, name, path)


def validate_device_class_name(name: str, path: str) -> Iterator[FieldError]:
    if not name:
        yield required(path)
    else:
        yield from named(is_dns1123_subdomain, name, path)


def validate_configuration(config: Struct, path: str) -> Iterator[FieldError]:
    """What a driver is told of a device."""
    opaque = config.get("opaque")
    if opaque is None:
        yield required(f"{path}.opaque")
        return
    yield from validate_driver_name(opaque.get("driver", ""), f"{path}.opaque.driver")
    parameters = opaque.get("parameters")
    yield from validate_raw(parameters, f"{path}.opaque.parameters", limits.PARAMETERS_BYTES)


def validate_raw(value: Any, path: str, most_bytes: int) -> Iterator[FieldError]:
    """An embedded JSON object."""
    if value is None:
        yield required(path)
    elif len(orjson.dumps(value)) > most_bytes:
        yield too_long(path, most_bytes)
    elif not isinstance(value, dict):
        yield invalid(path, _OMITTED, "must be a valid JSON object")


def validate_toleration(toleration: Struct, path: str) -> Iterator[FieldError]:
    key, operator = toleration.get("key", ""), toleration.get("operator", "")
    value, effect = toleration.get("value", ""), toleration.get("effect", "")
    if key:
        yield from validate_label_name(key, f"{path}.key")
    if operator == "Exists":
        if value:
            yield invalid(f"{path}.value", value, "must be empty for operator `Exists`")
    elif operator == "Equal":
        yield from named(is_label_value, value, f"{path}.value")
    elif not operator:
        yield required(f"{path}.operator")
    else:
        yield not_supported(f"{path}.operator", operator, ("Equal", "Exists"))
    if effect and effect not in EFFECTS:
        yield not_supported(f"{path}.effect", effect, EFFECTS)


def validate_taint(taint: Struct, path: str) -> Iterator[FieldError]:
    value, effect = taint.get("value", ""), taint.get("effect", "")
    yield from validate_label_name(taint.get("key", ""), f"{path}.key")
    if value:
        yield from named(is_label_value, value, f"{path}.value")
    if not effect:
        yield required(f"{path}.effect")
    elif effect not in EFFECTS:
        yield not_supported(f"{path}.effect", effect, EFFECTS)


def validate_binding_conditions(struct: Struct, path: str) -> Iterator[FieldError]:
    """What must be true, or must not, before a device is bound."""
    wanted = struct.get("bindingConditions") or ()
    failures = struct.get("bindingFailureConditions") or ()
    places = (("bindingConditions", wanted), ("bindingFailureConditions", failures))
    for name, conditions in places:
        yield from validate_list(conditions, limits.BINDING_CONDITIONS, validate_label_name, f"{path}.{name}")
    for name, conditions in places:
        seen: set[str] = set()
        for i, condition in enumerate(conditions):
            if condition in seen:
                yield duplicate(f"{path}.{name}[{i}]", condition)
            seen.add(condition)
            if conditions is failures and condition in wanted:
                text = "bindingFailureConditions must not overlap with bindingConditions"
                yield invalid(f"{path}.{name}[{i}]", condition, text)
    if failures and not wanted:
        text = "bindingConditions are required to use bindingFailureConditions"
        yield invalid(f"{path}.bindingConditions", struct.get("bindingConditions"), text)
    if wanted and not failures:
        text = "bindingFailureConditions are required to use bindingConditions"
        yield invalid(f"{path}.bindingFailureConditions", struct.get("bindingFailureConditions"), text)
