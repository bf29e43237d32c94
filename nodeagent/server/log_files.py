"""Reads log files as a CRI runtime writes them, one line each `<time> <stream> <tag> <text>`, and follows them.

A file that is rotated away while it is followed is read to its end before the next one. What is not in the format
is left out. Follows: staging/src/k8s.io/cri-client/pkg/logs/logs.go, tail.go
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

CHUNK_BYTES = 1 << 16
POLL_S = 0.1
STATE_CHECK_S = 1.0
"""How often, while a log is followed, the runtime is asked whether its container still runs."""

STREAMS = {"Stdout": b"stdout", "Stderr": b"stderr", "All": b""}
_NANO_DIGITS = 9


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What of a log is wanted; None is no limit. `stream` is a name in `STREAMS`."""

    follow: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    since: datetime | None = None
    stream: str = "All"


class LineFilter:
    """Turns lines of a file into the text that is wanted, in order; `is_done` once no more will be."""

    def __init__(self, options: LogOptions) -> None:
        self._timestamps = options.timestamps
        self._since = options.since
        self._stream = STREAMS[options.stream]
        self._bytes_left = options.limit_bytes
        self._lines_left = options.tail_lines if not options.follow else None
        self._at_line_start = True

    @property
    def is_done(self) -> bool:
        return self._bytes_left == 0 or self._lines_left == 0

    def take(self, line: bytes) -> bytes:
        """The text of one line of the file; b'' when it is not wanted."""
        parts = line.split(b" ", 3)
        if self.is_done or len(parts) < 4 or parts[1] not in (b"stdout", b"stderr"):
            return b""
        if self._lines_left is not None:
            self._lines_left -= 1
        moment, stream, tags, text = parts
        if tags[:1] == b"P" and (tags == b"P" or tags[1:2] == b":"):
            text = text.removesuffix(b"\n")
        has_prefix = self._timestamps and self._at_line_start
        self._at_line_start = text.endswith(b"\n") if text else True
        if self._stream and stream != self._stream:
            return b""
        if self._since is not None and not _is_since(moment, self._since):
            return b""
        if has_prefix:
            text = fixed_nanos(moment) + b" " + text
        if self._bytes_left is not None:
            text = text[: self._bytes_left]
            self._bytes_left -= len(text)
        return text


def _is_since(moment: bytes, since: datetime) -> bool:
    try:
        return datetime.fromisoformat(moment.decode("ascii")) >= since
    except ValueError:
        return False


def fixed_nanos(moment: bytes) -> bytes:
    """An RFC 3339 time with all nine digits of its fraction, as clients are used to."""
    date, separator, rest = moment.partition(b".")
    if not separator:
        zone_at = max(moment.find(b"Z"), moment.find(b"+"), moment.rfind(b"-", len(b"2006-01-02")))
        if zone_at < 0:
            return moment
        return moment[:zone_at] + b"." + b"0" * _NANO_DIGITS + moment[zone_at:]
    digits = len(rest) - len(rest.lstrip(b"0123456789"))
    return date + b"." + rest[:digits].ljust(_NANO_DIGITS, b"0") + rest[digits:]


def tail_start(file: BinaryIO, lines: int | None) -> int:
    """Where the last `lines` complete lines of a file begin; 0 when it has fewer, or all are wanted."""
    if lines is None:
        return 0
    position = file.seek(0, os.SEEK_END)
    wanted = lines + 1
    while position > 0:
        size = min(CHUNK_BYTES, position)
        position -= size
        file.seek(position)
        block = file.read(size)
        found = block.count(b"\n")
        if found < wanted:
            wanted -= found
            continue
        at = len(block)
        for _ in range(wanted):
            at = block.rindex(b"\n", 0, at)
        return position + at + 1
    return 0


async def read_log(
    file: BinaryIO, path: str, options: LogOptions, is_running: Callable[[], Awaitable[bool]]
) -> AsyncGenerator[bytes, None]:
    """The wanted text of the log, piece by piece; closes `file`. A followed log ends with its container."""
    follower = _Follower(file, path)
    lines = LineFilter(options)
    try:
        file.seek(tail_start(file, options.tail_lines))
        while not lines.is_done:
            complete = follower.read_lines()
            if complete:
                text = b"".join(map(lines.take, complete))
                if text:
                    yield text
                await asyncio.sleep(0)
            elif not options.follow:
                rest = lines.take(follower.partial)
                if rest:
                    yield rest
                return
            elif not await follower.wait(is_running):
                return
    finally:
        follower.close()


class _Follower:
    """A log's newest file, read line by line, and the wait for more."""

    def __init__(self, file: BinaryIO, path: str) -> None:
        self._file = file
        self._path = path
        self._checked_at = -STATE_CHECK_S
        self._has_ended = False
        self.partial = b""
        """The beginning of a line that has not been written whole yet."""

    def close(self) -> None:
        self._file.close()

    def read_lines(self) -> list[bytes]:
        """The next complete lines; none at the end of the file."""
        while data := self._file.read(CHUNK_BYTES):
            *complete, self.partial = (self.partial + data).split(b"\n")
            if complete:
                return [line + b"\n" for line in complete]
        return []

    async def wait(self, is_running: Callable[[], Awaitable[bool]]) -> bool:
        """Wait until there may be more to read. False once the container has ended and all of it has been read."""
        if self._has_ended:
            return False
        while not self._has_more():
            if time.monotonic() - self._checked_at >= STATE_CHECK_S:
                self._checked_at = time.monotonic()
                if not await is_running():
                    # What was written between the last read and the end is still to be read.
                    self._has_ended = True
                    return True
            await asyncio.sleep(POLL_S)
        return True

    def _has_more(self) -> bool:
        opened = os.fstat(self._file.fileno())
        if self._file.tell() < opened.st_size:
            return True
        try:
            newest = os.stat(self._path)
        except OSError:
            return False
        if (newest.st_ino, newest.st_dev) == (opened.st_ino, opened.st_dev):
            return self._rewind_truncated(opened.st_size)
        return self._reopen()

    def _rewind_truncated(self, size: int) -> bool:
        if self._file.tell() > size:
            self._file.seek(0)
            self.partial = b""
        return False

    def _reopen(self) -> bool:
        try:
            newest = open(self._path, "rb")  # noqa: SIM115
        except OSError:
            return False
        self._file.close()
        self._file, self.partial = newest, b""
        return True
