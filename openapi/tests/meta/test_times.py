"""Times: reading, writing, and the words for what is none."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from openapi.meta.times import (
    TimeError,
    canonical_micro_time,
    canonical_time,
    format_micro_time,
    format_time,
    human_duration,
    parse_time,
)


def test_times_are_written_in_utc() -> None:
    moment = datetime(2024, 1, 31, 12, 0, 0, 123456, UTC)
    assert format_time(moment) == "2024-01-31T12:00:00Z"
    assert format_micro_time(moment) == "2024-01-31T12:00:00.123456Z"
    assert parse_time("2024-01-31T14:00:00+02:00") == moment.replace(microsecond=0)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("2024-01-01T02:00:00.999+02:00", "2024-01-01T00:00:00Z"),
        ("2024-02-29T23:59:59Z", "2024-02-29T23:59:59Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
    ],
)
def test_a_time_has_a_canonical_form(text: str, canonical: str) -> None:
    assert canonical_time(text) == canonical


LAYOUT = '"2006-01-02T15:04:05Z07:00"'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("yesterday", f'parsing time "yesterday" as {LAYOUT}: cannot parse "yesterday" as "2006"'),
        ("2024-01-01", f'parsing time "2024-01-01" as {LAYOUT}: cannot parse "" as "T"'),
        ("2024-01-01T00:00:00", f'parsing time "2024-01-01T00:00:00" as {LAYOUT}: cannot parse "" as "Z07:00"'),
        ("2024-13-01T00:00:00Z", 'parsing time "2024-13-01T00:00:00Z": month out of range'),
        ("2023-02-29T00:00:00Z", 'parsing time "2023-02-29T00:00:00Z": day out of range'),
        ("2024-01-01T00:00:00Zx", 'parsing time "2024-01-01T00:00:00Zx": extra text: "x"'),
    ],
)
def test_what_is_no_time_is_refused_in_gos_words(text: str, problem: str) -> None:
    with pytest.raises(TimeError) as caught:
        canonical_time(text)
    assert str(caught.value) == problem


def test_a_micro_time_needs_six_digits() -> None:
    assert canonical_micro_time("2024-01-01T00:00:00.120000+01:00") == "2023-12-31T23:00:00.120000Z"
    with pytest.raises(TimeError, match=r'cannot parse "Z" as ".000000"'):
        canonical_micro_time("2024-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (-1, "0s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (3600, "60m"),
        (3 * 3600 + 60, "3h1m"),
        (9 * 3600 + 60, "9h"),
        (50 * 3600, "2d2h"),
        (9 * 86400, "9d"),
        (800 * 86400, "2y70d"),
        (3000 * 86400, "8y"),
    ],
)
def test_an_age_has_two_figures_at_most(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text
