"""Quantities: `500m`, `1.5Gi`, `2e3`; fixed-point numbers with a suffix, as precise as a billionth.

A quantity is immutable and remembers its family of suffixes, which its canonical text uses. A text that is already in
canonical form is kept as it was written, so that reading and writing changes nothing.
Follows: staging/src/k8s.io/apimachinery/pkg/api/resource/{quantity,suffix,amount}.go
"""

from __future__ import annotations

import re
from functools import lru_cache, total_ordering

DECIMAL = "DecimalSI"
BINARY = "BinarySI"
EXPONENT = "DecimalExponent"

WRONG_FORMAT = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
WRONG_NUMBER = "unable to parse numeric part of quantity"
WRONG_SUFFIX = "unable to parse quantity's suffix"

_DECIMAL_SUFFIXES = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY_SUFFIXES = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_NAMES = {exponent: suffix for suffix, exponent in _DECIMAL_SUFFIXES.items()}
_BINARY_NAMES = ("", *_BINARY_SUFFIXES)

_BILLION = 10**9
_LARGEST = 2**63 - 1
_MAX_DIGITS = 18  # so many decimal digits surely fit into 64 bits
_MAX_EXPONENT = 1000  # beyond it a number would only be slow to compute

_split = re.compile(r"([+-]?)0*([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)", re.ASCII).fullmatch


class QuantityError(ValueError):
    """The text is no quantity, in the words of the API."""


@total_ordering
class Quantity:
    """An amount in billionths (`nanos`) and the `format` of its suffixes. Equal if the amounts are."""

    __slots__ = ("_text", "format", "nanos")

    def __init__(self, nanos: int, format: str = DECIMAL, text: str = "") -> None:
        self.nanos = nanos
        self.format = format
        self._text = text

    @staticmethod
    def parse(value: str | int | float) -> Quantity:
        """The quantity that a JSON value stands for; raises QuantityError."""
        return _parse(value if isinstance(value, str) else _number_text(value))

    @staticmethod
    def of(value: int, format: str = DECIMAL) -> Quantity:
        return Quantity(value * _BILLION, format)

    @staticmethod
    def of_milli(value: int, format: str = DECIMAL) -> Quantity:
        return Quantity(value * 10**6, format)

    @property
    def value(self) -> int:
        """In whole units, rounded away from zero."""
        return _divide_up(self.nanos, _BILLION)

    @property
    def milli(self) -> int:
        """In thousandths, rounded away from zero."""
        return _divide_up(self.nanos, 10**6)

    @property
    def is_zero(self) -> bool:
        return self.nanos == 0

    @property
    def sign(self) -> int:
        return (self.nanos > 0) - (self.nanos < 0)

    def is_integer(self) -> bool:
        return self.nanos % _BILLION == 0

    def as_float(self) -> float:
        return self.nanos / _BILLION

    def rounded_up(self, exponent: int) -> Quantity:
        """Rounded away from zero to a multiple of ten to the `exponent` (-9 to 0)."""
        step = 10 ** (9 + exponent)
        if self.nanos % step == 0:
            return self
        return Quantity(_divide_up(self.nanos, step) * step, self.format)

    def __str__(self) -> str:
        if not self._text:
            self._text = _canonical(self.nanos, self.format)
        return self._text

    def __repr__(self) -> str:
        return f"Quantity({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.nanos == other.nanos

    def __hash__(self) -> int:
        return hash(self.nanos)

    def __lt__(self, other: Quantity) -> bool:
        return self.nanos < other.nanos

    def __bool__(self) -> bool:
        return self.nanos != 0

    def __add__(self, other: Quantity) -> Quantity:
        return Quantity(self.nanos + other.nanos, self.format if self.nanos else other.format)

    def __sub__(self, other: Quantity) -> Quantity:
        return Quantity(self.nanos - other.nanos, self.format if self.nanos else other.format)

    def __neg__(self) -> Quantity:
        return Quantity(-self.nanos, self.format)


ZERO = Quantity(0, DECIMAL, "0")


@lru_cache(maxsize=4096)
def canonical_quantity(text: str) -> str:
    """The text in which a quantity is stored; raises QuantityError."""
    return str(_parse(text.strip()))


def _number_text(value: int | float) -> str:
    return str(value) if not isinstance(value, bool) else "true"


def _divide_up(number: int, divisor: int) -> int:
    return -(-number // divisor) if number >= 0 else number // divisor


@lru_cache(maxsize=4096)
def _parse(text: str) -> Quantity:
    if text == "0":
        return ZERO
    parts = _split(text)
    if text == "" or parts is None:
        raise QuantityError(WRONG_FORMAT)
    sign, whole, fraction, suffix = parts.groups()
    if text in ("+", "-"):
        raise QuantityError(WRONG_NUMBER)
    whole, fraction = whole or "0", fraction or ""
    base, exponent, format = _interpret(suffix)
    quick, nanos = _amount(whole, fraction, base, exponent)
    if base == 2 and not quick:
        nanos = min(nanos, _LARGEST * _BILLION)
        if 0 < nanos < _BILLION:
            format = DECIMAL
    if sign == "-":
        nanos = -nanos
    keep = quick and _is_canonical(whole, fraction, base, exponent)
    return Quantity(nanos, format, text if keep else "")


def _interpret(suffix: str) -> tuple[int, int, str]:
    """Base, exponent and family of a suffix."""
    if suffix in _DECIMAL_SUFFIXES:
        return 10, _DECIMAL_SUFFIXES[suffix], DECIMAL
    if suffix in _BINARY_SUFFIXES:
        return 2, _BINARY_SUFFIXES[suffix], BINARY
    digits = suffix[1:]
    if len(suffix) > 1 and suffix[0] in "eE" and digits.lstrip("+-").isdigit():
        exponent = int(digits)
        if abs(exponent) <= _MAX_EXPONENT:
            return 10, exponent, EXPONENT
    raise QuantityError(WRONG_SUFFIX)


def _amount(whole: str, fraction: str, base: int, exponent: int) -> tuple[bool, int]:
    """Whether the number is a plain one of few digits, and its billionths, rounded up."""
    digits = int(whole + fraction)
    if base == 2:
        quick = not fraction and 15 - len(whole) - int(exponent * 3 / 10) - 1 >= 0
        return quick, -(-(digits * 2**exponent * _BILLION) // 10 ** len(fraction))
    scale = exponent - len(fraction)
    quick = len(whole) + len(fraction) <= _MAX_DIGITS and scale >= -9
    if scale >= -9:
        return quick, digits * 10 ** (scale + 9)
    return quick, -(-digits // 10 ** (-9 - scale))


def _is_canonical(whole: str, fraction: str, base: int, exponent: int) -> bool:
    if base == 2:
        return exponent % 10 == 0 and int(whole) & 7 != 0
    digits = whole + fraction
    return (exponent - len(fraction)) % 3 == 0 and not digits.endswith("000") and digits[0] != "0"


def _canonical(nanos: int, format: str) -> str:
    if nanos == 0:
        return "0"
    if format == BINARY:
        units, rest = divmod(abs(nanos), _BILLION)
        if units >= 1024 and rest == 0:
            power = 0
            while units % 1024 == 0 and power < 6:
                units //= 1024
                power += 1
            return f"{'-' if nanos < 0 else ''}{units}{_BINARY_NAMES[power]}"
    return _canonical_decimal(nanos, EXPONENT if format == EXPONENT else DECIMAL)


def _canonical_decimal(nanos: int, format: str) -> str:
    amount, exponent = nanos, -9
    while amount % 10 == 0:
        amount //= 10
        exponent += 1
    shift = exponent % 3
    amount *= 10**shift
    exponent -= shift
    if format == EXPONENT:
        return f"{amount}e{exponent}" if exponent else str(amount)
    if exponent > 18:
        amount *= 10 ** (exponent - 18)
        exponent = 18
    return f"{amount}{_DECIMAL_NAMES[exponent]}"
