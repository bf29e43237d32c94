"""Network policies: which traffic may reach pods and leave them.

Follows: pkg/registry/networking/networkpolicy/strategy.go, pkg/apis/networking/validation/validation.go
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from apiserver.resources.addresses import cidr_warnings, strict_cidr
from apiserver.resources.age import age
from apiserver.resources.apps.workload import selector_cell
from apiserver.resources.field_rules import named
from apiserver.resources.networking.columns import NETWORK_POLICY
from apiserver.resources.object_meta import validate_object_meta, validate_object_meta_update
from apiserver.resources.spec_rules import EMPTY, has_invalid_values
from apiserver.resources.strategy import Object, WithStatus, WriteContext
from openapi.meta.field import FieldError, forbidden, invalid, not_supported_listed, required
from openapi.meta.names import is_port_name, is_port_number, name_is_dns_subdomain, parse_cidr
from openapi.meta.selectors import validate_label_selector

Struct = Mapping[str, Any]

_PROTOCOLS = ("TCP", "UDP", "SCTP")
_TYPES = ("Ingress", "Egress")
_PEERS = {"ingress": "from", "egress": "to"}


class NetworkPolicyStrategy(WithStatus):
    """It has no status, but its generation counts changes of the spec."""

    reset_fields = ()
    empty_status = False
    columns = NETWORK_POLICY

    def validate(self, obj: Object, old: Object | None, context: WriteContext) -> Iterator[FieldError]:
        lax, stored = False, frozenset[str]()
        if old is None:
            yield from validate_object_meta(obj["metadata"], namespaced=True, name=name_is_dns_subdomain)
        else:
            yield from validate_object_meta_update(obj["metadata"], old["metadata"])
            lax = has_invalid_values((old.get("spec") or EMPTY).get("podSelector"))
            stored = frozenset(cidr for _, cidr in _cidrs(old.get("spec") or EMPTY))
        yield from _validate_spec(obj.get("spec") or EMPTY, lax, stored)

    def warnings(self, obj: Object, old: Object | None) -> Iterable[str]:
        return _address_warnings(obj.get("spec") or EMPTY)

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        meta, spec = obj["metadata"], obj.get("spec") or EMPTY
        selector = selector_cell(spec.get("podSelector") or {})
        return [meta.get("name", ""), selector, age(meta.get("creationTimestamp"), now)]


def _rules(spec: Struct) -> Iterator[tuple[str, Struct, str]]:
    """Every rule with its path and what it calls its peers."""
    for direction, peers in _PEERS.items():
        for index, rule in enumerate(spec.get(direction) or ()):
            yield f"spec.{direction}[{index}]", rule, peers


def _cidrs(spec: Struct) -> Iterator[tuple[str, str]]:
    """Every range with its path."""
    for path, rule, peers in _rules(spec):
        for index, peer in enumerate(rule.get(peers) or ()):
            block = peer.get("ipBlock") or EMPTY
            where = f"{path}.{peers}[{index}].ipBlock"
            if block.get("cidr"):
                yield f"{where}.cidr", block["cidr"]
            for place, cidr in enumerate(block.get("except") or ()):
                yield f"{where}.except[{place}]", cidr


def _address_warnings(spec: Struct) -> Iterator[str]:
    for path, cidr in _cidrs(spec):
        yield from cidr_warnings(cidr, path)


def _validate_spec(spec: Struct, lax: bool, stored: Container[str]) -> Iterator[FieldError]:
    """`stored` ranges may keep an older, lenient form."""
    yield from validate_label_selector(spec.get("podSelector"), "spec.podSelector", allow_invalid_values=lax)
    for path, rule, peers in _rules(spec):
        for index, port in enumerate(rule.get("ports") or ()):
            yield from _validate_port(port, f"{path}.ports[{index}]")
        for index, peer in enumerate(rule.get(peers) or ()):
            yield from _validate_peer(peer, f"{path}.{peers}[{index}]", lax, stored)
    types = spec.get("policyTypes") or []
    if len(types) > len(_TYPES):
        yield invalid("spec.policyTypes", types, "may not specify more than two policyTypes")
        return
    for index, kind in enumerate(types):
        if kind not in _TYPES:
            yield not_supported_listed(f"spec.policyTypes[{index}]", kind, _TYPES)


def _validate_port(port: Struct, path: str) -> Iterator[FieldError]:
    protocol, value, end = port.get("protocol"), port.get("port"), port.get("endPort")
    if protocol is not None and protocol not in _PROTOCOLS:
        yield not_supported_listed(f"{path}.protocol", protocol, _PROTOCOLS)
    if value is None:
        if end is not None:
            yield invalid(f"{path}.endPort", end, "may not be specified when `port` is not specified")
    elif isinstance(value, str):
        if end is not None:
            yield invalid(f"{path}.endPort", end, "may not be specified when `port` is non-numeric")
        yield from named(is_port_name, value, f"{path}.port")
    else:
        for problem in is_port_number(value):
            yield invalid(f"{path}.port", value, problem)
        if end is not None:
            if end < value:
                yield invalid(f"{path}.endPort", value, "must be greater than or equal to `port`")
            for problem in is_port_number(end):
                yield invalid(f"{path}.endPort", end, problem)


def _validate_peer(peer: Struct, path: str, lax: bool, stored: Container[str]) -> Iterator[FieldError]:
    selectors = [name for name in ("podSelector", "namespaceSelector") if peer.get(name) is not None]
    for name in selectors:
        yield from validate_label_selector(peer[name], f"{path}.{name}", allow_invalid_values=lax)
    block = peer.get("ipBlock")
    if block is not None:
        yield from _validate_block(block, f"{path}.ipBlock", stored)
        if selectors:
            yield forbidden(path, "may not specify both ipBlock and another peer")
    elif not selectors:
        yield required(path, "must specify a peer")


def _validate_block(block: Struct, path: str, stored: Container[str]) -> Iterator[FieldError]:
    cidr = block.get("cidr", "")
    if not cidr:
        yield required(f"{path}.cidr")
        return
    yield from strict_cidr(cidr, f"{path}.cidr", stored)
    network = parse_cidr(cidr)
    if network is None:
        return
    for index, text in enumerate(block.get("except") or ()):
        where = f"{path}.except[{index}]"
        yield from strict_cidr(text, where, stored)
        part = parse_cidr(text)
        if part is None:
            continue
        if part.network_address not in network or network.prefixlen >= part.prefixlen:
            yield invalid(where, text, "must be a strict subset of `cidr`")
