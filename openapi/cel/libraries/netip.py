"""What is wrong with an address or a network, in the words that Go's library has for it.

Follows: net/netip/netip.go ParseAddr, ParsePrefix
"""

from __future__ import annotations

import re

from openapi.meta.field import quote

_HEX = re.compile(r"[0-9a-fA-F]*")
_BITS = re.compile(r"0|[1-9][0-9]*")


class _Wrong(Exception):
    """Why a text is no address, and where."""

    def __init__(self, why: str, at: str = "") -> None:
        self.why = f"{why} (at {quote(at)})" if at else why


def address_problem(text: str) -> str:
    """'' for an address, which may have a zone."""
    try:
        first = next((c for c in text if c in ".:%"), "")
        if first == ".":
            _check_v4(text)
        elif first == ":":
            _check_v6(text)
        else:
            raise _Wrong("missing IPv6 address" if first else "unable to parse IP")
    except _Wrong as wrong:
        return f"ParseAddr({quote(text)}): {wrong.why}"
    return ""


def prefix_problem(text: str) -> str:
    """'' for a network."""
    address, slash, bits = text.rpartition("/")
    problem = address_problem(address) if slash else "no '/'"
    if not problem:
        if "%" in address:
            problem = "IPv6 zones cannot be present in a prefix"
        elif not _BITS.fullmatch(bits):
            problem = f"bad bits after slash: {quote(bits)}"
        elif int(bits) > (128 if ":" in address else 32):
            problem = "prefix length out of range"
    return f"netip.ParsePrefix({quote(text)}): {problem}" if problem else ""


def _check_v4(text: str) -> None:
    value, digits, fields = 0, 0, 0
    for at, char in enumerate(text):
        if char in "0123456789":
            if digits == 1 and value == 0:
                raise _Wrong("IPv4 field has octet with leading zero")
            value, digits = value * 10 + int(char), digits + 1
            if value > 255:
                raise _Wrong("IPv4 field has value >255")
        elif char == ".":
            if at in (0, len(text) - 1) or text[at - 1] == ".":
                raise _Wrong("IPv4 field must have at least one digit", text[at:])
            if fields == 3:
                raise _Wrong("IPv4 address too long")
            value, digits, fields = 0, 0, fields + 1
        else:
            raise _Wrong("unexpected character", text[at:])
    if fields < 3:
        raise _Wrong("IPv4 address too short")


def _check_v6(text: str) -> None:
    rest, percent, zone = text.partition("%")
    if percent and not zone:
        raise _Wrong("zone must be a non-empty string")
    has_gap = rest.startswith("::")
    rest = rest[2:] if has_gap else rest
    if has_gap and not rest:
        return
    groups = 0
    while groups < 8:
        digits = _digits(rest)
        if rest[digits : digits + 1] == ".":
            _check_embedded(rest, groups, has_gap=has_gap)
            rest, groups = "", groups + 2
            break
        groups, rest = groups + 1, rest[digits:]
        if not rest:
            break
        if rest[0] != ":":
            raise _Wrong("unexpected character, want colon", rest)
        if len(rest) == 1:
            raise _Wrong("colon must be followed by more characters", rest)
        rest = rest[1:]
        if rest[0] == ":":
            if has_gap:
                raise _Wrong("multiple :: in address", rest)
            has_gap, rest = True, rest[1:]
            if not rest:
                break
    if rest:
        raise _Wrong("trailing garbage after address", rest)
    if groups < 8 and not has_gap:
        raise _Wrong("address string too short")
    if groups == 8 and has_gap:
        raise _Wrong("the :: must expand to at least one field of zeros")


def _digits(rest: str) -> int:
    """How many digits a group has."""
    found = _HEX.match(rest)
    digits = found.end() if found else 0
    if digits > 4:
        raise _Wrong("each group must have 4 or less digits", rest)
    if not digits:
        raise _Wrong("each colon-separated field must have at least one digit", rest)
    return digits


def _check_embedded(rest: str, groups: int, *, has_gap: bool) -> None:
    if not has_gap and groups != 6:
        raise _Wrong("embedded IPv4 address must replace the final 2 fields of the address", rest)
    if groups > 6:
        raise _Wrong("too many hex fields to fit an embedded IPv4 at the end of the address", rest)
    _check_v4(rest)
