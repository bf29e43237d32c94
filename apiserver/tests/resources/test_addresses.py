"""Addresses of objects: strict where they are new, lenient where they were stored, with warnings in between."""

from __future__ import annotations

import pytest

from apiserver.resources.addresses import cidr_warnings, ip_warnings, non_special_ip, strict_cidr, strict_ip

SOON = "will be considered invalid in a future Kubernetes release: use"


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("10.0.0.1", ""),
        ("2001:db8:0::1", ""),
        ("010.0.0.1", "must not have leading 0s"),
        ("::ffff:10.0.0.1", "must not be an IPv4-mapped IPv6 address"),
        ("10.0.0", "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
    ],
)
def test_new_addresses_must_be_strict(value: str, problem: str) -> None:
    assert [error.detail for error in strict_ip(value, "p")] == ([problem] if problem else [])


def test_stored_addresses_may_stay_lenient_but_not_wrong() -> None:
    assert not list(strict_ip("010.0.0.1", "p", {"010.0.0.1"}))
    assert list(strict_ip("nope", "p", {"nope"}))


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("10.0.0.0/8", ""),
        ("10.0.0.1/8", "must not have bits set beyond the prefix length"),
        ("10.0.0.0/08", "must not have leading 0s in IP or prefix length"),
        ("::ffff:10.0.0.0/120", "must not have an IPv4-mapped IPv6 address"),
        ("10.0.0.0/33", "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"),
    ],
)
def test_new_ranges_must_be_strict(value: str, problem: str) -> None:
    assert [error.detail for error in strict_cidr(value, "p")] == ([problem] if problem else [])


@pytest.mark.parametrize("value", ["0.0.0.0", "127.0.0.1", "::1", "169.254.0.1", "fe80::1", "224.0.0.1", "ff02::1"])
def test_addresses_of_one_node_only_make_no_endpoints(value: str) -> None:
    assert len(list(non_special_ip(value, "p"))) == 1


def test_ordinary_addresses_make_endpoints() -> None:
    for value in ("10.0.0.1", "2001:db8::1", "224.0.1.1"):
        assert not list(non_special_ip(value, "p"))


@pytest.mark.parametrize(
    ("value", "warning"),
    [
        ("10.0.0.1", ""),
        ("010.0.0.1", f'p: non-standard IP address "010.0.0.1" {SOON} "10.0.0.1"'),
        ("::ffff:10.0.0.1", f'p: non-standard IP address "::ffff:10.0.0.1" {SOON} "10.0.0.1"'),
        ("2001:db8:0::1", 'p: IPv6 address "2001:db8:0::1" should be in RFC 5952 canonical format ("2001:db8::1")'),
    ],
)
def test_odd_addresses_are_warned_of(value: str, warning: str) -> None:
    assert list(ip_warnings(value, "p")) == ([warning] if warning else [])


def test_ambiguous_ranges_are_warned_of() -> None:
    assert list(cidr_warnings("10.0.0.1/8", "p")) == [
        'p: CIDR value "10.0.0.1/8" is ambiguous in this context (should be "10.0.0.0/8" or "10.0.0.1/32"?)'
    ]
    assert not list(cidr_warnings("10.0.0.0/8", "p"))
