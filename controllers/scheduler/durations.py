"""Durations of the configuration, as Go writes them (`1m30s`)."""

from __future__ import annotations

import re

_UNITS_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PART = re.compile(r"([0-9]*\.?[0-9]+|[0-9]+\.)(h|ms|m|s|us|µs|ns)")


def parse_duration(text: str) -> float:
    """The seconds of a duration. Raises ValueError."""
    sign, rest = (-1.0, text[1:]) if text.startswith("-") else (1.0, text.removeprefix("+"))
    if rest == "0":
        return 0.0
    parts = _PART.findall(rest)
    if not parts or "".join(number + unit for number, unit in parts) != rest:
        raise ValueError(f'time: invalid duration "{text}"')
    return sign * sum(float(number) * _UNITS_S[unit] for number, unit in parts)


def duration_s(text: str | None, default_s: float) -> float:
    """The seconds of a duration that is known to be one; `default_s` where there is none."""
    return default_s if text is None else parse_duration(text)
