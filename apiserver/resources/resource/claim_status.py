"""What a claim got: devices, who uses them, how they are.

Follows: pkg/apis/resource/validation/validation.go validateResourceClaimStatusUpdate
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from ipaddress import ip_interface
from typing import Any

from apiserver.resources.field_rules import IMMUTABLE
from apiserver.resources.node_selectors import validate_node_selector
from apiserver.resources.resource import limits
from apiserver.resources.resource.claim_spec import (
    RequestNames,
    request_names,
    validate_claim_configuration,
    validate_request_reference,
)
from apiserver.resources.resource.parts import (
    validate_binding_conditions,
    validate_driver_name,
    validate_label,
    validate_list,
    validate_pool_name,
    validate_raw,
    validate_set,
)
from apiserver.resources.resource.shown import show_allocation
from apiserver.resources.spec_rules import EMPTY, validate_conditions, verbatim
from openapi.meta.field import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    quote,
    required,
    too_long,
    too_many,
)
from openapi.meta.names import size

Struct = Mapping[str, Any]
DeviceId = tuple[str, str, str, str]

_is_uuid = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch

_UID_FORM = (
    "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal "
    "characters"
)


def drop_lost_devices(status: dict[str, Any], old_status: Struct) -> None:
    """Remove in place what is told of devices that the claim has no longer."""
    lost = {_device_id(result)[:3] for result in _results(old_status)}
    lost -= {_device_id(result)[:3] for result in _results(status)}
    devices = status.get("devices")
    if devices and lost:
        kept = [device for device in devices if _device_id(device)[:3] not in lost]
        if kept:
            status["devices"] = kept
        else:
            del status["devices"]


def _results(status: Struct) -> Sequence[Struct]:
    devices = (status.get("allocation") or EMPTY).get("devices") or EMPTY
    results: Sequence[Struct] = devices.get("results") or ()
    return results


def validate_claim_status(obj: Struct, old: Struct) -> Iterator[FieldError]:
    status, old_status = obj.get("status") or EMPTY, old.get("status") or EMPTY
    allocation, old_allocation = status.get("allocation"), old_status.get("allocation")
    reserved = status.get("reservedFor")
    rule, path = _validate_consumer, "status.reservedFor"
    yield from validate_set(reserved, limits.RESERVATIONS, rule, path, lambda c: c.get("uid", ""))
    yield from _validate_devices(status.get("devices") or (), allocation)
    if reserved:
        if allocation is None:
            yield forbidden(path, "may not be specified when `allocated` is not set")
        elif "deletionTimestamp" in obj["metadata"]:
            known = old_status.get("reservedFor") or ()
            if any(consumer not in known for consumer in reserved):
                text = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"
                yield forbidden(path, text)
    if allocation is not None and old_allocation is not None:
        if allocation != old_allocation:
            yield invalid("status.allocation", show_allocation(allocation), IMMUTABLE)
    elif allocation is not None:
        yield from _validate_allocation(allocation, request_names(obj.get("spec") or EMPTY))


def _validate_consumer(consumer: Struct, path: str) -> Iterator[FieldError]:
    for name in ("resource", "name", "uid"):
        if not consumer.get(name):
            yield required(f"{path}.{name}")


def _validate_allocation(allocation: Struct, names: RequestNames) -> Iterator[FieldError]:
    devices, path = allocation.get("devices") or EMPTY, "status.allocation"
    result_rule = partial(_validate_result, names)
    yield from validate_list(devices.get("results"), limits.RESULTS, result_rule, f"{path}.devices.results")
    config_rule = partial(_validate_configuration, names)
    yield from validate_list(devices.get("config"), 2 * limits.CONFIGS, config_rule, f"{path}.devices.config")
    if allocation.get("nodeSelector") is not None:
        yield from validate_node_selector(allocation["nodeSelector"], f"{path}.nodeSelector")


def _validate_result(names: RequestNames, result: Struct, path: str) -> Iterator[FieldError]:
    yield from validate_request_reference(names, result.get("request", ""), f"{path}.request")
    yield from validate_driver_name(result.get("driver", ""), f"{path}.driver")
    yield from validate_pool_name(result.get("pool", ""), f"{path}.pool")
    yield from validate_label(result.get("device", ""), f"{path}.device")
    yield from validate_binding_conditions(result, path)
    if result.get("shareID") is not None:
        yield from _validate_uid(result["shareID"], f"{path}.shareID")


def _validate_configuration(names: RequestNames, config: Struct, path: str) -> Iterator[FieldError]:
    source = config.get("source", "")
    if not source:
        yield required(f"{path}.source")
    elif source not in ("FromClaim", "FromClass"):
        yield not_supported(f"{path}.source", source, ("FromClaim", "FromClass"))
    yield from validate_claim_configuration(names, config, path)


def _validate_uid(text: str, path: str) -> Iterator[FieldError]:
    problem = _uid_problem(text)
    if problem:
        yield invalid(path, text, f"error validating uid: {problem}")
    elif len(text) != 36 or text != text.lower():
        yield invalid(path, text, _UID_FORM)


def _uid_problem(text: str) -> str:
    """What keeps a text from being a UUID in any of the known forms."""
    plain, length = text, size(text)
    if length == 45:
        if plain[:9].lower() != "urn:uuid:":
            return f"invalid urn prefix: {quote(plain[:9])}"
        plain = plain[9:]
    elif length == 38:
        if plain[0] != "{" or plain[-1] != "}":
            return "invalid bracketed UUID format"
        plain = plain[1:-1]
    elif length not in (32, 36):
        return f"invalid UUID length: {length}"
    return "" if _is_uuid(plain) else "invalid UUID format"


def _device_id(device: Struct) -> DeviceId:
    driver, pool, name, share = (device.get(f) or "" for f in ("driver", "pool", "device", "shareID"))
    return driver, pool, name, share


def _shown_id(device: Struct) -> Any:
    return verbatim(dict(zip(("Driver", "Pool", "Device", "ShareID"), _device_id(device), strict=True)))


def _validate_devices(devices: Sequence[Struct], allocation: Struct | None) -> Iterator[FieldError]:
    results = ((allocation or EMPTY).get("devices") or EMPTY).get("results") or ()
    allocated = {_device_id(result) for result in results}
    for i, device in enumerate(devices):
        yield from _validate_device(device, allocated, f"status.devices[{i}]")
    seen: set[DeviceId] = set()
    for i, device in enumerate(devices):
        if _device_id(device) in seen:
            yield duplicate(f"status.devices[{i}]", _shown_id(device))
        seen.add(_device_id(device))


def _validate_device(device: Struct, allocated: set[DeviceId], path: str) -> Iterator[FieldError]:
    yield from validate_driver_name(device.get("driver", ""), f"{path}.driver")
    yield from validate_pool_name(device.get("pool", ""), f"{path}.pool")
    yield from validate_label(device.get("device", ""), f"{path}.device")
    if device.get("shareID") is not None:
        yield from _validate_uid(device["shareID"], f"{path}.shareID")
    if _device_id(device) not in allocated:
        yield invalid(path, _shown_id(device), "must be an allocated device in the claim")
    conditions = device.get("conditions") or ()
    if len(conditions) > limits.STATUS_CONDITIONS:
        yield too_many(f"{path}.conditions", len(conditions), limits.STATUS_CONDITIONS)
    yield from validate_conditions(conditions, f"{path}.conditions")
    if device.get("data") is not None:
        yield from validate_raw(device["data"], f"{path}.data", limits.PARAMETERS_BYTES)
    yield from _validate_network(device.get("networkData") or EMPTY, f"{path}.networkData")


def _validate_network(network: Struct, path: str) -> Iterator[FieldError]:
    sizes = (
        ("interfaceName", limits.INTERFACE_NAME_BYTES),
        ("hardwareAddress", limits.HARDWARE_ADDRESS_BYTES),
    )
    for name, most in sizes:
        if len(network.get(name, "").encode()) > most:
            yield too_long(f"{path}.{name}", most)
    yield from validate_set(network.get("ips"), limits.IPS, _validate_interface_address, f"{path}.ips")


def _validate_interface_address(text: str, path: str) -> Iterator[FieldError]:
    try:
        canonical = str(ip_interface(text)) if "/" in text else ""
    except ValueError:
        canonical = ""
    if not canonical:
        text_of_rule = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)"
        yield invalid(path, text, text_of_rule)
    elif canonical != text:
        yield invalid(path, text, f'must be in canonical form ("{canonical}")')
