"""When a cron schedule is due, in its time zone.

Hours that a time zone skips are never due; hours that it repeats are due twice.
Follows: vendor/github.com/robfig/cron/v3/spec.go Next, pkg/controller/cronjob/utils.go
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from openapi.meta.cron import CronSchedule, EverySchedule, Schedule

_MINUTE, _HOUR = timedelta(minutes=1), timedelta(hours=1)
_HORIZON = timedelta(days=5 * 366)
"""A schedule without any time for so long (February 30th) is never due."""

MANY_MISSED = 100


def next_time(schedule: Schedule, after: datetime, zone_name: str = "") -> datetime | None:
    """The first time after a moment, in UTC."""
    if isinstance(schedule, EverySchedule):
        return after.replace(microsecond=0) + timedelta(seconds=schedule.seconds)
    name = schedule.zone or zone_name
    zone: tzinfo = ZoneInfo(name) if name else UTC
    moment = after.astimezone(UTC).replace(second=0, microsecond=0) + _MINUTE
    end = moment + _HORIZON
    while moment < end:
        step = _step(schedule, moment, zone)
        if step is None:
            return moment
        moment = step
    return None


def _step(schedule: CronSchedule, moment: datetime, zone: tzinfo) -> datetime | None:
    """The next moment worth looking at; None if this one is due."""
    local = moment.astimezone(zone)
    if local.month not in schedule.months:
        first = (local.replace(day=1) + timedelta(days=32)).replace(day=1)
        return _midnight(first, moment, zone)
    if not _is_day(schedule, local):
        return _midnight(local + timedelta(days=1), moment, zone)
    if local.hour not in schedule.hours:
        return moment + _HOUR - timedelta(minutes=local.minute)
    if local.minute not in schedule.minutes:
        later = min((minute for minute in schedule.minutes if minute > local.minute), default=60)
        return moment + timedelta(minutes=later - local.minute)
    return None


def _midnight(day: datetime, moment: datetime, zone: tzinfo) -> datetime:
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
    return midnight if midnight > moment else moment + _HOUR


def _is_day(schedule: CronSchedule, local: datetime) -> bool:
    day, weekday = local.day in schedule.days, local.isoweekday() % 7 in schedule.weekdays
    return (day and weekday) if schedule.any_day or schedule.any_weekday else (day or weekday)


@dataclass(frozen=True, slots=True)
class Due:
    """The latest time that is due, if any, after `earliest`, and how many there were about."""

    earliest: datetime
    latest: datetime | None = None
    missed: int = 0


class ScheduleTooDense(ValueError):
    """Two times of a schedule are the same, or there are none at all."""


def latest_due(schedule: Schedule, zone_name: str, earliest: datetime, now: datetime) -> Due:
    """What is due after `earliest` and not after `now`. Raises ScheduleTooDense."""
    first = next_time(schedule, earliest, zone_name)
    if first is not None and now < first:
        return Due(earliest)
    second = next_time(schedule, first, zone_name) if first is not None else None
    if first is not None and second is not None and now < second:
        return Due(earliest, first)
    interval_s = round((second - first).total_seconds()) if first is not None and second is not None else 0
    if first is None or interval_s < 1:
        raise ScheduleTooDense("time difference between two schedules is less than 1 second")
    # About how many there were tells where to begin to look, so that years of minutes are not walked through.
    missed = int((now - first).total_seconds()) // interval_s + 1
    latest = None
    moment = next_time(schedule, first + timedelta(seconds=(missed - 2) * interval_s), zone_name)
    while moment is not None and moment <= now:
        latest = moment
        moment = next_time(schedule, moment, zone_name)
    return Due(earliest, latest, missed)
