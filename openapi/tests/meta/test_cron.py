"""Schedules: what they select, and the words for those that are none."""

from __future__ import annotations

import pytest

from openapi.meta.cron import CronSchedule, EverySchedule, ScheduleError, parse_schedule


def test_fields_select_numbers_ranges_steps_and_names() -> None:
    schedule = parse_schedule("*/20,5 9-11 1 jan-mar mon,wed-fri")
    assert schedule == CronSchedule(
        minutes=frozenset((0, 5, 20, 40)),
        hours=frozenset((9, 10, 11)),
        days=frozenset((1,)),
        months=frozenset((1, 2, 3)),
        weekdays=frozenset((1, 3, 4, 5)),
    )


def test_stars_are_remembered() -> None:
    schedule = parse_schedule("0 0 * * ?")
    assert isinstance(schedule, CronSchedule)
    assert (schedule.any_day, schedule.any_weekday) == (True, True)


def test_a_number_with_a_step_runs_to_the_end() -> None:
    schedule = parse_schedule("50/5 * * * *")
    assert isinstance(schedule, CronSchedule)
    assert schedule.minutes == {50, 55}


def test_words_stand_for_schedules() -> None:
    assert parse_schedule("@weekly") == parse_schedule("0 0 * * 0")
    assert parse_schedule("@every 1h30m") == EverySchedule(5400)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
        ("@never", "unrecognized descriptor: @never"),
        ("@every 5", 'failed to parse duration @every 5: time: missing unit in duration "5"'),
        ("TZ=Mars/Olympus * * * * *", "provided bad location Mars/Olympus: unknown time zone Mars/Olympus"),
    ],
)
def test_what_is_no_schedule_says_why(text: str, problem: str) -> None:
    with pytest.raises(ScheduleError) as raised:
        parse_schedule(text)
    assert str(raised.value) == problem
