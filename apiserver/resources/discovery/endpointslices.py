"""EndpointSlices: up to a thousand endpoints of one address type.

Follows: pkg/registry/discovery/endpointslice/strategy.go, pkg/apis/discovery/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from ipaddress import IPv4Address
from typing import Any

from apiserver.resources.addresses import ip_warnings, non_special_ip, strict_ip
from apiserver.resources.age import age
from apiserver.resources.discovery import columns
from apiserver.resources.field_rules import first_use, immutable, named, protocol
from apiserver.resources.object_meta import validate_object_meta, validate_object_meta_update
from apiserver.resources.strategy import Object, Strategy, WriteContext
from openapi.meta import names
from openapi.meta.field import FieldError, internal, invalid, not_supported, required, too_many
from openapi.meta.metadata import validate_labels

ADDRESS_TYPES = ("IPv4", "IPv6", "FQDN")
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
ZONE_LABEL = "topology.kubernetes.io/zone"
_CONTROLLERS = ("endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io")
_MOST = {"endpoints": 1000, "addresses": 100, "ports": 20000, "topology": 16, "hints": 8}
_SHOWN = 3


class EndpointSlices(Strategy):
    allow_create_on_update = True
    columns = columns.ENDPOINT_SLICE

    def prepare(self, obj: Object, old: Object | None, context: WriteContext) -> None:
        _drop_topology(obj, old)
        if old is None:
            obj["metadata"]["generation"] = 1
            return
        content = {k: v for k, v in obj.items() if k != "metadata"}
        stored = {k: v for k, v in old.items() if k != "metadata"}
        meta, before = obj["metadata"], old["metadata"]
        if content != stored or (meta.get("labels") or {}) != (before.get("labels") or {}):
            meta["generation"] = before.get("generation", 0) + 1

    def canonicalize(self, obj: Object) -> None:
        """Empty lists are stored as null."""
        for field in ("endpoints", "ports"):
            obj[field] = obj.get(field) or None

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        stored: set[str] = set()
        if old is not None:
            stored = {ip for endpoint in old.get("endpoints") or () for ip in endpoint.get("addresses") or ()}
            yield from validate_object_meta_update(obj["metadata"], old["metadata"])
        yield from validate_object_meta(obj["metadata"], namespaced=True, name=names.name_is_dns_subdomain)
        kind = obj.get("addressType", "")
        if not kind:
            yield required("addressType")
        elif kind not in ADDRESS_TYPES:
            yield not_supported("addressType", kind, ADDRESS_TYPES)
        endpoints = obj.get("endpoints") or ()
        if len(endpoints) > _MOST["endpoints"]:
            yield too_many("endpoints", len(endpoints), _MOST["endpoints"])
        else:
            for i, endpoint in enumerate(endpoints):
                yield from _validate_endpoint(endpoint, kind, f"endpoints[{i}]", stored)
        yield from _validate_ports(obj.get("ports") or ())
        if old is not None:
            yield from immutable(kind, old.get("addressType", ""), "addressType")

    def warnings(self, obj: Object, old: Object | None) -> Iterable[str]:
        if old is None and obj.get("addressType") == "FQDN":
            yield "spec.addressType: FQDN endpoints are deprecated"
        if (obj["metadata"].get("labels") or {}).get(MANAGED_BY) in _CONTROLLERS or obj.get("addressType") == "FQDN":
            return
        for i, endpoint in enumerate(obj.get("endpoints") or ()):
            for j, address in enumerate(endpoint.get("addresses") or ()):
                yield from ip_warnings(address, f"endpoints[{i}].addresses[{j}]")

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta = obj["metadata"]
        addresses = [ip for endpoint in obj.get("endpoints") or () for ip in endpoint.get("addresses") or ()]
        ports = [_port_cell(port) for port in obj.get("ports") or ()]
        return [
            meta["name"],
            obj.get("addressType", ""),
            _some(ports),
            _some(addresses),
            age(meta.get("creationTimestamp"), now),
        ]


def _drop_topology(obj: Object, old: Object | None) -> None:
    """Only what was stored by an older version may still carry topology."""
    stored = [e["deprecatedTopology"] for e in (old or {}).get("endpoints") or () if e.get("deprecatedTopology")]
    for endpoint in obj.get("endpoints") or ():
        topology = endpoint.get("deprecatedTopology")
        if topology is not None and topology not in stored:
            del endpoint["deprecatedTopology"]


def _validate_endpoint(endpoint: Object, kind: str, path: str, stored: set[str]) -> Iterator[FieldError]:
    addresses, where = endpoint.get("addresses") or (), f"{path}.addresses"
    if not addresses:
        yield required(where, "must contain at least 1 address")
    elif len(addresses) > _MOST["addresses"]:
        yield too_many(where, len(addresses), _MOST["addresses"])
    for i, address in enumerate(addresses):
        if kind == "FQDN":
            yield from named(names.is_fully_qualified_domain_name, address, f"{where}[{i}]")
        elif kind in ADDRESS_TYPES:
            yield from _validate_ip(address, kind, where, i, stored)
    if endpoint.get("nodeName") is not None:
        yield from named(names.is_dns1123_subdomain, endpoint["nodeName"], f"{path}.nodeName")
    topology = endpoint.get("deprecatedTopology") or {}
    if len(topology) > _MOST["topology"]:
        yield too_many(f"{path}.deprecatedTopology", len(topology), _MOST["topology"])
    yield from validate_labels(topology, f"{path}.deprecatedTopology")
    if ZONE_LABEL in topology:
        yield internal(f"{path}.deprecatedTopology[{ZONE_LABEL}]", "reserved key was not removed in conversion")
    if endpoint.get("hostname") is not None:
        yield from named(names.is_dns1123_label, endpoint["hostname"], f"{path}.hostname")
    if endpoint.get("hints") is not None:
        yield from _validate_hints(endpoint["hints"], f"{path}.hints")


def _validate_ip(address: str, kind: str, path: str, index: int, stored: set[str]) -> Iterator[FieldError]:
    problems = list(strict_ip(address, f"{path}[{index}]", stored))
    if problems:
        yield from problems
        return
    parsed = names.parse_ip(address)
    version = "IPv4" if isinstance(parsed, IPv4Address) or (parsed and parsed.ipv4_mapped) else "IPv6"
    if version != kind:
        yield invalid(path, address, f"must be an {kind} address")
    yield from non_special_ip(address, f"{path}[{index}]")


def _validate_hints(hints: Object, path: str) -> Iterator[FieldError]:
    for field, check in (("forZones", names.is_label_value), ("forNodes", names.is_dns1123_subdomain)):
        targets, where = hints.get(field) or (), f"{path}.{field}"
        if len(targets) > _MOST["hints"]:
            yield too_many(where, len(targets), _MOST["hints"])
            continue
        seen: set[str] = set()
        for i, target in enumerate(targets):
            name = target.get("name", "")
            yield from first_use(name, seen, f"{where}[{i}].name")
            yield from named(check, name, f"{where}[{i}].name")


def _validate_ports(ports: Iterable[Object]) -> Iterator[FieldError]:
    all_ports = list(ports)
    if len(all_ports) > _MOST["ports"]:
        yield too_many("ports", len(all_ports), _MOST["ports"])
        return
    seen: set[str] = set()
    for i, port in enumerate(all_ports):
        path, name = f"ports[{i}]", port.get("name") or ""
        if name:
            yield from named(names.is_dns1123_label, name, f"{path}.name")
        yield from first_use(name, seen, f"{path}.name")
        yield from protocol(port.get("protocol") or "", f"{path}.protocol")
        if port.get("appProtocol") is not None:
            yield from named(names.is_qualified_name, port["appProtocol"], f"{path}.appProtocol")


def _port_cell(port: Object) -> str:
    number = port.get("port")
    return str(number) if number is not None else str(port.get("name") or "*")


def _some(values: list[str]) -> str:
    """The first few, and how many more there are."""
    if not values:
        return "<unset>"
    text = ",".join(values[:_SHOWN])
    return f"{text} + {len(values) - _SHOWN} more..." if len(values) > _SHOWN else text
