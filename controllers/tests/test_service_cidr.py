"""When a ServiceCIDR may go."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.service_cidr import ALLOCATOR, MANAGED_BY, can_go, has_address, overlap

Object = dict[str, Any]


def cidr(name: str, *ranges: str) -> Object:
    return {"metadata": {"name": name}, "spec": {"cidrs": list(ranges)}}


def address(ip: str) -> Object:
    return {"metadata": {"name": ip, "labels": {MANAGED_BY: ALLOCATOR}}}


@pytest.mark.parametrize(
    ("others", "used", "expected"),
    [
        ([], [], True),
        ([], ["10.0.0.1"], False),
        ([], ["10.9.0.1"], True),
        ([cidr("b", "10.0.0.0/16")], ["10.0.0.1"], True),
        ([cidr("b", "10.0.0.0/28")], ["10.0.0.1"], True),
        ([cidr("b", "10.0.0.0/28")], ["10.0.0.200"], False),
    ],
    ids=["unused", "used", "elsewhere", "in-a-larger-one", "address-in-a-smaller-one", "address-outside-the-smaller"],
)
def test_goes_only_without_orphaning_addresses(others: list[Object], used: list[str], expected: bool) -> None:
    mine = cidr("a", "10.0.0.0/24")
    assert can_go(mine, [mine, *others], [address(ip) for ip in used]) is expected


def test_families_do_not_mix() -> None:
    both = cidr("a", "10.0.0.0/24", "fd00::/112")
    assert overlap(both, cidr("b", "fd00::/64"))
    assert not overlap(cidr("c", "10.0.0.0/24"), cidr("b", "fd00::/64"))
    assert has_address(both, "fd00::1")
    assert not has_address(both, "fd01::1")
