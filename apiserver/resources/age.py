"""How long ago something was, as the cells of Tables say it.

Follows: pkg/printers/internalversion/printers.go translateTimestampSince
"""

from __future__ import annotations

from datetime import datetime

from openapi.meta.times import human_duration, parse_time

UNKNOWN = "<unknown>"


def age(timestamp: str | None, now: datetime) -> str:
    """`5m`, or <unknown> without a time."""
    if not timestamp:
        return UNKNOWN
    return human_duration((now - parse_time(timestamp)).total_seconds())
