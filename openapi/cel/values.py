"""Values of expressions as plain JSON."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from google.protobuf.message import Message


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
