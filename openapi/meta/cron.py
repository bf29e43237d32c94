"""Cron schedules: five fields (minute, hour, day, month, weekday), the words for common ones, or `@every` a duration.

Errors carry the texts that the API answers with.
Follows: vendor/github.com/robfig/cron/v3/parser.go ParseStandard, Go's time.ParseDuration
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo

from openapi.meta.field import quote


class ScheduleError(ValueError):
    """The text is no schedule."""


@dataclass(frozen=True, slots=True)
class CronSchedule:
    """The minutes, hours, days of the month, months and weekdays (0 is Sunday) that match.

    If neither `any_day` nor `any_weekday`, a day matches by either of both fields, otherwise it must match both.
    `zone` names the time zone a schedule brings along, '' for none.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool = False
    any_weekday: bool = False
    zone: str = ""


@dataclass(frozen=True, slots=True)
class EverySchedule:
    """Once in so many seconds, at least one."""

    seconds: int


Schedule = CronSchedule | EverySchedule


@dataclass(frozen=True, slots=True)
class _Bounds:
    low: int
    high: int
    names: tuple[str, ...] = ()

    def number(self, text: str) -> int:
        lower = text.lower()
        return self.names.index(lower) + self.low if lower in self.names else _number(text)


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_BOUNDS = (_Bounds(0, 59), _Bounds(0, 23), _Bounds(1, 31), _Bounds(1, 12, _MONTHS), _Bounds(0, 6, _WEEKDAYS))
_WORDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_EVERY = "@every "
_is_integer = re.compile("[+-]?[0-9]+").fullmatch


@lru_cache(maxsize=1024)
def parse_schedule(text: str) -> Schedule:
    """Raises ScheduleError."""
    if not text:
        raise ScheduleError("empty spec string")
    zone = ""
    if text.startswith(("TZ=", "CRON_TZ=")):
        head, _, text = text.partition(" ")
        zone, text = _zone(head.partition("=")[2]), text.strip()
    if text.startswith("@"):
        return _descriptor(text, zone)
    return _cron(text, zone)


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        raise ScheduleError(f"provided bad location {name}: unknown time zone {name}") from None
    return name


def _descriptor(text: str, zone: str) -> Schedule:
    if text in _WORDS:
        return _cron(_WORDS[text], zone)
    if text.startswith(_EVERY):
        try:
            return EverySchedule(max(1, int(parse_duration(text[len(_EVERY) :]))))
        except ScheduleError as error:
            raise ScheduleError(f"failed to parse duration {text}: {error}") from None
    raise ScheduleError(f"unrecognized descriptor: {text}")


def _cron(text: str, zone: str) -> CronSchedule:
    fields = text.split()
    if len(fields) != len(_BOUNDS):
        raise ScheduleError(f"expected exactly {len(_BOUNDS)} fields, found {len(fields)}: [{' '.join(fields)}]")
    minutes, hours, days, months, weekdays = (_values(f, b) for f, b in zip(fields, _BOUNDS, strict=True))
    any_day, any_weekday = _is_any(fields[2]), _is_any(fields[4])
    return CronSchedule(minutes, hours, days, months, weekdays, any_day, any_weekday, zone)


def _is_any(field: str) -> bool:
    """Whether a part of the field is a plain star."""
    return any(part.removesuffix("/1") in ("*", "?") for part in field.split(","))


def _values(field: str, bounds: _Bounds) -> frozenset[int]:
    values: set[int] = set()
    for part in field.split(","):
        if part:
            values.update(_range(part, bounds))
    return frozenset(values)


def _range(text: str, bounds: _Bounds) -> range:
    ends, *steps = text.split("/")
    first, *rest = ends.split("-")
    if first in ("*", "?"):
        start, end = bounds.low, bounds.high
    else:
        start = end = bounds.number(first)
        if len(rest) > 1:
            raise ScheduleError(f"too many hyphens: {text}")
        if rest:
            end = bounds.number(rest[0])
    step = 1
    if len(steps) > 1:
        raise ScheduleError(f"too many slashes: {text}")
    if steps:
        step = _number(steps[0])
        end = end if rest else bounds.high
    if start < bounds.low:
        raise ScheduleError(f"beginning of range ({start}) below minimum ({bounds.low}): {text}")
    if end > bounds.high:
        raise ScheduleError(f"end of range ({end}) above maximum ({bounds.high}): {text}")
    if start > end:
        raise ScheduleError(f"beginning of range ({start}) beyond end of range ({end}): {text}")
    if step == 0:
        raise ScheduleError(f"step of range should be a positive number: {text}")
    return range(start, end + 1, step)


def _number(text: str) -> int:
    if not _is_integer(text):
        raise ScheduleError(f"failed to parse int from {text}: strconv.Atoi: parsing {quote(text)}: invalid syntax")
    number = int(text)
    if number < 0:
        raise ScheduleError(f"negative number ({number}) not allowed: {text}")
    return number


_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_part = re.compile(r"([0-9]*)(\.?)([0-9]*)([^0-9.]*)")


def parse_duration(text: str) -> float:
    """Seconds of a Go duration: `1h30m`. Raises ScheduleError with Go's text."""
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return 0.0
    if not rest:
        raise ScheduleError(f"time: invalid duration {quote(text)}")
    total, place = 0.0, 0
    while place < len(rest):
        match = _part.match(rest, place)
        if match is None or not (match[1] or match[3]):
            raise ScheduleError(f"time: invalid duration {quote(text)}")
        whole, _, fraction, unit = match.groups()
        if not unit:
            raise ScheduleError(f"time: missing unit in duration {quote(text)}")
        if unit not in _UNITS:
            raise ScheduleError(f"time: unknown unit {quote(unit)} in duration {quote(text)}")
        total += float(f"{whole or 0}.{fraction or 0}") * _UNITS[unit]
        place = match.end()
    return -total if text.startswith("-") else total
