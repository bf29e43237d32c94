"""Ranges of addresses for nodes."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from controllers.node_ipam.controller import prefixes_of
from controllers.node_ipam.ranges import Ranges, RangesExhausted
from controllers.options import Options, WrongOption


def test_ranges_follow_each_other_and_come_back_late() -> None:
    ranges = Ranges(ip_network("10.244.0.0/22"), 24)
    assert [ranges.allocate() for _ in range(2)] == ["10.244.0.0/24", "10.244.1.0/24"]
    ranges.release("10.244.0.0/24")
    assert ranges.allocate() == "10.244.2.0/24"
    assert [ranges.allocate() for _ in range(2)] == ["10.244.3.0/24", "10.244.0.0/24"]
    with pytest.raises(RangesExhausted):
        ranges.allocate()


def test_whatever_overlaps_is_taken() -> None:
    ranges = Ranges(ip_network("10.244.0.0/22"), 24)
    ranges.occupy("10.244.1.128/25")
    ranges.occupy("10.244.2.0/23")
    ranges.occupy("192.0.2.0/24")
    assert ranges.allocate() == "10.244.0.0/24"
    with pytest.raises(RangesExhausted):
        ranges.allocate()


def test_ipv6_nodes_get_a_64() -> None:
    assert Ranges(ip_network("fd00::/56"), 64).allocate() == "fd00::/64"


@pytest.mark.parametrize(("network", "prefix"), [("10.0.0.0/24", 20), ("10.0.0.0/24", 33), ("fd00::/40", 64)])
def test_a_network_must_be_divisible(network: str, prefix: int) -> None:
    with pytest.raises(ValueError, match="cannot be divided"):
        Ranges(ip_network(network), prefix)


BOTH = ["10.244.0.0/16", "fd00::/56"]


@pytest.mark.parametrize(
    ("networks", "sizes", "wanted"),
    [
        (BOTH, {}, [24, 64]),
        (BOTH, {"ipv6": 60}, [24, 60]),
        (BOTH[1:], {"": 62}, [62]),
        (BOTH, {"": 24}, "not allowed with dual-stack"),
        (BOTH[:1], {"": 24, "ipv4": 25}, "please unset it"),
        (BOTH[:1], {"ipv6": 64}, "ipv6 is not allowed for a single-stack IPv4"),
        (BOTH[1:], {"ipv4": 24}, "ipv4 is not allowed for a single-stack IPv6"),
        (BOTH[:1] * 2, {}, "at most one range of each family"),
    ],
)
def test_the_size_of_ranges_by_the_flags(networks: list[str], sizes: dict[str, int], wanted: list[int] | str) -> None:
    options = Options(**{"_".join(filter(None, ("node_cidr_mask_size", key))): size for key, size in sizes.items()})
    if isinstance(wanted, list):
        assert prefixes_of([ip_network(network) for network in networks], options) == wanted
        return
    with pytest.raises(WrongOption, match=wanted):
        prefixes_of([ip_network(network) for network in networks], options)
