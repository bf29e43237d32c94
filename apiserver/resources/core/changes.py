"""How two versions of a struct differ, for messages about specs that may not change: one line a side and field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson


def field_diff(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Each changed field with its old value behind `-` and its new one behind `+`, sorted by name."""
    lines = []
    for name in sorted({*old, *new}):
        if old.get(name) == new.get(name):
            continue
        for sign, struct in (("-", old), ("+", new)):
            if name in struct:
                value = orjson.dumps(struct[name], option=orjson.OPT_SORT_KEYS).decode()
                lines.append(f"{sign} {name}: {value}")
    return "\n".join(lines)
