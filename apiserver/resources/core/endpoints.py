"""Endpoints: subsets of addresses with their ports. Deprecated, so every write says so.

Follows: pkg/registry/core/endpoint/strategy.go, pkg/apis/core/validation/validation.go ValidateEndpoints
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from apiserver.resources.addresses import ip_warnings, non_special_ip, strict_ip
from apiserver.resources.age import age
from apiserver.resources.core import columns
from apiserver.resources.field_rules import named, port_number, protocol
from apiserver.resources.object_meta import validate_object_meta, validate_object_meta_update
from apiserver.resources.strategy import Object, Strategy, WriteContext
from openapi.meta import names
from openapi.meta.field import FieldError, invalid, required
from openapi.meta.times import parse_time

TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"
MANAGED_BY = "endpoints.kubernetes.io/managed-by"
_SHOWN = 3


class EndpointsStrategy(Strategy):
    allow_create_on_update = True
    columns = columns.ENDPOINTS

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        stored: set[str] = set()
        if old is not None:
            yield from validate_object_meta_update(obj["metadata"], old["metadata"])
            stored = {address.get("ip", "") for _, address in _addresses(old)}
        yield from validate_object_meta(obj["metadata"], namespaced=True, name=names.name_is_dns_subdomain)
        yield from _validate_trigger_time(obj["metadata"])
        for i, subset in enumerate(obj.get("subsets") or ()):
            yield from _validate_subset(subset, f"subsets[{i}]", stored)

    def warnings(self, obj: Object, old: Object | None) -> Iterable[str]:
        if MANAGED_BY in (obj["metadata"].get("labels") or ()):
            return ()
        return [text for path, address in _addresses(obj) for text in ip_warnings(address.get("ip", ""), f"{path}.ip")]

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta = obj["metadata"]
        return [meta["name"], endpoints_cell(obj), age(meta.get("creationTimestamp"), now)]


def _addresses(obj: Object) -> Iterator[tuple[str, Object]]:
    for i, subset in enumerate(obj.get("subsets") or ()):
        for kind in ("addresses", "notReadyAddresses"):
            for j, address in enumerate(subset.get(kind) or ()):
                yield f"subsets[{i}].{kind}[{j}]", address


def _validate_trigger_time(meta: Object) -> Iterator[FieldError]:
    value = (meta.get("annotations") or {}).get(TRIGGER_TIME)
    if value is None:
        return
    try:
        parse_time(value)
    except ValueError:
        yield invalid(f"annotations[{TRIGGER_TIME}]", value, "must be a valid RFC3339 timestamp")


def _validate_subset(subset: Object, path: str, stored: set[str]) -> Iterator[FieldError]:
    if not subset.get("addresses") and not subset.get("notReadyAddresses"):
        yield required(path, "must specify `addresses` or `notReadyAddresses`")
    for kind in ("addresses", "notReadyAddresses"):
        for i, address in enumerate(subset.get(kind) or ()):
            yield from _validate_address(address, f"{path}.{kind}[{i}]", stored)
    ports = subset.get("ports") or ()
    for i, port in enumerate(ports):
        yield from _validate_port(port, f"{path}.ports[{i}]", need_name=len(ports) > 1)


def _validate_address(address: Object, path: str, stored: set[str]) -> Iterator[FieldError]:
    ip = address.get("ip", "")
    yield from strict_ip(ip, f"{path}.ip", stored)
    if address.get("hostname"):
        yield from named(names.is_dns1123_label, address["hostname"], f"{path}.hostname")
    if address.get("nodeName") is not None:
        yield from named(names.is_dns1123_subdomain, address["nodeName"], f"{path}.nodeName")
    yield from non_special_ip(ip, f"{path}.ip")


def _validate_port(port: Object, path: str, *, need_name: bool) -> Iterator[FieldError]:
    name = port.get("name", "")
    if name:
        yield from named(names.is_dns1123_label, name, f"{path}.name")
    elif need_name:
        yield required(f"{path}.name")
    yield from port_number(port.get("port", 0), f"{path}.port")
    yield from protocol(port.get("protocol", ""), f"{path}.protocol")
    if port.get("appProtocol") is not None:
        yield from named(names.is_qualified_name, port["appProtocol"], f"{path}.appProtocol")


def endpoints_cell(obj: Object) -> str:
    """The first addresses with their ports, and how many more there are."""
    subsets = obj.get("subsets") or ()
    if not subsets:
        return "<none>"
    shown: list[str] = []
    count = 0
    for subset in subsets:
        addresses, ports = subset.get("addresses") or (), subset.get("ports") or ()
        if not ports:
            count += len(addresses)
            shown += [address.get("ip", "") for address in addresses[: max(_SHOWN - len(shown), 0)]]
            continue
        count += len(addresses) * len(ports)
        for port in ports:
            for address in addresses[: max(_SHOWN - len(shown), 0)]:
                shown.append(_host_port(address.get("ip", ""), port.get("port", 0)))
    text = ",".join(shown)
    return f"{text} + {count - len(shown)} more..." if count > len(shown) else text


def _host_port(ip: str, port: int) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"
