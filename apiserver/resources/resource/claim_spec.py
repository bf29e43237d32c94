"""What a claim asks for: requests, constraints between them, configurations for the drivers.

Follows: pkg/apis/resource/validation/validation.go validateDeviceClaim
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from apiserver.resources.resource import limits
from apiserver.resources.resource.parts import (
    name_of,
    validate_configuration,
    validate_device_class_name,
    validate_fully_qualified_name,
    validate_label,
    validate_list,
    validate_set,
    validate_toleration,
)
from apiserver.resources.resource.selectors import validate_selectors
from apiserver.resources.spec_rules import EMPTY
from openapi.meta.field import FieldError, invalid, not_supported, required

Struct = Mapping[str, Any]
RequestNames = Mapping[str, frozenset[str]]
"""The names of requests with those of their alternatives."""

_ONE = "exactly one of `exactly` or `firstAvailable` is required"
_NO_REQUEST = (
    "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
)
_NO_ATTRIBUTE = (
    'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set'
)


def request_names(spec: Struct) -> RequestNames:
    requests = (spec.get("devices") or EMPTY).get("requests") or ()
    return {name_of(r): frozenset(name_of(sub) for sub in r.get("firstAvailable") or ()) for r in requests}


def validate_claim_spec(spec: Struct, path: str) -> Iterator[FieldError]:
    devices, path = spec.get("devices") or EMPTY, f"{path}.devices"
    names = request_names(spec)
    requests, constraints, config = (devices.get(name) for name in ("requests", "constraints", "config"))
    yield from validate_set(requests, limits.REQUESTS, _validate_request, f"{path}.requests", name_of)
    constraint_rule = partial(_validate_constraint, names)
    yield from validate_list(constraints, limits.CONSTRAINTS, constraint_rule, f"{path}.constraints")
    config_rule = partial(validate_claim_configuration, names)
    yield from validate_list(config, limits.CONFIGS, config_rule, f"{path}.config")


def _validate_request(request: Struct, path: str) -> Iterator[FieldError]:
    exactly, alternatives = request.get("exactly"), request.get("firstAvailable")
    yield from validate_label(request.get("name", ""), f"{path}.name")
    if alternatives:
        rule = _validate_alternative
        yield from validate_set(alternatives, limits.ALTERNATIVES, rule, f"{path}.firstAvailable", name_of)
    if exactly is not None:
        yield from _validate_wanted(exactly, f"{path}.exactly")
    if exactly is None and not alternatives:
        yield required(path, _ONE)
    elif exactly is not None and alternatives:
        yield invalid(path, None, f"{_ONE}, but multiple fields are set")


def _validate_alternative(wanted: Struct, path: str) -> Iterator[FieldError]:
    yield from validate_label(wanted.get("name", ""), f"{path}.name")
    yield from _validate_wanted(wanted, path)


def _validate_wanted(wanted: Struct, path: str) -> Iterator[FieldError]:
    yield from validate_device_class_name(wanted.get("deviceClassName", ""), f"{path}.deviceClassName")
    yield from validate_selectors(wanted.get("selectors"), f"{path}.selectors")
    mode, count = wanted.get("allocationMode", ""), wanted.get("count", 0)
    if mode == "All":
        if count:
            yield invalid(f"{path}.count", count, f"must not be specified when allocationMode is '{mode}'")
    elif mode == "ExactCount":
        if count <= 0:
            yield invalid(f"{path}.count", count, "must be greater than zero")
    else:
        yield not_supported(f"{path}.allocationMode", mode, ("All", "ExactCount"))
    for i, toleration in enumerate(wanted.get("tolerations") or ()):
        yield from validate_toleration(toleration, f"{path}.tolerations[{i}]")


def _validate_constraint(names: RequestNames, constraint: Struct, path: str) -> Iterator[FieldError]:
    rule = partial(validate_request_reference, names)
    yield from validate_set(constraint.get("requests"), limits.REQUESTS, rule, f"{path}.requests")
    for name in ("matchAttribute", "distinctAttribute"):
        if constraint.get(name) is not None:
            yield from validate_fully_qualified_name(constraint[name], f"{path}.{name}")
            return
    yield required(path, _NO_ATTRIBUTE)


def validate_claim_configuration(names: RequestNames, config: Struct, path: str) -> Iterator[FieldError]:
    rule = partial(validate_request_reference, names)
    yield from validate_set(config.get("requests"), limits.REQUESTS, rule, f"{path}.requests")
    yield from validate_configuration(config, path)


def validate_request_reference(names: RequestNames, name: str, path: str) -> Iterator[FieldError]:
    parts = name.split("/")
    if len(parts) > 2:
        yield invalid(path, name, _NO_REQUEST)
        return
    for part in parts:
        yield from validate_label(part, path)
    if parts[0] not in names or (len(parts) == 2 and parts[1] not in names[parts[0]]):
        yield invalid(path, name, _NO_REQUEST)
