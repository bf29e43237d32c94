"""Ranges of addresses for nodes."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from controllers.node_ipam.ranges import Ranges, RangesExhausted


def test_ranges_follow_each_other_and_come_back_late() -> None:
    ranges = Ranges(ip_network("10.244.0.0/22"))
    assert [ranges.allocate() for _ in range(2)] == ["10.244.0.0/24", "10.244.1.0/24"]
    ranges.release("10.244.0.0/24")
    assert ranges.allocate() == "10.244.2.0/24"
    assert [ranges.allocate() for _ in range(2)] == ["10.244.3.0/24", "10.244.0.0/24"]
    with pytest.raises(RangesExhausted):
        ranges.allocate()


def test_whatever_overlaps_is_taken() -> None:
    ranges = Ranges(ip_network("10.244.0.0/22"))
    ranges.occupy("10.244.1.128/25")
    ranges.occupy("10.244.2.0/23")
    ranges.occupy("192.0.2.0/24")
    assert ranges.allocate() == "10.244.0.0/24"
    with pytest.raises(RangesExhausted):
        ranges.allocate()


def test_ipv6_nodes_get_a_64() -> None:
    assert Ranges(ip_network("fd00::/56")).allocate() == "fd00::/64"
