from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nodeagent.server.log_files import LineFilter, LogOptions, fixed_nanos, read_log, tail_start

LINES = (
    b"2026-01-01T10:00:00.1Z stdout F one\n"
    b"2026-01-01T10:00:01.123456789Z stderr F two\n"
    b"2026-01-01T10:00:02Z stdout P thr\n"
    b"2026-01-01T10:00:02Z stdout F ee\n"
    b"2026-01-01T10:00:03.5Z stdout F four\n"
)


async def never_running() -> bool:
    return False


async def read(path: Path, options: LogOptions) -> bytes:
    return b"".join([piece async for piece in read_log(path.open("rb"), str(path), options, never_running)])


def put(path: Path, data: bytes) -> None:
    path.write_bytes(data)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "0.log"
    path.write_bytes(LINES)
    return path


async def test_the_text_of_all_lines_without_times_and_tags(log: Path) -> None:
    assert await read(log, LogOptions()) == b"one\ntwo\nthree\nfour\n"


async def test_timestamps_have_nine_digits_and_stand_once_before_a_split_line(log: Path) -> None:
    assert await read(log, LogOptions(timestamps=True)) == (
        b"2026-01-01T10:00:00.100000000Z one\n"
        b"2026-01-01T10:00:01.123456789Z two\n"
        b"2026-01-01T10:00:02.000000000Z three\n"
        b"2026-01-01T10:00:03.500000000Z four\n"
    )


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (LogOptions(tail_lines=0), b""),
        (LogOptions(tail_lines=1), b"four\n"),
        (LogOptions(tail_lines=2), b"ee\nfour\n"),
        (LogOptions(tail_lines=99), b"one\ntwo\nthree\nfour\n"),
        (LogOptions(limit_bytes=6), b"one\ntw"),
        (LogOptions(limit_bytes=4), b"one\n"),
        (LogOptions(stream="Stdout"), b"one\nthree\nfour\n"),
        (LogOptions(stream="Stderr"), b"two\n"),
        (LogOptions(since=datetime(2026, 1, 1, 10, 0, 2, tzinfo=UTC)), b"three\nfour\n"),
        (LogOptions(since=datetime(2026, 1, 1, 10, 0, 3, 400000, tzinfo=UTC)), b"four\n"),
    ],
    ids=["tail 0", "tail 1", "tail 2", "tail more", "bytes within a line", "bytes at its end", "stdout", "stderr",
         "since", "since a fraction"],
)  # fmt: skip
async def test_options_choose_what_of_a_log(log: Path, options: LogOptions, text: bytes) -> None:
    assert await read(log, options) == text


async def test_lines_in_no_known_format_are_left_out(log: Path) -> None:
    put(log, b"garbage\n" + LINES + b"2026-01-01T10:00:04Z stdlog F five\n2026-01-01T10:00:05Z stdout F si")
    assert await read(log, LogOptions()) == b"one\ntwo\nthree\nfour\nsi"


async def test_carriage_returns_do_not_end_lines(log: Path) -> None:
    put(log, b"2026-01-01T10:00:04Z stdout F 10%\r20%\r\n")
    assert await read(log, LogOptions()) == b"10%\r20%\r\n"


async def test_logs_longer_than_a_chunk_come_whole(log: Path) -> None:
    put(log, b"".join(b"2026-01-01T10:00:00Z stdout F line %d\n" % number for number in range(5000)))
    assert await read(log, LogOptions()) == b"".join(b"line %d\n" % number for number in range(5000))
    assert await read(log, LogOptions(tail_lines=3000)) == b"".join(b"line %d\n" % n for n in range(2000, 5000))


def test_a_tail_begins_after_the_line_before_it(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"a\nb\nc\npartial")
    with path.open("rb") as file:
        assert [tail_start(file, lines) for lines in (None, 1, 2, 3, 4)] == [0, 4, 2, 0, 0]


async def test_a_followed_log_gives_new_lines_and_ends_with_its_container(log: Path) -> None:
    is_running = True
    seen: list[bytes] = []
    came = asyncio.Event()

    async def running() -> bool:
        return is_running

    async def follow() -> None:
        async for piece in read_log(log.open("rb"), str(log), LogOptions(follow=True, tail_lines=1), running):
            seen.append(piece)
            came.set()

    task = asyncio.create_task(follow())
    await came.wait()
    came.clear()
    with log.open("ab") as file:
        file.write(b"2026-01-01T10:00:04Z stdout F fi")
        file.flush()
        file.write(b"ve\n")
    await came.wait()
    is_running = False
    await asyncio.wait_for(task, 5)
    assert b"".join(seen) == b"four\nfive\n"


async def test_a_rotated_log_is_read_to_its_end_and_then_its_successor(log: Path) -> None:
    seen: list[bytes] = []
    came = asyncio.Event()

    async def running() -> bool:
        return b"after\n" not in seen

    async def follow() -> None:
        async for piece in read_log(log.open("rb"), str(log), LogOptions(follow=True, tail_lines=0), running):
            seen.append(piece)
            came.set()

    task = asyncio.create_task(follow())
    await asyncio.sleep(0)
    os.rename(log, log.with_suffix(".log.1"))
    with log.with_suffix(".log.1").open("ab") as old:
        old.write(b"2026-01-01T10:00:04Z stdout F before\n")
    put(log, b"2026-01-01T10:00:05Z stdout F after\n")
    await asyncio.wait_for(task, 5)
    assert seen == [b"before\n", b"after\n"]


def test_a_full_filter_takes_nothing_more() -> None:
    lines = LineFilter(LogOptions(limit_bytes=2))
    assert (lines.take(b"t stdout F abc\n"), lines.is_done, lines.take(b"t stdout F d\n")) == (b"ab", True, b"")


@pytest.mark.parametrize(
    ("given", "fixed"),
    [
        (b"2026-01-01T10:00:00Z", b"2026-01-01T10:00:00.000000000Z"),
        (b"2026-01-01T10:00:00.25+02:00", b"2026-01-01T10:00:00.250000000+02:00"),
        (b"2026-01-01T10:00:00-07:00", b"2026-01-01T10:00:00.000000000-07:00"),
    ],
)
def test_fractions_are_filled_and_zones_kept(given: bytes, fixed: bytes) -> None:
    assert fixed_nanos(given) == fixed
