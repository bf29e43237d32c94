"""Values of expressions as plain JSON."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

_UNITS = {
    "d": 86400.0, "h": 3600.0, "m": 60.0, "ms": 1e-3, "ns": 1e-9, "s": 1.0, "us": 1e-6, "w": 604800.0, "µs": 1e-6,
}  # fmt: skip
_AMOUNT = re.compile(r"(\d+(?:\.\d*)?|\.\d+)([a-zµ]+)")


def timestamp(text: str) -> Timestamp:
    """A time inside an object, which only a message can carry. Raises ValueError."""
    made = Timestamp()
    made.FromJsonString(text)
    return made


def duration(text: str) -> Duration:
    """A duration such as `1h30m` inside an object."""
    seconds = sum(float(number) * _UNITS.get(unit, 0.0) for number, unit in _AMOUNT.findall(text))
    made = Duration()
    made.FromTimedelta(timedelta(seconds=-seconds if text.startswith("-") else seconds))
    return made


def plain(value: Any) -> Any:
    """Lists and maps of plain values; times and durations as text; object literals as the objects they stand for."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Message):
        return _of_message(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "replace")
    return str(value)


def _of_message(message: Any) -> Any:
    if message.DESCRIPTOR.full_name in ("Object", "JSONPatch"):
        return orjson.loads(message.text)
    return message.text
