"""Addresses, networks and URLs: ip, cidr, url and what can be asked of them."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
)
from typing import Any, TypeVar
from urllib.parse import parse_qs, quote, urlsplit

from openapi.cel.libraries.declaring import T, alias, function, method, overload
from openapi.cel.libraries.netip import address_problem, prefix_problem
from openapi.cel.messages import Pool
from openapi.meta.field import quote as go_quote

IP, CIDR, URL = "net.IP", "net.CIDR", "kubernetes.URL"
Address = IPv4Address | IPv6Address
Made = TypeVar("Made")


def _address(text: str) -> Address:
    problem = address_problem(text)
    if problem:
        raise ValueError(f"IP Address {go_quote(text)} parse error during conversion from string: {problem}")
    if "%" in text:
        raise ValueError(f"IP address {go_quote(text)} with zone value is not allowed")
    found = ip_address(text)
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        raise ValueError(f"IPv4-mapped IPv6 address {go_quote(text)} is not allowed")
    return found


def _network(text: str) -> IPv4Network | IPv6Network:
    where = "network address parse error during conversion from string"
    problem = prefix_problem(text)
    if problem:
        raise ValueError(f"{where}: {where}: {problem}")
    found = ip_interface(text)
    if isinstance(found, IPv6Interface) and found.ipv4_mapped is not None:
        raise ValueError(f"{where}: IPv4-mapped IPv6 address {go_quote(text)} is not allowed")
    return found.network


def _parses(parse: Any, text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


def _url(text: str) -> Any:
    parts = urlsplit(text)
    if not (parts.scheme and (parts.netloc or parts.path)) and not text.startswith("/"):
        why = "invalid URI for request" if text else "empty url"
        raise ValueError(f"URL parse error during conversion from string: parse {go_quote(text)}: {why}")
    return parts


def _argument(parse: Callable[[str], Made], value: Any) -> Made:
    """An address or a network, or the text of one."""
    try:
        return parse(value if isinstance(value, str) else value.text)
    except ValueError:
        raise ValueError("no such overload") from None


def _contains_cidr(outer: Any, inner: Any) -> bool:
    a, b = _network(outer.text), _argument(_network, inner)
    if isinstance(a, IPv4Network):
        return isinstance(b, IPv4Network) and b.subnet_of(a)
    return isinstance(b, IPv6Network) and b.subnet_of(a)


def _contains_ip(network: Any, address: Any) -> bool:
    return _argument(_address, address) in _network(network.text)


def _host(url: Any) -> str:
    return str(urlsplit(url.text).netloc.rpartition("@")[2])


def _hostname(url: Any) -> str:
    parts = urlsplit(url.text)
    return parts.hostname or ""


def declare(pool: Pool) -> list[Any]:
    return [*_addresses(pool), *_urls(pool)]


def _addresses(pool: Pool) -> list[Any]:
    ip_kind, cidr_kind = T(IP), T(CIDR)
    make_ip, make_cidr = pool.message_class(IP), pool.message_class(CIDR)

    def parse_ip(text: str) -> Any:
        return make_ip(text=str(_address(text)))

    def parse_cidr(text: str) -> Any:
        _network(text)
        return make_cidr(text=text)

    def test(name: str) -> Any:
        return lambda value: bool(getattr(_address(value.text), name))

    return [
        function("ip", overload("string_to_ip", (T.STRING,), ip_kind, parse_ip),
                 overload("cidr_ip", (cidr_kind,), ip_kind, lambda c: parse_ip(c.text.split("/")[0]), member=True)),
        function("string__", overload("ip_to_string", (ip_kind,), T.STRING, lambda value: value.text),
                 alias("cidr_to_string", (cidr_kind,), T.STRING, member=False)),
        function("isIP", overload("is_ip", (T.STRING,), T.BOOL, lambda text: _parses(_address, text))),
        function("ip.isCanonical",
                 overload("ip_is_canonical", (T.STRING,), T.BOOL, lambda text: str(_address(text)) == text)),
        function("cidr", overload("string_to_cidr", (T.STRING,), cidr_kind, parse_cidr)),
        function("isCIDR", overload("is_cidr", (T.STRING,), T.BOOL, lambda text: _parses(_network, text))),
        method("family", "ip_family", (ip_kind,), T.INT, lambda value: _address(value.text).version),
        method("isUnspecified", "ip_is_unspecified", (ip_kind,), T.BOOL, test("is_unspecified")),
        method("isLoopback", "ip_is_loopback", (ip_kind,), T.BOOL, test("is_loopback")),
        method("isLinkLocalUnicast", "ip_is_link_local", (ip_kind,), T.BOOL, test("is_link_local")),
        method("isLinkLocalMulticast", "ip_is_link_local_multicast", (ip_kind,), T.BOOL, _is_link_local_multicast),
        method("isGlobalUnicast", "ip_is_global_unicast", (ip_kind,), T.BOOL, _is_global_unicast),
        function("containsIP", overload("cidr_contains_ip", (cidr_kind, ip_kind), T.BOOL, _contains_ip, member=True),
                 overload("cidr_contains_ip_string", (cidr_kind, T.STRING), T.BOOL, _contains_ip, member=True)),
        function("containsCIDR",
                 overload("cidr_contains_cidr", (cidr_kind, cidr_kind), T.BOOL, _contains_cidr, member=True),
                 overload("cidr_contains_cidr_string", (cidr_kind, T.STRING), T.BOOL, _contains_cidr, member=True)),
        method("prefixLength", "cidr_prefix_length", (cidr_kind,), T.INT, lambda c: _network(c.text).prefixlen),
        method("masked", "cidr_masked", (cidr_kind,), cidr_kind, lambda c: make_cidr(text=str(_network(c.text)))),
    ]  # fmt: skip


def _is_global_unicast(value: Any) -> bool:
    address = _address(value.text)
    odd = address.is_unspecified or address.is_loopback or address.is_multicast or address.is_link_local
    return not odd and str(address) != "255.255.255.255"


def _is_link_local_multicast(value: Any) -> bool:
    packed = _address(value.text).packed
    return packed[:3] == b"\xe0\0\0" if len(packed) == 4 else packed[0] == 0xFF and packed[1] & 0x0F == 0x02


def _urls(pool: Pool) -> list[Any]:
    kind, make = T(URL), pool.message_class(URL)

    def parse(text: str) -> Any:
        _url(text)
        return make(text=text)

    return [
        function("url", overload("string_to_url", (T.STRING,), kind, parse)),
        function("isURL", overload("is_url", (T.STRING,), T.BOOL, lambda text: _parses(_url, text))),
        method("getScheme", "url_get_scheme", (kind,), T.STRING, lambda u: urlsplit(u.text).scheme),
        method("getHost", "url_get_host", (kind,), T.STRING, _host),
        method("getHostname", "url_get_hostname", (kind,), T.STRING, _hostname),
        method("getPort", "url_get_port", (kind,), T.STRING, lambda u: str(urlsplit(u.text).port or "")),
        method("getEscapedPath", "url_get_escaped_path", (kind,), T.STRING,
               lambda u: quote(urlsplit(u.text).path, safe="/%:@!$&'()*+,;=~-._")),
        method("getQuery", "url_get_query", (kind,), T.Map(T.STRING, T.List(T.STRING)),
               lambda u: parse_qs(urlsplit(u.text).query, keep_blank_values=True)),
    ]  # fmt: skip
