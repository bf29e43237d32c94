"""Copies of JSON values."""

from __future__ import annotations

from typing import Any


def copied(value: Any) -> Any:
    """A copy that shares no list or dict with `value`."""
    if isinstance(value, dict):
        return {name: copied(below) if isinstance(below, dict | list) else below for name, below in value.items()}
    if isinstance(value, list):
        return [copied(item) if isinstance(item, dict | list) else item for item in value]
    return value
