"""When schedules are due."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from controllers.cronjob.plan import due_time, is_too_late, new_job, seconds_to_next
from controllers.cronjob.schedule import ScheduleTooDense, latest_due, next_time
from openapi.meta.cron import parse_schedule


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "zone", "after", "expected"),
    [
        ("* * * * *", "", "2026-01-01T10:00:30", "2026-01-01T10:01:00"),
        ("*/15 * * * *", "", "2026-01-01T10:45:00", "2026-01-01T11:00:00"),
        ("0 0 1 1 *", "", "2026-01-01T00:00:00", "2027-01-01T00:00:00"),
        ("0 0 29 2 *", "", "2026-01-01T00:00:00", "2028-02-29T00:00:00"),
        ("0 12 * * mon", "", "2026-01-01T00:00:00", "2026-01-05T12:00:00"),
        ("0 0 13 * fri", "", "2026-01-01T00:00:00", "2026-01-02T00:00:00"),
        ("30 8 * * *", "Asia/Kolkata", "2026-01-01T00:00:00", "2026-01-01T03:00:00"),
        ("0 8 * * *", "Europe/Berlin", "2026-06-01T07:00:00", "2026-06-02T06:00:00"),
        ("@every 90s", "", "2026-01-01T10:00:10", "2026-01-01T10:01:40"),
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00", "2026-03-30T00:30:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00", "2026-10-25T01:30:00"),
    ],
)
def test_the_next_time(text: str, zone: str, after: str, expected: str) -> None:
    assert next_time(parse_schedule(text), moment(after), zone) == moment(expected)


def test_a_day_that_never_comes_is_never_due() -> None:
    schedule, start = parse_schedule("0 0 30 2 *"), moment("2026-01-01T00:00:00")
    assert next_time(schedule, start) is None
    with pytest.raises(ScheduleTooDense, match="less than 1 second"):
        latest_due(schedule, "", start, moment("2026-01-02T00:00:00"))


def test_the_latest_due_time_is_found_and_the_others_counted() -> None:
    schedule = parse_schedule("*/10 * * * *")
    due = latest_due(schedule, "", moment("2026-01-01T10:00:00"), moment("2026-01-01T12:05:00"))
    assert (due.latest, due.missed) == (moment("2026-01-01T12:00:00"), 12)
    early = latest_due(schedule, "", moment("2026-01-01T10:00:00"), moment("2026-01-01T10:05:00"))
    assert (early.latest, early.missed) == (None, 0)


def cron_job(**spec: Any) -> dict[str, Any]:
    metadata = {"name": "c", "namespace": "n", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"parallelism": 2}}
    return {"metadata": metadata, "spec": {"schedule": "0 * * * *", "jobTemplate": template, **spec}}


def test_the_deadline_bounds_how_far_to_look_back() -> None:
    schedule, now = parse_schedule("0 * * * *"), moment("2026-01-01T05:30:00")
    assert due_time(cron_job(), schedule, now).latest == moment("2026-01-01T05:00:00")
    assert due_time(cron_job(startingDeadlineSeconds=600), schedule, now).latest is None
    assert is_too_late(cron_job(startingDeadlineSeconds=600), moment("2026-01-01T05:00:00"), now)
    assert seconds_to_next(cron_job(), schedule, now) == pytest.approx(1800.1)


def test_a_job_is_named_after_its_minute_and_says_its_time_in_the_zone() -> None:
    made = new_job(cron_job(timeZone="Europe/Berlin"), moment("2026-01-01T05:00:00"))
    assert made["metadata"]["name"] == "c-29454060"
    annotation = made["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"]
    assert annotation == "2026-01-01T06:00:00+01:00"
    assert made["spec"] == {"parallelism": 2}
