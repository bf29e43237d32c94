"""The outer structure of DER values: what is wrong with it, in the words that Go's library has for it.

Follows: encoding/asn1 parseTagAndLength, parseField
"""

from __future__ import annotations

_SEQUENCE = 16
_LONG_TAG = 0x1F
_MOST_LENGTH = 1 << 23
_PARAMETERS = (
    "{optional:false explicit:false application:false private:false defaultValue:<nil> tag:<nil> stringType:0 "
    "timeType:0 set:false omitEmpty:false}"
)


class _Malformed(Exception):
    """The text is the whole message."""


def structure_problem(data: bytes, *structs: str) -> str:
    """What is wrong with nested sequences, each the first part of the one before it; '' for nothing."""
    try:
        for depth, struct in enumerate(structs):
            start, end = _sequence(data, struct)
            if depth == 0 and end != len(data):
                raise _Malformed("asn1: syntax error: trailing data")
            data = data[start:end]
    except _Malformed as err:
        return str(err)
    return ""


def _sequence(data: bytes, struct: str) -> tuple[int, int]:
    """Where the content of the sequence at the beginning of `data` starts and ends."""
    if not data:
        raise _Malformed("asn1: syntax error: sequence truncated")
    first, at = data[0], 1
    kind, is_compound, tag = first >> 6, bool(first & 0x20), first & _LONG_TAG
    if tag == _LONG_TAG:
        tag, at = _long_tag(data, at)
    length, at = _length(data, at)
    if (kind, is_compound, tag) != (0, True, _SEQUENCE):
        found = f"{{class:{kind} tag:{tag} length:{length} isCompound:{str(is_compound).lower()}}}"
        text = f"tags don't match ({_SEQUENCE} vs {found}) {_PARAMETERS} {struct} @{at}"
        raise _Malformed(f"asn1: structure error: {text}")
    if at + length > len(data):
        raise _Malformed("asn1: syntax error: data truncated")
    return at, at + length


def _byte(data: bytes, at: int, what: str = "truncated tag or length") -> int:
    if at >= len(data):
        raise _Malformed(f"asn1: syntax error: {what}")
    return data[at]


def _long_tag(data: bytes, at: int) -> tuple[int, int]:
    tag = 0
    for shifted in range(6):
        value = _byte(data, at, "truncated base 128 integer")
        if shifted == 5:
            raise _Malformed("asn1: structure error: base 128 integer too large")
        if shifted == 0 and value == 0x80:
            raise _Malformed("asn1: syntax error: integer is not minimally encoded")
        tag, at = tag << 7 | value & 0x7F, at + 1
        if not value & 0x80:
            break
    if tag > 2**31 - 1:
        raise _Malformed("asn1: structure error: base 128 integer too large")
    if tag < _LONG_TAG:
        raise _Malformed("asn1: syntax error: non-minimal tag")
    return tag, at


def _length(data: bytes, at: int) -> tuple[int, int]:
    first, at = _byte(data, at), at + 1
    if not first & 0x80:
        return first, at
    count, length = first & 0x7F, 0
    if not count:
        raise _Malformed("asn1: syntax error: indefinite length found (not DER)")
    for _ in range(count):
        value, at = _byte(data, at), at + 1
        if length >= _MOST_LENGTH:
            raise _Malformed("asn1: structure error: length too large")
        length = length << 8 | value
        if not length:
            raise _Malformed("asn1: structure error: superfluous leading zeros in length")
    if length < 0x80:
        raise _Malformed("asn1: structure error: non-minimal length")
    return length, at
