"""IP addresses and CIDRs in objects: what is wrong with them, and what the API warns of.

New values must be in the strict form (no leading zeros, no IPv4 wrapped in IPv6, no bits behind the prefix); values
that are already stored in an older, lenient form may stay.
Follows: staging/src/k8s.io/apimachinery/pkg/util/validation/ip.go
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_address, ip_interface

from openapi.meta import names
from openapi.meta.field import FieldError, invalid, quote

Address = IPv4Address | IPv6Address

_SOON_INVALID = "will be considered invalid in a future Kubernetes release: use"


def address_text(address: Address) -> str:
    """The canonical text; an IPv4 address wrapped in IPv6 becomes plain."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


def is_ipv6_text(value: str) -> bool:
    """Is an IPv6 address that is not a wrapped IPv4 one."""
    address = names.parse_ip(value)
    return isinstance(address, IPv6Address) and address.ipv4_mapped is None


@dataclass(frozen=True, slots=True)
class _Examined:
    """What is known of one text: why it is no strict address, why it makes no endpoint, how it should be written."""

    strict: str
    special: tuple[str, ...]
    wrapped: bool
    canonical: str


@lru_cache(maxsize=16384)
def _examine(value: str) -> _Examined:
    """The same addresses come back with every change of their service, so they are looked at once."""
    address = names.parse_ip(value)
    if address is None:
        text = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
        return _Examined(text, ("must be a valid IP address",), False, "")
    strict, canonical = "", address_text(address)
    try:
        if isinstance(plain := ip_address(value), IPv6Address) and plain.ipv4_mapped is not None:
            strict = "must not be an IPv4-mapped IPv6 address"
    except ValueError:
        strict = "must not have leading 0s"
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return _Examined(strict, tuple(_special(address, value)), bool(strict), canonical)


def _special(address: Address, value: str) -> Iterator[str]:
    if address.is_unspecified:
        yield f"may not be unspecified ({value})"
    if address.is_loopback:
        yield "may not be in the loopback range (127.0.0.0/8, ::1/128)"
    if address.is_link_local:
        yield "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
    if _is_link_local_multicast(address):
        yield "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"


def strict_ip(value: str, path: str, stored: Container[str] = ()) -> Iterator[FieldError]:
    """What is wrong with an address; `stored` are values of the old object, which the lenient form suffices for."""
    found = _examine(value)
    if found.strict and (not found.canonical or value not in stored):
        yield invalid(path, value, found.strict)


def strict_cidr(value: str, path: str, stored: Container[str] = ()) -> Iterator[FieldError]:
    network = names.parse_cidr(value)
    if network is None:
        yield invalid(path, value, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")
        return
    if value in stored:
        return
    interface = _interface(value)
    if interface is None:
        yield invalid(path, value, "must not have leading 0s in IP or prefix length")
    elif isinstance(interface.ip, IPv6Address) and interface.ip.ipv4_mapped is not None:
        yield invalid(path, value, "must not have an IPv4-mapped IPv6 address")
    elif interface.ip != interface.network.network_address:
        yield invalid(path, value, "must not have bits set beyond the prefix length")


def _interface(value: str) -> IPv4Interface | IPv6Interface | None:
    """The value in its strict form, or None."""
    length = value.rpartition("/")[2]
    if len(length) > 1 and length[0] == "0":
        return None
    try:
        return ip_interface(value)
    except ValueError:
        return None


def non_special_ip(value: str, path: str) -> Iterator[FieldError]:
    """Addresses that cannot be reached from elsewhere make no endpoints and no external IPs."""
    for text in _examine(value).special:
        yield invalid(path, value, text)


def _is_link_local_multicast(address: Address) -> bool:
    packed = address.packed
    if len(packed) == 4:
        return packed[:3] == b"\xe0\x00\x00"
    return packed[0] == 0xFF and packed[1] & 0x0F == 0x02


def ip_warnings(value: str, path: str) -> Iterator[str]:
    """Warnings of an address that is accepted though it is not in its best form."""
    found = _examine(value)
    if found.wrapped:
        yield f"{path}: non-standard IP address {quote(value)} {_SOON_INVALID} {quote(found.canonical)}"
    elif found.canonical != value and found.canonical:
        yield f"{path}: IPv6 address {quote(value)} should be in RFC 5952 canonical format ({quote(found.canonical)})"


def cidr_warnings(value: str, path: str) -> Iterator[str]:
    network = names.parse_cidr(value)
    if network is None:
        return
    head, _, _ = value.rpartition("/")
    address = names.parse_ip(head)
    assert address is not None
    canonical, warned = str(network), False
    if address != network.network_address:
        host = f"{address_text(address)}/{address.max_prefixlen}"
        choice = f"{quote(canonical)} or {quote(host)}"
        yield f"{path}: CIDR value {quote(value)} is ambiguous in this context (should be {choice}?)"
        warned = True
    interface = _interface(value)
    if interface is None or (isinstance(address, IPv6Address) and address.ipv4_mapped is not None):
        yield f"{path}: non-standard CIDR value {quote(value)} {_SOON_INVALID} {quote(canonical)}"
    elif not warned and isinstance(address, IPv6Address) and canonical != value:
        yield f"{path}: IPv6 CIDR value {quote(value)} should be in RFC 5952 canonical format ({quote(canonical)})"
