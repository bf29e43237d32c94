"""Times as the API writes and reads them: RFC 3339 in UTC, to the second or (micro times) to the microsecond.

Follows: staging/src/k8s.io/apimachinery/pkg/apis/meta/v1/{time,micro_time}.go, pkg/util/duration/duration.go
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

Clock = Callable[[], datetime]
"""Gives the present time, in UTC; injected wherever time matters."""


class TimeError(ValueError):
    """The text is no time, in the words of the API."""


def now() -> datetime:
    """The system's clock."""
    return datetime.now(UTC)


def format_time(moment: datetime) -> str:
    """`2024-01-31T12:00:00Z`; parts of seconds are cut off."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="seconds")[:19] + "Z"


def format_micro_time(moment: datetime) -> str:
    """`2024-01-31T12:00:00.000000Z`."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


LAYOUT = "2006-01-02T15:04:05Z07:00"
MICRO_LAYOUT = "2006-01-02T15:04:05.000000Z07:00"


def parse_time(text: str) -> datetime:
    """A time in UTC; raises TimeError. Digits after the microsecond are cut off."""
    return _parse(text, False)


def parse_micro_time(text: str) -> datetime:
    """A time that must have exactly six digits of a second; raises TimeError."""
    return _parse(text, True)


@lru_cache(maxsize=2048)
def canonical_time(text: str) -> str:
    """The form in which a stored time is written; raises TimeError."""
    return format_time(_parse(text, False))


@lru_cache(maxsize=2048)
def canonical_micro_time(text: str) -> str:
    """The form in which a stored micro time is written; raises TimeError."""
    return format_micro_time(_parse(text, True))


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _parse(text: str, micro: bool) -> datetime:
    layout = MICRO_LAYOUT if micro else LAYOUT
    scan = _Scan(text, layout)
    scan.number("2006", 4)
    scan.literal("-")
    scan.number("01", 2)
    scan.literal("-")
    scan.number("02", 2)
    scan.literal("T")
    scan.number("15", 2)
    scan.literal(":")
    scan.number("04", 2)
    scan.literal(":")
    scan.number("05", 2)
    micros = scan.micros() if micro else scan.fraction()
    offset = scan.zone()
    if scan.rest:
        raise TimeError(f"parsing time {_quote(text)}: extra text: {_quote(scan.rest)}")
    return _moment(text, scan.numbers, micros, offset)


class _Scan:
    """Reads a time part by part and, where one is wrong, names the part of the layout that was expected."""

    def __init__(self, text: str, layout: str) -> None:
        self.text = text
        self.layout = layout
        self.rest = text
        self.numbers: list[int] = []

    def fail(self, element: str, rest: str | None = None) -> TimeError:
        shown = self.rest if rest is None else rest
        what = f"parsing time {_quote(self.text)} as {_quote(self.layout)}"
        return TimeError(f"{what}: cannot parse {_quote(shown)} as {_quote(element)}")

    def number(self, element: str, digits: int) -> None:
        part = self.rest[:digits]
        if element == "15" and len(part) == 2 and part[0].isdigit() and not part[1].isdigit():
            part = part[:1]  # the hour may have one digit
        if not (part.isascii() and part.isdigit()) or (len(part) < digits and element != "15"):
            raise self.fail(element)
        self.numbers.append(int(part))
        self.rest = self.rest[len(part) :]
        index = len(self.numbers) - 1
        low, high = ((0, 9999), (1, 12), (0, 99), (0, 23), (0, 59), (0, 59))[index]
        if not low <= int(part) <= high:
            word = ("year", "month", "day", "hour", "minute", "second")[index]
            raise TimeError(f"parsing time {_quote(self.text)}: {word} out of range")

    def literal(self, element: str) -> None:
        if not self.rest.startswith(element):
            raise self.fail(element)
        self.rest = self.rest[1:]

    def fraction(self) -> int:
        """An optional fraction of a second, of any length."""
        if len(self.rest) < 2 or self.rest[0] not in ".," or not self.rest[1].isdigit():
            return 0
        end = 1
        while end < len(self.rest) and self.rest[end].isdigit():
            end += 1
        digits = self.rest[1:end]
        self.rest = self.rest[end:]
        return int(digits[:6].ljust(6, "0"))

    def micros(self) -> int:
        part = self.rest[:7]
        if len(part) < 7 or part[0] not in ".," or not part[1:].isdigit():
            raise self.fail(".000000")
        self.rest = self.rest[7:]
        return int(part[1:])

    def zone(self) -> timedelta:
        rest = self.rest
        if rest.startswith("Z"):
            self.rest = rest[1:]
            return timedelta(0)
        part = rest[:6]
        if len(part) < 6 or part[0] not in "+-" or part[3] != ":" or not (part[1:3] + part[4:]).isdigit():
            raise self.fail("Z07:00")
        hours, minutes = int(part[1:3]), int(part[4:])
        if hours > 24 or minutes > 60:
            word = "hour" if hours > 24 else "minute"
            raise TimeError(f"parsing time {_quote(self.text)}: time zone offset {word} out of range")
        self.rest = rest[6:]
        offset = timedelta(hours=hours, minutes=minutes)
        return -offset if part[0] == "-" else offset


def _moment(text: str, numbers: list[int], micros: int, offset: timedelta) -> datetime:
    year, month, day, hour, minute, second = numbers
    try:
        moment = datetime(max(year, 1), month, day, hour, minute, second, micros, UTC)
    except ValueError:
        raise TimeError(f"parsing time {_quote(text)}: day out of range") from None
    try:
        return moment - offset
    except OverflowError:
        return moment.replace(tzinfo=timezone(offset)) if abs(offset) < timedelta(hours=24) else moment


def human_duration(seconds: float) -> str:
    """A length of time in the two or three figures that tables show: `5s`, `2m30s`, `3d4h`."""
    total = int(seconds)
    if total < -1:
        return "<invalid>"
    if total < 0:
        return "0s"
    if total < 120:
        return f"{total}s"
    minutes, hours = total // 60, total // 3600
    if minutes < 10:
        return _two(minutes, "m", total % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 730:
        return f"{days}d"
    if days < 2920:
        return _two(days // 365, "y", days % 365, "d")
    return f"{days // 365}y"


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}{small}{small_unit}" if small else f"{large}{large_unit}"
