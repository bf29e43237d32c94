"""The string formats that schemas may ask for; formats unknown here are not checked.

Follows: k8s.io/kube-openapi/pkg/validation/strfmt, apiextensions-apiserver/pkg/apiserver/validation/formats.go
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_interface
from urllib.parse import urlsplit
from uuid import UUID

from openapi.meta.names import is_dns1123_label, is_dns1123_subdomain
from openapi.meta.times import TimeError, parse_time

Check = Callable[[str], bool]

_DATE = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")
_AMOUNT = r"(\d+(\.\d*)?|\.\d+)"
_DURATION = re.compile(rf"[+-]?({_AMOUNT}(ns|us|µs|μs|ms|s|m|h|d|w))+|0")
_WORDS = re.compile(r"[+-]?\d+(\.\d+)?\s*[a-zµμ]+", re.IGNORECASE)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,62})?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,62})?)*")
_MAC = re.compile(r"([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}|([0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}")
_HEX_COLOR = re.compile(r"#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
_RGB_COLOR = re.compile(r"rgb\(\s*\d{1,3}\s*,\s*\d{1,3}\s*,\s*\d{1,3}\s*\)")
_BSON = re.compile(r"[0-9a-fA-F]{24}")
_SSN = re.compile(r"\d{3}[- ]?\d{2}[- ]?\d{4}")
_DIGITS = re.compile(r"\d{13,19}")


def _date_time(text: str) -> bool:
    try:
        parse_time(text)
    except (TimeError, ValueError):
        return False
    return True


def _uuid(version: int = 0) -> Check:
    def check(text: str) -> bool:
        try:
            found = UUID(text)
        except ValueError:
            return False
        return not version or found.version == version

    return check


def _base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _parses(parse: Callable[[str], object]) -> Check:
    def check(text: str) -> bool:
        try:
            parse(text)
        except ValueError:
            return False
        return True

    return check


def _cidr(text: str) -> bool:
    return "/" in text and _parses(ip_interface)(text)


def _uri(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme) or text.startswith("/")


def _full(pattern: re.Pattern[str]) -> Check:
    return lambda text: pattern.fullmatch(text) is not None


def _luhn(text: str) -> bool:
    digits = [int(d) for d in re.sub(r"[ -]", "", text) if d.isdigit()]
    doubled = [d if i % 2 == 0 else (2 * d - 9 if d > 4 else 2 * d) for i, d in enumerate(reversed(digits))]
    return 13 <= len(digits) <= 19 and sum(doubled) % 10 == 0


def _isbn(text: str) -> bool:
    digits = re.sub(r"[ -]", "", text)
    if len(digits) == 10 and re.fullmatch(r"\d{9}[\dX]", digits):
        total = sum((10 - i) * (10 if d == "X" else int(d)) for i, d in enumerate(digits))
        return total % 11 == 0
    if len(digits) == 13 and digits.isdigit():
        return sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(digits)) % 10 == 0
    return False


FORMATS: dict[str, Check] = {
    "bsonobjectid": _full(_BSON),
    "byte": _base64,
    "cidr": _cidr,
    "creditcard": _luhn,
    "date": _full(_DATE),
    "date-time": _date_time,
    "datetime": _date_time,
    "duration": lambda text: bool(_DURATION.fullmatch(text) or _WORDS.fullmatch(text)),
    "email": _full(_EMAIL),
    "hexcolor": _full(_HEX_COLOR),
    "hostname": _full(_HOST),
    "ipv4": _parses(IPv4Address),
    "ipv6": _parses(IPv6Address),
    "isbn": _isbn,
    "isbn10": lambda text: len(re.sub(r"[ -]", "", text)) == 10 and _isbn(text),
    "isbn13": lambda text: len(re.sub(r"[ -]", "", text)) == 13 and _isbn(text),
    "k8s-long-name": lambda text: not is_dns1123_subdomain(text),
    "k8s-short-name": lambda text: not is_dns1123_label(text),
    "mac": _full(_MAC),
    "password": lambda text: True,
    "rgbcolor": _full(_RGB_COLOR),
    "ssn": _full(_SSN),
    "uri": _uri,
    "uuid": _uuid(),
    "uuid3": _uuid(3),
    "uuid4": _uuid(4),
    "uuid5": _uuid(5),
}
NUMBER_FORMATS = frozenset(("int32", "int64", "float", "double"))
KNOWN_FORMATS = frozenset(FORMATS) | NUMBER_FORMATS
