"""Endpoint slices, service ranges and address claims: their rules and what tables show."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from apiserver.resources.strategy import Strategy, User, WriteContext
from apiserver.resources.table import STRATEGIES
from openapi.catalog import GroupResource

Object = dict[str, Any]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONTEXT = WriteContext(User("tester"), NOW, "default")
SLICES = STRATEGIES[GroupResource("discovery.k8s.io", "endpointslices")]
RANGES = STRATEGIES[GroupResource("networking.k8s.io", "servicecidrs")]
CLAIMS = STRATEGIES[GroupResource("networking.k8s.io", "ipaddresses")]


def problems(strategy: Strategy, obj: Object, old: Object | None = None) -> list[str]:
    return [str(error) for error in strategy.validate(obj, old, CONTEXT)]


def endpoint_slice(*addresses: str, kind: str = "IPv4", **more: Any) -> Object:
    meta = {"name": "a", "namespace": "default", "resourceVersion": "1"}
    return {"metadata": meta, "addressType": kind, "endpoints": [{"addresses": list(addresses)}], **more}


@pytest.mark.parametrize(
    ("kind", "address", "expected"),
    [
        ("IPv4", "10.0.0.1", []),
        ("IPv6", "2001:db8::1", []),
        ("FQDN", "a.example.com", []),
        ("IPv4", "2001:db8::1", ['endpoints[0].addresses: Invalid value: "2001:db8::1": must be an IPv4 address']),
        ("IPv6", "10.0.0.1", ['endpoints[0].addresses: Invalid value: "10.0.0.1": must be an IPv6 address']),
        ("IPv4", "010.0.0.1", ['endpoints[0].addresses[0]: Invalid value: "010.0.0.1": must not have leading 0s']),
    ],
)
def test_addresses_of_a_slice_are_of_its_type(kind: str, address: str, expected: list[str]) -> None:
    assert problems(SLICES, endpoint_slice(address, kind=kind)) == expected


def test_the_type_of_a_slice_does_not_change() -> None:
    assert problems(SLICES, endpoint_slice("2001:db8::1", kind="IPv6"), endpoint_slice("10.0.0.1")) == [
        'addressType: Invalid value: "IPv6": field is immutable'
    ]


def test_generation_counts_changes_of_content_and_labels_only() -> None:
    old = endpoint_slice("10.0.0.1")
    SLICES.prepare(old, None, CONTEXT)
    same, more = endpoint_slice("10.0.0.1"), endpoint_slice("10.0.0.1", "10.0.0.2")
    labelled = endpoint_slice("10.0.0.1")
    labelled["metadata"]["labels"] = {"a": "b"}
    for changed in (same, more, labelled):
        changed["metadata"].setdefault("generation", old["metadata"]["generation"])
        SLICES.prepare(changed, old, CONTEXT)
    assert [o["metadata"]["generation"] for o in (old, same, more, labelled)] == [1, 1, 2, 2]


def test_topology_of_old_versions_is_dropped_unless_it_is_stored() -> None:
    fresh = endpoint_slice("10.0.0.1")
    fresh["endpoints"][0]["deprecatedTopology"] = {"a": "b"}
    SLICES.prepare(fresh, None, CONTEXT)
    assert "deprecatedTopology" not in fresh["endpoints"][0]


@pytest.mark.parametrize(
    ("cidrs", "expected"),
    [
        (["10.0.0.0/16"], []),
        (["10.0.0.0/16", "fd00::/64"], []),
        ([], ["spec.cidrs: Required value: at least one CIDR required"]),
        (["fd00:0::/64"], ['spec.cidrs[0]: Invalid value: "fd00:0::/64": must be in canonical form ("fd00::/64")']),
    ],
)
def test_ranges_are_one_of_each_family_at_most(cidrs: list[str], expected: list[str]) -> None:
    assert problems(RANGES, {"metadata": {"name": "a"}, "spec": {"cidrs": cidrs}}) == expected


def test_a_claim_is_named_by_its_address_and_keeps_its_parent() -> None:
    def claim(name: str, parent: str) -> Object:
        meta = {"name": name, "resourceVersion": "1"}
        return {"metadata": meta, "spec": {"parentRef": {"resource": "services", "namespace": "x", "name": parent}}}

    assert problems(CLAIMS, claim("10.0.0.1", "a")) == []
    assert problems(CLAIMS, claim("2001:db8:0::1", "a")) == [
        'metadata.name: Invalid value: "2001:db8:0::1": must be in canonical form ("2001:db8::1")'
    ]
    assert problems(CLAIMS, claim("10.0.0.1", "b"), claim("10.0.0.1", "a")) == [
        'spec.parentRef: Invalid value: {"Group":"","Resource":"services","Namespace":"x","Name":"b"}: '
        "field is immutable"
    ]
    assert CLAIMS.cells(claim("10.0.0.1", "a"), NOW)[:2] == ["10.0.0.1", "services/x/a"]
